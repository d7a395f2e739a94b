//! What is remembered of the groups in a region from one evaluation to the next: what was seen, asked for and acted on, and when.
//!
//! Owns the rules by which older knowledge counts. Losing all of it delays a drain by one evaluation at most. Every walk
//! over it goes in one fixed order, so that a simulation replays to the letter.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use tokio::time::Instant;

use super::execute::Done;
use super::facts::{Ages, Facts, lifecycle};
use super::looks::Watch;
use super::view::GroupView;
use crate::decide::alarm::Verdict;
use crate::decide::decision::{Decision, Effect};
use crate::decide::observation::{Drain, Group, Hook, Lifecycle, Live, Reading, Series};
use crate::observe::Labels;
use crate::report::FailedStep;
use crate::report::journal::Said;
use crate::telemetry::GroupRef;
use crate::units::{InstanceId, Period, Time};

/// For how long the hooks of a group are assumed to stay as they were read.
const HOOKS_KNOWN: Duration = Duration::from_mins(10);
/// How long a time that lay in the future keeps counting from its first sighting. Longer than any drain.
const AHEAD_KNOWN: Duration = Duration::from_hours(48);
/// How many failed steps of a group are kept: enough to tell one cause from several.
const FAILURES: usize = 10;
/// For how long an instance counts as ambiguous after several series carried its id.
const AMBIGUOUS_FOR: Duration = Duration::from_hours(1);

/// What is remembered of the groups of a fleet in a region.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    instances: BTreeMap<InstanceId, InstanceRecord>,
    groups: BTreeMap<GroupRef, GroupRecord>,
    /// Groups in which hooks held instances when they were last seen.
    held: BTreeMap<GroupRef, GroupView>,
    /// The grid point at which all of its groups were last evaluated.
    evaluated: Option<Time>,
    /// Whether they could not be read then.
    is_unseen: bool,
    /// Up to which grid point another process is assumed to have evaluated the fleet.
    inherited: Option<Time>,
    /// Times of tags and activities that lay in the future when first seen, mapped to that moment.
    ahead: BTreeMap<Time, Time>,
}

#[derive(Debug, Default)]
struct InstanceRecord {
    /// When it was first seen in service.
    first_seen: Option<Time>,
    /// Since when it has been in service, once that is settled.
    in_service: Option<Time>,
    /// The labels that its series last had. A bridge that drains is reached without Prometheus.
    labels: Option<Labels>,
    /// The looks at its component, while it drains.
    watch: Option<Watch>,
    /// When its drain began by its tag, and when this process first saw that.
    drained: Option<(Time, Instant)>,
    /// Whether it was detached from its group, of which it left a drain tag. AWS lists the newest activities only.
    was_detached: Option<bool>,
    /// When several series last carried its id.
    ambiguous: Option<Instant>,
    /// Since when a hook has held it, if this process saw it in service before.
    held_since: Option<Time>,
    /// When its hook was last sent a heartbeat.
    heartbeat: Option<Instant>,
}

#[derive(Debug, Default)]
struct GroupRecord {
    /// When this process last scaled it out. The tags say so too, unless writing them failed.
    scaled_out: Option<Time>,
    /// When this process last scaled it in.
    scaled_in: Option<Time>,
    hooks: Option<HooksRead>,
    /// Since when it has lacked instances; `None` if it did not at the last evaluation.
    lacking_since: Option<Time>,
    /// The newest point of each policy that was judged, in the order of the policies.
    judged: Vec<Option<Judged>>,
    /// What the decision said that was last published, as a hash.
    published: Option<u64>,
    /// The newest steps that failed, oldest first.
    failures: VecDeque<FailedStep>,
}

#[derive(Debug)]
struct HooksRead {
    hooks: Vec<Hook>,
    read: Time,
}

/// A point of a policy that was judged.
#[derive(Clone, Copy, Debug)]
struct Judged {
    end: Time,
    period: Period,
    /// Whether it called for a scale-out.
    called: bool,
}

