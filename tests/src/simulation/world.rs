//! The simulated world: its time, what is due in it, and everything that is in it.
//!
//! Owns virtual time in milliseconds and the order of events. What an event does is the business of the modules that
//! it belongs to; nothing here knows the scaler.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::azure;
use super::cloud::{Group, Taker};
use super::component::Instance;
use super::faults::Faults;
use super::judge::Judge;
use super::others::Deed;
use super::prometheus::Prometheus;
use super::questions::Question;
use super::recording::Recorder;
use super::setting::{Kind, Setting, Tempo};
use super::timeline::Timeline;
use super::traffic::Conference;
use super::{Options, Provider};

/// A second in the unit of virtual time.
pub(super) const SECOND: i64 = 1000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;

/// What happens at some moment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// Prometheus scrapes, and evaluates its rules.
    Scrape,
    /// AWS looks after a group.
    Reconcile(usize),
    /// An instance has booted as far as AWS can tell.
    InService(usize),
    /// The host of an instance is switched off.
    HostGone(usize),
    /// The heartbeat of a hook that holds an instance runs out, unless it was renewed (the number).
    HookExpires(usize, u32),
    /// A machine stops that is being deleted since then.
    MachineStops(usize, i64),
    /// The notice of a Spot interruption is over.
    SpotEnds(usize),
    /// A component comes up, unless something else happened to its process since (the number).
    ComponentUp(usize, u32),
    /// A component exits, as it was asked to, likewise.
    ComponentExits(usize, u32),
    /// Jicofo hears that a bridge shuts down, likewise.
    JicofoHears(usize, u32),
    /// A component that hangs or is ill is well again, likewise.
    Unhangs(usize, u32),
    /// A conference begins in a shard.
    ConferenceArrives(usize),
    /// People come or go in a conference, unless it took another turn since (the number).
    ConferenceMoves(usize, u32),
    /// Somebody asks for a recording.
    RecordingArrives(usize),
    /// A recording ends (its number), and its upload begins.
    RecordingEnds(usize, u32),
    /// An upload ends.
    UploadEnds(usize, u32),
    /// Some fault begins that lasts for a while.
    Trouble,
    /// Something breaks.
    Mishap,
    /// Somebody else does something.
    Deed,
    /// It is ended again.
    DeedEnds(Deed),
    /// The bridges of a group that take conferences crash.
    OthersCrash(usize),
    /// The clock of a scaler is set right.
    ClockRight(usize),
    /// The end of all faults.
    Calm,
    /// The judge looks around.
    Inspect,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: i64,
    sequence: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// A scaler's process, as far as faults concern it.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    /// It dies after so many more steps; each call is two, its way there and its way back.
    pub(super) dies_in: Option<u32>,
    /// Whether only steps count that change something.
    pub(super) dies_writing: bool,
    /// It is dead: none of its calls ever returns.
    pub(super) dead: bool,
    /// Notified when it is killed.
    pub(super) killed: Arc<Notify>,
}

/// The clock of a scaler's host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HostClock {
    /// How far ahead it is, in milliseconds.
    pub(super) off: i64,
    /// How far ahead it was before its newest step.
    pub(super) before: i64,
}

/// Everything.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: i64,
    /// When faults end.
    pub(super) calm: i64,
    pub(super) setting: Setting,
    due: BinaryHeap<Reverse<Due>>,
    sequence: u64,
    /// What is different on Azure, if that is the cloud.
    pub(super) azure: Option<azure::State>,
    pub(super) groups: Vec<Group>,
    pub(super) instances: Vec<Instance>,
    pub(super) conferences: Vec<Conference>,
    pub(super) free_conferences: Vec<usize>,
    pub(super) prometheus: Prometheus,
    pub(super) questions: HashMap<String, Question>,
    pub(super) faults: Faults,
    pub(super) processes: [Process; 2],
    pub(super) clocks: [HostClock; 2],
    /// The configuration that the scalers run with, and until when if it is not the usual one.
    pub(super) tempo: (Tempo, i64),
    /// Until when a process may still run at a slow tempo from before, in milliseconds.
    pub(super) slow_until: i64,
    /// The group that loses its other bridges when the next one is asked to exit.
    pub(super) lonely: Option<usize>,
    /// When every bridge of a group that Jicofo could choose without need last crashed.
    pub(super) all_crashed: [i64; 4],
    /// How many webhooks of a burst are still to come.
    pub(super) burst: u32,
    pub(super) judge: Judge,
    pub(super) recorder: Option<Recorder>,
    /// From what people draw apart from each other, if they do.
    pub(super) apart: Option<u64>,
    pub(super) timeline: Timeline,
    /// What people do.
    pub(super) traffic: ChaCha8Rng,
    /// What machines and networks do.
    pub(super) luck: ChaCha8Rng,
    /// What operators order.
    pub(super) orders: ChaCha8Rng,
}

