//! The record of calls for assertions of tests, in the order in which the calls took effect.

use std::collections::VecDeque;

/// The number of recorded calls: hours of the busiest demo, and a bound for a simulator that keeps running.
const CALLS_KEPT: usize = 100_000;

/// The calls, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct CallLog<C>(VecDeque<C>);

impl<C> Default for CallLog<C> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<C: Clone> CallLog<C> {
    pub(crate) fn push(&mut self, call: C) {
        if self.0.len() >= CALLS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(call);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The calls that are to be kept.
    pub(crate) fn read(&self, keep: impl Fn(&C) -> bool) -> Vec<C> {
        self.0.iter().filter(|call| keep(call)).cloned().collect()
    }
}