/// What was seen and asked for.
impl Ledger {
    /// Notes what an evaluation was answered. `settle` is the fleet's `drain.settle`.
    pub(super) fn note_facts(&mut self, facts: &Facts, settle: Duration) {
        let at = facts.at();
        self.note_clock(facts);
        // After a start the evaluation before this one is assumed to have been made, so that a restarted process acts when
        // one that kept running would have. The minimum, because the clock may be set back.
        let before = if facts.again { at } else { at.before(facts.grid.tick.duration()) };
        self.inherited = Some(self.inherited.map_or(before, |inherited| inherited.min(before)));
        for (id, report) in facts.answers.reports.iter().flatten() {
            let record = self.instances.entry(id.clone()).or_default();
            record.labels = Some(report.labels.clone());
            record.ambiguous = if report.reported.ambiguous { Some(facts.looked) } else { record.ambiguous };
            let is_over = |last: &Instant| facts.looked.duration_since(*last) >= AMBIGUOUS_FOR;
            record.ambiguous = record.ambiguous.filter(|last| !is_over(last));
        }
        for (id, detached) in &facts.detached {
            self.instances.entry(id.clone()).or_default().was_detached.get_or_insert(*detached);
        }
        self.note_looks(facts, settle);
        self.note_ages(&facts.ages, at);
        self.note_lacking(facts);
        for (group, hooks) in &facts.hooks {
            let read = HooksRead { hooks: hooks.clone(), read: at };
            self.groups.entry(group.clone()).or_default().hooks = Some(read);
        }
        for it in facts.groups.iter().flat_map(|facts| &facts.description.instances) {
            let Some(record) = self.instances.get_mut(&it.id) else { continue };
            // One that was detached may be attached again.
            record.was_detached = None;
            // Of an instance that this process never saw in service it is not known when its hook began to hold it.
            if lifecycle(&it.lifecycle) == Lifecycle::Held && record.in_service.is_some() {
                record.held_since.get_or_insert(at);
            }
        }
    }

    /// Lets every time that lies ahead, because the clock was set back, count from now on: its own here, and those of
    /// tags and activities by [`Ledger::past`].
    fn note_clock(&mut self, facts: &Facts) {
        let at = facts.at();
        let past = |time: &mut Option<Time>| *time = time.map(|time| time.min(at));
        past(&mut self.evaluated);
        for record in self.instances.values_mut() {
            [&mut record.first_seen, &mut record.in_service, &mut record.held_since]
                .into_iter()
                .for_each(past);
        }
        for record in self.groups.values_mut() {
            [&mut record.scaled_out, &mut record.scaled_in, &mut record.lacking_since]
                .into_iter()
                .for_each(past);
            record.hooks = record.hooks.take().filter(|hooks| hooks.read <= at);
        }
        self.ahead.retain(|time, _| *time > at.before(AHEAD_KNOWN));
        self.ahead.values_mut().for_each(|seen| *seen = at.min(*seen));
        let tags = facts.groups.iter().map(|facts| &facts.tags);
        let tags = tags.flat_map(|tags| {
            let drains = tags.drains.iter().map(|(_, drain)| drain.since);
            let recycling = tags.recycling.map(|recycling| recycling.since);
            drains.chain(tags.scaled_out).chain(tags.scaled_in).chain(recycling)
        });
        let ended = facts.activities.values().flatten().filter_map(|activity| activity.ended);
        // An evaluation between two grid points is as of the earlier one, and sees what happened since.
        let next = at.after(facts.grid.tick.duration());
        for time in tags.chain(ended).filter(|time| *time > next) {
            self.ahead.entry(time).or_insert(at);
        }
    }

    /// A time of a tag or an activity, or when it was first seen if it lay ahead then.
    pub(super) fn past(&self, time: Time) -> Time {
        self.ahead.get(&time).copied().unwrap_or(time)
    }

    /// Settles since when new instances have been in service: since AWS launched them, else since they first reported,
    /// else since they were first seen.
    fn note_ages(&mut self, ages: &Ages, at: Time) {
        for id in &ages.new {
            let record = self.instances.entry(id.clone()).or_default();
            let first_seen = *record.first_seen.get_or_insert(at);
            let launched = ages.launched.get(id).copied();
            record.in_service = match &ages.reported {
                Ok(reported) => {
                    let known = launched.or_else(|| reported.get(id).copied());
                    Some(known.map_or(first_seen, |known| known.min(first_seen)))
                }
                // Asked again at the next evaluation; until then they are as old as this process has seen them.
                Err(_) => launched.map(|launched| launched.min(at)),
            };
        }
    }

