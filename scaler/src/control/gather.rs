//! Puts together what is known of each group: the cloud's description, the windows, and the state of its instances.
//!
//! Owns the readings of the last evaluation and the ages of instances. Losing them loses a tick of a drain at most.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use futures::future::join_all;
use tokio::time::Instant;

use super::execute::Done;
use super::held_hooks::Held;
use super::incidents::{Incidents, failing_launches, hooks};
use super::{Deps, World};
use crate::cloud::{ActivityKind, ActivityOutcome, GroupDescription, tags};
use crate::config::schedule::InForce;
use crate::config::{Fleet, Groups};
use crate::decide::alarm::Verdict;
use crate::decide::decision::Decision;
use crate::decide::observation::{
    Group, Hook, Instance, Lifecycle, Live, Observation, Reading, Refresh, Series,
};
use crate::jitsi::Address;
use crate::observe::prometheus::QueryError;
use crate::observe::questions::{self, Grid, Ill, Seen, Windows};
use crate::report::FailedStep;
use crate::report::journal::Record;
use crate::telemetry::{GroupRef, chain};
use crate::units::{GroupName, InstanceId, Period, Region, Time};

/// What is kept between two evaluations.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Since when instances have been in service.
    in_service: HashMap<InstanceId, Time>,
    /// What draining components said at the last evaluation.
    readings: HashMap<InstanceId, Reading>,
    /// The labels of instances that Prometheus once knew; a bridge that drains is reached without it.
    labels: HashMap<InstanceId, std::collections::BTreeMap<String, String>>,
    /// When instances were first seen whose age nobody knows yet.
    first_seen: HashMap<InstanceId, Time>,
    /// When groups were last scaled by this process: what the tags say too, unless writing them failed.
    scaled: HashMap<GroupRef, (Option<Time>, Option<Time>)>,
    /// Since when hooks hold instances that they did not hold at an evaluation before.
    held: HashMap<InstanceId, Time>,
    /// When hooks were last told to go on holding.
    pub(super) heartbeats: HashMap<InstanceId, Time>,
    /// What they held, for when it cannot be seen.
    pub(super) held_by_hooks: Held,
    /// The hooks of groups that had an instance held, and when they were read.
    pub(super) hooks: HashMap<GroupRef, (Vec<Hook>, Time)>,
    /// Groups that lacked instances at the last evaluation, and since when they do.
    pub(super) lacking: HashMap<GroupRef, Time>,
    /// When the fleet was last evaluated.
    pub(super) evaluated: Option<Time>,
    /// The regions that could not be read at the last evaluation.
    pub(super) unseen: HashSet<Region>,
    /// What went wrong at the last evaluation, in words for a person.
    pub(super) problems: Vec<String>,
    /// By group and policy, the newest point that was judged, and whether it called for a scale-out.
    pub(super) judged: HashMap<GroupRef, Vec<Judged>>,
    /// What was last told of groups.
    pub(super) told: HashMap<GroupRef, Record>,
    /// The newest steps that failed, oldest first.
    pub(super) failures: HashMap<GroupRef, VecDeque<FailedStep>>,
}

/// How many failed steps of a group are kept: enough to see whether it is one trouble or several.
const FAILURES: usize = 10;

/// A point of a policy that was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) end: Time,
    pub(super) called: bool,
}

impl Memory {
    /// Notes what was done to a group at `at`.
    pub(super) fn done(&mut self, group: &GroupRef, done: Done, at: Time) {
        if done.scaled_out || done.scaled_in {
            let (out, in_) = self.scaled.entry(group.clone()).or_default();
            *out = if done.scaled_out { Some(at) } else { *out };
            *in_ = if done.scaled_in { Some(at) } else { *in_ };
        }
        self.heartbeats.extend(done.heartbeats.into_iter().map(|id| (id, at)));
        if done.failed.is_empty() {
            return;
        }
        let failures = self.failures.entry(group.clone()).or_default();
        failures.extend(done.failed.into_iter().map(|(effect, error)| FailedStep {
            time: at.to_string(),
            effect: effect.as_str(),
            instance: effect.instance().map(ToString::to_string),
            text: effect.to_string(),
            error,
        }));
        failures.drain(..failures.len().saturating_sub(FAILURES));
    }

    /// Notes which points were judged, and whether they called for a scale-out.
    pub(super) fn judged(&mut self, view: &GroupView, decision: &Decision) {
        let points = view.observation.windows.iter().zip(&decision.policies).map(|(series, outcome)| {
            Judged { end: series.end, called: outcome.scale_out == Some(Verdict::Alarm) }
        });
        let before = self.judged.entry(view.group.clone()).or_default();
        let points: Vec<_> = points.collect();
        before.resize(points.len(), Judged { end: Time::from_unix(0), called: false });
        for (before, point) in before.iter_mut().zip(points) {
            let called = point.called || (before.end == point.end && before.called);
            *before = Judged { called, ..point };
        }
    }
}

