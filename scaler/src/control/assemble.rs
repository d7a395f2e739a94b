//! What the answers of one evaluation mean for each group: facts and ledger → views.
//!
//! Owns every judgement between an answer and [`Observation`]: which series is a group's, what an answer that is missing
//! counts as, and what was known before. Pure: no I/O and no clock.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::facts::{Facts, GroupFacts, lifecycle};
use super::ledger::Ledger;
use super::view::GroupView;
use crate::cloud::{Activity, ActivityKind, ActivityOutcome, InstanceDescription};
use crate::config::Fleet;
use crate::config::schedule::InForce;
use crate::decide::observation::{
    Drain, Group, Hook, Instance, LaunchFailures, Lifecycle, Looks, Observation, Reading, Recycling, Refresh,
    Reported, Series,
};
use crate::jitsi::Address;
use crate::observe::questions;
use crate::telemetry::GroupRef;
use crate::units::{GroupName, InstanceId, Time};

/// What was made of the answers.
#[derive(Debug)]
pub(super) struct Assembled {
    /// The groups that the evaluation is about, in the order of the description.
    pub(super) views: Vec<GroupView>,
    /// The group names of series that match no group of the fleet.
    pub(super) unmatched: Vec<String>,
    /// Why the series of groups do not count: of a policy, several are of one group, or several groups share a name.
    pub(super) ambiguous: Vec<String>,
}

/// Makes the views of the groups that `facts` are about. The ledger has noted these facts already.
pub(super) fn assemble(fleet: &Fleet, facts: &Facts, ledger: &Ledger) -> Assembled {
    let shared = shared_names(fleet, facts);
    let (unmatched, mut ambiguous) = mismatches(fleet, facts);
    let key = fleet.asg.keys()[3];
    ambiguous.extend(shared.iter().map(|name| format!("several groups are called {name}: set {key}")));
    let in_force = InForce::at(&fleet.schedules, facts.at());
    let assembler = Assembler { fleet, facts, ledger, in_force, shared };
    Assembled { views: facts.wanted().map(|facts| assembler.view(facts)).collect(), unmatched, ambiguous }
}

/// The names that groups in two regions share although no label tells the regions apart: it is unknown whose a series
/// of that name is.
fn shared_names(fleet: &Fleet, facts: &Facts) -> BTreeSet<GroupName> {
    if fleet.asg.region_label.is_some() {
        return BTreeSet::new();
    }
    let mut names = HashSet::new();
    let all = facts.groups.iter().map(|facts| &facts.group.name).chain(&facts.elsewhere);
    all.filter(|name| !names.insert(*name)).cloned().collect()
}

/// The names that series have and no group has, and the series that are of one group with others.
fn mismatches(fleet: &Fleet, facts: &Facts) -> (Vec<String>, Vec<String>) {
    let known = facts.groups.iter().map(|facts| &facts.group.name).chain(&facts.elsewhere);
    let known: HashSet<&str> = known.map(GroupName::as_str).collect();
    let mut unmatched = BTreeSet::new();
    let mut ambiguous = Vec::new();
    for (policy, windows) in fleet.policy.policies.iter().zip(&facts.answers.windows) {
        let Ok(windows) = windows else { continue };
        unmatched.extend(
            windows.named().map(|(name, _)| name).filter(|name| !known.contains(name)).map(str::to_owned),
        );
        let label = &fleet.asg.label;
        ambiguous.extend(windows.ambiguous().iter().map(|it| match &it.group {
            Some(group) => {
                format!("{}: several series of {group} differ in {}", policy.name, it.differs.join(", "))
            }
            None => format!("{}: several series, of which one lacks the label {label}", policy.name),
        }));
    }
    (unmatched.into_iter().collect(), ambiguous)
}

struct Assembler<'a> {
    fleet: &'a Fleet,
    facts: &'a Facts,
    ledger: &'a Ledger,
    in_force: InForce,
    /// Names that groups in several regions share.
    shared: BTreeSet<GroupName>,
}

