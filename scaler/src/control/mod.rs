//! The loop: observe → decide → act → publish, for each fleet on its own grid.
//!
//! Owns when a fleet is evaluated, and what is kept between two evaluations: nothing that matters. A group that cannot
//! be seen is not touched, and what one group waits for never holds up another fleet.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cloud::ScalingGroups;
use crate::config::{Fleet, GroupSelector, Groups};
use crate::decide::decide;
use crate::jitsi::Components;
use crate::observe::prometheus::Client;
use crate::report::{GroupStatus, Status};
use crate::telemetry::Telemetry;
use crate::units::{Period, Region, Time};

mod execute;
mod gather;

use gather::{Memory, Sight};

/// The time of day, as an argument: the service gives its clock, a test its own.
pub type Clock = fn() -> Duration;

/// What every fleet needs.
#[derive(Debug)]
pub struct Surroundings<C> {
    /// The cloud, one per role: a fleet has its own.
    pub cloud: C,
    /// Where datapoints come from.
    pub prometheus: Client,
    /// How components are reached.
    pub components: Components,
    /// Where happenings are told.
    pub telemetry: Telemetry,
    /// How far behind now windows end.
    pub delay: Duration,
    /// Where a fleet without regions is.
    pub regions: Vec<Region>,
}

/// A fleet under control.
#[derive(Debug)]
pub struct Controller<C> {
    fleet: Fleet,
    surroundings: Surroundings<C>,
    tick: Period,
    memory: Memory,
}

impl<C: ScalingGroups + 'static> Controller<C> {
    /// A controller that has seen nothing yet. `None` for a fleet without policies, which no valid configuration has.
    pub fn new(fleet: Fleet, surroundings: Surroundings<C>) -> Option<Self> {
        let tick = fleet.policy.smallest_period()?;
        Some(Self { fleet, surroundings, tick, memory: Memory::default() })
    }

    /// Observes and decides as of the newest grid point at `now`, and changes nothing. `None` where the groups of the
    /// fleet cannot be read.
    pub async fn plan(&mut self, now: Time) -> Option<Vec<GroupStatus>> {
        let at = now.floor(self.tick);
        let sights = self.look(at).await;
        let (policy, dry_run) = (&self.fleet.policy, self.fleet.dry_run);
        let status = |sight: &Sight| {
            let decision = decide(policy, &sight.observation, at);
            GroupStatus::new(&sight.group, policy, &sight.observation, &decision, at, dry_run)
        };
        (!self.memory.unseen).then(|| sights.iter().map(status).collect())
    }

    /// Observes, decides and acts at the grid point `at`.
    pub async fn evaluate(&mut self, at: Time) -> Vec<GroupStatus> {
        let sights = self.look(at).await;
        let (policy, dry_run) = (&self.fleet.policy, self.fleet.dry_run);
        let telemetry = &self.surroundings.telemetry;
        let mut statuses = Vec::with_capacity(sights.len());
        let mut actions = Vec::new();
        for sight in &sights {
            let decision = decide(policy, &sight.observation, at);
            telemetry.decided(&sight.group, policy, &decision, at, dry_run);
            statuses.push(GroupStatus::new(&sight.group, policy, &sight.observation, &decision, at, dry_run));
            if dry_run {
                for effect in decision.effects.iter().flatten() {
                    telemetry.performed(&sight.group, effect, true);
                }
            } else {
                actions.push(execute::perform(&self.surroundings, sight, decision.effects, at));
            }
        }
        futures::future::join_all(actions).await;
        statuses
    }

    async fn look(&mut self, at: Time) -> Vec<Sight> {
        gather::look(&self.fleet, &self.surroundings, &mut self.memory, at, self.tick).await
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
            let expected = expected(&self.fleet.asg, &self.surroundings.regions);
            let missing: Vec<String> = expected
                .into_iter()
                .filter(|name| !self.memory.unseen && statuses.iter().all(|status| status.asg != *name))
                .collect();
            if statuses.is_empty() && !self.memory.unseen {
                telemetry.fleet_empty(&self.fleet.name);
            }
            telemetry.evaluated(&self.fleet.name, at, started.elapsed(), statuses.len(), &missing);
            publish.send_modify(|status| status.replace(self.fleet.name.as_str(), at, statuses));
        }
    }
}

/// The first grid point after `now` (time since 1970).
fn next_point(now: Duration, tick: Period) -> Time {
    let now = Time::from_unix(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    now.floor(tick).after(tick.duration())
}

/// The names that the configuration promises; none where groups are found by tag.
fn expected(selector: &GroupSelector, regions: &[Region]) -> Vec<String> {
    match &selector.groups {
        // In several regions a group of that name in any of them will do.
        Groups::Names(names) if !regions.is_empty() => names.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

impl Status {
    /// Puts the newest statuses of a fleet in the place of its older ones.
    fn replace(&mut self, fleet: &str, at: Time, statuses: Vec<GroupStatus>) {
        self.time = Some(at.to_string());
        self.groups.retain(|group| group.fleet != fleet);
        self.groups.extend(statuses);
        self.groups.sort_by(|a, b| (&a.fleet, &a.region, &a.asg).cmp(&(&b.fleet, &b.region, &b.asg)));
    }
}

/// Runs every fleet until `stop`, each as a task of its own; returns when all have finished what they were at.
pub async fn run<C: ScalingGroups + 'static>(
    controllers: Vec<Controller<C>>,
    clock: Clock,
    publish: &watch::Sender<Status>,
    stop: &CancellationToken,
) {
    let tasks = TaskTracker::new();
    for controller in controllers {
        tasks.spawn(controller.run(clock, publish.clone(), stop.clone()));
    }
    tasks.close();
    tasks.wait().await;
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