    fn note_lacking(&mut self, facts: &Facts) {
        let lacking = facts.groups.iter().filter(|facts| facts.lacks_instances()).map(|facts| &facts.group);
        let lacking: Vec<_> =
            lacking.map(|group| (group.clone(), self.lacking_since(group).unwrap_or(facts.at()))).collect();
        self.groups.values_mut().for_each(|record| record.lacking_since = None);
        for (group, since) in lacking {
            self.groups.entry(group).or_default().lacking_since = Some(since);
        }
    }

    /// Notes what the components that drain answered. One that did not answer may carry anything.
    fn note_looks(&mut self, facts: &Facts, settle: Duration) {
        for group in facts.wanted() {
            let drains: BTreeMap<_, _> = group.tags.drains.iter().map(|(id, drain)| (id, *drain)).collect();
            for id in group.description.instances.iter().map(|it| &it.id) {
                if !drains.contains_key(id)
                    && let Some(record) = self.instances.get_mut(id)
                {
                    record.watch = None;
                }
            }
            for (id, drain) in drains {
                let drained = &mut self.instances.entry(id.clone()).or_default().drained;
                *drained =
                    drained.filter(|(since, _)| *since == drain.since).or(Some((drain.since, facts.looked)));
                let reading = facts.readings.get(id).copied().unwrap_or(Reading::Unknown);
                let watch = &mut self.instances.entry(id.clone()).or_default().watch;
                let watch = watch.get_or_insert_with(|| Watch::begin(facts.looked));
                watch.note(drain, reading, facts.looked, settle);
            }
        }
    }

    /// Notes that all groups of the region were evaluated, and forgets what is gone. While the region cannot be read it is
    /// unknown what is gone.
    pub(super) fn note_evaluated(&mut self, facts: &Facts) {
        self.evaluated = Some(facts.at());
        if facts.is_seen() {
            self.held.clear();
            let instances = facts.groups.iter().flat_map(|facts| &facts.description.instances);
            let tagged = facts.groups.iter().flat_map(|facts| &facts.tags.drains).map(|(id, _)| id);
            let instances: BTreeSet<_> = instances.map(|it| &it.id).chain(tagged).collect();
            let groups: BTreeSet<_> = facts.groups.iter().map(|facts| &facts.group).collect();
            self.instances.retain(|id, _| instances.contains(id));
            let at = facts.at();
            // A group that one answer lacks must not act twice on a point.
            let is_recent = |point: &Judged| at < point.end.after(point.period.duration() * 2);
            self.groups.retain(|group, record| {
                groups.contains(group) || record.judged.iter().flatten().any(is_recent)
            });
        }
        self.is_unseen = !facts.is_seen();
    }

    /// The grid point at which all groups were last evaluated.
    pub(super) fn evaluated(&self) -> Option<Time> {
        self.evaluated
    }

    /// Whether the region could not be read at the last evaluation of all groups.
    pub(super) fn is_unseen(&self) -> bool {
        self.is_unseen
    }

    /// Whether it is settled since when an instance has been in service.
    pub(super) fn knows_age(&self, id: &InstanceId) -> bool {
        self.instances.get(id).is_some_and(|record| record.in_service.is_some())
    }

    /// Since when an instance has been in service, as far as that is known.
    pub(super) fn in_service_since(&self, id: &InstanceId) -> Option<Time> {
        self.instances.get(id).and_then(|record| record.in_service.or(record.first_seen))
    }

    /// The labels that the series of an instance last had.
    pub(super) fn labels(&self, id: &InstanceId) -> Option<&Labels> {
        self.instances.get(id)?.labels.as_ref()
    }

    /// What the looks at an instance that drains prove.
    pub(super) fn live(&self, id: &InstanceId) -> Live {
        let watch = self.instances.get(id).and_then(|record| record.watch.as_ref());
        watch.map(Watch::live).unwrap_or_default()
    }

    /// The drain of an instance as it was last seen; `Some(None)` if it has been asked for something since.
    #[expect(clippy::option_option, reason = "whether it was seen, and whether what was seen still holds")]
    pub(super) fn drain(&self, id: &InstanceId) -> Option<Option<Drain>> {
        self.instances.get(id).and_then(|record| record.watch.as_ref()).map(Watch::drain)
    }

