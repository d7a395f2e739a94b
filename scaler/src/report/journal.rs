//! The journal: decisions that differ from the one before, by group.
//!
//! Owns what counts as a difference. The journal is in memory only; the log and the decision log outlast the process.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use serde::Serialize;

use super::{Alarms, Blocked, Current, EffectReport, GroupStatus, Named, Paused};

/// How many decisions of a group are kept at most: those of a busy day, in a hundred kilobytes.
const KEPT: usize = 100;
/// How many decisions of all groups are kept, in some twenty megabytes; the newest of each group in any case.
const KEPT_TOGETHER: usize = 20_000;

/// A decision that differs from the one before it.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// The grid point, RFC 3339.
    pub time: String,
    /// The fleet.
    pub fleet: String,
    /// The group's name.
    pub asg: String,
    /// Its region.
    pub region: String,
    /// `hold`, `scale_out` or `scale_in`.
    pub action: &'static str,
    /// Why it was evaluated: `grid`, `webhook`, `operator` or `drain`.
    pub trigger: &'static str,
    /// Whether decisions are only reported.
    pub dry_run: bool,
    /// The pause, if any, that blocks the effects.
    pub paused: Option<Paused>,
    /// The capacity of the group, in instances.
    pub current: Current,
    /// The capacity that the decision wants, in instances that do not drain.
    pub desired: u32,
    /// Verdicts by policy.
    pub alarms: Named<Alarms>,
    /// The newest datapoint of each policy; `null` where it is missing.
    pub values: Named<Option<f64>>,
    /// What limited the decision.
    pub blocked: Vec<Blocked>,
    /// The steps, in order.
    pub effects: Vec<EffectReport>,
    /// One sentence for a person.
    pub text: String,
}

impl Record {
    /// The record of a decision.
    #[must_use]
    pub fn of(status: &GroupStatus) -> Self {
        Self {
            time: status.time.clone(),
            fleet: status.fleet.clone(),
            asg: status.asg.clone(),
            region: status.region.clone(),
            action: status.action,
            trigger: status.trigger,
            dry_run: status.dry_run,
            paused: status.paused.clone(),
            current: status.seen,
            desired: status.desired,
            alarms: status.alarms.clone(),
            values: status.windows.map(|points| points.last().and_then(|point| point.value)),
            // The text counts them. A list for each of a thousand instances would fill the journal.
            blocked: status
                .blocked
                .iter()
                .map(|block| Blocked { instances: Vec::new(), ..block.clone() })
                .collect(),
            effects: status.effects.clone(),
            text: status.text.clone(),
        }
    }

    fn said(&self) -> Said<'_> {
        let wanted = (self.action, self.desired, self.dry_run);
        Said::new(wanted, (&self.paused, &self.alarms), (&self.blocked, &self.effects))
    }
}

/// What a decision says. Of two that say the same, the second is no news: times, ages and values differ at every evaluation.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Said<'a> {
    /// The action, the capacity that it wants, and whether it is only reported.
    wanted: (&'static str, u32, bool),
    paused: &'a Option<Paused>,
    alarms: &'a Named<Alarms>,
    reasons: BTreeSet<&'static str>,
    steps: Vec<(&'static str, Option<&'a str>)>,
}

impl<'a> Said<'a> {
    fn new(
        wanted: (&'static str, u32, bool),
        (paused, alarms): (&'a Option<Paused>, &'a Named<Alarms>),
        (blocked, effects): (&'a [Blocked], &'a [EffectReport]),
    ) -> Self {
        // A heartbeat is no news.
        let steps = effects.iter().filter(|effect| effect.effect != "heartbeat");
        Self {
            wanted,
            paused,
            alarms,
            reasons: blocked.iter().map(|block| block.reason).collect(),
            steps: steps.map(|effect| (effect.effect, effect.instance.as_deref())).collect(),
        }
    }
}

impl GroupStatus {
    /// What its decision says.
    #[must_use]
    pub fn said(&self) -> Said<'_> {
        let wanted = (self.action, self.desired, self.dry_run);
        Said::new(wanted, (&self.paused, &self.alarms), (&self.blocked, &self.effects))
    }
}

/// Where a group's decisions are kept: by fleet, region and name.
type Key = (String, String, String);

/// The decisions that changed, by group.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    groups: BTreeMap<Key, VecDeque<Arc<Record>>>,
}

