//! The loop: observe → decide → act → publish, for each fleet on its own grid.
//!
//! Owns when a fleet is evaluated, and what is kept between two evaluations: nothing that matters. To a group that
//! cannot be seen nothing is done but that hooks go on holding what they held, and what one group waits for never holds
//! up another fleet.
//!
//! A fleet can be woken between two grid points, by an alert or an operator. Then only the groups that were named are
//! looked at and acted on, as of the grid point that was evaluated last: windows, cooldowns and ages are measured from
//! it. What came late for that point is seen now; what the point called for already is not done again, because a policy
//! scales out then only if this process has judged the very same point before and found no reason to. Drains, hooks and
//! minima go on as at any evaluation. If a grid point has passed that nobody evaluated, the whole fleet is evaluated at
//! it instead, as it would have been in time. Wakes that come together are one, and two of a fleet are at least
//! [`WAKES_APART`] apart; a grid point that comes meanwhile answers them all.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cloud::client::Client;
use crate::cloud::{Change, CloudError, ScalingGroups, tags};
use crate::config::{Fleet, Groups};
use crate::decide::decide;
use crate::decide::decision::{Action, Decision, Effect, Reason, Removal};
use crate::decide::observation::Refresh;
use crate::jitsi::{self, Components};
use crate::leader::Lead;
use crate::observe::Metrics;
use crate::report::journal::{Journal, Record};
use crate::report::{FleetProblem, GroupStatus, Status, StatusInput, Trigger};
use crate::telemetry::{GroupRef, Telemetry};
use crate::units::{Period, Region, Time};

mod claims;
mod commands;
mod execute;
mod gather;
mod held_hooks;
mod incidents;

pub use claims::Claims;
use commands::Command;
pub use commands::{Board, Busy, Handle, show_leader};
use gather::{GroupView, Memory};

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
pub struct Deps<W: World> {
    /// The cloud, one per role: a fleet has its own.
    pub cloud: Client<W::Cloud>,
    /// Where datapoints come from.
    pub metrics: W::Metrics,
    /// How components are reached.
    pub components: jitsi::client::Client<W::Components>,
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
    deps: Deps<W>,
    tick: Period,
    memory: Memory,
}

/// Between two woken evaluations of a fleet: each costs a describe and the queries of an evaluation.
pub const WAKES_APART: Duration = Duration::from_secs(1);

impl<W: World> Controller<W> {
    /// A controller that has seen nothing yet. `None` for a fleet without policies, which no valid configuration has.
    pub fn new(fleet: Fleet, deps: Deps<W>) -> Option<Self> {
        let tick = fleet.policy.smallest_period()?;
        deps.telemetry.fleet_known(&fleet.name);
        Some(Self { fleet, deps, tick, memory: Memory::default() })
    }

    /// Observes and decides as of the newest grid point at `now`, and changes nothing. Says also what went wrong.
    pub async fn plan(&mut self, now: Time) -> (Vec<GroupStatus>, Vec<FleetProblem>) {
        let at = now.floor(self.tick);
        let mut statuses = Vec::new();
        for mut view in self.look(at).await {
            let decision = self.decide(&mut view, at).await;
            statuses.push(self.status(&view, &decision, (at, Trigger::Grid)));
        }
        let missing = self.missing(&statuses);
        let problems = self.problems(&statuses, &missing);
        (statuses, problems)
    }

    /// Observes, decides and acts at the grid point `at`.
    pub async fn evaluate(&mut self, at: Time) -> Vec<GroupStatus> {
        let views = self.look(at).await;
        self.memory.held_by_hooks.forget(&self.memory.unseen);
        let statuses = self.act(views, (at, Trigger::Grid)).await;
        self.hold_on_unseen(at).await;
        statuses
    }

    /// Has hooks hold on in regions that could not be read. It comes last: where nobody answers it takes its time.
    async fn hold_on_unseen(&mut self, at: Time) {
        let Memory { held_by_hooks, unseen, heartbeats, .. } = &mut self.memory;
        let deps = (&self.fleet.policy, &self.deps);
        let performed = held_by_hooks.hold_on(deps, unseen, heartbeats, at).await;
        for (group, done) in performed {
            self.memory.done(&group, done, at);
        }
    }