impl Assembler<'_> {
    fn view(&self, facts: &GroupFacts) -> GroupView {
        let Self { fleet, ledger, .. } = self;
        let GroupFacts { group, description, tags } = facts;
        let dated = |drain: Drain| Drain { since: ledger.past(drain.since), ..drain };
        let drains: HashMap<_, _> = tags.drains.iter().map(|(id, drain)| (id, dated(*drain))).collect();
        let ordered: HashMap<_, _> = tags.ordered.iter().map(|(id, drain)| (id, dated(*drain))).collect();
        let held = description.instances.iter().map(|it| {
            let instance = self.instance(it, drains.get(&it.id).copied());
            Instance { ordered: ordered.get(&it.id).copied(), ..instance }
        });
        let orphans = facts.orphaned_drains().map(|(id, drain)| self.orphan(id, dated(drain)));
        let left = facts.orphaned_orders().map(|(id, order)| Instance {
            ordered: Some(order),
            ..Instance::unknown(id.clone(), "", Lifecycle::Detached)
        });
        let instances = held.chain(orphans).chain(left).collect();
        let past = |time: Option<Time>| time.map(|time| ledger.past(time));
        let suspended = |process: &str| description.suspended.iter().any(|name| name == process);
        let observed = Group {
            min: description.min,
            max: description.max,
            desired: description.desired,
            is_weighted: description.is_weighted,
            launch_suspended: suspended("Launch"),
            terminate_suspended: suspended("Terminate"),
            replaces_unhealthy: description.replaces_unhealthy,
            instance_refresh: Refresh::NotAsked,
            scaled_out: past(tags.scaled_out).max(ledger.scaled_out(group)),
            scaled_in: past(tags.scaled_in).max(ledger.scaled_in(group)),
            zones: description.zones.clone(),
            most_drains: description.most_drains,
            instances,
            recycling: tags.recycling.map(|it| Recycling { since: ledger.past(it.since), ..it }),
            hook: if facts.has_held() { self.hook(group).cloned() } else { None },
            launch_failures: self.launch_failures(group),
        };
        GroupView {
            group: group.clone(),
            observation: Observation {
                windows: self.windows(group),
                group: observed,
                schedule: self.in_force.bounds,
                may_recycle: fleet.recycle.as_ref().is_some_and(|window| window.is_open(self.facts.at())),
            },
            asked: tags.asked.clone(),
            pause: tags.pause.clone(),
            in_force: self.in_force.clone(),
            lacking_since: ledger.lacking_since(group),
            addresses: self.addresses(facts),
        }
    }

    /// The window of each policy in a group.
    fn windows(&self, group: &GroupRef) -> Vec<Series> {
        let Self { fleet, facts, ledger, .. } = self;
        // While a region cannot be read, a series without a region may be that of a group there.
        let all_seen = facts.unseen.is_empty();
        let attributable = all_seen || facts.regions == 1 || fleet.asg.region_label.is_some();
        let known = attributable && !self.shared.contains(&group.name);
        let alone = all_seen && facts.groups.len() + facts.elsewhere.len() == 1;
        let answers = fleet.policy.policies.iter().zip(&facts.answers.windows).enumerate();
        let windows = answers.map(|(index, (policy, answer))| {
            let mut series = match answer {
                Ok(windows) if known => windows.of(&group.name, &group.region, alone),
                Ok(windows) => Series { answered: false, ..windows.without_points() },
                Err(_) => questions::without_answer(policy, &facts.grid),
            };
            series.fresh = ledger.is_open(facts, group, index, &series);
            series
        });
        windows.collect()
    }

    fn instance(&self, it: &InstanceDescription, drain: Option<Drain>) -> Instance {
        let Self { facts, ledger, .. } = self;
        // Unknown health is not treated as ill. Without a report it is unknown, too, how many components the instance runs.
        let ill = facts.answers.ill.as_ref().ok();
        let is_reported = facts.answers.reports.as_ref().is_ok_and(|reports| reports.contains_key(&it.id));
        Instance {
            id: it.id.clone(),
            zone: it.zone.clone(),
            lifecycle: lifecycle(&it.lifecycle),
            in_service_since: ledger.in_service_since(&it.id),
            healthy: it.healthy,
            protected: it.protected,
            ill: is_reported && ill.is_some_and(|ill| ill.always.contains(&it.id)),
            looks_ill: ill.is_some_and(|ill| ill.now.contains(&it.id)),
            heartbeat: ledger.heartbeat(&it.id, facts.looked),
            held_since: ledger.held_since(&it.id),
            drain,
            ordered: None,
            drains_for: drain.map(|_| ledger.drains_for(&it.id, facts.looked)).unwrap_or_default(),
            reported: self.reported(&it.id),
            live: drain.map(|_| ledger.live(&it.id)).unwrap_or_default(),
        }
    }

    fn launch_failures(&self, group: &GroupRef) -> Option<LaunchFailures> {
        let failures = failed_in_a_row(self.facts.activities.get(group)?)?;
        Some(LaunchFailures { last: self.ledger.past(failures.last), ..failures })
    }

    /// An instance of which the group only has a drain tag.
    fn orphan(&self, id: &InstanceId, drain: Drain) -> Instance {
        let reported = self.reported(id);
        let live = self.ledger.live(id);
        // One that was detached may lose its series with its group, and hang: it still is in drain mode.
        let is_silent = live.looks == Looks::Two && live.latest == Some(Reading::Unknown);
        // Where no instance reports, Prometheus does not see them.
        let reports = self.facts.answers.reports.as_ref();
        let prometheus_sees = reports.is_ok_and(|reports| reports.values().any(|report| report.reported.up));
        let is_gone = prometheus_sees && !reported.up && is_silent && !self.ledger.may_be_detached(id);
        let lifecycle = if is_gone { Lifecycle::Gone } else { Lifecycle::Detached };
        let unknown = Instance::unknown(id.clone(), "", lifecycle);
        Instance { drain: Some(drain), reported, live, ..unknown }
    }

    fn reported(&self, id: &InstanceId) -> Reported {
        let report = self.facts.answers.reports.as_ref().ok().and_then(|reports| reports.get(id));
        let reported = report.map(|report| report.reported).unwrap_or_default();
        Reported { ambiguous: self.ledger.is_ambiguous(id), ..reported }
    }

    /// Where the instances of a group are reached, as far as their labels tell.
    fn addresses(&self, facts: &GroupFacts) -> HashMap<InstanceId, Address> {
        let Some(via) = &self.fleet.drain else { return HashMap::new() };
        let orphans = facts.orphaned_drains().map(|(id, _)| id);
        let ids = facts.description.instances.iter().map(|it| &it.id).chain(orphans);
        let ids = ids.filter(|id| !self.ledger.is_ambiguous(id) && !self.facts.shared.contains(id));
        let addresses = ids.filter_map(|id| {
            let labels = self.ledger.labels(id)?;
            Some((
                id.clone(),
                Address::new(id, self.fleet.policy.component, via, |name| labels.get(name)).ok()?,
            ))
        });
        addresses.collect()
    }

    /// The hook to serve in a group: the one that the configuration names, or the only one.
    fn hook(&self, group: &GroupRef) -> Option<&Hook> {
        match (&self.fleet.lifecycle_hook, self.ledger.hooks(group)) {
            (Some(name), hooks) => hooks.iter().find(|hook| hook.name == *name),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

/// The launches that failed since the last one that succeeded; `activities` come newest first.
fn failed_in_a_row(activities: &[Activity]) -> Option<LaunchFailures> {
    let ended = activities.iter().filter_map(|activity| {
        let is_launch = matches!(activity.kind, ActivityKind::Launch(_));
        (is_launch && activity.outcome != ActivityOutcome::UnderWay).then_some((activity, activity.ended?))
    });
    let failed: Vec<_> =
        ended.take_while(|(activity, _)| activity.outcome == ActivityOutcome::Failed).collect();
    let (newest, last) = *failed.first()?;
    let count = u32::try_from(failed.len()).unwrap_or(u32::MAX);
    Some(LaunchFailures { count, last, message: newest.message.clone() })
}

#[cfg(test)]
mod tests;
