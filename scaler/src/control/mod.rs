//! The loop of each fleet: wait → ask → assemble → decide → perform → publish.
//!
//! Owns when a fleet is evaluated: at a start, and at every whole multiple of its smallest period. Each fleet has a loop of
//! its own, so that a slow group never delays another fleet. In a region that cannot be read nothing changes, except that
//! hooks go on holding what they held. Heartbeats have a rhythm of their own, which setting the clock does not change.
//!
//! An alert or an operator can wake a fleet between two grid points. Then only the named groups, and those in which a hook
//! holds an instance, are looked at and acted on, as of the grid point that was evaluated last: windows, cooldowns and ages
//! are measured from it. Data that came late for that point counts now, but no point is acted on twice: see
//! [`ledger::Ledger::is_open`]. Drains, hooks and minima go on as at any evaluation. If a grid point has passed without an
//! evaluation, the whole fleet is evaluated at it instead. Wakes that come together are merged, two of a fleet are at least
//! [`WAKES_APART`] apart, and the next grid point answers all that wait.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cloud::CloudError;
use crate::config::{Fleet, Groups};
use crate::decide::decision::{Action, Decision, Reason};
use crate::decide::observation::{Instance, Looks, Reading, Refresh};
use crate::decide::policy::Component;
use crate::decide::{candidates, decide};
use crate::leader::Lead;
use crate::observe::questions::Grid;
use crate::report::journal::Record;
use crate::report::{FleetProblem, GroupStatus, StatusInput, Trigger};
use crate::telemetry::{GroupRef, chain};
use crate::units::{Period, Region, Time};

mod after;
mod ask;
mod assemble;
mod before_drain;
mod board;
mod claims;
mod commands;
mod deps;
mod execute;
mod facts;
mod held_hooks;
mod ledger;
mod looks;
mod orders;
mod paused;
mod pulse;
mod release;
#[cfg(test)]
mod stage;
mod view;

use assemble::{Assembled, assemble};
pub use board::{Board, show_leader};
pub use claims::Claims;
pub use commands::{Busy, Handle};
pub use deps::{Clock, Deps, World};
pub use orders::{Accepted, Order, OrderError, Then, Wanted};
pub use pulse::Pulse;
pub use release::Released;

use board::Evaluated;
use commands::{Command, Wakes};
use execute::Done;
use facts::{Facts, GroupFacts};
use ledger::Ledger;
use view::GroupView;

/// The least time between two woken evaluations of a fleet: each costs a describe and the queries of an evaluation.
pub const WAKES_APART: Duration = Duration::from_secs(1);
/// By how much the clock may run behind the timer that waits for a grid point.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// A fleet under control.
#[derive(Debug)]
pub struct Controller<W: World> {
    fleet: Fleet,
    deps: Deps<W>,
    /// The distance of grid points.
    tick: Period,
    ledger: Ledger,
    /// Groups to evaluate again, and when. A bridge that was asked to exit does so within a minute, and where a supervisor
    /// starts it again its drain would begin anew. A hook that holds what was terminated may let go before the next grid
    /// point.
    follow_ups: BTreeMap<GroupRef, Instant>,
    /// When the next heartbeats are looked for; `None` while no hook holds an instance.
    heartbeats: Option<Instant>,
}

impl<W: World> Controller<W> {
    /// A controller that has seen nothing yet. `None` for a fleet without policies, which no valid configuration has.
    pub fn new(fleet: Fleet, deps: Deps<W>) -> Option<Self> {
        let tick = fleet.policy.smallest_period()?;
        deps.telemetry.fleet_known(&fleet.name);
        Some(Self {
            fleet,
            deps,
            tick,
            ledger: Ledger::default(),
            follow_ups: BTreeMap::new(),
            heartbeats: None,
        })
    }

