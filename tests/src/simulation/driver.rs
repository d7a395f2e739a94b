//! One stretch: the world, and the scalers in it.
//!
//! Owns when scalers evaluate, die and are started again, and the order in which everything goes on. There is no
//! runtime: a future is polled when the moment that it waits for has come.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use jitsi_scaler::cloud::client::Client;
use jitsi_scaler::control::{Claims, Controller, Deps, World as Reached};
use jitsi_scaler::jitsi;
use jitsi_scaler::leader::Lead;
use jitsi_scaler::report::GroupStatus;
use jitsi_scaler::telemetry::Telemetry;
use jitsi_scaler::units::{Region, Time};
use prometheus_client::registry::Registry;
use rand::RngExt as _;

use super::jitsi::Relays;
use super::judge::{Figures, Tally, Violation};
use super::lies::{ToldComponents, ToldMetrics};
use super::questions::Queries;
use super::scaling::Aws;
use super::setting::REGION;
use super::timeline::{Timeline, mix, moment};
use super::world::{HOUR, MINUTE, SECOND, Shared, World};
use super::{Options, STRETCH};

/// Monday, 2026-09-21, 06:00 UTC: stretches end with the night.
const BEGINNING: i64 = 1_789_970_400 * SECOND;
/// The grid of evaluations: the smallest period of the policies.
const TICK: i64 = MINUTE;
/// How long a record goes on after what it is kept for.
const AFTERMATH: i64 = 2 * MINUTE;

/// What the scaler reaches in the simulation.
#[derive(Debug)]
struct Simulated;

impl Reached for Simulated {
    type Cloud = Aws;
    type Metrics = ToldMetrics;
    type Components = ToldComponents;
}

/// Whether a future wants to be polled.
#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Evaluation = Pin<Box<dyn Future<Output = (Controller<Simulated>, Vec<GroupStatus>)>>>;

/// One fleet in the hands of one scaler.
struct Unit {
    scaler: usize,
    fleet: usize,
    /// `None` while it evaluates, and while its process does not run.
    controller: Option<Controller<Simulated>>,
    evaluation: Option<Evaluation>,
    flag: Arc<Flag>,
    /// When it evaluates next, and as of when.
    due: i64,
    at: i64,
    /// What it said last.
    said: Vec<String>,
}

/// One stretch of days.
pub(super) struct Stretch<'a> {
    pub(super) index: u32,
    pub(super) days: u32,
    pub(super) options: &'a Options,
}

/// What came of it.
pub(super) struct Ended {
    pub(super) tally: Tally,
    pub(super) figures: Figures,
    pub(super) fingerprint: u64,
    pub(super) first: Option<Violation>,
    shared: Shared,
}

impl Stretch<'_> {
    /// Runs it; with `until`, keeps a record and ends shortly after that moment.
    pub(super) fn run(&self, until: Option<i64>) -> Ended {
        let seed = mix(mix(0, self.options.seed), u64::from(self.index));
        let start = BEGINNING + i64::from(self.index * STRETCH) * 24 * HOUR;
        let end = start + i64::from(self.days) * 24 * HOUR;
        let timeline = Timeline::new(until.is_some());
        let world = World::new(seed, start, self.days, self.options, timeline);
        let shared = Shared::new(world);
        let mut driver = Driver::new(shared.clone(), self.options);
        driver.run(until.map_or(end, |until| end.min(until + AFTERMATH)));
        let mut world = shared.lock();
        if until.is_none() || world.now == end {
            world.judge_rest();
        }
        let (tally, figures) = (world.judge.tally, world.judge.figures);
        let (first, fingerprint) = (world.judge.first.clone(), world.timeline.fingerprint);
        drop(world);
        Ended { tally, figures, fingerprint, first, shared }
    }
}

impl Ended {
    /// What led to a violation, for a person.
    pub(super) fn timeline(&self, seed: u64, stretch: u32, expected: &Violation) -> String {
        let world = self.shared.lock();
        let same = self.first.as_ref().is_some_and(|it| it.at == expected.at && it.what == expected.what);
        assert!(same, "a second run of stretch {stretch} of seed {seed} went another way");
        let group = &world.groups[expected.group];
        let instances: String =
            group.members.iter().map(|&it| format!("  {}\n", world.instances[it].portrait())).collect();
        let tags: String = group.tags.iter().map(|(key, value)| format!("  {key} = {value}\n")).collect();
        let what = &expected.what;
        format!(
            "seed {seed}, days {} to {}: {} at {}: {what}\n\n{}\n{}, desired {} of {} to {}, minutes later:\n\
             {instances}{tags}",
            stretch * STRETCH + 1,
            (stretch + 1) * STRETCH,
            group.name,
            moment(expected.at),
            world.timeline.of(expected.group, what),
            group.name,
            group.desired,
            group.min,
            group.max,
        )
    }
}

