//! One stretch: the world, and the processes of the scaler in it.
//!
//! Owns when a process starts, dies, ends and is woken. Each runs [`control::run`] as the service does, on a runtime of
//! one thread with a paused clock: once every task waits, time moves on to the next timer.

use std::sync::Arc;
use std::time::Duration;

use jitsi_scaler::cloud::client::Client;
use jitsi_scaler::cloud::tags::Asked;
use jitsi_scaler::config::Fleet;
use jitsi_scaler::control::{self, Board, Claims, Controller, Deps, World as Reached};
use jitsi_scaler::jitsi;
use jitsi_scaler::leader::Lead;
use jitsi_scaler::report::GroupStatus;
use jitsi_scaler::telemetry::{GroupRef, Telemetry};
use jitsi_scaler::units::{Region, Time};
use prometheus_client::registry::Registry;
use rand::RngExt as _;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::jitsi::Relays;
use super::judge::Violation;
use super::lies::{ToldComponents, ToldMetrics};
use super::questions::Queries;
use super::scaling::Aws;
use super::setting::{REGION, Tempo};
use super::timeline::{Timeline, mix, moment};
use super::world::{HOUR, MINUTE, Process, SECOND, Shared, World, length};
use super::{Options, STRETCH};

/// Monday, 2026-09-21, 06:00 UTC: stretches end with the night.
const BEGINNING: i64 = 1_789_970_400 * SECOND;
/// How often it is asked whether a process should run.
const WATCH: i64 = MINUTE;
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

/// One stretch of days.
pub(super) struct Stretch<'a> {
    pub(super) index: u32,
    pub(super) days: u32,
    pub(super) options: &'a Options,
}

/// A stretch that has ended.
pub(super) struct Ended {
    pub(super) world: World,
}

impl Stretch<'_> {
    /// Runs it; with `until`, keeps a record and ends shortly after that moment.
    pub(super) fn run(&self, until: Option<i64>) -> Ended {
        let seed = mix(mix(0, self.options.seed), u64::from(self.index));
        let start = BEGINNING + i64::from(self.index * STRETCH) * 24 * HOUR;
        let end = start + i64::from(self.days) * 24 * HOUR;
        let mut world = World::new(seed, start, self.days, self.options, Timeline::new(until.is_some()));
        if until.is_some() {
            // The files are those of the whole run.
            world.recorder = None;
        }
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime without I/O");
        let shared = runtime.block_on(async {
            let shared = Shared::new(world);
            let processes =
                [0, 1].map(|scaler| Supervisor { shared: &shared, options: self.options, scaler });
            let length = length(until.map_or(end, |until| end.min(until + AFTERMATH)) - start);
            tokio::select! {
                biased;
                () = sleep(length) => {}
                _ = futures::future::join_all(processes.map(Supervisor::supervise)) => {}
            }
            drop(shared.lock());
            shared
        });
        drop(runtime);
        let mut world = shared.into_world().expect("the tasks ended with the runtime");
        if until.is_none() || world.now == end {
            world.judge_rest();
        }
        Ended { world }
    }
}

impl Ended {
    /// What led to a violation, for a person.
    pub(super) fn timeline(&self, seed: u64, stretch: u32, expected: &Violation) -> String {
        let world = &self.world;
        let same =
            world.judge.first.as_ref().is_some_and(|it| it.at == expected.at && it.what == expected.what);
        assert!(
            same,
            "seed {seed}, stretch {stretch}, group {} at {}: {}; a second run went another way",
            expected.group,
            moment(expected.at),
            expected.what
        );
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
            world.capacity(expected.group, None),
            group.min,
            group.max,
        )
    }
}

/// What keeps one process of the scaler running.
struct Supervisor<'a> {
    shared: &'a Shared,
    options: &'a Options,
    scaler: usize,
}