    /// For how long, at `now`, this process has seen the drain of an instance.
    pub(super) fn drains_for(&self, id: &InstanceId, now: Instant) -> Duration {
        let drained = self.instances.get(id).and_then(|record| record.drained);
        drained.map_or(Duration::ZERO, |(_, seen)| now.duration_since(seen))
    }

    /// Whether several series carry the id of an instance, or did lately: one of its components may have stopped to
    /// report.
    pub(super) fn is_ambiguous(&self, id: &InstanceId) -> bool {
        self.instances.get(id).is_some_and(|record| record.ambiguous.is_some())
    }

    /// Whether an instance that left its group was detached. If it is not known, it may have been.
    pub(super) fn may_be_detached(&self, id: &InstanceId) -> bool {
        self.instances.get(id).and_then(|record| record.was_detached).unwrap_or(true)
    }

    /// Since when a hook has held an instance, if this process saw that begin.
    pub(super) fn held_since(&self, id: &InstanceId) -> Option<Time> {
        self.instances.get(id)?.held_since
    }

    /// How long ago, at `now`, the hook that holds an instance was last sent a heartbeat.
    pub(super) fn heartbeat(&self, id: &InstanceId, now: Instant) -> Option<Duration> {
        Some(now.duration_since(self.instances.get(id)?.heartbeat?))
    }

    /// Whether the hooks of a group were read recently.
    pub(super) fn knows_hooks(&self, group: &GroupRef, at: Time) -> bool {
        let hooks = self.groups.get(group).and_then(|record| record.hooks.as_ref());
        hooks.is_some_and(|hooks| at.since(hooks.read) < HOOKS_KNOWN)
    }

    /// The hooks of a group as last read.
    pub(super) fn hooks(&self, group: &GroupRef) -> &[Hook] {
        let hooks = self.groups.get(group).and_then(|record| record.hooks.as_ref());
        hooks.map_or(&[], |hooks| &hooks.hooks)
    }

    /// Since when a group has held fewer instances than desired.
    pub(super) fn lacking_since(&self, group: &GroupRef) -> Option<Time> {
        self.groups.get(group)?.lacking_since
    }
}

/// What was judged, published and acted on.
impl Ledger {
    /// Notes which points were judged, and whether they called for a scale-out. A point whose data was not read stays
    /// open, unless it called for a scale-out even so.
    pub(super) fn note_judged(&mut self, view: &GroupView, decision: &Decision) {
        let judged = &mut self.groups.entry(view.group.clone()).or_default().judged;
        judged.resize(decision.policies.len(), None);
        let windows = view.observation.windows.iter().zip(&decision.policies);
        for (known, (series, outcome)) in judged.iter_mut().zip(windows) {
            let &Series { end, period, answered, .. } = series;
            let calls = outcome.scale_out == Some(Verdict::Alarm);
            let has_called = known.is_some_and(|known| known.end == end && known.called);
            if answered || calls {
                *known = Some(Judged { end, period, called: calls || has_called });
            }
        }
    }

    /// Opens the points of a group again that called for a scale-out at this evaluation, because it failed.
    pub(super) fn reopen(&mut self, view: &GroupView) {
        let Some(record) = self.groups.get_mut(&view.group) else { return };
        for (known, series) in record.judged.iter_mut().zip(&view.observation.windows) {
            *known = known.filter(|known| !(series.fresh && known.called));
        }
    }

    /// Whether the newest point of a policy is open in a group, so that the policy may scale out on it. A judged point is
    /// closed. At a repeated evaluation it is open again if it called for nothing, because data may have come late for it;
    /// no point is acted on twice. A point that no evaluation has judged is open, whenever that is: its query or the
    /// description of its group failed, or an evaluation was missed.
    pub(super) fn is_open(&self, facts: &Facts, group: &GroupRef, policy: usize, series: &Series) -> bool {
        let judged = self.groups.get(group).and_then(|record| *record.judged.get(policy)?);
        match judged {
            Some(judged) if judged.end == series.end => facts.again && !judged.called,
            _ => self.inherited.is_some_and(|at| series.end > facts.grid.end(at, series.period)),
        }
    }

    /// Notes what is published for a group. Returns whether that differs from what was last.
    pub(super) fn note_published(&mut self, group: &GroupRef, said: &Said<'_>) -> bool {
        let mut hasher = DefaultHasher::new();
        said.hash(&mut hasher);
        let said = Some(hasher.finish());
        said != std::mem::replace(&mut self.groups.entry(group.clone()).or_default().published, said)
    }

