//! Asks the cloud, Prometheus and the components everything that one evaluation needs to know.
//!
//! Owns when each question is worth its call: a quiet evaluation asks for no activities, no hooks and no looks. What the
//! answers mean is for `assemble` to say.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use super::deps::{Deps, World};
use super::facts::{Ages, Facts, GroupFacts, Reports, launch, lifecycle, was_detached};
use super::fleetwide::{Fleetwide, Others, Sighting, timed};
use super::ledger::Ledger;
use crate::cloud::Activity;
use crate::config::Fleet;
use crate::decide::observation::{Hook, Lifecycle, Reading};
use crate::decide::policy::{FleetPolicy, VictimOrder};
use crate::jitsi::{Address, JitsiError};
use crate::observe::QueryError;
use crate::observe::questions::{self, Grid};
use crate::telemetry::{GroupRef, chain};
use crate::units::{InstanceId, Region, Time};

/// How long an evaluation waits for activities at least; a longer one for a quarter of its period. A start asks thousands of
/// groups, and what is not answered in time delays no group that needs it now.
const ACTIVITIES_PATIENCE: Duration = Duration::from_secs(5);

/// How much earlier than a drain an activity begins that tells how its instance left: the clocks of AWS and of this host may
/// differ.
const SLACK: Duration = Duration::from_mins(10);

type FirstReports = Result<HashMap<InstanceId, Time>, QueryError>;

/// Asks about every group of the fleet in `region`, or about those that are `named` and those in which a hook holds an
/// instance; `again` at a point that was evaluated before. Waits no longer than `patience` for regions that have not been
/// read yet.
pub(super) async fn ask<W: World>(
    place: Place<'_, W>,
    ledger: &Ledger,
    grid: Grid,
    again: bool,
    named: Option<&BTreeSet<GroupRef>>,
    patience: Duration,
) -> Facts {
    let Place { fleet, deps, fleetwide, region } = place;
    let inquiry = Inquiry { fleet, deps, ledger, grid, region };
    let (described, answers) = futures::join!(inquiry.describe(), fleetwide.answers(region, grid));
    let Described { groups, is_seen, problems } = described;
    let reports = &answers.reports;
    fleetwide.note(
        region,
        Sighting {
            read: is_seen.then(Instant::now),
            groups: groups.iter().map(|facts| facts.group.name.clone()).collect(),
            addresses: if deps.regions.len() > 1 { inquiry.addresses(&groups, reports) } else { Vec::new() },
            ..Sighting::default()
        },
    );
    let others = fleetwide.others(region, patience).await;
    // What a hook holds does not wait for the next grid point.
    let held = groups.iter().filter(|facts| facts.has_held()).map(|facts| &facts.group);
    let named = named.map(|named| named.iter().chain(held).cloned().collect::<BTreeSet<_>>());
    let wanted = |group: &GroupRef| named.as_ref().is_none_or(|named| named.contains(group));
    let looked = Instant::now();
    let shared = inquiry.shared_addresses(&groups, reports, &others);
    let asked = groups.iter().filter(|facts| wanted(&facts.group));
    let readings = inquiry.readings(asked, reports, &shared);
    let (Told { ages, detached, activities }, hooks, readings) =
        futures::join!(inquiry.activities(&groups), inquiry.hooks(&groups), readings);
    let Others { mut unknown, groups: elsewhere, .. } = others;
    if !is_seen {
        unknown.insert(region.clone());
    }
    Facts {
        grid,
        again,
        region: region.clone(),
        named,
        regions: deps.regions.len(),
        unseen: unknown,
        problems,
        groups,
        elsewhere,
        answers,
        ages,
        detached,
        activities,
        hooks,
        readings,
        shared,
        looked,
    }
}

/// The groups of a fleet in a region, and what is asked about them.
#[derive(Debug)]
pub(super) struct Place<'a, W: World> {
    pub(super) fleet: &'a Fleet,
    pub(super) deps: &'a Deps<W>,
    pub(super) fleetwide: &'a Fleetwide<W>,
    pub(super) region: &'a Region,
}

