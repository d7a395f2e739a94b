//! What comes out of the groups: effects for the outside, and counts of what happened.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ids::Ids;
use super::model::{Cause, Component, GroupKey};

/// Something that the world outside must be told, in the order in which it happened.
#[must_use]
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// An instance was launched.
    Launched {
        /// Its group.
        group: GroupKey,
        /// Its id.
        instance: String,
        /// What runs on it.
        component: Option<Component>,
        /// Its zone.
        zone: String,
        /// Seconds until the component answers.
        boot_seconds: f64,
    },
    /// An instance was shut down: whatever it carried is cut.
    Stopped {
        /// Its group.
        group: GroupKey,
        /// Its id.
        instance: String,
        /// What ran on it.
        component: Option<Component>,
        /// Why.
        cause: Cause,
    },
}

/// What an instance carried when it was shut down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Cuts {
    /// Recordings that were being made or uploaded.
    #[serde(rename = "cut_recordings")]
    pub recordings: u64,
    /// Conferences with people in them.
    #[serde(rename = "cut_conferences")]
    pub conferences: u64,
    /// The people.
    #[serde(rename = "cut_participants")]
    pub participants: u64,
}

/// Terminations for one cause, and what they cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CauseCounters {
    /// Terminations begun.
    pub terminated: u64,
    /// Recordings that were being made or uploaded.
    pub cut_recordings: u64,
    /// Conferences with people in them.
    pub cut_conferences: u64,
    /// The people.
    pub cut_participants: u64,
}

/// What happened since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Instances launched.
    pub launched: u64,
    /// Launches that failed.
    pub launch_failures: u64,
    /// Terminations that a call of `TerminateInstanceInAutoScalingGroup` began.
    pub terminated_by_api: u64,
    /// Terminations that AWS began: victims, rebalancing, Spot, the console, lifetime.
    pub terminated_by_aws: u64,
    /// Those of them where desired was lowered and AWS chose the instance.
    pub victims_of_aws: u64,
    /// Terminations of what was marked unhealthy.
    pub terminated_unhealthy: u64,
    /// Instances that are gone.
    pub gone: u64,
    /// Recordings cut, whatever the cause.
    pub cut_recordings: u64,
    /// Conferences cut, whatever the cause.
    pub cut_conferences: u64,
    /// People who lost their conference, whatever the cause.
    pub cut_participants: u64,
    /// The same per cause.
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

/// What all groups write to.
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