    /// Notes what was done to a group at `at`.
    pub(super) fn note_done(&mut self, group: &GroupRef, done: Done, at: Time) {
        for id in done.heartbeats {
            self.instances.entry(id).or_default().heartbeat = Some(Instant::now());
        }
        if let Some(view) = self.held.get_mut(group) {
            // AWS refuses a heartbeat for an instance that is not held any more.
            let is_held = |id: &InstanceId| {
                !done.released.contains(id) && !done.overtaken.contains(&Effect::Heartbeat(id.clone()))
            };
            view.observation.group.instances.retain(|it| is_held(&it.id));
        }
        for effect in &done.performed {
            if let Effect::ClearDrain(id) = effect
                && let Some(record) = self.instances.get_mut(id)
            {
                // What was seen of the drain that has ended says nothing of the next one.
                record.watch = None;
            }
        }
        for id in done.accepted {
            self.instances.entry(id).or_default().watch = Some(Watch::begin(Instant::now()));
        }
        if !done.scaled_out && !done.scaled_in && done.failed.is_empty() {
            return;
        }
        let record = self.groups.entry(group.clone()).or_default();
        record.scaled_out = if done.scaled_out { Some(at) } else { record.scaled_out };
        record.scaled_in = if done.scaled_in { Some(at) } else { record.scaled_in };
        record.failures.extend(done.failed.into_iter().map(|(effect, error)| FailedStep {
            time: at.to_string(),
            effect: effect.as_str(),
            instance: effect.instance().map(ToString::to_string),
            text: effect.to_string(),
            error,
        }));
        record.failures.drain(..record.failures.len().saturating_sub(FAILURES));
    }

    /// When this process last scaled a group out.
    pub(super) fn scaled_out(&self, group: &GroupRef) -> Option<Time> {
        self.groups.get(group)?.scaled_out
    }

    /// When this process last scaled a group in.
    pub(super) fn scaled_in(&self, group: &GroupRef) -> Option<Time> {
        self.groups.get(group)?.scaled_in
    }

    /// The newest steps of a group that failed, oldest first.
    pub(super) fn failures(&self, group: &GroupRef) -> Vec<FailedStep> {
        self.groups.get(group).map(|record| record.failures.iter().cloned().collect()).unwrap_or_default()
    }
}

/// What hooks hold, for the time between two evaluations, and for when it cannot be seen.
impl Ledger {
    /// Keeps a view of a group while a hook that is known holds one of its instances.
    pub(super) fn note_held(&mut self, view: GroupView) {
        if view.has_held() {
            self.held.insert(view.group.clone(), view);
        } else {
            self.held.remove(&view.group);
        }
    }

    /// The groups with held instances, each as it was last seen, with the heartbeats as of `now`.
    pub(super) fn held(&self, now: Instant) -> impl Iterator<Item = (&GroupView, Group)> {
        self.held.values().map(move |view| {
            let mut group = view.observation.group.clone();
            for instance in &mut group.instances {
                instance.heartbeat = self.heartbeat(&instance.id, now);
            }
            (view, group)
        })
    }