struct Driver<'a> {
    shared: Shared,
    options: &'a Options,
    units: Vec<Unit>,
    runs: [bool; 2],
    /// When a process that does not run is started.
    starts: [i64; 2],
}

impl<'a> Driver<'a> {
    fn new(shared: Shared, options: &'a Options) -> Self {
        let now = shared.lock().now;
        let fleets = shared.lock().setting.config.fleets.len();
        let unit = |scaler: usize, fleet: usize| Unit {
            scaler,
            fleet,
            controller: None,
            evaluation: None,
            flag: Arc::default(),
            due: i64::MAX,
            at: 0,
            said: Vec::new(),
        };
        let units = (0..2).flat_map(|scaler| (0..fleets).map(move |fleet| unit(scaler, fleet))).collect();
        Self { shared, options, units, runs: [false; 2], starts: [now + MINUTE; 2] }
    }

    fn run(&mut self, end: i64) {
        loop {
            let mut next = self.units.iter().map(|it| it.due).min().unwrap_or(i64::MAX);
            let starting = (0..2).filter(|&it| !self.runs[it]).map(|it| self.starts[it]);
            next = next.min(starting.min().unwrap_or(i64::MAX));
            let due: Vec<Waker> = {
                let mut world = self.shared.lock();
                let timer = world.timers.iter().map(|(at, _)| *at).min().unwrap_or(i64::MAX);
                // Until somebody is due, the world goes on by itself.
                let next = next.min(timer).max(world.now);
                if next >= end {
                    world.advance(end);
                    return;
                }
                world.advance(next);
                let now = world.now;
                let due = |timer: &mut (i64, Waker)| timer.0 <= now;
                world.timers.extract_if(.., due).map(|(_, waker)| waker).collect()
            };
            due.into_iter().for_each(Waker::wake);
            self.start_processes();
            for index in 0..self.units.len() {
                self.begin(index);
                self.go_on(index);
            }
        }
    }

    /// Starts the processes that should run and do not, and stops the second one when nobody wants it.
    fn start_processes(&mut self) {
        let shared = self.shared.clone();
        let mut world = shared.lock();
        for scaler in 0..2 {
            let always = scaler < usize::from(self.options.scalers);
            let wanted = always || world.faults.has_two_scalers(world.now);
            if self.runs[scaler] {
                let idle = self.of(scaler).all(|it| it.evaluation.is_none());
                if !wanted && idle {
                    self.stop(scaler, world.now + TICK);
                }
            } else if self.starts[scaler] <= world.now {
                if !wanted {
                    self.starts[scaler] = world.now + TICK;
                    continue;
                }
                world.processes[scaler] = super::world::Process::default();
                let now = world.now;
                world.timeline.tell(now, None, &[100, scaler as u64], || format!("scaler {scaler} starts"));
                self.runs[scaler] = true;
                let claims = Claims::default();
                let telemetry = Telemetry::register(&mut Registry::default());
                for index in 0..self.units.len() {
                    if self.units[index].scaler == scaler {
                        let made =
                            self.controller(&world, scaler, self.units[index].fleet, &claims, &telemetry);
                        self.units[index].controller = made;
                        self.units[index].schedule(&mut world);
                    }
                }
            }
        }
    }

    fn of(&self, scaler: usize) -> impl Iterator<Item = &Unit> {
        self.units.iter().filter(move |it| it.scaler == scaler)
    }