/// A group as seen at one tick.
#[derive(Debug)]
pub(super) struct GroupView {
    pub(super) group: GroupRef,
    pub(super) observation: Observation,
    /// The pause that holds.
    pub(super) pause: Option<tags::Pause>,
    /// The schedules behind its bounds.
    pub(super) in_force: InForce,
    /// Since when it holds fewer instances than it is asked to, as far as this process knows.
    pub(super) lacking_since: Option<Time>,
    /// Where its instances are reached, or why they cannot be.
    pub(super) addresses: HashMap<InstanceId, Address>,
}

/// Looks at every group of the fleet, or only at those `named`: then `at` is a point that was looked at before. A region
/// whose groups cannot be read gives none.
pub(super) async fn look<W: World>(
    fleet: &Fleet,
    deps: &Deps<W>,
    memory: &mut Memory,
    at: Time,
    tick: Period,
    named: Option<&BTreeSet<GroupRef>>,
) -> Vec<GroupView> {
    let before = if named.is_some() { Some(at) } else { memory.evaluated };
    let (Described { groups: described, unseen, mut problems }, answers, seen, ill) = futures::join!(
        describe(fleet, deps, at),
        windows(fleet, deps, before, at, tick),
        instances(fleet, deps, at, tick),
        ill(fleet, deps, at, tick)
    );
    let mut failures = Vec::new();
    let windows: Vec<Windows> = fleet
        .policy
        .policies
        .iter()
        .zip(answers)
        .map(|(policy, answer)| {
            answer.unwrap_or_else(|error| {
                failures.push((policy.name.as_str(), error));
                let grid = Grid { at, before, delay: deps.delay, tick };
                Windows::missing(policy, &grid)
            })
        })
        .collect();
    let seen = seen.unwrap_or_else(|error| {
        failures.push(("instances", error));
        HashMap::new()
    });
    // Nobody is ill of whom that cannot be said.
    let ill = ill.unwrap_or_else(|error| {
        failures.push(("replace_unhealthy", error));
        Ill::default()
    });
    memory.unseen = unseen;
    for (id, seen) in &seen {
        memory.labels.insert(id.clone(), seen.labels.clone());
    }
    if let Err(error) = learn_ages(fleet, deps, memory, &described, at, tick).await {
        failures.push(("first reports", error));
    }
    problems.extend(deps.telemetry.queries_failed(&fleet.name, &failures));
    memory.problems = problems;
    let twins = tell_mismatches(fleet, deps, &windows, &described);

    // With a region out of view nobody can say whether a series without a region is that of a group in it.
    let seen_all = memory.unseen.is_empty();
    let alone = described.len() == 1 && seen_all;
    let certain = seen_all || deps.regions.len() == 1 || fleet.asg.region_label.is_some();
    let in_force = InForce::at(&fleet.schedules, at);
    let incidents = Incidents {
        ill,
        launch_failures: failing_launches(deps, memory, &described, at).await,
        hooks: hooks(fleet, deps, memory, &described, at).await,
    };
    note_held(memory, &described, at);
    let wanted = |group: &GroupRef| named.is_none_or(|named| named.contains(group));
    let described = described.into_iter().filter(|(group, _)| wanted(group));
    let views = described.map(|(group, description)| {
        let of = |windows: &Windows| {
            let known = certain && !twins.contains(&group.name);
            if known { windows.of(&group.name, &group.region, alone) } else { windows.nothing() }
        };
        let mut windows: Vec<Series> = windows.iter().map(of).collect();
        if named.is_some() {
            let judged = memory.judged.get(&group).map_or(&[][..], Vec::as_slice);
            refresh(&mut windows, judged);
        }
        see(fleet, deps, memory, (group, description), (windows, &in_force), (&seen, &incidents), at)
    });
    let mut views: Vec<GroupView> = views.collect();
    let readings = ask_draining(deps, &mut views).await;
    if named.is_some() {
        memory.readings.extend(readings);
    } else {
        memory.readings = readings;
        forget_gone(memory, &views);
    }
    views
}

/// Whoever looks at a point for a second time must not act on it twice. A policy may scale out on it now only if this
/// process has judged the very point before and found no reason to: then what came late is acted on once.
fn refresh(windows: &mut [Series], judged: &[Judged]) {
    for (index, series) in windows.iter_mut().enumerate() {
        series.fresh = judged.get(index).is_some_and(|judged| judged.end == series.end && !judged.called);
    }
}

