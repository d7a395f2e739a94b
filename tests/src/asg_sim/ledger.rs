//! The output of the groups: effects on other systems, and counts of events.

use std::collections::BTreeMap;

use serde::Serialize;

use super::model::Cause;
use crate::cloud_parts::ids::Ids;
use crate::cloud_parts::link;
pub use crate::cloud_parts::link::{CauseCounters, Cuts};

/// An event for other systems.
pub type Effect = link::Effect<Cause>;

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
        self.by_cause.entry(cause.as_str()).or_default().cut(cuts);
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