    /// Observes, decides and acts again on these groups, at a grid point that was evaluated before.
    async fn evaluate_again(
        &mut self,
        at: Time,
        groups: &BTreeSet<GroupRef>,
        trigger: Trigger,
    ) -> Vec<GroupStatus> {
        self.deps.telemetry.woken(&self.fleet.name, trigger.as_str(), groups.len(), at);
        // What could be seen of the whole fleet is told by its own evaluations.
        let (unseen, problems) = (self.memory.unseen.clone(), self.memory.problems.clone());
        let (fleet, deps) = (&self.fleet, &self.deps);
        let views = gather::look(fleet, deps, &mut self.memory, at, self.tick, Some(groups)).await;
        (self.memory.unseen, self.memory.problems) = (unseen, problems);
        self.act(views, (at, trigger)).await
    }

    async fn act(&mut self, mut views: Vec<GroupView>, (at, trigger): (Time, Trigger)) -> Vec<GroupStatus> {
        let decisions = join_all(views.iter_mut().map(|view| self.decide(view, at))).await;
        let telemetry = self.deps.telemetry.clone();
        let (policy, dry_run) = (&self.fleet.policy, self.fleet.dry_run);
        let mut statuses = Vec::with_capacity(views.len());
        let mut actions = Vec::new();
        for (view, decision) in views.iter().zip(decisions) {
            let (group, seen) = (&view.group, &view.observation);
            let status = self.status(view, &decision, (at, trigger));
            let record = Record::of(&status);
            let news = self.memory.told.get(group).is_none_or(|told| !told.says_the_same(&record));
            telemetry.decided(group, policy, &decision, (at, dry_run), news.then_some(&record));
            telemetry.kept_up(group, &seen.group, &decision, view.lacking_since, at);
            telemetry.watched(group, policy, seen, view.pause.is_some());
            statuses.push(status);
            self.memory.told.insert(group.clone(), record);
            self.memory.judged(view, &decision);
            if dry_run {
                for effect in decision.effects.iter().flatten() {
                    telemetry.performed(group, effect, true);
                }
            } else {
                let floor = decision.current.limits.floor();
                let effects =
                    if view.pause.is_some() { keep_held(decision.effects) } else { decision.effects };
                let performed = execute::perform(&self.deps, view, effects, floor, at);
                actions.push(async move { (group.clone(), performed.await) });
            }
        }
        for (group, done) in join_all(actions).await {
            self.memory.done(&group, done, at);
        }
        for (status, view) in statuses.iter_mut().zip(&views) {
            let failures = self.memory.failures.get(&view.group);
            status.failed_steps = failures.into_iter().flatten().cloned().collect();
        }
        if !dry_run {
            for view in views {
                self.memory.held_by_hooks.note(view);
            }
        }
        statuses
    }

    /// Decides. Before a scale-in AWS is asked whether an instance refresh is in progress, which a quiet tick has no
    /// use for.
    async fn decide(&self, view: &mut GroupView, at: Time) -> Decision {
        let mut decision = self.decide_unpaused(view, at).await;
        if let Some(pause) = &view.pause {
            let (until, reason) = (pause.until, pause.reason.clone());
            decision.blocked.insert(0, Reason::Paused { until, reason });
        }
        decision
    }

    async fn decide_unpaused(&self, view: &mut GroupView, at: Time) -> Decision {
        let decision = decide(&self.fleet.policy, &view.observation, at);
        let seen = &mut view.observation.group.instance_refresh;
        if decision.action != Action::ScaleIn || *seen != Refresh::NotAsked {
            return decision;
        }
        let group = &view.group;
        *seen = match self.deps.cloud.refreshing(&group.region, &group.name).await {
            Ok(true) => Refresh::InProgress,
            Ok(false) => Refresh::None,
            Err(error) => {
                self.deps.telemetry.refresh_unseen(group, &error);
                Refresh::Unknown
            }
        };
        decide(&self.fleet.policy, &view.observation, at)
    }

    fn status(&self, view: &GroupView, decision: &Decision, (at, trigger): (Time, Trigger)) -> GroupStatus {
        GroupStatus::new(&StatusInput {
            group: &view.group,
            policy: &self.fleet.policy,
            observation: &view.observation,
            in_force: &view.in_force,
            decision,
            pause: view.pause.as_ref(),
            at,
            tick: self.tick,
            trigger,
            dry_run: self.fleet.dry_run,
        })
    }

    async fn look(&mut self, at: Time) -> Vec<GroupView> {
        let views = gather::look(&self.fleet, &self.deps, &mut self.memory, at, self.tick, None).await;
        self.memory.evaluated = Some(at);
        views
    }