/// What AWS says of the groups of a fleet.
struct Described {
    groups: Vec<(GroupRef, GroupDescription)>,
    unseen: HashSet<Region>,
    problems: Vec<String>,
}

/// One describe per region.
async fn describe<W: World>(fleet: &Fleet, deps: &Deps<W>, at: Time) -> Described {
    let answers = deps
        .regions
        .iter()
        .map(|region| async move { (region, deps.cloud.describe(region, &fleet.asg.groups).await) });
    let mut described = Described { groups: Vec::new(), unseen: HashSet::new(), problems: Vec::new() };
    for (region, answer) in join_all(answers).await {
        let groups = match answer {
            Ok(groups) => groups,
            Err(error) => {
                deps.telemetry.groups_unseen(&fleet.name, region, &error);
                described.problems.push(format!("{region}: failed to {}", chain(&error)));
                described.unseen.insert(region.clone());
                continue;
            }
        };
        for description in groups {
            let name = description.name.clone();
            let group = GroupRef { fleet: fleet.name.clone(), region: region.clone(), name };
            match deps.claims.claim(&group, at) {
                Ok(()) => described.groups.push((group, description)),
                Err(owner) => {
                    deps.telemetry.group_claimed(&group, &owner);
                    let text =
                        format!("{} in {region} belongs to the fleet {owner}, and is left to it", group.name);
                    described.problems.push(text);
                }
            }
        }
    }
    described
}

/// One query per policy.
async fn windows<W: World>(
    fleet: &Fleet,
    deps: &Deps<W>,
    before: Option<Time>,
    at: Time,
    tick: Period,
) -> Vec<Result<Windows, QueryError>> {
    let policies = fleet.policy.policies.iter().zip(&fleet.expressions);
    let asked = policies.map(|(policy, expr)| {
        let policy = (policy, expr.as_str());
        let grid = Grid { at, before, delay: deps.delay, tick };
        timed(fleet, deps, async move { questions::windows(&deps.metrics, fleet, policy, &grid).await })
    });
    join_all(asked).await
}

async fn instances<W: World>(
    fleet: &Fleet,
    deps: &Deps<W>,
    at: Time,
    tick: Period,
) -> Result<HashMap<InstanceId, Seen>, QueryError> {
    let at = at.before(deps.delay);
    timed(fleet, deps, questions::instances(&deps.metrics, fleet, at, tick)).await
}

async fn ill<W: World>(fleet: &Fleet, deps: &Deps<W>, at: Time, tick: Period) -> Result<Ill, QueryError> {
    let at = at.before(deps.delay).floor(tick);
    let (Some(replace), Some(expr)) = (fleet.policy.replace, &fleet.replace_expr) else {
        return Ok(Ill::default());
    };
    let question = questions::ill(&deps.metrics, fleet, (expr, replace.periods), at, tick);
    timed(fleet, deps, question).await
}

async fn timed<W: World, T>(
    fleet: &Fleet,
    deps: &Deps<W>,
    question: impl Future<Output = Result<T, QueryError>>,
) -> Result<T, QueryError> {
    let started = Instant::now();
    let answer = question.await;
    let outcome = answer.as_ref().map_or_else(QueryError::as_str, |_| "ok");
    deps.telemetry.queried(&fleet.name, outcome, started.elapsed());
    answer
}

pub(super) fn lifecycle(state: &str) -> Lifecycle {
    match state {
        "InService" => Lifecycle::InService,
        "Pending" | "Pending:Wait" | "Pending:Proceed" => Lifecycle::Pending,
        "Terminating:Wait" => Lifecycle::Held,
        terminating if terminating.starts_with("Terminat") => Lifecycle::Terminating,
        // Standby, detached and warmed instances, and whatever AWS invents next.
        _ => Lifecycle::Aside,
    }
}

/// Notes which instances hooks have begun to hold. Of those that this process knew as nothing else it is not known when.
fn note_held(memory: &mut Memory, described: &[(GroupRef, GroupDescription)], at: Time) {
    for it in described.iter().flat_map(|(_, description)| &description.instances) {
        if lifecycle(&it.lifecycle) == Lifecycle::Held && memory.in_service.contains_key(&it.id) {
            memory.held.entry(it.id.clone()).or_insert(at);
        }
    }
}

