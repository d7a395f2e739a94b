//! The loop: observe → decide → act → publish, for each fleet on its own grid.
//!
//! Owns when a fleet is evaluated, and what is kept between two evaluations: nothing that matters. A group that cannot
//! be seen is not touched, and what one group waits for never holds up another fleet.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cloud::ScalingGroups;
use crate::config::{Fleet, Groups};
use crate::decide::decide;
use crate::decide::decision::{Action, Decision};
use crate::decide::observation::Refresh;
use crate::jitsi::Components;
use crate::observe::Metrics;
use crate::report::{FleetProblem, GroupStatus, Status, Told};
use crate::telemetry::Telemetry;
use crate::units::{Period, Region, Time};

mod afflictions;
mod claims;
mod execute;
mod gather;

pub use claims::Claims;
use gather::{Memory, Sight};

/// The time of day, as an argument: the service gives its clock, a test its own.
pub type Clock = fn() -> Duration;

/// What a fleet is controlled through: the service's speak HTTP, those of a simulation do not.
pub trait World: 'static {
    /// The cloud that holds the groups.
    type Cloud: ScalingGroups + fmt::Debug + 'static;
    /// Where datapoints come from.
    type Metrics: Metrics + fmt::Debug + 'static;
    /// How components are reached.
    type Components: Components + fmt::Debug + 'static;
}

/// What every fleet needs.
#[derive(Debug)]
pub struct Surroundings<W: World> {
    /// The cloud, one per role: a fleet has its own.
    pub cloud: W::Cloud,
    /// Where datapoints come from.
    pub metrics: W::Metrics,
    /// How components are reached.
    pub components: W::Components,
    /// Where happenings are told.
    pub telemetry: Telemetry,
    /// Which fleet a group belongs to; the same for all.
    pub claims: Claims,
    /// How far behind now windows end.
    pub delay: Duration,
    /// Where the fleet is: at least one.
    pub regions: Vec<Region>,
}

/// A fleet under control.
#[derive(Debug)]
pub struct Controller<W: World> {
    fleet: Fleet,
    surroundings: Surroundings<W>,
    tick: Period,
    memory: Memory,
}

impl<W: World> Controller<W> {
    /// A controller that has seen nothing yet. `None` for a fleet without policies, which no valid configuration has.
    pub fn new(fleet: Fleet, surroundings: Surroundings<W>) -> Option<Self> {
        let tick = fleet.policy.smallest_period()?;
        Some(Self { fleet, surroundings, tick, memory: Memory::default() })
    }

    /// Observes and decides as of the newest grid point at `now`, and changes nothing. Says also what went wrong.
    pub async fn plan(&mut self, now: Time) -> (Vec<GroupStatus>, Vec<FleetProblem>) {
        let at = now.floor(self.tick);
        let mut statuses = Vec::new();
        for mut sight in self.look(at).await {
            let decision = self.decide(&mut sight, at).await;
            statuses.push(self.status(&sight, &decision, at));
        }
        let missing = self.missing(&statuses);
        let problems = self.problems(&statuses, &missing);
        (statuses, problems)
    }

    /// Observes, decides and acts at the grid point `at`.
    pub async fn evaluate(&mut self, at: Time) -> Vec<GroupStatus> {
        let mut sights = self.look(at).await;
        let decisions = join_all(sights.iter_mut().map(|sight| self.decide(sight, at))).await;
        let telemetry = &self.surroundings.telemetry;
        let mut statuses = Vec::with_capacity(sights.len());
        let mut actions = Vec::new();
        for (sight, decision) in sights.iter().zip(decisions) {
            telemetry.decided(&sight.group, &self.fleet.policy, &decision, at, self.fleet.dry_run);
            telemetry.kept_up(&sight.group, &sight.observation.group, &decision, sight.lacking_since, at);
            statuses.push(self.status(sight, &decision, at));
            if self.fleet.dry_run {
                for effect in decision.effects.iter().flatten() {
                    telemetry.performed(&sight.group, effect, true);
                }
            } else {
                let performed = execute::perform(&self.surroundings, sight, decision.effects, at);
                actions.push(async move { (sight.group.clone(), performed.await) });
            }
        }
        for (group, done) in join_all(actions).await {
            self.memory.done(&group, done, at);
        }
        statuses
    }

    /// Decides. Before a scale-in AWS is asked whether an instance refresh is in progress, which a quiet tick has no
    /// use for.
    async fn decide(&self, sight: &mut Sight, at: Time) -> Decision {
        let decision = decide(&self.fleet.policy, &sight.observation, at);
        let seen = &mut sight.observation.group.instance_refresh;
        if decision.action != Action::ScaleIn || *seen != Refresh::NotAsked {
            return decision;
        }
        let group = &sight.group;
        *seen = match self.surroundings.cloud.refreshing(&group.region, &group.name).await {
            Ok(true) => Refresh::InProgress,
            Ok(false) => Refresh::None,
            Err(error) => {
                self.surroundings.telemetry.refresh_unseen(group, &error);
                Refresh::Unknown
            }
        };
        decide(&self.fleet.policy, &sight.observation, at)
    }

    fn status(&self, sight: &Sight, decision: &Decision, at: Time) -> GroupStatus {
        GroupStatus::new(&Told {
            group: &sight.group,
            policy: &self.fleet.policy,
            observation: &sight.observation,
            in_force: &sight.in_force,
            decision,
            at,
            dry_run: self.fleet.dry_run,
        })
    }