    /// Evaluates the fleet at once, as of the last grid point, and at every grid point until `stop`; handles commands in
    /// between.
    async fn run(
        mut self,
        clock: impl Fn() -> Duration,
        publish: watch::Sender<Arc<Board>>,
        mut commands: mpsc::Receiver<Command>,
        stop: CancellationToken,
        pulse: Pulse,
    ) {
        let mut wakes = Wakes::default();
        let mut last: Option<Time> = None;
        // Neither a hook nor a bridge that was asked to exit waits for the next grid point.
        let now = Time::since_1970(clock());
        self.evaluate_and_publish(now.floor(self.tick), true, &publish, &stop).await;
        pulse.beat();
        loop {
            let mut at = next_point(clock(), self.tick);
            let missed = last.map_or(0, |last| (at.unix() - last.unix()) / self.tick.seconds() - 1);
            if let Ok(missed @ 1..) = u64::try_from(missed) {
                self.deps.telemetry.evaluations_missed(&self.fleet.name, missed);
            }
            loop {
                // Where the clock was set back, the next grid point comes sooner than it seemed.
                at = at.min(next_point(clock(), self.tick));
                let wait = since_1970(at).saturating_sub(clock());
                let follow_up = self.follow_ups.values().min().copied();
                let heartbeats = self.heartbeats;
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(wait) => break,
                    Some(command) = commands.recv() => {
                        self.handle(command, Time::since_1970(clock()), &mut wakes).await;
                    }
                    () = tokio::time::sleep_until(follow_up.unwrap_or(wakes.not_before)), if follow_up.is_some() => {
                        let now = Instant::now();
                        let due = self.follow_ups.extract_if(.., |_, at| *at <= now);
                        wakes.groups.extend(due.map(|(group, _)| group));
                        wakes.trigger = Trigger::Drain;
                    }
                    () = tokio::time::sleep_until(heartbeats.unwrap_or(wakes.not_before)), if heartbeats.is_some() => {
                        self.send_heartbeats(Time::since_1970(clock())).await;
                    }
                    () = tokio::time::sleep_until(wakes.not_before), if !wakes.groups.is_empty() => {
                        self.wake(&mut wakes, clock(), &publish, &stop).await;
                    }
                }
            }
            wakes.groups.clear();
            let now = Time::since_1970(clock());
            // Where the clock was set back meanwhile, nothing is judged as of a time that lies ahead.
            let at = if now.after(CLOCK_SLACK) < at { now.floor(self.tick) } else { at };
            last = Some(at);
            self.evaluate_and_publish(at, false, &publish, &stop).await;
            pulse.beat();
        }
    }

    /// Observes, decides and acts at the grid point `at`; `again` if the process that ran before this one did so. `None` if
    /// `stop` came while it only asked: answers may be slow, and nothing has been done yet.
    async fn evaluate(
        &mut self,
        at: Time,
        again: bool,
        stop: &CancellationToken,
    ) -> Option<Vec<GroupStatus>> {
        let views = stop.run_until_cancelled(self.observe(at, again, None)).await?;
        Some(self.act(views, at, Trigger::Grid).await)
    }

    /// Observes, decides and acts again on these groups, at a grid point that was evaluated before.
    async fn evaluate_again(
        &mut self,
        at: Time,
        groups: &BTreeSet<GroupRef>,
        trigger: Trigger,
        stop: &CancellationToken,
    ) -> Option<Vec<GroupStatus>> {
        self.deps.telemetry.woken(&self.fleet.name, trigger.as_str(), groups.len(), at);
        let views = stop.run_until_cancelled(self.observe(at, true, Some(groups))).await?;
        Some(self.act(views, at, trigger).await)
    }

    /// Observes and decides as of the newest grid point at `now`, and changes nothing. Returns also what went wrong.
    pub async fn plan(&mut self, now: Time) -> (Vec<GroupStatus>, Vec<FleetProblem>) {
        let at = now.floor(self.tick);
        let mut statuses = Vec::new();
        for mut view in self.observe(at, false, None).await {
            let decision = self.decide(&mut view, at).await;
            statuses.push(self.status(&view, &decision, at, Trigger::Grid));
        }
        let problems = self.problems(&statuses, &self.missing(&statuses));
        (statuses, problems)
    }

    /// Gives every group of the fleet back; without `does`, only says what that means. What could not be read comes second.
    pub async fn release(&mut self, now: Time, does: bool) -> (Vec<Released>, Vec<String>) {
        let (at, mut released) = (now.floor(self.tick), Vec::new());
        for view in self.observe(at, false, None).await {
            let done = release::release(&self.deps, self.fleet.policy.component, &view, at, does).await;
            let failed =
                |error: CloudError| Released { failed: vec![chain(&error)], ..Released::nothing(view.group) };
            released.push(done.unwrap_or_else(failed));
        }
        (released, self.ledger.problems().to_vec())
    }

    /// The scaler's tags on every group of the fleet, and how long it takes until a service that runs changes those of a
    /// drain.
    pub async fn tags(&self) -> Result<(Vec<(String, String)>, Duration), CloudError> {
        Ok((release::tags_of(&self.deps, &self.fleet.asg.groups).await?, self.tick.duration()))
    }

    /// Asks about the groups and assembles the answers.
    async fn observe(&mut self, at: Time, again: bool, named: Option<&BTreeSet<GroupRef>>) -> Vec<GroupView> {
        let grid = Grid { at, delay: self.deps.delay, tick: self.tick };
        let facts = ask::ask(&self.fleet, &self.deps, &self.ledger, grid, again, named).await;
        self.ledger.note_facts(&facts, self.fleet.settle);
        let assembled = assemble(&self.fleet, &facts, &self.ledger);
        let problems = self.report_problems(&facts, &assembled);
        if named.is_none() {
            self.ledger.note_evaluated(facts, problems);
        }
        assembled.views
    }

    /// Logs and counts what is wrong with the answers. Returns the failures in words for a person.
    fn report_problems(&self, facts: &Facts, assembled: &Assembled) -> Vec<String> {
        let (name, telemetry) = (&self.fleet.name, &self.deps.telemetry);
        for GroupFacts { group, tags, .. } in facts.wanted().filter(|it| !it.tags.unreadable.is_empty()) {
            telemetry.tags_unreadable(group, &tags.unreadable);
        }
        telemetry.series_unmatched(name, &assembled.unmatched, &assembled.ambiguous);
        let failures = telemetry.queries_failed(name, &facts.failures(&self.fleet.policy));
        facts.problems.iter().cloned().chain(failures).collect()
    }

    /// Decides about each group, performs what was decided, and returns what there is to publish.
    async fn act(&mut self, mut views: Vec<GroupView>, at: Time, trigger: Trigger) -> Vec<GroupStatus> {
        let decisions = join_all(views.iter_mut().map(|view| self.decide(view, at))).await;
        let mut statuses = Vec::with_capacity(views.len());
        for (view, decision) in views.iter().zip(&decisions) {
            statuses.push(self.report(view, decision, at, trigger));
            self.ledger.note_judged(view, decision);
        }
        let performed = self.perform(&views, decisions, at).await;
        for ((view, done), status) in views.into_iter().zip(performed).zip(&mut statuses) {
            let group = view.group.clone();
            if !done.performed.is_empty() {
                let mut seen = view.observation.clone();
                after::apply(&mut seen.group, &done, at);
                status.act(&self.fleet.policy, &seen, &view.asked, at);
            }
            if self.is_to_be_followed(&view, &done) {
                self.follow_ups.insert(group.clone(), Instant::now() + self.fleet.settle);
            }
            if done.lacks_scale_out || view.pause.is_some() {
                self.ledger.reopen(&view);
            }
            if !self.fleet.dry_run {
                self.ledger.note_held(view);
            }
            self.ledger.note_done(&group, done, at);
            status.failed_steps = self.ledger.failures(&group);
        }
        self.plan_heartbeats();
        statuses
    }

    /// Sets when the next heartbeats are looked for, unless that is set.
    fn plan_heartbeats(&mut self) {
        let hold = self.ledger.shortest_hold();
        self.heartbeats = hold.map(|hold| {
            let next = Instant::now() + held_hooks::distance(hold);
            self.heartbeats.map_or(next, |planned| planned.min(next))
        });
    }

    /// Sends the heartbeats that are due between two evaluations.
    async fn send_heartbeats(&mut self, at: Time) {
        held_hooks::hold_on(&self.fleet.policy, &self.deps, &mut self.ledger, at).await;
        self.heartbeats = None;
        self.plan_heartbeats();
    }

    /// Whether a group is to be evaluated again after `drain.settle`: a bridge has just been asked to exit, which can be
    /// confirmed then, or an instance was terminated, which a hook may hold.
    fn is_to_be_followed(&self, view: &GroupView, done: &Done) -> bool {
        let is_early = |it: &Instance| {
            it.live.looks == Looks::TooEarly
                && matches!(it.live.latest, Some(Reading::Answered { closing: true, .. }))
        };
        let found = view.observation.group.instances.iter().any(is_early);
        let closes = self.fleet.policy.component == Component::Jvb && (found || !done.closed.is_empty());
        closes || !done.terminated.is_empty()
    }

    /// Decides about one group. A pause is a reason to hold that `decide` does not know of.
    async fn decide(&self, view: &mut GroupView, at: Time) -> Decision {
        let mut decision = self.decide_unpaused(view, at).await;
        if let Some(pause) = &view.pause {
            let (until, reason) = (pause.until, pause.reason.clone());
            decision.blocked.insert(0, Reason::Paused { until, reason });
        }
        decision
    }

    /// Decides about one group. Before a scale-in AWS is asked whether an instance refresh is in progress, and the
    /// instances that were chosen are read: one that does not say what it carries is not drained. So it is before a group
    /// is raised to recycle instances, and before drains that operators ordered.
    async fn decide_unpaused(&self, view: &mut GroupView, at: Time) -> Decision {
        let ordered = before_drain::ordered(view);
        if !ordered.is_empty() {
            view.observation.group.instance_refresh = self.refresh(&view.group).await;
            before_drain::read(&self.deps, view, ordered).await;
        }
        let mut decision = decide(&self.fleet.policy, &view.observation, at);
        if decision.action == Action::ScaleIn || before_drain::makes_room(&decision) {
            if view.observation.group.instance_refresh == Refresh::NotAsked {
                view.observation.group.instance_refresh = self.refresh(&view.group).await;
                decision = decide(&self.fleet.policy, &view.observation, at);
            }
            let chosen = before_drain::unread(view, &decision);
            if before_drain::makes_room(&decision) {
                // The one more would stay for as long as none of the others can leave.
                let candidates = candidates(&self.fleet.policy, &view.observation.group, at);
                before_drain::read(&self.deps, view, candidates).await;
                decision = decide(&self.fleet.policy, &view.observation, at);
            } else if !chosen.is_empty() {
                before_drain::read(&self.deps, view, chosen).await;
                decision = decide(&self.fleet.policy, &view.observation, at);
            }
            // Where one of them must stay, the next best comes in, and has not been read.
            if !before_drain::unread(view, &decision).is_empty() {
                let candidates = candidates(&self.fleet.policy, &view.observation.group, at);
                before_drain::read(&self.deps, view, candidates).await;
                decision = decide(&self.fleet.policy, &view.observation, at);
            }
        }
        decision
    }

    /// Whether an instance refresh is in progress.
    async fn refresh(&self, group: &GroupRef) -> Refresh {
        match self.deps.cloud.refreshing(&group.region, &group.name).await {
            Ok(true) => Refresh::InProgress,
            Ok(false) => Refresh::None,
            Err(error) => {
                self.deps.telemetry.refresh_unseen(group, &error);
                Refresh::Unknown
            }
        }
    }

    /// Logs and counts a decision, and returns it as the status of its group.
    fn report(&mut self, view: &GroupView, decision: &Decision, at: Time, trigger: Trigger) -> GroupStatus {
        let (policy, dry_run, telemetry) = (&self.fleet.policy, self.fleet.dry_run, &self.deps.telemetry);
        let (group, seen) = (&view.group, &view.observation);
        let status = self.status(view, decision, at, trigger);
        let record = Record::of(&status);
        let news = self.ledger.is_news(group, &record);
        telemetry.decided(group, policy, decision, (at, dry_run), news.then_some(&record));
        telemetry.kept_up(group, &seen.group, decision, view.lacking_since, at);
        telemetry.watched(group, policy, seen, view.pause.is_some());
        self.ledger.note_published(group, record);
        status
    }

    fn status(&self, view: &GroupView, decision: &Decision, at: Time, trigger: Trigger) -> GroupStatus {
        GroupStatus::new(&StatusInput {
            group: &view.group,
            policy: &self.fleet.policy,
            observation: &view.observation,
            in_force: &view.in_force,
            decision,
            asked: &view.asked,
            pause: view.pause.as_ref(),
            at,
            tick: self.tick,
            trigger,
            dry_run: self.fleet.dry_run,
        })
    }

    /// Performs the effects of all groups side by side, or in a dry run only logs them.
    async fn perform(&self, views: &[GroupView], decisions: Vec<Decision>, at: Time) -> Vec<Done> {
        let performed = views.iter().zip(decisions).map(|(view, decision)| async move {
            if self.fleet.dry_run {
                for effect in decision.effects.iter().flatten() {
                    self.deps.telemetry.performed(&view.group, effect, true);
                }
                return Done::default();
            }
            let floor = decision.current.limits.floor();
            let paused = view.pause.is_some();
            let effects = if paused { paused::left(decision.effects, view) } else { decision.effects };
            execute::perform(&self.deps, view, effects, floor, at).await
        });
        join_all(performed).await
    }

    /// Evaluates the whole fleet and publishes the outcome.
    async fn evaluate_and_publish(
        &mut self,
        at: Time,
        again: bool,
        publish: &watch::Sender<Arc<Board>>,
        stop: &CancellationToken,
    ) {
        let started = Instant::now();
        let Some(statuses) = self.evaluate(at, again, stop).await else { return };
        let missing = self.missing(&statuses);
        let (fleet, telemetry, unseen) = (&self.fleet.name, &self.deps.telemetry, self.ledger.unseen());
        if self.is_empty(&statuses, &missing) {
            telemetry.fleet_empty(fleet);
        }
        telemetry.evaluated(fleet, started.elapsed(), statuses.len(), &missing);
        if unseen.len() < self.deps.regions.len() {
            telemetry.evaluated_at(fleet, at);
        }
        let problems = self.problems(&statuses, &missing);
        let evaluated = Evaluated { fleet: fleet.as_str(), at, unseen, statuses, problems };
        publish.send_modify(|board| Arc::make_mut(board).replace(evaluated));
    }

    /// Notes a wake, or does what an operator asked for and answers with the outcome.
    async fn handle(&self, command: Command, now: Time, wakes: &mut Wakes) {
        let mut woken = None;
        // What was done stands even if the request has been given up meanwhile.
        match command {
            Command::Wake(groups) => wakes.groups.extend(groups),
            Command::Pause { group, pause, done } => {
                let outcome = paused::set(&self.deps, &group, pause).await;
                woken = outcome.is_ok().then_some(group);
                let _ = done.send(outcome);
            }
            Command::Order { group, order, done } => {
                let outcome = {
                    let known = self.ledger.drain(&order.instance);
                    orders::note(&self.deps, &self.fleet, (&group, known), &order, now).await
                };
                woken = outcome.is_ok().then_some(group);
                let _ = done.send(outcome);
            }
        }
        if let Some(group) = woken {
            wakes.trigger = Trigger::Operator;
            wakes.groups.insert(group);
        }
    }

    /// Evaluates the groups that were named since the last evaluation.
    async fn wake(
        &mut self,
        wakes: &mut Wakes,
        now: Duration,
        publish: &watch::Sender<Arc<Board>>,
        stop: &CancellationToken,
    ) {
        let groups = std::mem::take(&mut wakes.groups);
        let trigger = std::mem::replace(&mut wakes.trigger, Trigger::Webhook);
        let at = Time::since_1970(now).floor(self.tick);
        if self.ledger.evaluated().is_some_and(|evaluated| evaluated < at) {
            self.evaluate_and_publish(at, false, publish, stop).await;
        } else if let Some(statuses) = self.evaluate_again(at, &groups, trigger, stop).await {
            publish.send_modify(|board| {
                let board = Arc::make_mut(board);
                for status in statuses {
                    board.renew(status);
                }
            });
        }
        wakes.not_before = Instant::now() + WAKES_APART;
    }

    /// Whether no group matches the fleet, although every region could be read and no named group is missing.
    fn is_empty(&self, statuses: &[GroupStatus], missing: &[String]) -> bool {
        statuses.is_empty() && missing.is_empty() && self.ledger.problems().is_empty()
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
        let problems = self.ledger.problems().iter().cloned().chain(missing).chain(empty);
        problems.map(|text| FleetProblem { fleet: self.fleet.name.to_string(), text }).collect()
    }

    /// The groups that the configuration names and that exist in no region. Unknown while a region cannot be read.
    fn missing(&self, statuses: &[GroupStatus]) -> Vec<String> {
        let Groups::Names(names) = &self.fleet.asg.groups else { return Vec::new() };
        if !self.ledger.unseen().is_empty() {
            return Vec::new();
        }
        let found = |name: &str| statuses.iter().any(|status| status.asg == name);
        names.iter().map(ToString::to_string).filter(|name| !found(name)).collect()
    }
}