/// Finds out since when instances that are new to us have been in service: from the group's activities, else from
/// when they first reported, else from now on.
async fn learn_ages<W: World>(
    fleet: &Fleet,
    deps: &Deps<W>,
    memory: &mut Memory,
    described: &[(GroupRef, GroupDescription)],
    at: Time,
    tick: Period,
) -> Result<(), QueryError> {
    let new = |description: &GroupDescription| -> Vec<InstanceId> {
        description
            .instances
            .iter()
            .filter(|it| {
                lifecycle(&it.lifecycle) == Lifecycle::InService && !memory.in_service.contains_key(&it.id)
            })
            .map(|it| it.id.clone())
            .collect()
    };
    let unknown: Vec<_> = described
        .iter()
        .map(|(group, description)| (group, new(description)))
        .filter(|(_, ids)| !ids.is_empty())
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let asked = unknown
        .iter()
        .map(|(group, _)| async move { (group, deps.cloud.activities(&group.region, &group.name).await) });
    let mut launches: HashMap<InstanceId, Time> = HashMap::new();
    for (group, answer) in join_all(asked).await {
        match answer {
            Ok(found) => {
                launches.extend(found.into_iter().filter_map(|it| match (it.kind, it.outcome) {
                    (ActivityKind::Launch(Some(id)), ActivityOutcome::Successful) => Some((id, it.ended?)),
                    _ => None,
                }));
            }
            // Without the activities, reports tell an age that can only be too small.
            Err(error) => deps.telemetry.activities_unseen(group, &error),
        }
    }
    let ids: Vec<_> = unknown.into_iter().flat_map(|(_, ids)| ids).collect();
    for id in &ids {
        memory.first_seen.entry(id.clone()).or_insert(at);
    }
    let mut reports = HashMap::new();
    if ids.iter().any(|id| !launches.contains_key(id)) {
        let horizon = fleet.policy.warmup.max(fleet.policy.victims.min_age) + tick.duration() * 2;
        let question = questions::first_reports(&deps.metrics, fleet, horizon, at, tick);
        match timed(fleet, deps, question).await {
            Ok(found) => reports = found,
            Err(error) => {
                // Asked again at the next tick; until then they are as old as their first view.
                memory.in_service.extend(launches.into_iter().filter(|(id, _)| ids.contains(id)));
                return Err(error);
            }
        }
    }
    for id in ids {
        let first_seen = memory.first_seen.remove(&id).unwrap_or(at);
        let told = launches.get(&id).or_else(|| reports.get(&id)).copied();
        let since = told.map_or(first_seen, |told| told.min(first_seen));
        memory.in_service.insert(id, since);
    }
    Ok(())
}

/// Tells which series belong to no group or to several; gives the names that groups in two regions share although no
/// label tells the regions apart, so that nobody can say whose a series is.
fn tell_mismatches<W: World>(
    fleet: &Fleet,
    deps: &Deps<W>,
    windows: &[Windows],
    described: &[(GroupRef, GroupDescription)],
) -> HashSet<GroupName> {
    let known: HashSet<&str> = described.iter().map(|(group, _)| group.name.as_str()).collect();
    let mut unmatched = HashSet::new();
    let mut ambiguous = Vec::new();
    for window in windows {
        unmatched.extend(window.named().filter(|name| !known.contains(name)).map(str::to_owned));
        ambiguous.extend_from_slice(window.ambiguous());
    }
    let mut unmatched: Vec<_> = unmatched.into_iter().collect();
    unmatched.sort_unstable();
    let mut names = HashSet::new();
    let twins: HashSet<GroupName> = described
        .iter()
        .map(|(group, _)| group.name.clone())
        .filter(|name| !names.insert(name.clone()) && fleet.asg.region_label.is_none())
        .collect();
    ambiguous.extend(twins.iter().map(ToString::to_string));
    deps.telemetry.series_unmatched(&fleet.name, &unmatched, &ambiguous);
    twins
}

