//! The components on the instances: a bridge or a Jibri as a process with its flags.
//!
//! Owns requests, crashes, hangs, exits and restarts of a process. Sources: jitsi-videobridge (drain mode, graceful
//! shutdown, one minute of shutting down) and Jibri (it exits when idle, is busy while it uploads, and does not show a
//! pending request).

use jitsi_scaler::cloud::ActivityKind;
use jitsi_scaler::units::InstanceId;
use rand::RngExt as _;

use super::cloud::{Lifecycle, Taker};
use super::hooks::Hold;
use super::prometheus::History;
use super::setting::Kind;
use super::world::{Event, MINUTE, SECOND, World};

/// The duration of SHUTTING_DOWN of a bridge, in milliseconds. Source: `videobridge.shutdown.shutting-down-delay`.
const SHUTTING_DOWN: i64 = MINUTE;
/// How often a bridge sends its state to Jicofo, in milliseconds.
const PRESENCE: i64 = 5 * SECOND;

/// The origin of a bridge's drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drainer {
    Scaler,
    Operator,
}

/// The state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// The host boots.
    Booting,
    Running,
    /// It answers only its peers: calls and recordings go on.
    Hung,
    /// Nothing listens; the supervisor restarts it.
    Restarting,
    /// Nothing listens, and it stays so: it exited as requested.
    Exited,
    /// The host is gone.
    Gone,
}

/// The work of a Jibri.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Idle,
    Recording,
    Uploading,
}

/// A second Jibri on a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Twin {
    pub(super) job: Job,
    /// The number of its newest recording.
    pub(super) recording: u32,
    pub(super) last_selected: i64,
}

/// An instance, its host and its component.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other, as in the component itself"
)]
pub(super) struct Instance {
    pub(super) id: InstanceId,
    pub(super) address: String,
    pub(super) group: usize,
    pub(super) kind: Kind,
    pub(super) zone: usize,
    pub(super) lifecycle: Lifecycle,
    pub(super) in_service: Option<i64>,
    pub(super) unhealthy: bool,
    pub(super) protected: bool,
    pub(super) taken_by: Option<Taker>,
    /// The hook that holds it.
    pub(super) hold: Option<Hold>,
    /// Since when a tag of the scaler has marked its drain.
    pub(super) drained_since: Option<i64>,
    /// When such a tag was last removed.
    pub(super) untagged: i64,

    pub(super) process: Process,
    /// Incremented at every start and end of the process.
    pub(super) life: u32,
    /// Whether the supervisor restarts it after it has exited.
    pub(super) returns: bool,
    /// Whether it reports itself as healthy.
    pub(super) healthy: bool,
    /// The drain flag: its origin and its time.
    pub(super) drain: Option<(Drainer, i64)>,
    /// A graceful shutdown was requested.
    pub(super) graceful: bool,
    /// The last minute of a bridge. It goes on accepting conferences.
    pub(super) shutting_down: bool,
    /// Whether Jicofo knows of that.
    pub(super) heard_closing: bool,
    /// People on a bridge.
    pub(super) people: u32,
    /// Whether its load cannot be read from it: its REST statistics are off, and nothing takes their place.
    pub(super) unreadable: bool,
    pub(super) job: Job,
    /// The second Jibri of the host. The scaler does not reach it, and nothing ever fails on it.
    pub(super) twin: Option<Twin>,
    /// The number of the newest recording.
    pub(super) recording: u32,
    /// How long it takes from its start until Jicofo knows of it.
    pub(super) joins_after: i64,
    /// From when on Jicofo selects it.
    pub(super) joined: i64,
    /// When Jicofo last selected it.
    pub(super) last_selected: i64,
    /// Since when it has been empty.
    pub(super) empty_since: i64,
    /// Since when it has been in use; stale while it is empty.
    pub(super) busy_since: i64,
    /// Until when the network does not reach it.
    pub(super) unreachable: i64,
    /// When it left its group.
    pub(super) gone: i64,
    /// When its process last came up.
    pub(super) started: i64,
    /// When the end of its host was ordered.
    pub(super) ending: Option<i64>,
    /// When the scaler sent the request for that.
    pub(super) end_sent: Option<i64>,
    /// Its samples in Prometheus.
    pub(super) history: History,
    /// Whether the work on it was counted already.
    pub(super) counted: bool,
}

impl Instance {
    /// Whether its end would cut a call or a recording.
    pub(super) fn carries(&self) -> bool {
        self.people > 0 || self.job != Job::Idle || self.twin.is_some_and(|twin| twin.job != Job::Idle)
    }

    /// Whether the process runs, even if it hangs.
    pub(super) fn is_alive(&self) -> bool {
        matches!(self.process, Process::Running | Process::Hung)
    }

    /// One line for a person.
    pub(super) fn portrait(&self) -> String {
        let Self { id, lifecycle, process, drain, graceful, shutting_down, people, job, .. } = self;
        format!(
            "{id} {lifecycle:?} {process:?} drain {drain:?} graceful {graceful} shutting_down {shutting_down} people \
             {people} job {job:?} protected {}",
            self.protected
        )
    }
}

impl World {
    /// A new process has no state of the old one.
    fn reset(&mut self, instance: usize, process: Process) {
        let now = self.now;
        let it = &mut self.instances[instance];
        it.life += 1;
        it.process = process;
        it.drain = None;
        it.graceful = false;
        it.shutting_down = false;
        it.heard_closing = false;
        it.people = 0;
        it.job = Job::Idle;
        it.empty_since = now;
        it.healthy = true;
    }