fn since_1970(at: Time) -> Duration {
    Duration::from_secs(u64::try_from(at.unix()).unwrap_or(0))
}

/// The first grid point after `now` (time since 1970).
fn next_point(now: Duration, tick: Period) -> Time {
    Time::since_1970(now).floor(tick).after(tick.duration())
}

/// Runs every fleet as a task of its own until `stop`, and returns once all have finished their current evaluation.
/// `clock` is the time since 1970: the service has the system's, each scaler of a simulation its own. When the lead is
/// lost, evaluations are aborted. If a task panics, which is a defect of this program, the others are stopped as well, so
/// that a supervisor restarts the process.
pub async fn run<W: World>(
    controllers: Vec<Controller<W>>,
    clock: impl Fn() -> Duration + Clone + Send + 'static,
    publish: &watch::Sender<Arc<Board>>,
    lead: &Lead,
    stop: &CancellationToken,
) -> Result<(), JoinError> {
    let mut tasks = JoinSet::new();
    for controller in controllers {
        let Fleet { name, dry_run, asg, .. } = &controller.fleet;
        let pulse = Pulse::new(controller.tick);
        let labels = (asg.label.as_str(), asg.region_label.as_deref());
        let (handle, commands) = Handle::new(name, *dry_run, labels, pulse.clone());
        publish.send_modify(|board| {
            Arc::make_mut(board).handles.insert(name.to_string(), handle);
        });
        tasks.spawn(controller.run(clock.clone(), publish.clone(), commands, stop.clone(), pulse));
    }
    let mut lost = pin!(lead.lost());
    let mut outcome = Ok(());
    loop {
        tokio::select! {
            biased;
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
mod evaluation_tests;

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
