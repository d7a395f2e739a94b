//! Machines: what is announced of them, where they are, and whether their component runs.

use std::{net::Ipv4Addr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{bridge::Bridge, fault::Faults, focus::Jicofo, recorder::Recorder, world::WorldError};

/// The `127.X.0.0/16` that the instances of a world have their addresses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block(pub u8);

impl Block {
    /// How many instances a block has addresses for.
    pub(super) const CAPACITY: u32 = 254 * 254;

    /// The address of the instance with this number, from 0. It never looks like a network or broadcast address.
    pub(super) fn address(self, number: u32) -> Ipv4Addr {
        let [_, _, high, low] = ((number / 254) << 8 | (number % 254 + 1)).to_be_bytes();
        Ipv4Addr::new(127, self.0, high, low)
    }

    /// An address that no instance has: the simulator that listens on it owns the block.
    #[must_use]
    pub fn lock_address(self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0, 255, 254)
    }
}

/// Names an instance within a world. Never used again, unlike the id, which the caller chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstanceKey(pub(super) u32);

/// Names a conference within a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ConferenceId(pub(super) u64);

/// Names a recording within a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RecordingId(pub(super) u64);

/// Which of Jitsi's components runs on an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComponentKind {
    /// A video bridge.
    Jvb,
    /// The conference focus.
    Jicofo,
    /// A recorder.
    Jibri,
}

impl ComponentKind {
    /// As in labels and paths.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jvb => "jvb",
            Self::Jicofo => "jicofo",
            Self::Jibri => "jibri",
        }
    }
}

/// What an instance is, as it is announced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceSpec {
    /// What runs on it.
    pub component: ComponentKind,
    /// Its Auto Scaling group.
    #[serde(default)]
    pub group: String,
    /// Its region.
    #[serde(default = "default_region")]
    pub region: String,
    /// Its availability zone.
    #[serde(default = "default_zone")]
    pub zone: String,
    /// From its launch until the component listens.
    #[serde(default)]
    pub boot_seconds: f64,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

fn default_zone() -> String {
    "us-east-1a".to_owned()
}

/// A machine with one component on it.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The id of the cloud.
    pub id: String,
    /// What it was announced as.
    pub spec: InstanceSpec,
    /// Its own loopback address.
    pub private_ip: Ipv4Addr,
    /// What is wrong with it.
    pub faults: Faults,
    pub(super) process: Process,
    /// Counts the processes that ran here, so that what was planned for one does not strike the next.
    pub(super) life: u32,
    pub(super) component: Component,
}

impl Instance {
    /// True while connections are accepted.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.process == Process::Running && !self.faults.refuse
    }

    pub(super) fn wrong(&self, asked: ComponentKind) -> WorldError {
        WorldError::WrongComponent {
            id: self.id.clone(),
            runs: self.spec.component.as_str(),
            asked: asked.as_str(),
        }
    }

    /// Has the component behave as the faults say; its interfaces have the rest of them.
    pub(super) fn apply_faults(&mut self) {
        let faults = &self.faults;
        match &mut self.component {
            Component::Jvb(bridge) => {
                bridge.healthy = !faults.unhealthy;
                bridge.other_load = faults.other_load;
                bridge.people_vanish = faults.people_vanish;
            }
            Component::Jibri(jibri) => {
                jibri.healthy = !faults.unhealthy;
                jibri.broken_chrome = faults.broken_chrome;
            }
            Component::Jicofo(jicofo) => jicofo.unhealthy = faults.unhealthy,
        }
    }
}

/// Whether the component's process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    Booting,
    Running,
    /// Its ports are closed, and Jicofo still sees it.
    Exiting,
    /// It ended by itself after a shutdown that it was asked for.
    Exited,
    /// It died of a fault.
    Died,
}

impl Process {
    /// True until the end of the process.
    pub(super) fn is_alive(self) -> bool {
        matches!(self, Self::Running | Self::Exiting)
    }
}

/// The component of an instance.
#[derive(Debug, Clone)]
pub(super) enum Component {
    Jvb(Bridge),
    Jicofo(Jicofo),
    Jibri(Recorder),
}

impl Component {
    /// As it is when its process has just started.
    pub(super) fn fresh(kind: ComponentKind, now: Duration) -> Self {
        match kind {
            ComponentKind::Jvb => Self::Jvb(Bridge::new(now)),
            ComponentKind::Jicofo => Self::Jicofo(Jicofo::default()),
            ComponentKind::Jibri => Self::Jibri(Recorder::new()),
        }
    }
}