fn see<W: World>(
    fleet: &Fleet,
    deps: &Deps<W>,
    memory: &Memory,
    (group, description): (GroupRef, GroupDescription),
    (windows, in_force): (Vec<Series>, &InForce),
    (seen, incidents): (&HashMap<InstanceId, Seen>, &Incidents),
    at: Time,
) -> GroupView {
    let remembered = tags::Memory::read(&description.tags, at);
    if !remembered.unreadable.is_empty() {
        deps.telemetry.tags_unreadable(&group, &remembered.unreadable);
    }
    let mut drains: HashMap<_, _> = remembered.drains.into_iter().collect();
    let mut addresses = HashMap::new();
    let mut instances = Vec::with_capacity(description.instances.len());
    for it in description.instances {
        let drain = drains.remove(&it.id);
        let labels = memory.labels.get(&it.id);
        if let (Some(via), Some(labels)) = (&fleet.drain, labels) {
            match Address::new(fleet.policy.component, via, labels) {
                Ok(address) => {
                    addresses.insert(it.id.clone(), address);
                }
                Err(error) if drain.is_some() => {
                    deps.telemetry.instance_unseen(&group, it.id.as_str(), &error);
                }
                Err(_) => {}
            }
        }
        instances.push(Instance {
            zone: it.zone,
            lifecycle: lifecycle(&it.lifecycle),
            in_service_since: memory
                .in_service
                .get(&it.id)
                .or_else(|| memory.first_seen.get(&it.id))
                .copied(),
            drain,
            healthy: it.healthy,
            protected: it.protected,
            ill: incidents.ill.always.contains(&it.id),
            looks_ill: incidents.ill.now.contains(&it.id),
            held_since: memory.held.get(&it.id).copied(),
            heartbeat: memory.heartbeats.get(&it.id).copied(),
            reported: seen.get(&it.id).map(|seen| seen.reported).unwrap_or_default(),
            live: Live { previous: memory.readings.get(&it.id).copied(), latest: None },
            id: it.id,
        });
    }
    let mut orphaned_drains: Vec<_> = drains.into_keys().collect();
    orphaned_drains.sort();
    let (scaled_out, scaled_in) = memory.scaled.get(&group).copied().unwrap_or_default();
    let lacking_since = memory.lacking.get(&group).copied();
    let suspended = |process: &str| description.suspended.iter().any(|name| name == process);
    let observed = Group {
        min: description.min,
        max: description.max,
        desired: description.desired,
        launch_suspended: suspended("Launch"),
        terminate_suspended: suspended("Terminate"),
        instance_refresh: Refresh::NotAsked,
        scaled_out: remembered.scaled_out.max(scaled_out),
        scaled_in: remembered.scaled_in.max(scaled_in),
        zones: description.zones,
        instances,
        orphaned_drains,
        recycling: remembered.recycling,
        hook: incidents.hooks.get(&group).cloned(),
        launch_failures: incidents.launch_failures.get(&group).cloned(),
    };
    GroupView {
        group,
        observation: Observation {
            windows,
            group: observed,
            schedule: in_force.bounds,
            may_recycle: fleet.recycle.as_ref().is_some_and(|window| window.is_open(at)),
        },
        pause: remembered.pause,
        in_force: in_force.clone(),
        lacking_since,
        addresses,
    }
}

/// Asks every component that drains what it holds, all at once.
async fn ask_draining<W: World>(deps: &Deps<W>, views: &mut [GroupView]) -> HashMap<InstanceId, Reading> {
    let questions = views.iter().flat_map(|view| {
        view.observation.group.instances.iter().filter(|it| it.drain.is_some()).map(move |it| async move {
            let reading = match view.addresses.get(&it.id) {
                Some(address) => deps.components.read(address).await.unwrap_or_else(|error| {
                    deps.telemetry.instance_unseen(&view.group, it.id.as_str(), &error);
                    Reading::Unknown
                }),
                None => Reading::Unknown,
            };
            (it.id.clone(), reading)
        })
    });
    let answers: HashMap<InstanceId, Reading> = join_all(questions).await.into_iter().collect();
    for instance in views.iter_mut().flat_map(|view| &mut view.observation.group.instances) {
        instance.live.latest = answers.get(&instance.id).copied();
    }
    answers
}

/// Instances that no group holds any more are forgotten, unless a region could not be read.
fn forget_gone(memory: &mut Memory, views: &[GroupView]) {
    if !memory.unseen.is_empty() {
        return;
    }
    let held: HashSet<&InstanceId> =
        views.iter().flat_map(|view| &view.observation.group.instances).map(|it| &it.id).collect();
    memory.in_service.retain(|id, _| held.contains(id));
    memory.labels.retain(|id, _| held.contains(id));
    memory.first_seen.retain(|id, _| held.contains(id));
    memory.heartbeats.retain(|id, _| held.contains(id));
    memory.held.retain(|id, _| held.contains(id));
    let groups: HashSet<&GroupRef> = views.iter().map(|view| &view.group).collect();
    memory.scaled.retain(|group, _| groups.contains(group));
    memory.hooks.retain(|group, _| groups.contains(group));
    memory.judged.retain(|group, _| groups.contains(group));
    memory.told.retain(|group, _| groups.contains(group));
    memory.failures.retain(|group, _| groups.contains(group));
}

/// The names of one group, to describe it alone.
pub(super) fn only(group: &GroupRef) -> Groups {
    Groups::Names(vec![group.name.clone()])
}
