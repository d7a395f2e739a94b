//! The components on the instances: a bridge or a Jibri as a process with its flags.
//!
//! Owns what a process does when it is asked, crashes, hangs, exits and comes back. Sources: facts on
//! jitsi-videobridge (drain mode, graceful shutdown, one minute of shutting down) and on Jibri (exit when idle, upload
//! is busy, the pending request is invisible).

use jitsi_scaler::units::InstanceId;
use rand::RngExt as _;

use super::cloud::{Lifecycle, Taker};
use super::hooks::Hold;
use super::prometheus::History;
use super::setting::Kind;
use super::world::{Event, MINUTE, SECOND, World};

/// How long a bridge stays in SHUTTING_DOWN. Source: `videobridge.shutdown.shutting-down-delay`.
const SHUTTING_DOWN: i64 = MINUTE;

/// Who asked a bridge to drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drainer {
    Scaler,
    Operator,
}

/// Whether a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// The host boots.
    Booting,
    Running,
    /// It runs and answers nobody but its peers: people stay, the recording goes on.
    Hung,
    /// Nothing listens; it comes back.
    Restarting,
    /// Nothing listens, and nothing will bring it back: it exited as it was asked to.
    Exited,
    /// The host is gone.
    Gone,
}

/// What a Jibri does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Idle,
    Recording,
    Uploading,
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
    /// Since when a tag of ours has said that it is drained.
    pub(super) drained_since: Option<i64>,
    /// When such a tag was last taken away.
    pub(super) untagged: i64,

    pub(super) process: Process,
    /// Counted up whenever the process begins or ends.
    pub(super) life: u32,
    /// Whether the supervisor brings it back after it has exited.
    pub(super) returns: bool,
    /// Its own health verdict.
    pub(super) healthy: bool,
    /// The drain flag, who set it, and when.
    pub(super) drain: Option<(Drainer, i64)>,
    /// A graceful shutdown was asked for.
    pub(super) graceful: bool,
    /// The last minute of a bridge.
    pub(super) shutting_down: bool,
    /// People on a bridge.
    pub(super) people: u32,
    pub(super) job: Job,
    /// The number of the newest recording.
    pub(super) recording: u32,
    /// When Jicofo last gave it work.
    pub(super) last_selected: i64,
    /// Since when it has carried nothing.
    pub(super) empty_since: i64,
    /// Since when it has carried something, if it does.
    pub(super) busy_since: i64,
    /// Nobody reaches it over the network until then.
    pub(super) unreachable: i64,
    /// When its group was rid of it.
    pub(super) gone: i64,
    /// What Prometheus has of it.
    pub(super) history: History,
    /// What was on it was counted already.
    pub(super) counted: bool,
}

impl Instance {
    /// Whether something would be lost with it.
    pub(super) fn carries(&self) -> bool {
        self.people > 0 || self.job != Job::Idle
    }

    /// Whether the process is there, answering or not.
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
    /// A process begins anew and knows nothing.
    fn reset(&mut self, instance: usize, process: Process) {
        let now = self.now;
        let it = &mut self.instances[instance];
        it.life += 1;
        it.process = process;
        it.drain = None;
        it.graceful = false;
        it.shutting_down = false;
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
        self.tell(instance, 1, |_| "comes up".to_owned());
    }

    /// The process ends: as it was asked to, or because it crashed. What it carried is lost, but not by us.
    pub(super) fn process_ends(&mut self, instance: usize, comes_back: Option<i64>) {
        self.loses(instance);
        let process = if comes_back.is_some() { Process::Restarting } else { Process::Exited };
        self.reset(instance, process);
        if let Some(after) = comes_back {
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
        // A supervisor waits for a moment, a JVM starts, and the component joins its room: never under ten seconds.
        let comes_back = it.returns.then(|| self.luck.random_range(12 * SECOND..50 * SECOND));
        self.process_ends(instance, comes_back);
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
            self.may_shut_down(instance);
        } else if it.job == Job::Idle {
            let life = it.life;
            self.schedule(now, Event::ComponentExits(instance, life));
        }
    }

    /// A bridge that was asked to exit does so once nobody is on it.
    pub(super) fn may_shut_down(&mut self, instance: usize) {
        let it = &mut self.instances[instance];
        if it.graceful && !it.shutting_down && it.people == 0 && it.is_alive() {
            it.shutting_down = true;
            let (at, life) = (self.now + SHUTTING_DOWN, it.life);
            self.schedule(at, Event::ComponentExits(instance, life));
        }
    }

    /// The host is no more; Auto Scaling may go on having it for a while.
    pub(super) fn lose_host(&mut self, instance: usize) {
        if self.instances[instance].process != Process::Gone {
            self.judge_end(instance);
            self.loses(instance);
            self.reset(instance, Process::Gone);
        }
    }

    /// The host is switched off, and its group is rid of it.
    pub(super) fn host_gone(&mut self, instance: usize) {
        if self.instances[instance].lifecycle == Lifecycle::Terminated {
            return;
        }
        self.lose_host(instance);
        let now = self.now;
        let it = &mut self.instances[instance];
        it.lifecycle = Lifecycle::Terminated;
        it.gone = now;
        let group = it.group;
        self.groups[group].members.retain(|&member| member != instance);
        self.prometheus.vanishing.push(instance);
        self.tell(instance, 4, |_| "is gone".to_owned());
    }

    /// Whatever it carried goes elsewhere, or is lost.
    fn loses(&mut self, instance: usize) {
        if self.instances[instance].people > 0 {
            self.evacuate(instance);
        }
    }
}