    /// Evaluates the fleet at every whole multiple of its smallest period until `stop`, and between them what it is
    /// asked for.
    async fn run(
        mut self,
        clock: Clock,
        publish: watch::Sender<Board>,
        mut commands: mpsc::Receiver<Command>,
        stop: CancellationToken,
    ) {
        let mut wakes = Wakes::default();
        let telemetry = self.deps.telemetry.clone();
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
            loop {
                let wait = since_1970(at).saturating_sub(clock());
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(wait) => break,
                    Some(command) = commands.recv() => self.heed(command, &mut wakes).await,
                    () = tokio::time::sleep_until(wakes.not_before), if !wakes.groups.is_empty() => {
                        self.wake(&mut wakes, clock(), &publish).await;
                    }
                }
            }
            wakes.groups.clear();
            self.evaluate_all(at, &publish).await;
        }
    }

    async fn evaluate_all(&mut self, at: Time, publish: &watch::Sender<Board>) {
        let telemetry = self.deps.telemetry.clone();
        let started = Instant::now();
        let statuses = self.evaluate(at).await;
        let missing = self.missing(&statuses);
        if self.is_empty(&statuses, &missing) {
            telemetry.fleet_empty(&self.fleet.name);
        }
        let unseen = &self.memory.unseen;
        telemetry.evaluated(&self.fleet.name, started.elapsed(), statuses.len(), &missing);
        if unseen.len() < self.deps.regions.len() {
            telemetry.evaluated_at(&self.fleet.name, at);
        }
        let problems = self.problems(&statuses, &missing);
        publish.send_modify(|board| {
            let fleet = self.fleet.name.as_str();
            board.status.replace(fleet, unseen, at, statuses, problems);
            board.journal.retain(fleet, &board.status.groups);
            note(&mut board.journal, fleet, &board.status);
        });
    }

    /// Notes a wake, or does what an operator wants and has the outcome shown.
    async fn heed(&self, command: Command, wakes: &mut Wakes) {
        let (group, pause, done) = match command {
            Command::Wake(groups) => {
                wakes.groups.extend(groups);
                return;
            }
            Command::Pause { group, pause, done } => (group, pause, done),
        };
        let outcome = self.pause(&group, pause).await;
        if outcome.is_ok() {
            wakes.trigger = Trigger::Operator;
            wakes.groups.insert(group);
        }
        // Whoever asked may have gone; it is done all the same.
        let _ = done.send(outcome);
    }

    async fn pause(&self, group: &GroupRef, pause: Option<(Time, String)>) -> Result<(), CloudError> {
        let Deps { cloud, telemetry, .. } = &self.deps;
        let (region, name) = (&group.region, &group.name);
        let key = tags::PAUSED;
        let value = pause.as_ref().map(|(until, reason)| tags::paused_value(*until, reason));
        let change = value.as_deref().map_or(Change::Untag { key }, |value| Change::Tag { key, value });
        let done = cloud.apply(region, name, change).await;
        match (&done, &pause) {
            (Ok(()), Some((until, reason))) => telemetry.pause_set(group, Some(*until), reason),
            (Ok(()), None) => telemetry.pause_set(group, None, ""),
            (Err(error), _) => telemetry.pause_failed(group, error),
        }
        done
    }

    async fn wake(&mut self, wakes: &mut Wakes, now: Duration, publish: &watch::Sender<Board>) {
        let groups = std::mem::take(&mut wakes.groups);
        let trigger = std::mem::replace(&mut wakes.trigger, Trigger::Webhook);
        let at = whole_seconds(now).floor(self.tick);
        if self.memory.evaluated.is_some_and(|evaluated| evaluated < at) {
            self.evaluate_all(at, publish).await;
        } else {
            let statuses = self.evaluate_again(at, &groups, trigger).await;
            publish.send_modify(|board| {
                for status in statuses {
                    board.journal.note(&status);
                    board.status.renew(status);
                }
            });
        }
        wakes.not_before = Instant::now() + WAKES_APART;
    }

    /// Whether no group matches the fleet, although all regions could be read and no name was promised.
    fn is_empty(&self, statuses: &[GroupStatus], missing: &[String]) -> bool {
        statuses.is_empty() && missing.is_empty() && self.memory.problems.is_empty()
    }

    /// What went wrong at the last evaluation, in words for a person.
    fn problems(&self, statuses: &[GroupStatus], missing: &[String]) -> Vec<FleetProblem> {
        let regions: Vec<&str> = self.deps.regions.iter().map(Region::as_str).collect();
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

/// The groups that are to be looked at before the next grid point.
#[derive(Debug)]
struct Wakes {
    groups: BTreeSet<GroupRef>,
    trigger: Trigger,
    not_before: Instant,
}

impl Default for Wakes {
    fn default() -> Self {
        Self { groups: BTreeSet::new(), trigger: Trigger::Webhook, not_before: Instant::now() }
    }
}

/// What is still done to a paused group: hooks that hold instances are kept holding them. One that was to be let go is
/// held for as long as the pause is.
fn keep_held(effects: Vec<Vec<Effect>>) -> Vec<Vec<Effect>> {
    let kept = effects.into_iter().flatten().filter_map(|effect| match effect {
        Effect::Heartbeat(id) | Effect::Remove(id, Removal::LetGo, _) => Some(vec![Effect::Heartbeat(id)]),
        _ => None,
    });
    kept.collect()
}

/// Keeps the decisions of a fleet that changed.
fn note(journal: &mut Journal, fleet: &str, status: &Status) {
    for group in status.groups.iter().filter(|group| group.fleet == fleet) {
        journal.note(group);
    }
}

fn whole_seconds(now: Duration) -> Time {
    Time::from_unix(i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}

fn since_1970(at: Time) -> Duration {
    Duration::from_secs(u64::try_from(at.unix()).unwrap_or(0))
}

/// The first grid point after `now` (time since 1970).
fn next_point(now: Duration, tick: Period) -> Time {
    whole_seconds(now).floor(tick).after(tick.duration())
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

    /// Puts a newer status of a group in the place of its older one. A group that was not there comes with its fleet.
    fn renew(&mut self, status: GroupStatus) {
        let key = |group: &GroupStatus| (group.fleet.clone(), group.region.clone(), group.asg.clone());
        let wanted = key(&status);
        if let Some(older) = self.groups.iter_mut().find(|group| key(group) == wanted) {
            *older = status;
        }
    }
}

/// Runs every fleet until `stop`, each as a task of its own; returns when all have finished what they were at. When the
/// lead is lost nothing that is under way goes on. If one of them fails, which is a defect of this program, the others are
/// stopped as well, so that a supervisor starts all anew.
pub async fn run<W: World>(
    controllers: Vec<Controller<W>>,
    clock: Clock,
    publish: &watch::Sender<Board>,
    lead: &Lead,
    stop: &CancellationToken,
) -> Result<(), JoinError> {
    let mut tasks = JoinSet::new();
    for controller in controllers {
        let Fleet { name, dry_run, asg, .. } = &controller.fleet;
        let (handle, commands) = Handle::new(name, *dry_run, (&asg.label, asg.region_label.as_deref()));
        publish.send_modify(|board| {
            board.handles.insert(name.to_string(), handle);
        });
        tasks.spawn(controller.run(clock, publish.clone(), commands, stop.clone()));
    }
    let mut lost = pin!(lead.lost());
    let mut outcome = Ok(());
    loop {
        tokio::select! {
            () = &mut lost => {
                tasks.shutdown().await;
                return outcome;
            }
            ended = tasks.join_next() => {
                let Some(ended) = ended else { return outcome };
                if ended.is_err() {
                    stop.cancel();
                }
                outcome = outcome.and(ended);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_group_is_only_kept_from_losing_what_a_hook_holds() {
        use crate::decide::decision::Condition;
        use crate::units::{Capacity, InstanceId};

        let id = |number: u8| InstanceId::new(&format!("i-{number}"));
        let effects = vec![
            vec![Effect::SetDesired { from: Capacity::of(1), to: Capacity::of(2) }],
            vec![Effect::Heartbeat(id(1))],
            vec![Effect::ConfirmEmpty(id(2)), Effect::Remove(id(2), Removal::LetGo, Condition::Empty)],
            vec![Effect::Remove(id(3), Removal::Terminate, Condition::Empty)],
        ];
        let expected = vec![vec![Effect::Heartbeat(id(1))], vec![Effect::Heartbeat(id(2))]];
        assert_eq!(keep_held(effects), expected);
    }

    #[test]
    fn the_next_grid_point_is_never_the_present_one() {
        let tick = Period::try_new(Duration::from_mins(1)).expect("a minute");
        let next = |millis| next_point(Duration::from_millis(millis), tick).unix();
        assert_eq!((next(0), next(59_999), next(60_000), next(60_001)), (60, 60, 120, 120));
    }
}