    fn controller(
        &self,
        world: &World,
        scaler: usize,
        fleet: usize,
        claims: &Claims,
        telemetry: &Telemetry,
    ) -> Option<Controller<Simulated>> {
        let shared = || self.shared.clone();
        let without = self.options.without;
        let groups = [("asg:jvb", ["jvb-a", "jvb-b"]), ("asg:jibri", ["jibri-a", "jibri-b"])];
        let deps = Deps {
            cloud: Client::new(
                Aws { shared: shared(), scaler, without },
                telemetry.clone(),
                Lead::always(),
                Duration::ZERO,
            ),
            metrics: ToldMetrics { inner: Queries { shared: shared(), scaler }, without, groups },
            components: jitsi::client::Client::new(
                ToldComponents { inner: Relays { shared: shared(), scaler }, without, looks: Arc::default() },
                Lead::always(),
            ),
            telemetry: telemetry.clone(),
            claims: claims.clone(),
            delay: world.setting.config.prometheus.delay,
            regions: vec![Region::new(REGION)],
        };
        Controller::new(world.setting.config.fleets[fleet].clone(), deps)
    }

    /// A process ends, and what it was at with it.
    fn stop(&mut self, scaler: usize, starts: i64) {
        self.runs[scaler] = false;
        self.starts[scaler] = starts;
        for unit in self.units.iter_mut().filter(|it| it.scaler == scaler) {
            unit.evaluation = None;
            unit.controller = None;
            unit.due = i64::MAX;
        }
    }

    /// Begins an evaluation whose time has come.
    fn begin(&mut self, index: usize) {
        let unit = &mut self.units[index];
        if unit.due > self.shared.lock().now {
            return;
        }
        unit.due = i64::MAX;
        let Some(mut controller) = unit.controller.take() else { return };
        let at = Time::from_unix(unit.at);
        unit.evaluation = Some(Box::pin(async move {
            let statuses = controller.evaluate(at).await;
            (controller, statuses)
        }));
        unit.flag.0.store(true, Ordering::Relaxed);
        self.shared.lock().judge.figures.evaluations += 1;
    }

    /// Goes on with an evaluation that waited for this moment.
    fn go_on(&mut self, index: usize) {
        let unit = &mut self.units[index];
        let Some(evaluation) = &mut unit.evaluation else { return };
        if !unit.flag.0.swap(false, Ordering::Relaxed) {
            return;
        }
        let waker = Waker::from(unit.flag.clone());
        let polled = evaluation.as_mut().poll(&mut Context::from_waker(&waker));
        let shared = self.shared.clone();
        let mut world = shared.lock();
        let scaler = self.units[index].scaler;
        if world.processes[scaler].dead {
            // Most supervisors bring it back at once.
            let quick = world.luck.random_bool(0.6);
            let most = if quick { 15 * SECOND } else { 20 * MINUTE };
            let after = world.luck.random_range(2 * SECOND..most);
            self.stop(scaler, world.now + after);
            return;
        }
        let Poll::Ready((controller, statuses)) = polled else { return };
        let unit = &mut self.units[index];
        unit.evaluation = None;
        unit.controller = Some(controller);
        unit.schedule(&mut world);
        unit.say(&mut world, &statuses);
    }
}

impl Unit {
    /// The next grid point after now, by the clock of its process.
    fn schedule(&mut self, world: &mut World) {
        let skew = world.setting.skew[self.scaler] * SECOND;
        let grid = (world.now + skew).div_euclid(TICK) * TICK + TICK;
        self.at = grid / SECOND;
        self.due = (grid - skew + world.luck.random_range(0..300)).max(world.now + 1);
    }

    /// Tells what was decided, where it is more than what was decided before.
    fn say(&mut self, world: &mut World, statuses: &[GroupStatus]) {
        self.said.resize(statuses.len(), String::new());
        for (status, said) in statuses.iter().zip(&mut self.said) {
            if status.action == "hold" && (!world.timeline.is_kept() || *said == status.text) {
                continue;
            }
            said.clone_from(&status.text);
            let group = world.groups.iter().position(|it| it.name.as_str() == status.asg);
            let current = &status.current;
            let (at, scaler) = (world.now, self.scaler);
            world.timeline.tell(at, group, &[], || {
                format!(
                    "scaler {scaler} decided: {} (desired {}, ready {}, warming {}, draining {}){}",
                    status.text,
                    current.desired,
                    current.ready,
                    current.warming,
                    current.draining,
                    status
                        .drains
                        .iter()
                        .map(|it| format!(
                            "; {} {} ({}): {}",
                            it.instance, it.state, it.purpose, it.waits_for
                        ))
                        .collect::<String>()
                )
            });
        }
    }
}