/// What the cloud says of the groups of a fleet in a region.
#[derive(Default)]
struct Described {
    groups: Vec<GroupFacts>,
    is_seen: bool,
    problems: Vec<String>,
}

/// What activities tell.
struct Told {
    ages: Ages,
    detached: BTreeMap<InstanceId, bool>,
    activities: BTreeMap<GroupRef, Vec<Activity>>,
}

/// The questions of one evaluation.
struct Inquiry<'a, W: World> {
    fleet: &'a Fleet,
    deps: &'a Deps<W>,
    ledger: &'a Ledger,
    grid: Grid,
    region: &'a Region,
}

impl<W: World> Inquiry<'_, W> {
    async fn describe(&self) -> Described {
        let Self { fleet, deps, region, .. } = self;
        let mut described = Described::default();
        let found = match deps.cloud.describe(region, &fleet.asg.groups).await {
            Ok(found) => found,
            Err(error) => {
                deps.telemetry.groups_unseen(&fleet.name, region, &error);
                described.problems.push(format!("{region}: failed to {}", chain(&error)));
                return described;
            }
        };
        described.is_seen = true;
        for description in found {
            let name = description.name.clone();
            let group = GroupRef { fleet: fleet.name.clone(), region: (*region).clone(), name };
            match deps.claims.claim(&group, self.grid.at, self.grid.tick) {
                Ok(()) => described.groups.push(GroupFacts::new(group, description, self.grid.at)),
                Err(owner) => {
                    deps.telemetry.group_claimed(&group, &owner);
                    described.problems.push(format!(
                        "{} in {region} belongs to the fleet {owner}, and is left to it",
                        group.name
                    ));
                }
            }
        }
        described
    }

    /// Asks since when instances that are new to this process have been in service: from when they first reported, and
    /// where that does not tell enough, from the activities of their groups. Asks also whether instances of which only a
    /// drain tag is left were detached. Gives the activities beside it of groups that lack instances and did so at the last
    /// evaluation already, or may have: a process that has just started does not know.
    async fn activities(&self, groups: &[GroupFacts]) -> Told {
        let Self { ledger, .. } = self;
        let new = |facts: &GroupFacts| -> Vec<InstanceId> {
            let instances = facts.description.instances.iter();
            let serving = instances.filter(|it| lifecycle(&it.lifecycle) == Lifecycle::InService);
            serving.map(|it| &it.id).filter(|id| !ledger.knows_age(id)).cloned().collect()
        };
        let is_lacking = |facts: &GroupFacts| {
            let before = ledger.lacking_since(&facts.group).is_some() || ledger.evaluated().is_none();
            facts.lacks_instances() && before
        };
        let has_orphans = |facts: &GroupFacts| facts.orphaned_drains().next().is_some();
        let all_new: Vec<_> = groups.iter().map(new).collect();
        let reported = self.first_reports(all_new.iter().flatten()).await;
        // To a process that has just started every instance is new, and AWS would throttle a call for each group.
        let is_asked = |facts: &GroupFacts, new: &[InstanceId]| {
            let is_open = new.iter().any(|id| !self.is_settled(id, &reported));
            is_open || is_lacking(facts) || has_orphans(facts)
        };
        let asked: Vec<_> = groups.iter().zip(&all_new).filter(|(facts, new)| is_asked(facts, new)).collect();
        let of_each = asked.iter().map(|(facts, _)| (&facts.group, self.since(facts)));
        let (mut found, late) = self.activities_of(of_each).await;
        let with_new = asked.iter().filter(|(_, new)| !new.is_empty());
        let launched = with_new.filter_map(|(facts, _)| found.get(&facts.group)).flatten().filter_map(launch);
        let launched = launched.collect();
        let mut detached = BTreeMap::new();
        for (facts, _) in asked {
            if let Some(activities) = found.get(&facts.group) {
                let orphans = facts.orphaned_drains().map(|(id, _)| id);
                let told = orphans.filter_map(|id| Some((id.clone(), was_detached(id, activities)?)));
                detached.extend(told);
            }
            if !is_lacking(facts) {
                found.remove(&facts.group);
            }
        }
        // The others are asked again at the next evaluation.
        let in_time = groups.iter().zip(all_new).filter(|(facts, _)| !late.contains(&facts.group));
        let ages = Ages { new: in_time.flat_map(|(_, new)| new).collect(), launched, reported };
        Told { ages, detached, activities: found }
    }

    /// Since when activities of a group are read: since the first drain began whose instance left unseen.
    fn since(&self, facts: &GroupFacts) -> Option<Time> {
        let unknown = facts.orphaned_drains().filter(|(id, _)| self.ledger.may_be_detached(id));
        unknown.map(|(_, drain)| drain.since.before(SLACK)).min()
    }

    /// Since when instances have reported, if there are `new` ones.
    async fn first_reports<'i>(&self, mut new: impl Iterator<Item = &'i InstanceId>) -> FirstReports {
        let Self { fleet, deps, grid, .. } = self;
        if new.next().is_none() {
            return Ok(HashMap::new());
        }
        let horizon = self.needed_age() + grid.tick.duration() * 2;
        let question = questions::first_reports(&deps.metrics, fleet, horizon, grid.at, grid.tick);
        timed(fleet, deps, question).await
    }

    /// Whether an instance has reported for so long that nothing depends on how old it is beyond that.
    fn is_settled(&self, id: &InstanceId, reported: &FirstReports) -> bool {
        let FleetPolicy { recycle, victims, .. } = &self.fleet.policy;
        let goes_by_age = matches!(victims.order, VictimOrder::Oldest | VictimOrder::Newest);
        let first = reported.as_ref().ok().and_then(|reported| reported.get(id));
        let is_old = first.is_some_and(|first| self.grid.at.since(*first) >= self.needed_age());
        is_old && !goes_by_age && recycle.is_none()
    }

    /// The age from which on an instance has warmed up and may be chosen to leave.
    fn needed_age(&self) -> Duration {
        self.fleet.policy.warmup.max(self.fleet.policy.victims.min_age)
    }

    /// The activities of these groups, as far as AWS answers; and those of the groups that had no answer in time.
    async fn activities_of<'g>(
        &self,
        groups: impl Iterator<Item = (&'g GroupRef, Option<Time>)>,
    ) -> (BTreeMap<GroupRef, Vec<Activity>>, BTreeSet<&'g GroupRef>) {
        let Deps { cloud, telemetry, .. } = self.deps;
        let deadline = Instant::now() + (self.grid.tick.duration() / 4).max(ACTIVITIES_PATIENCE);
        let of_each: BTreeMap<_, _> = groups.collect();
        let mut late: BTreeSet<_> = of_each.keys().copied().collect();
        let ask = |(group, since): (&'g GroupRef, Option<Time>)| async move {
            (group, cloud.activities(&group.region, &group.name, since).await)
        };
        let mut asked: FuturesUnordered<_> = of_each.into_iter().map(ask).collect();
        let mut found = BTreeMap::new();
        while let Ok(Some((group, answer))) = timeout_at(deadline, asked.next()).await {
            late.remove(group);
            match answer {
                Ok(activities) => drop(found.insert(group.clone(), activities)),
                Err(error) => telemetry.activities_unseen(group, &error),
            }
        }
        (found, late)
    }

    /// The hooks of groups that have an instance held, unless they were read recently.
    async fn hooks(&self, groups: &[GroupFacts]) -> BTreeMap<GroupRef, Vec<Hook>> {
        let Deps { cloud, telemetry, .. } = self.deps;
        let asked = groups.iter().filter(|facts| facts.has_held()).map(|facts| &facts.group);
        let asked = asked
            .filter(|group| !self.ledger.knows_hooks(group, self.grid.at))
            .map(|group| async move { (group, cloud.hooks(&group.region, &group.name).await) });
        let mut found = BTreeMap::new();
        for (group, answer) in join_all(asked).await {
            match answer {
                Ok(hooks) => {
                    found.insert(group.clone(), hooks);
                }
                // The hooks that were read before still serve best.
                Err(error) => telemetry.hooks_unseen(group, &error),
            }
        }
        found
    }

    /// Asks every component that drains how much it carries, all at once; also of instances that the group holds no more:
    /// one that was detached runs on in drain mode.
    async fn readings(
        &self,
        groups: impl Iterator<Item = &GroupFacts>,
        reports: &Reports,
        shared: &BTreeSet<InstanceId>,
    ) -> BTreeMap<InstanceId, Reading> {
        let asked = groups.flat_map(|facts| {
            let ids = facts.tags.drains.iter().map(|(id, _)| id);
            ids.map(move |id| async move {
                Some((id.clone(), self.reading(&facts.group, id, reports, shared).await?))
            })
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// What one component answers; `None` without an address or an answer.
    async fn reading(
        &self,
        group: &GroupRef,
        id: &InstanceId,
        reports: &Reports,
        shared: &BTreeSet<InstanceId>,
    ) -> Option<Reading> {
        let Self { deps, .. } = self;
        let answer = match self.address(id, reports)? {
            Ok(_) if shared.contains(id) => Err(JitsiError::SharedAddress),
            Ok(address) => deps.components.read(&address).await,
            Err(error) => Err(error),
        };
        answer.inspect_err(|error| deps.telemetry.instance_unseen(group, id.as_str(), error)).ok()
    }

    /// Where an instance is reached. `None` without its labels, or if several series carry its id.
    fn address(&self, id: &InstanceId, reports: &Reports) -> Option<Result<Address, JitsiError>> {
        let Self { fleet, ledger, .. } = self;
        let reported = reports.as_ref().ok().and_then(|reports| reports.get(id));
        if reported.is_some_and(|report| report.reported.ambiguous) {
            return None;
        }
        let labels = reported.map(|report| &report.labels).or_else(|| ledger.labels(id))?;
        Some(Address::new(id, fleet.policy.component, fleet.drain.as_ref()?, |name| labels.get(name)))
    }

    /// Where the instances of these groups are reached, as far as their labels tell.
    fn addresses(&self, groups: &[GroupFacts], reports: &Reports) -> Vec<(InstanceId, String)> {
        let ids = groups.iter().flat_map(|facts| {
            let held = facts.description.instances.iter().map(|it| &it.id);
            held.chain(facts.orphaned_drains().map(|(id, _)| id))
        });
        ids.filter_map(|id| self.located(id, reports)).collect()
    }

    fn located(&self, id: &InstanceId, reports: &Reports) -> Option<(InstanceId, String)> {
        Some((id.clone(), self.address(id, reports)?.ok()?.external().to_owned()))
    }

    /// The instances of the fleet whose labels lead to the address of another one. While a region is unknown, any instance
    /// that reports may be held there.
    fn shared_addresses(
        &self,
        groups: &[GroupFacts],
        reports: &Reports,
        others: &Others,
    ) -> BTreeSet<InstanceId> {
        let mut at: HashMap<String, BTreeSet<InstanceId>> = HashMap::new();
        let reported = reports.iter().flatten().map(|(id, _)| id).filter(|_| !others.unknown.is_empty());
        let reported = reported.filter_map(|id| self.located(id, reports));
        let known = self.addresses(groups, reports).into_iter().chain(others.addresses.iter().cloned());
        for (id, address) in known.chain(reported) {
            at.entry(address).or_default().insert(id);
        }
        at.into_values().filter(|ids| ids.len() > 1).flatten().collect()
    }
}