    pub(super) fn component_up(&mut self, instance: usize, life: u32) {
        if self.instances[instance].life != life || self.instances[instance].process == Process::Gone {
            return;
        }
        self.reset(instance, Process::Running);
        let it = &mut self.instances[instance];
        it.joined = self.now + it.joins_after;
        it.started = self.now;
        self.tell(instance, 1, |_| "comes up".to_owned());
    }

    /// The process ends, as requested or by a crash. The scaler is not charged with the work that it cuts.
    pub(super) fn process_ends(&mut self, instance: usize, comes_back: Option<i64>) {
        self.loses(instance);
        let process = if comes_back.is_some() { Process::Restarting } else { Process::Exited };
        self.reset(instance, process);
        if let Some(after) = comes_back {
            // A host that is slow to start a process is slow to join, too.
            self.instances[instance].joins_after = (after / 4).clamp(SECOND, MINUTE);
            let (at, life) = (self.now + after, self.instances[instance].life);
            self.schedule(at, Event::ComponentUp(instance, life));
        }
        self.tell(instance, 2, |it| format!("process ends: {:?}", it.process));
    }

    pub(super) fn component_exits(&mut self, instance: usize, life: u32) {
        let it = &self.instances[instance];
        if it.life != life || !it.is_alive() {
            return;
        }
        let comes_back = it.returns.then(|| self.restart());
        self.process_ends(instance, comes_back);
    }

    /// How long a supervisor and the start of the JVM take: some seconds, or most of a minute.
    pub(super) fn restart(&mut self) -> i64 {
        let (least, most) = if self.luck.random_bool(0.5) { (1, 6) } else { (12, 50) };
        self.luck.random_range(least * SECOND..most * SECOND)
    }

    /// When Jicofo last heard of the state of a bridge.
    fn last_presence(&self, bridge: usize) -> i64 {
        let phase = i64::try_from(bridge * 1237).unwrap_or(0) % PRESENCE;
        (self.now - phase).div_euclid(PRESENCE) * PRESENCE + phase
    }

    /// Whether Jicofo knows that a bridge drains.
    pub(super) fn heard_draining(&self, bridge: usize) -> bool {
        self.instances[bridge].drain.is_some_and(|(_, since)| since <= self.last_presence(bridge))
    }

    /// Jicofo hears that a bridge shuts down, and invites the people on it to another one.
    pub(super) fn jicofo_hears(&mut self, bridge: usize, life: u32) {
        let it = &mut self.instances[bridge];
        if it.life != life || !it.shutting_down {
            return;
        }
        it.heard_closing = true;
        if it.people > 0 {
            self.tell(bridge, 5, |it| {
                format!("shuts down, and {} people on it are invited elsewhere", it.people)
            });
            self.evacuate(bridge);
        }
    }

    pub(super) fn unhangs(&mut self, instance: usize, life: u32) {
        let it = &mut self.instances[instance];
        if it.life != life {
            return;
        }
        it.healthy = true;
        if it.process == Process::Hung {
            it.process = Process::Running;
            self.tell(instance, 3, |_| "answers again".to_owned());
        }
    }

    /// The final request.
    pub(super) fn asked_to_exit(&mut self, instance: usize) {
        let now = self.now;
        let it = &mut self.instances[instance];
        it.graceful = true;
        if it.kind == Kind::Bridge {
            let group = it.group;
            self.may_be_lonely(group);
            self.may_shut_down(instance);
        } else if it.job == Job::Idle {
            let life = it.life;
            self.schedule(now, Event::ComponentExits(instance, life));
        }
    }

    /// A bridge shuts down after a graceful request as soon as it is empty.
    pub(super) fn may_shut_down(&mut self, instance: usize) {
        let it = &mut self.instances[instance];
        if it.graceful && !it.shutting_down && it.people == 0 && it.is_alive() {
            it.shutting_down = true;
            let (now, life) = (self.now, it.life);
            self.schedule(now + SHUTTING_DOWN, Event::ComponentExits(instance, life));
            let heard = self.last_presence(instance) + PRESENCE;
            self.schedule(heard, Event::JicofoHears(instance, life));
        }
    }

    /// The host is gone; its group may still list it for a while.
    pub(super) fn lose_host(&mut self, instance: usize) {
        if self.instances[instance].process != Process::Gone {
            self.judge_end(instance);
            self.loses(instance);
            self.reset(instance, Process::Gone);
            self.instances[instance].twin = None;
        }
    }

    /// The host is switched off, and leaves its group.
    pub(super) fn host_gone(&mut self, instance: usize) {
        if self.instances[instance].lifecycle == Lifecycle::Terminated {
            return;
        }
        self.lose_host(instance);
        let now = self.now;
        let it = &mut self.instances[instance];
        it.lifecycle = Lifecycle::Terminated;
        it.gone = now;
        let (group, id) = (it.group, it.id.clone());
        self.groups[group].members.retain(|&member| member != instance);
        self.note_activity(group, ActivityKind::Terminate(id));
        self.deleted(instance);
        self.prometheus.vanishing.push(instance);
        self.tell(instance, 4, |_| "is gone".to_owned());
    }

    /// People on a bridge move to other bridges; a recording is lost.
    fn loses(&mut self, instance: usize) {
        if self.instances[instance].people > 0 {
            self.evacuate(instance);
        }
    }
}
