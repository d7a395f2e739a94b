//! The loop of a fleet's groups in one region: wait → ask → assemble → decide → perform → publish.
//!
//! Owns when these groups are evaluated: at a start, and at every whole multiple of the fleet's smallest period. In a region
//! that cannot be read nothing changes, except that hooks go on holding what they held. Heartbeats have a rhythm of their
//! own, which setting the clock does not change.
//!
//! An alert or an operator can wake a fleet between two grid points. Then only the named groups, and those in which a hook
//! holds an instance, are looked at and acted on, as of the grid point that was evaluated last: windows, cooldowns and ages
//! are measured from it. Data that came late for that point counts now, but no point is acted on twice: see
//! [`ledger::Ledger::is_open`]. Drains, hooks and minima go on as at any evaluation. If a grid point has passed without an
//! evaluation, the whole fleet is evaluated at it instead. Wakes that come together are merged, two of a fleet are at least
//! [`WAKES_APART`] apart, and the next grid point answers all that wait.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::after;
use super::ask::{self, Place};
use super::assemble::{Assembled, assemble};
use super::before_drain;
use super::board::{Board, Evaluated};
use super::commands::{Command, Wakes};
use super::deps::{Deps, World};
use super::execute::{self, Done};
use super::facts::{Facts, GroupFacts};
use super::fleetwide::Fleetwide;
use super::held_hooks;
use super::ledger::Ledger;
use super::orders;
use super::paused;
use super::pulse::Pulse;
use super::release::{self, Released};
use super::view::GroupView;
use crate::cloud::CloudError;
use crate::config::Fleet;
use crate::decide::decision::{Action, Decision, Reason};
use crate::decide::observation::{Instance, Looks, Reading, Refresh};
use crate::decide::policy::Component;
use crate::decide::{candidates, decide};
use crate::observe::questions::Grid;
use crate::report::journal::Record;
use crate::report::{GroupStatus, StatusInput, Trigger};
use crate::telemetry::{GroupRef, chain};
use crate::units::{Period, Region, Time};

/// The least time between two woken evaluations: each costs a describe and the queries of an evaluation.
pub const WAKES_APART: Duration = Duration::from_secs(1);
/// How long the first evaluation waits for the first look at other regions, where series do not tell regions apart.
const OTHERS_PATIENCE: Duration = Duration::from_secs(1);
/// By how much the clock may run behind the timer that waits for a grid point.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// The groups of a fleet in one region.
#[derive(Debug)]
pub(super) struct Regional<W: World> {
    fleet: Arc<Fleet>,
    deps: Arc<Deps<W>>,
    fleetwide: Arc<Fleetwide<W>>,
    region: Region,
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

impl<W: World> Regional<W> {
    /// The groups of the fleet in `region`, of which nothing has been seen yet. `tick` is the distance of grid points.
    pub(super) fn new(
        (fleet, deps): (&Arc<Fleet>, &Arc<Deps<W>>),
        fleetwide: &Arc<Fleetwide<W>>,
        region: &Region,
        tick: Period,
    ) -> Self {
        Self {
            fleet: Arc::clone(fleet),
            deps: Arc::clone(deps),
            fleetwide: Arc::clone(fleetwide),
            region: region.clone(),
            tick,
            ledger: Ledger::default(),
            follow_ups: BTreeMap::new(),
            heartbeats: None,
        }
    }

    /// The region.
    pub(super) fn region(&self) -> &Region {
        &self.region
    }

