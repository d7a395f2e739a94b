//! The output of the groups: effects on other systems, and counts of events.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ids::Ids;
use super::model::{Cause, Component, GroupKey};

/// An event for other systems, in the order of occurrence.
#[must_use]
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// An instance was launched.
    Launched {
        /// Its group.
        group: GroupKey,
        /// Its id.
        instance: String,
        /// The component on it.
        component: Option<Component>,
        /// Its zone.
        zone: String,
        /// Seconds until the component answers.
        boot_seconds: f64,
    },
    /// An instance was shut down, which cuts everything that it carried.
    Stopped {
        /// Its group.
        group: GroupKey,
        /// Its id.
        instance: String,
        /// The component on it.
        component: Option<Component>,
        /// Why.
        cause: Cause,
    },
}

/// The load of an instance at its shutdown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Cuts {
    /// Recordings in progress or in upload.
    #[serde(rename = "cut_recordings")]
    pub recordings: u64,
    /// Conferences with participants.
    #[serde(rename = "cut_conferences")]
    pub conferences: u64,
    /// The participants.
    #[serde(rename = "cut_participants")]
    pub participants: u64,
}

/// Terminations for one cause, and their damage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CauseCounters {
    /// Terminations.
    pub terminated: u64,
    /// Recordings in progress or in upload.
    pub cut_recordings: u64,
    /// Conferences with participants.
    pub cut_conferences: u64,
    /// The participants.
    pub cut_participants: u64,
}

/// The counters since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Instances launched.
    pub launched: u64,
    /// Launches that failed.
    pub launch_failures: u64,
    /// Terminations by a call of `TerminateInstanceInAutoScalingGroup`.
    pub terminated_by_api: u64,
    /// Terminations by AWS: victims, rebalancing, Spot, the console, lifetime.
    pub terminated_by_aws: u64,
    /// Those of them for which AWS chose a victim because desired capacity was lowered.
    pub victims_of_aws: u64,
    /// Terminations of instances marked unhealthy.
    pub terminated_unhealthy: u64,
    /// Instances that have ended.
    pub gone: u64,
    /// Recordings cut, whatever the cause.
    pub cut_recordings: u64,
    /// Conferences cut, whatever the cause.
    pub cut_conferences: u64,
    /// Participants who lost their conference, whatever the cause.
    pub cut_participants: u64,
    /// The terminations by cause.
    pub by_cause: BTreeMap<&'static str, CauseCounters>,
}

impl Counters {
    pub(super) fn terminated(&mut self, cause: Cause) {
        self.by_cause.entry(cause.as_str()).or_default().terminated += 1;
        match cause {
            Cause::Api | Cause::GroupDeleted => self.terminated_by_api += 1,
            Cause::Unhealthy => self.terminated_unhealthy += 1,
            Cause::Victim => {
                self.terminated_by_aws += 1;
                self.victims_of_aws += 1;
            }
            Cause::Aws | Cause::Lifetime | Cause::LaunchAbandoned => self.terminated_by_aws += 1,
        }
    }

    pub(super) fn cut(&mut self, cause: Cause, cuts: Cuts) {
        let of_cause = self.by_cause.entry(cause.as_str()).or_default();
        of_cause.cut_recordings += cuts.recordings;
        of_cause.cut_conferences += cuts.conferences;
        of_cause.cut_participants += cuts.participants;
        self.cut_recordings += cuts.recordings;
        self.cut_conferences += cuts.conferences;
        self.cut_participants += cuts.participants;
    }
}

/// The ledger that all groups write to.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    pub(super) ids: Ids,
    pub(super) counters: Counters,
    pub(super) effects: Vec<Effect>,
}

impl Ledger {
    pub(super) fn new(seed: u64) -> Self {
        Self { ids: Ids::new(seed), counters: Counters::default(), effects: Vec::new() }
    }
}