impl Journal {
    /// Keeps the decision of `status` if it differs from the last one of the group.
    pub fn note(&mut self, status: &GroupStatus) {
        let key = (status.fleet.clone(), status.region.clone(), status.asg.clone());
        let before = self.most();
        let kept = self.groups.entry(key.clone()).or_default();
        if kept.back().is_some_and(|last| last.said() == status.said()) {
            return;
        }
        kept.push_back(Arc::new(Record::of(status)));
        let most = self.most();
        // Only another group changes what the others may keep.
        if most == before {
            self.groups.entry(key).and_modify(|kept| trim(kept, most));
        } else {
            self.groups.values_mut().for_each(|kept| trim(kept, most));
        }
    }

    /// How many decisions each group keeps.
    fn most(&self) -> usize {
        (KEPT_TOGETHER / self.groups.len().max(1)).clamp(1, KEPT)
    }

    /// Forgets the groups of a fleet that are not among `groups`.
    pub fn retain(&mut self, fleet: &str, groups: &[GroupStatus]) {
        let held: HashSet<(&str, &str)> =
            groups.iter().map(|group| (group.region.as_str(), group.asg.as_str())).collect();
        self.groups.retain(|(of, region, asg), _| of != fleet || held.contains(&(region, asg)));
    }

    /// The decisions of a group, newest first.
    pub fn of(&self, fleet: &str, region: &str, asg: &str) -> impl Iterator<Item = &Arc<Record>> {
        let key = (fleet.to_owned(), region.to_owned(), asg.to_owned());
        self.groups.get(&key).into_iter().flat_map(|kept| kept.iter().rev())
    }
}

/// Drops the oldest decisions beyond `most`.
fn trim(kept: &mut VecDeque<Arc<Record>>, most: usize) {
    kept.drain(..kept.len().saturating_sub(most));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_record_does_not_list_why_each_instance_stays() {
        let mut status = sample::group();
        status.blocked = vec![sample::no_victim(3)];
        assert_eq!(
            (status.blocked[0].instances.len(), Record::of(&status).blocked[0].instances.len()),
            (3, 0)
        );
    }

    #[test]
    fn with_many_groups_each_has_its_newest_decisions() {
        let mut journal = Journal::default();
        let mut status = sample::group();
        for group in 0..=KEPT_TOGETHER / 2 {
            for desired in 0..3 {
                status.asg = if group == 0 { "first".to_owned() } else { group.to_string() };
                (status.desired, status.time) = (desired, desired.to_string());
                // The later groups have one decision each, which keeps the test short.
                if group < 3 || desired == 2 {
                    journal.note(&status);
                }
            }
        }
        let times = |asg: &str| -> Vec<String> {
            journal.of("jvb", "us-east-1", asg).map(|record| record.time.clone()).collect()
        };
        assert_eq!([times("first"), times("2"), times("9")].concat(), ["2"; 3]);
    }

    #[test]
    fn only_what_changed_is_kept_and_no_more_than_fits() {
        let mut journal = Journal::default();
        let mut status = sample::group();
        let times = |journal: &Journal| {
            let kept = journal.of("jvb", "us-east-1", "prod-jvb");
            kept.map(|record| record.time.clone()).collect::<Vec<_>>()
        };
        journal.note(&status);
        status.time = "2026-11-20T07:01:00Z".to_owned();
        status.text = "hold at 3: i-1 draining for 120 s".to_owned();
        journal.note(&status);
        assert_eq!(times(&journal), ["2026-11-20T07:00:00Z"], "an age is no change");

        status.time = "2026-11-20T07:02:00Z".to_owned();
        status.desired += 1;
        journal.note(&status);
        assert_eq!(times(&journal), ["2026-11-20T07:02:00Z", "2026-11-20T07:00:00Z"]);

        for number in 0..2 * KEPT {
            status.desired = u32::try_from(number).expect("a small number");
            status.time = number.to_string();
            journal.note(&status);
        }
        assert_eq!(times(&journal).len(), KEPT);
        assert_eq!(times(&journal)[0], (2 * KEPT - 1).to_string());

        journal.retain("jibri", &[]);
        assert_eq!(times(&journal).len(), KEPT);
        journal.retain("jvb", &[]);
        assert_eq!(times(&journal), [""; 0]);
    }
}
