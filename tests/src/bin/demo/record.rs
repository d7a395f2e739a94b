//! What is remembered of the morning: a sample each second.

use jitsi_tests::jitsi_sim::ComponentKind;
use jitsi_tests::jitsi_sim::status::{InstanceStatus, Status};
use jitsi_tests::stage::Stage;

/// A group at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Instances that the cloud would bill: from their launch until they are terminated.
    pub(crate) billed: usize,
    /// Of these, those that drain or shut down.
    pub(crate) leaving: usize,
    /// Of these, those that serve or could.
    pub(crate) ready: usize,
}

/// Everything at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// People in conferences.
    pub(crate) people: u64,
    /// Recordings and uploads in progress.
    pub(crate) recordings: usize,
    /// The bridges.
    pub(crate) bridges: Count,
    /// The Jibris.
    pub(crate) jibris: Count,
    /// The Jibris that a recording could start on.
    pub(crate) free_jibris: usize,
}

impl Sample {
    /// The state of `stage` now.
    pub(crate) fn of(stage: &Stage) -> Self {
        let status = stage.jitsi.status();
        let billed = stage.sizes();
        Self::new(&status, |name| {
            billed.iter().find(|(group, ..)| group == name).map_or(0, |(.., count)| *count)
        })
    }

    fn new(status: &Status, billed: impl Fn(&str) -> usize) -> Self {
        let of = |kind| status.instances.get(&kind).map_or(&[][..], Vec::as_slice);
        let (bridges, jibris) = (of(ComponentKind::Jvb), of(ComponentKind::Jibri));
        Self {
            people: status.participants.active,
            recordings: status.recordings.active,
            bridges: count(bridges, &["running"], billed("prod-jvb")),
            jibris: count(jibris, &["idle", "recording", "uploading"], billed("prod-jibri")),
            free_jibris: jibris.iter().filter(|jibri| jibri.state == "idle" && !jibri.leaving).count(),
        }
    }
}

fn count(instances: &[InstanceStatus], ready: &[&str], billed: usize) -> Count {
    let leaves = |instance: &&InstanceStatus| {
        instance.leaving
            || ["draining", "graceful_shutdown", "shutting_down", "exiting"]
                .contains(&instance.state.as_str())
    };
    let serves = |instance: &&InstanceStatus| !instance.leaving && ready.contains(&instance.state.as_str());
    Count {
        billed,
        leaving: instances.iter().filter(leaves).count(),
        ready: instances.iter().filter(serves).count(),
    }
}