    /// The shortest time for which a hook holds an instance without a heartbeat; `None` while none holds any.
    pub(super) fn shortest_hold(&self) -> Option<Duration> {
        let held = self.held.values().filter(|view| view.has_held());
        held.filter_map(|view| Some(view.observation.group.hook.as_ref()?.heartbeat)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::stage;
    use crate::decide::decision::{Condition, Removal};
    use crate::decide::observation::Instance;
    use crate::units::Capacity;

    const NOW: Time = Time::from_unix(1_000_000_020);

    fn view(region: &str, lifecycle: Lifecycle, is_known: bool) -> GroupView {
        let instances = vec![Instance::unknown(InstanceId::new("i-0"), "a", lifecycle)];
        let (minute, day) = (Duration::from_mins(1), Duration::from_hours(24));
        let hook = is_known.then(|| Hook { name: "drain".to_owned(), heartbeat: minute, limit: day });
        let group = Group::at_rest((Capacity::ONE, Capacity::of(4)), Capacity::ONE, instances);
        stage::view(region, Group { hook, ..group })
    }

    /// An evaluation in which nothing was found, of a region that could be read or not.
    fn nothing(is_seen: bool) -> Facts {
        let facts = stage::facts(NOW, Vec::new());
        let unseen = if is_seen { BTreeSet::new() } else { [facts.region.clone()].into() };
        Facts { unseen, ..facts }
    }

    fn regions(ledger: &Ledger) -> Vec<&str> {
        ledger.held.keys().map(|group| group.region.as_str()).collect()
    }

    #[test]
    fn what_a_known_hook_holds_is_kept_until_it_is_seen_otherwise() {
        let mut ledger = Ledger::default();
        ledger.note_held(view("a", Lifecycle::Held, true));
        ledger.note_held(view("b", Lifecycle::Held, false));
        ledger.note_held(view("c", Lifecycle::InService, true));
        assert_eq!(regions(&ledger), ["a"]);
        ledger.note_held(view("a", Lifecycle::InService, true));
        assert!(regions(&ledger).is_empty());
    }

    #[test]
    fn what_can_be_seen_is_not_remembered() {
        let mut ledger = Ledger::default();
        ledger.note_held(view("a", Lifecycle::Held, true));
        ledger.note_held(view("b", Lifecycle::Held, true));
        ledger.note_evaluated(&nothing(false));
        assert_eq!(regions(&ledger), ["a", "b"]);
        ledger.note_evaluated(&nothing(true));
        assert!(regions(&ledger).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn held_groups_come_in_one_order_with_their_newest_heartbeats() {
        let mut ledger = Ledger::default();
        for region in ["c", "a", "b"] {
            ledger.note_held(view(region, Lifecycle::Held, true));
        }
        let (id, start) = (InstanceId::new("i-0"), Instant::now());
        let minute = Duration::from_mins(1);
        let heartbeats = |ledger: &Ledger| -> Vec<_> {
            let held = ledger.held(start + minute);
            held.map(|(view, seen)| (view.group.region.to_string(), seen.instances[0].heartbeat)).collect()
        };
        assert_eq!(heartbeats(&ledger), ["a", "b", "c"].map(|region| (region.to_owned(), None)));
        let done = Done { heartbeats: vec![id], ..Done::default() };
        ledger.note_done(&view("a", Lifecycle::Held, true).group, done, NOW);
        assert_eq!(heartbeats(&ledger), ["a", "b", "c"].map(|region| (region.to_owned(), Some(minute))));
    }

    #[test]
    fn an_instance_that_its_hook_does_not_hold_any_more_needs_no_heartbeats() {
        let id = || InstanceId::new("i-0");
        for (released, overtaken, left) in [
            (vec![id()], vec![], 0),
            (vec![], vec![Effect::Heartbeat(id())], 0),
            // It is in use again.
            (vec![], vec![Effect::Remove(id(), Removal::LetGo, Condition::Empty)], 1),
        ] {
            let mut ledger = Ledger::default();
            ledger.note_held(view("a", Lifecycle::Held, true));
            assert_eq!(ledger.shortest_hold(), Some(Duration::from_mins(1)));
            let done = Done { released, overtaken, ..Done::default() };
            ledger.note_done(&view("a", Lifecycle::Held, true).group, done, NOW);
            assert_eq!(
                ledger.held(Instant::now()).map(|(_, seen)| seen.instances.len()).sum::<usize>(),
                left
            );
            assert_eq!(ledger.shortest_hold().is_some(), left > 0);
        }
    }

    #[test]
    fn what_is_gone_is_forgotten_once_its_region_can_be_read() {
        let mut ledger = Ledger::default();
        let (group, id) = (view("a", Lifecycle::InService, false).group, InstanceId::new("i-0"));
        let failed = vec![(Effect::Heartbeat(id.clone()), "no answer".to_owned()); FAILURES + 1];
        let done = Done { scaled_out: true, heartbeats: vec![id.clone()], failed, ..Done::default() };
        ledger.note_done(&group, done, NOW);
        let known = |ledger: &Ledger| {
            let heartbeat = ledger.heartbeat(&id, Instant::now()).is_some();
            (ledger.scaled_out(&group), ledger.failures(&group).len(), heartbeat)
        };
        ledger.note_evaluated(&nothing(false));
        assert_eq!(known(&ledger), (Some(NOW), FAILURES, true));
        ledger.note_evaluated(&nothing(true));
        assert_eq!(known(&ledger), (None, 0, false));
    }
}
