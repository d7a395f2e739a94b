//! The record of calls for assertions of tests, in the order in which the calls took effect.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

/// The number of recorded calls: hours of the busiest demo, and a bound for a simulator that keeps running.
const CALLS_KEPT: usize = 100_000;

/// One call of the Auto Scaling API.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Call {
    /// When it took effect or was refused (Unix seconds).
    pub time: f64,
    /// The region of its signature; empty if unsigned.
    pub region: String,
    /// The access key that signed it.
    pub access_key: String,
    /// The action, known or not.
    pub action: String,
    /// The groups that it is about, comma-separated.
    pub group: Option<String>,
    /// Every parameter, unchanged.
    pub parameters: BTreeMap<String, String>,
    /// Whether the action can change anything.
    pub mutating: bool,
    /// Whether it changed something or could have; false if it was refused.
    pub applied: bool,
    /// `ok`, an error code, or `timeout` if it was applied but never answered.
    pub outcome: String,
}

/// The calls, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct CallLog(VecDeque<Call>);

impl CallLog {
    pub(super) fn push(&mut self, call: Call) {
        if self.0.len() >= CALLS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(call);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn read(&self, mutating_only: bool) -> Vec<Call> {
        self.0.iter().filter(|call| call.mutating || !mutating_only).cloned().collect()
    }
}