    /// Evaluates the groups at once, as of the last grid point, and at every grid point until `stop`; handles commands in
    /// between.
    pub(super) async fn run(
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
        let (now, tick) = (clock(), self.tick);
        let mut at = next_point(now, tick);
        giving_way((now, tick), &stop, async |end| {
            if self.evaluate_and_publish(Time::since_1970(now).floor(tick), true, &publish, end).await {
                pulse.beat();
            }
        })
        .await;
        loop {
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
            let present = if now.after(CLOCK_SLACK) < at { now.floor(self.tick) } else { at };
            last = Some(present);
            self.evaluate_and_publish(present, false, &publish, &stop).await;
            pulse.beat();
            at = next_point(clock(), self.tick);
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
        let views = stop.run_until_cancelled(self.observe(at, again, None, self.patience())).await?;
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
        let views = stop.run_until_cancelled(self.observe(at, true, Some(groups), self.patience())).await?;
        Some(self.act(views, at, trigger).await)
    }

    /// Observes and decides as of `at`, and changes nothing. Waits for at most `patience` until other regions are read.
    pub(super) async fn plan(&mut self, at: Time, patience: Duration) -> Vec<GroupStatus> {
        let mut statuses = Vec::new();
        for mut view in self.observe(at, false, None, patience).await {
            let decision = self.decide(&mut view, at).await;
            statuses.push(self.status(&view, &decision, at, Trigger::Grid));
        }
        statuses
    }

    /// Gives every group back; without `does`, only says what that means.
    pub(super) async fn release(&mut self, at: Time, does: bool, patience: Duration) -> Vec<Released> {
        let mut released = Vec::new();
        for view in self.observe(at, false, None, patience).await {
            let done = release::release(&self.deps, self.fleet.policy.component, &view, at, does).await;
            let failed =
                |error: CloudError| Released { failed: vec![chain(&error)], ..Released::nothing(view.group) };
            released.push(done.unwrap_or_else(failed));
        }
        released
    }

    /// How long an evaluation waits for regions that have not been read yet.
    fn patience(&self) -> Duration {
        if self.fleet.asg.region_label.is_some() { Duration::ZERO } else { OTHERS_PATIENCE }
    }

    /// Asks about the groups and assembles the answers.
    async fn observe(
        &mut self,
        at: Time,
        again: bool,
        named: Option<&BTreeSet<GroupRef>>,
        patience: Duration,
    ) -> Vec<GroupView> {
        let grid = Grid { at, delay: self.deps.delay, tick: self.tick };
        let Self { fleet, deps, fleetwide, region, .. } = self;
        let place = Place { fleet, deps, fleetwide, region };
        let facts = ask::ask(place, &self.ledger, grid, again, named, patience).await;
        self.ledger.note_facts(&facts, self.fleet.settle);
        let assembled = assemble(&self.fleet, &facts, &self.ledger);
        let problems = self.report_problems(&facts, &assembled);
        if named.is_none() {
            self.fleetwide.note_problems(&self.region, problems);
            self.ledger.note_evaluated(&facts);
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
            let (until, reason) = (pause.until, pause.asked.reason.clone());
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
        let news = self.ledger.note_published(group, &status.said()).then(|| Record::of(&status));
        telemetry.decided(group, policy, decision, (at, dry_run), news.as_ref());
        telemetry.kept_up(group, &seen.group, decision, view.lacking_since, at);
        telemetry.watched(group, policy, seen, view.pause.is_some());
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

    /// Evaluates all groups and publishes the outcome. Returns whether it did, or `stop` came first.
    async fn evaluate_and_publish(
        &mut self,
        at: Time,
        again: bool,
        publish: &watch::Sender<Arc<Board>>,
        stop: &CancellationToken,
    ) -> bool {
        let started = Instant::now();
        let Some(statuses) = self.evaluate(at, again, stop).await else { return false };
        let (fleet, telemetry, is_seen) = (&self.fleet.name, &self.deps.telemetry, !self.ledger.is_unseen());
        if self.fleetwide.is_empty() {
            telemetry.fleet_empty(fleet);
        }
        telemetry.evaluated(fleet, started.elapsed(), self.fleetwide.groups(), &self.fleetwide.missing());
        if is_seen {
            telemetry.evaluated_at(fleet, at);
        }
        let place = (fleet.as_str(), self.region.as_str());
        let problems = self.fleetwide.problems();
        publish.send_modify(|board| {
            Arc::make_mut(board).replace(Evaluated { place, at, is_seen, statuses, problems });
        });
        true
    }

    /// Notes a wake, or does what an operator asked for and answers with the outcome.
    async fn handle(&self, command: Command, now: Time, wakes: &mut Wakes) {
        let mut woken = None;
        // What was done stands even if the request has been given up meanwhile.
        match command {
            Command::Wake(groups) => wakes.groups.extend(groups),
            Command::Pause { group, until, asked, done } => {
                let outcome = paused::set(&self.deps, &group, (until, &asked)).await;
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
        let tick = self.tick;
        let at = Time::since_1970(now).floor(tick);
        if self.ledger.evaluated().is_some_and(|evaluated| evaluated < at) {
            self.evaluate_and_publish(at, false, publish, stop).await;
            wakes.not_before = Instant::now() + WAKES_APART;
            return;
        }
        let again = async |end: &_| self.evaluate_again(at, &groups, trigger, end).await;
        if let Some(statuses) = giving_way((now, tick), stop, again).await {
            publish.send_modify(|board| {
                let board = Arc::make_mut(board);
                for status in statuses {
                    board.renew(status);
                }
            });
        }
        wakes.not_before = Instant::now() + WAKES_APART;
    }
}

/// Evaluates what was evaluated before, at `now` between two grid points. While it only asks it gives way to the next of
/// them, whose evaluation asks everything anew: slow answers would delay that one too.
async fn giving_way<T>(
    (now, tick): (Duration, Period),
    stop: &CancellationToken,
    evaluate: impl AsyncFnOnce(&CancellationToken) -> T,
) -> T {
    let end = stop.child_token();
    let next = async {
        tokio::time::sleep(since_1970(next_point(now, tick)).saturating_sub(now)).await;
        end.cancel();
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        biased;
        outcome = evaluate(&end) => outcome,
        never = next => match never {},
    }
}

fn since_1970(at: Time) -> Duration {
    Duration::from_secs(u64::try_from(at.unix()).unwrap_or(0))
}

/// The first grid point after `now` (time since 1970).
fn next_point(now: Duration, tick: Period) -> Time {
    Time::since_1970(now).floor(tick).after(tick.duration())
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