    async fn look(&mut self, at: Time) -> Vec<Sight> {
        let sights = gather::look(&self.fleet, &self.surroundings, &mut self.memory, at, self.tick).await;
        self.memory.evaluated = Some(at);
        sights
    }

    /// Evaluates the fleet at every whole multiple of its smallest period until `stop`.
    async fn run(mut self, clock: Clock, publish: watch::Sender<Status>, stop: CancellationToken) {
        let telemetry = self.surroundings.telemetry.clone();
        let mut last: Option<Time> = None;
        loop {
            let now = clock();
            let at = next_point(now, self.tick);
            if let Some(last) = last {
                let gap = u64::try_from((at.unix() - last.unix()) / self.tick.seconds() - 1).unwrap_or(0);
                if gap > 0 {
                    telemetry.evaluations_missed(&self.fleet.name, gap);
                }
            }
            last = Some(at);
            let wait = Duration::from_secs(u64::try_from(at.unix()).unwrap_or(0)).saturating_sub(now);
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
            let started = Instant::now();
            let statuses = self.evaluate(at).await;
            let missing = self.missing(&statuses);
            if self.is_empty(&statuses, &missing) {
                telemetry.fleet_empty(&self.fleet.name);
            }
            let unseen = &self.memory.unseen;
            telemetry.evaluated(&self.fleet.name, started.elapsed(), statuses.len(), &missing);
            if unseen.len() < self.surroundings.regions.len() {
                telemetry.evaluated_at(&self.fleet.name, at);
            }
            let problems = self.problems(&statuses, &missing);
            publish.send_modify(|status| {
                status.replace(self.fleet.name.as_str(), unseen, at, statuses, problems);
            });
        }
    }

    /// Whether no group matches the fleet, although all regions could be read and no name was promised.
    fn is_empty(&self, statuses: &[GroupStatus], missing: &[String]) -> bool {
        statuses.is_empty() && missing.is_empty() && self.memory.problems.is_empty()
    }

    /// What went wrong at the last evaluation, in words for a person.
    fn problems(&self, statuses: &[GroupStatus], missing: &[String]) -> Vec<FleetProblem> {
        let regions: Vec<&str> = self.surroundings.regions.iter().map(Region::as_str).collect();
        let regions = regions.join(", ");
        let missing = missing
            .iter()
            .map(|name| format!("no group \"{name}\" in {regions}; check asg.names and asg.regions"));
        let empty = self
            .is_empty(statuses, &[])
            .then(|| format!("no group in {regions} carries the tags; check asg.tags and asg.regions"))
            .filter(|_| matches!(self.fleet.asg.groups, Groups::Tags(_)));
        let problems = self.memory.problems.iter().cloned().chain(missing).chain(empty);
        problems.map(|text| FleetProblem { fleet: self.fleet.name.to_string(), text }).collect()
    }

    /// Groups that the configuration names, and that no region has that could be read.
    fn missing(&self, statuses: &[GroupStatus]) -> Vec<String> {
        let Groups::Names(names) = &self.fleet.asg.groups else { return Vec::new() };
        if !self.memory.unseen.is_empty() {
            return Vec::new();
        }
        let found = |name: &str| statuses.iter().any(|status| status.asg == name);
        names.iter().map(ToString::to_string).filter(|name| !found(name)).collect()
    }
}

/// The first grid point after `now` (time since 1970).
fn next_point(now: Duration, tick: Period) -> Time {
    let now = Time::from_unix(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    now.floor(tick).after(tick.duration())
}

impl Status {
    /// Puts the newest statuses of a fleet in the place of its older ones. What is in a region that could not be read
    /// stays as it was last seen, with its time.
    fn replace(
        &mut self,
        fleet: &str,
        unseen: &HashSet<Region>,
        at: Time,
        statuses: Vec<GroupStatus>,
        problems: Vec<FleetProblem>,
    ) {
        self.time = Some(at.to_string());
        let kept = |group: &GroupStatus| unseen.iter().any(|region| region.as_str() == group.region);
        self.groups.retain(|group| group.fleet != fleet || kept(group));
        self.problems.retain(|problem| problem.fleet != fleet);
        self.problems.extend(problems);
        self.groups.extend(statuses);
        self.groups.sort_by(|a, b| (&a.fleet, &a.region, &a.asg).cmp(&(&b.fleet, &b.region, &b.asg)));
    }
}

/// Runs every fleet until `stop`, each as a task of its own; returns when all have finished what they were at. If one of
/// them fails, which is a defect of this program, the others are stopped as well, so that a supervisor starts all anew.
pub async fn run<W: World>(
    controllers: Vec<Controller<W>>,
    clock: Clock,
    publish: &watch::Sender<Status>,
    stop: &CancellationToken,
) -> Result<(), JoinError> {
    let mut tasks = JoinSet::new();
    for controller in controllers {
        tasks.spawn(controller.run(clock, publish.clone(), stop.clone()));
    }
    let mut outcome = Ok(());
    while let Some(ended) = tasks.join_next().await {
        if ended.is_err() {
            stop.cancel();
        }
        outcome = outcome.and(ended);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_grid_point_is_never_the_present_one() {
        let tick = Period::try_new(Duration::from_mins(1)).expect("a minute");
        let next = |millis| next_point(Duration::from_millis(millis), tick).unix();
        assert_eq!((next(0), next(59_999), next(60_000), next(60_001)), (60, 60, 120, 120));
    }
}