impl Supervisor<'_> {
    /// Starts the process whenever it should run and does not.
    async fn supervise(self) {
        let mut pause = WATCH;
        loop {
            sleep(length(pause)).await;
            pause = if self.is_wanted() { self.process().await } else { WATCH };
        }
    }

    fn is_wanted(&self) -> bool {
        let world = self.shared.lock();
        // Tags of several drains take one writer.
        let has_two = world.faults.has_two_scalers(world.now) && !self.options.large;
        self.scaler < usize::from(self.options.scalers) || has_two
    }

    /// Runs the process until it is killed or not wanted any more. Returns how long it stays away.
    async fn process(&self) -> i64 {
        let (shared, scaler) = (self.shared, self.scaler);
        let (controllers, killed, tempo) = {
            let mut world = shared.lock();
            let (now, tempo) = (world.now, world.tempo());
            world.timeline.tell(now, None, &[100, scaler as u64], || format!("scaler {scaler} starts"));
            world.processes[scaler] = Process::default();
            if let Some(azure) = &mut world.azure {
                azure.forget(scaler);
            }
            (self.controllers(&world, tempo), Arc::clone(&world.processes[scaler].killed), tempo)
        };
        let clock = {
            let shared = shared.clone();
            move || length(shared.lock().clock(scaler))
        };
        let (publish, seen) = watch::channel(Arc::<Board>::default());
        let (lead, stop) = (Lead::always(), CancellationToken::new());
        let stopped = async {
            while self.is_wanted() && self.shared.lock().tempo() == tempo {
                sleep(length(WATCH)).await;
            }
            stop.cancel();
            std::future::pending().await
        };
        tokio::select! {
            biased;
            () = killed.notified() => shared.lock().restart_after(),
            ended = control::run(controllers, clock, &publish, &lead, &stop) => {
                ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
                SECOND
            }
            never = stopped => never,
            never = self.wake(&publish) => never,
            never = self.pause(&publish) => never,
            never = self.order(&publish) => never,
            never = self.record(seen) => never,
        }
    }

    fn controllers(&self, world: &World, tempo: Tempo) -> Vec<Controller<Simulated>> {
        let (scaler, without) = (self.scaler, self.options.without);
        let shared = || self.shared.clone();
        let groups = [("asg:jvb", ["jvb-a", "jvb-b"]), ("asg:jibri", ["jibri-a", "jibri-b"])];
        let claims = Claims::default();
        let telemetry = Telemetry::register(&mut Registry::default());
        let deps = |fleet: &Fleet| Deps {
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
            delay: fleet.prometheus.delay,
            regions: vec![Region::new(REGION)],
        };
        let fleets = world.setting.config_at(tempo).fleets.iter();
        fleets.filter_map(|fleet| Controller::new(fleet.clone(), deps(fleet))).collect()
    }

    /// Wakes the scaler as webhooks do. Alerts come in bursts, as close as a second.
    async fn wake<T>(&self, publish: &watch::Sender<Arc<Board>>) -> T {
        loop {
            let wait = self.shared.lock().next_webhook();
            sleep(length(wait)).await;
            let group = self.shared.lock().some_group();
            let handle = publish.borrow().handles.get(group.fleet.as_str()).cloned();
            // A fleet that is busy answers that the webhook is to be sent again later.
            if handle.is_some_and(|it| it.wake([group].into()).is_ok()) {
                self.shared.lock().judge.figures.wakes += 1;
            }
        }
    }

    /// Pauses a group now and then, as an operator does through the scaler, and ends some pauses early.
    async fn pause<T>(&self, publish: &watch::Sender<Arc<Board>>) -> T {
        loop {
            let wait = self.shared.lock().next_pause();
            sleep(length(wait)).await;
            let (group, clock, lasts, early) = {
                let mut world = self.shared.lock();
                let group = world.some_group();
                let lasts = world.luck.random_range(5 * MINUTE..3 * HOUR).min(world.calm - world.now);
                let early = world.luck.random_bool(0.3);
                (group, world.clock(self.scaler), lasts, early)
            };
            let handle = publish.borrow().handles.get(group.fleet.as_str()).cloned();
            let (Some(handle), 1..) = (handle, lasts) else { continue };
            let until = Time::from_unix((clock + lasts) / SECOND);
            let asked = Asked::new("operator", "maintenance");
            let Ok(done) = handle.pause(group.clone(), Some(until), asked.clone()) else {
                continue;
            };
            if matches!(done.await, Ok(Ok(()))) {
                self.shared.lock().judge.figures.pauses += 1;
            }
            if early {
                sleep(length(lasts / 2)).await;
                if let Ok(done) = handle.pause(group, None, asked) {
                    // A resumption that fails is not repeated: the pause ends by itself.
                    let _ = done.await;
                }
            }
        }
    }

    /// Drains instances now and then, as an operator does through the scaler, and gives them back.
    async fn order<T>(&self, publish: &watch::Sender<Arc<Board>>) -> T {
        loop {
            let wait = self.shared.lock().next_order();
            sleep(length(wait)).await;
            let Some((group, order)) = self.shared.lock().some_order() else { continue };
            let handle = publish.borrow().handles.get(group.fleet.as_str()).cloned();
            let Some(Ok(done)) = handle.map(|handle| handle.order(group, order)) else { continue };
            if matches!(done.await, Ok(Ok(_))) {
                self.shared.lock().judge.figures.orders += 1;
            }
        }
    }

    /// Records each decision that differs from the one before.
    async fn record<T>(&self, mut seen: watch::Receiver<Arc<Board>>) -> T {
        let mut texts: Vec<String> = Vec::new();
        while seen.changed().await.is_ok() {
            let board = seen.borrow_and_update();
            texts.resize(board.status.groups.len(), String::new());
            for (status, text) in board.status.groups.iter().zip(&mut texts) {
                self.shared.lock().note_decision(status);
                if *text != status.text {
                    text.clone_from(&status.text);
                    self.shared.lock().decided(self.scaler, status);
                }
            }
        }
        std::future::pending().await
    }
}

