//! What the control plane reports: the status of the world, and its instances as targets for Prometheus.

use std::{collections::BTreeMap, net::Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::{
    bridge::Shutdown,
    calls::{Fates, People, Totals},
    instance::{Component, ComponentKind, Instance, Process},
    payload,
    world::World,
};

/// The whole simulation at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Since the simulator started.
    pub seconds: f64,
    /// What became of conferences; recordings and participants likewise.
    pub conferences: Tally,
    /// Recordings, uploads included.
    pub recordings: Tally,
    /// People.
    pub participants: PeopleTally,
    /// Instances that were terminated.
    pub terminated: u64,
    /// The instances that exist, by component.
    pub instances: BTreeMap<ComponentKind, Vec<InstanceStatus>>,
}

/// Conferences or recordings: how many go on, and what became of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Going on now.
    pub active: usize,
    /// Begun.
    pub started: u64,
    /// Ended by themselves.
    pub completed: u64,
    /// On an instance that was terminated.
    pub cut: u64,
    /// On a process that died or exited, or on a bridge about to exit while there was no other.
    pub lost: u64,
    /// Never begun: no bridge, no Jibri.
    pub refused: u64,
}

impl Tally {
    fn new(active: usize, fates: Fates) -> Self {
        let Fates { started, completed, cut, lost, refused } = fates;
        Self { active, started, completed, cut, lost, refused }
    }
}

/// People: how many are there, and what became of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeopleTally {
    /// In conferences now.
    pub active: u64,
    /// Ever joined.
    pub joined: u64,
    /// The most at once.
    pub peak: u64,
    /// In conferences that were cut.
    pub cut: u64,
    /// In conferences that were lost.
    pub lost: u64,
}

impl PeopleTally {
    fn new(active: u64, people: People) -> Self {
        let People { joined, peak, cut, lost } = people;
        Self { active, joined, peak, cut, lost }
    }
}

/// An instance at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// The id of the cloud.
    pub id: String,
    /// Its Auto Scaling group.
    pub group: String,
    /// Its region.
    pub region: String,
    /// Its zone.
    pub zone: String,
    /// Its address.
    pub private_ip: Ipv4Addr,
    /// `booting`, `exited`, `died`; of a JVB also `running`, `draining`, `graceful_shutdown`, `shutting_down`;
    /// of a Jicofo `running`; of a Jibri `idle`, `recording`, `uploading`, and `exiting` once its ports are closed.
    pub state: String,
    /// True for a Jibri that was asked to leave, which its own interface does not show.
    pub leaving: bool,
    /// Conferences with somebody in them.
    pub conferences: usize,
    /// People on the bridge.
    pub participants: u32,
    /// Recordings and uploads.
    pub recordings: usize,
}

/// An entry of Prometheus HTTP service discovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// `address:port`.
    pub targets: Vec<String>,
    /// The labels that EC2 discovery would give.
    pub labels: BTreeMap<String, String>,
}

/// The status of the world.
#[must_use]
pub fn status(world: &World) -> Status {
    let (conferences, recordings) = world.going_on();
    let Totals { conferences: conference_fates, recordings: recording_fates, participants, terminated } =
        world.totals();
    let mut instances: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (_, instance) in world.instances() {
        instances.entry(instance.spec.component).or_default().push(instance_status(world, instance));
    }
    Status {
        seconds: world.now().as_secs_f64(),
        conferences: Tally::new(conferences, conference_fates),
        recordings: Tally::new(recordings, recording_fates),
        participants: PeopleTally::new(world.participants(), participants),
        terminated,
        instances,
    }
}

fn instance_status(world: &World, instance: &Instance) -> InstanceStatus {
    let mut status = InstanceStatus {
        id: instance.id.clone(),
        group: instance.spec.group.clone(),
        region: instance.spec.region.clone(),
        zone: instance.spec.zone.clone(),
        private_ip: instance.private_ip,
        state: String::new(),
        leaving: false,
        conferences: 0,
        participants: 0,
        recordings: 0,
    };
    let alive = match &instance.component {
        Component::Jvb(bridge) => {
            status.conferences = bridge.occupied().count();
            status.participants = bridge.people();
            status.leaving = bridge.in_graceful_shutdown();
            match (bridge.shutdown, bridge.drain) {
                (Shutdown::ShuttingDown, _) => "shutting_down",
                (Shutdown::Graceful, _) => "graceful_shutdown",
                (Shutdown::Running, true) => "draining",
                (Shutdown::Running, false) => "running",
            }
        }
        Component::Jicofo(jicofo) => {
            status.conferences = jicofo.conferences.len();
            "running"
        }
        Component::Jibri(jibri) => {
            status.leaving = jibri.leaving;
            status.recordings = usize::from(!jibri.is_idle());
            payload::jibri_state(world, jibri)
        }
    };
    let state = match instance.process {
        Process::Booting => "booting",
        Process::Running => alive,
        Process::Exiting => "exiting",
        Process::Exited => "exited",
        Process::Died => "died",
    };
    state.clone_into(&mut status.state);
    status
}

/// Every instance of the component, or of all: booting or broken ones too, as EC2 discovery shows them.
#[must_use]
pub fn targets(
    world: &World,
    component: Option<ComponentKind>,
    port: impl Fn(ComponentKind) -> u16,
) -> Vec<Target> {
    world
        .instances()
        .map(|(_, instance)| instance)
        .filter(|instance| component.is_none_or(|wanted| instance.spec.component == wanted))
        .map(|instance| {
            let spec = &instance.spec;
            let labels = [
                ("__meta_ec2_availability_zone", spec.zone.clone()),
                ("__meta_ec2_instance_id", instance.id.clone()),
                ("__meta_ec2_instance_state", "running".to_owned()),
                ("__meta_ec2_private_ip", instance.private_ip.to_string()),
                ("__meta_ec2_region", spec.region.clone()),
                ("__meta_ec2_tag_aws_autoscaling_groupName", spec.group.clone()),
                ("__meta_ec2_tag_jitsi_component", spec.component.as_str().to_owned()),
            ];
            Target {
                targets: vec![format!("{}:{}", instance.private_ip, port(spec.component))],
                labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            }
        })
        .collect()
}