impl World {
    pub(super) fn new(seed: u64, start: i64, days: u32, options: &Options, timeline: Timeline) -> Self {
        let stream = |stream: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(stream);
            rng
        };
        let (faults, mut luck) = (options.faults, stream(1));
        let is_azure = options.cloud == Provider::Azure;
        let setting = Setting::draw(&mut luck, options.without, is_azure, options.large);
        let setting = match &options.recorded {
            Some(recorded) => setting.with_config(&recorded.config),
            None => setting,
        };
        let end = start + i64::from(days) * 24 * HOUR;
        let mut world = Self {
            now: start,
            calm: if faults { end - 16 * HOUR } else { start },
            groups: ["jvb-a", "jvb-b", "jibri-a", "jibri-b"]
                .iter()
                .enumerate()
                .map(|(index, name)| Group::new(name, index / 2, &setting, is_azure))
                .collect(),
            setting,
            azure: is_azure.then(|| azure::State::draw(stream(4))),
            due: BinaryHeap::new(),
            sequence: 0,
            instances: Vec::new(),
            conferences: Vec::new(),
            free_conferences: Vec::new(),
            prometheus: Prometheus::default(),
            questions: HashMap::new(),
            faults: Faults::default(),
            processes: Default::default(),
            clocks: Default::default(),
            tempo: (Tempo::Usual, i64::MAX),
            slow_until: 0,
            lonely: None,
            all_crashed: [0; 4],
            burst: 0,
            judge: Judge::default(),
            recorder: options.recorded.as_ref().map(Recorder::new),
            apart: options.recorded.as_ref().map(|_| seed),
            timeline,
            traffic: stream(2),
            orders: stream(3),
            luck,
        };
        let offset = world.luck.random_range(0..MINUTE);
        world.schedule(start + offset, Event::Scrape);
        for group in 0..world.groups.len() {
            world.schedule(start, Event::Reconcile(group));
            let arrival = match world.groups[group].kind {
                Kind::Bridge => Event::ConferenceArrives(group),
                Kind::Jibri => Event::RecordingArrives(group),
            };
            world.schedule(start + 5 * MINUTE, arrival);
        }
        if faults {
            world.schedule(start + HOUR, Event::Trouble);
            world.schedule(start + HOUR, Event::Mishap);
            world.schedule(start + HOUR, Event::Deed);
        }
        let calm = world.calm;
        world.schedule(calm, Event::Calm);
        world.schedule(start + MINUTE, Event::Inspect);
        if is_azure {
            world.create_sets();
        }
        if options.large {
            world.crowd();
        }
        world
    }

    pub(super) fn schedule(&mut self, at: i64, event: Event) {
        self.sequence += 1;
        self.due.push(Reverse(Due { at: at.max(self.now), sequence: self.sequence, event }));
    }

    /// When something happens next.
    pub(super) fn next(&self) -> i64 {
        self.due.peek().map_or(i64::MAX, |Reverse(due)| due.at)
    }

    /// Lets everything happen that is due until `at`, and makes that the present.
    pub(super) fn advance(&mut self, at: i64) {
        while self.next() <= at {
            let Some(Reverse(due)) = self.due.pop() else { break };
            self.now = due.at;
            self.happen(due.event);
        }
        self.now = at;
    }

    fn happen(&mut self, event: Event) {
        self.draw_apart(event);
        match event {
            Event::Scrape => self.scrape(),
            Event::Reconcile(group) => self.reconcile(group),
            Event::InService(instance) => self.in_service(instance),
            Event::HostGone(instance) => self.host_gone(instance),
            Event::HookExpires(instance, renewal) => self.hook_expires(instance, renewal),
            Event::MachineStops(instance, since) => self.machine_stops(instance, since),
            Event::SpotEnds(instance) if self.azure.is_some() => self.evicted(instance),
            Event::SpotEnds(instance) => self.end_host(instance, Taker::Aws),
            Event::ComponentUp(instance, life) => self.component_up(instance, life),
            Event::ComponentExits(instance, life) => self.component_exits(instance, life),
            Event::JicofoHears(instance, life) => self.jicofo_hears(instance, life),
            Event::Unhangs(instance, life) => self.unhangs(instance, life),
            Event::ConferenceArrives(group) => self.conference_arrives(group),
            Event::ConferenceMoves(conference, turn) => self.conference_moves(conference, turn),
            Event::RecordingArrives(group) => self.recording_arrives(group),
            Event::RecordingEnds(instance, recording) => self.recording_ends(instance, recording),
            Event::UploadEnds(instance, recording) => self.upload_ends(instance, recording),
            Event::Trouble => self.trouble(),
            Event::Mishap => self.mishap(),
            Event::Deed => self.deed(),
            Event::DeedEnds(deed) => self.deed_ends(deed),
            Event::OthersCrash(group) => self.crash_all(group),
            Event::ClockRight(scaler) => self.clock_right(scaler),
            Event::Calm => self.calm_down(),
            Event::Inspect => self.inspect(),
        }
    }

    /// What the clock of a scaler shows, in milliseconds since 1970.
    pub(super) fn clock(&self, scaler: usize) -> i64 {
        self.now + self.setting.skew[scaler] + self.clocks[scaler].off
    }

    /// Whether faults happen at all now.
    pub(super) fn is_calm(&self) -> bool {
        self.now >= self.calm
    }

    /// Something breaks soon, in the middle of what the scaler does.
    pub(super) fn kill_soon(&mut self, scaler: usize) {
        let dies_writing = self.luck.random_bool(0.6);
        let steps = self.luck.random_range(0..if dies_writing { 8 } else { 40 });
        let process = &mut self.processes[scaler];
        process.dies_in = Some(steps);
        process.dies_writing = dies_writing;
        self.judge.figures.kills += 1;
    }

    /// A waiting time with this mean, exponentially distributed.
    pub(super) fn wait(rng: &mut ChaCha8Rng, mean: i64) -> i64 {
        let factor = -(1.0 - rng.random::<f64>()).ln();
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of days")]
        let wait = (mean as f64 * factor) as i64;
        wait.max(1)
    }

    /// Tells what happened to an instance.
    pub(super) fn tell(&mut self, instance: usize, mark: u64, text: impl FnOnce(&Instance) -> String) {
        let it = &self.instances[instance];
        let marks = [mark, instance as u64];
        self.timeline.tell(self.now, Some(it.group), &marks, || format!("{} {}", it.id, text(it)));
    }
}

/// A length in milliseconds.
pub(super) fn length(milliseconds: i64) -> Duration {
    Duration::from_millis(milliseconds.unsigned_abs())
}

/// The world as its parts share it. It catches up with the clock of the runtime whenever one of them looks at it.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    world: Arc<Mutex<World>>,
    /// The time of the world and that of the runtime when they were the same.
    began: (i64, Instant),
}

impl Shared {
    /// Shares a world that begins now.
    pub(super) fn new(world: World) -> Self {
        Self { began: (world.now, Instant::now()), world: Arc::new(Mutex::new(world)) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        let (start, began) = self.began;
        let now = start + i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        if world.now < now {
            world.advance(now);
        }
        world
    }

    /// Takes the world back, once nothing else shares it.
    pub(super) fn into_world(self) -> Option<World> {
        Arc::into_inner(self.world).map(|world| world.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}