impl World {
    /// How long it takes until the next webhook.
    fn next_webhook(&mut self) -> i64 {
        if let Some(left) = self.burst.checked_sub(1) {
            self.burst = left;
            return self.luck.random_range(SECOND..20 * SECOND);
        }
        self.burst = self.luck.random_range(0..6);
        let mean = self.setting.webhooks;
        Self::wait(&mut self.luck, mean)
    }

    /// The time until an operator pauses a group. In calm hours no operator does, so it is longer than a run.
    fn next_pause(&mut self) -> i64 {
        if self.is_calm() { 365 * 24 * HOUR } else { self.next_after(5 * HOUR) - self.now }
    }

    fn some_group(&mut self) -> GroupRef {
        let it = &self.groups[self.luck.random_range(0..self.groups.len())];
        let fleet = self.setting.config.fleets[it.fleet].name.clone();
        GroupRef { fleet, region: Region::new(REGION), name: it.name.clone() }
    }

    /// How long a process that was killed stays away. Most supervisors bring it back at once.
    fn restart_after(&mut self) -> i64 {
        let most = if self.luck.random_bool(0.6) { 15 * SECOND } else { 20 * MINUTE };
        self.luck.random_range(2 * SECOND..most)
    }

    fn decided(&mut self, scaler: usize, status: &GroupStatus) {
        let group = self.groups.iter().position(|it| it.name.as_str() == status.asg);
        let mark = status.text.bytes().fold(0, |mark, byte| mix(mark, u64::from(byte)));
        self.timeline.tell(self.now, group, &[mark], || {
            let GroupStatus { text, current, drains, .. } = status;
            let drains: String = drains
                .iter()
                .map(|it| format!("; {} {} ({}): {}", it.instance, it.state, it.purpose, it.waits_for))
                .collect();
            format!(
                "scaler {scaler} decided: {text} (desired {}, ready {}, warming {}, draining {}){drains}",
                current.desired, current.ready, current.warming, current.draining
            )
        });
    }
}
