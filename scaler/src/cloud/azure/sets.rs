//! The scale sets of a subscription: how they are reached, and what is remembered of each.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::arm::Arm;
use super::memory::Memory;
use crate::leader::Lead;
use crate::units::{GroupName, Region, Time};

/// A set: the resource group, which takes the place of a region, and its name in lower case. Azure compares without case.
type Key = (String, String);

/// The scale sets of a subscription.
#[derive(Debug)]
pub(super) struct Sets {
    pub(super) arm: Arm,
    /// The right to finish a change after its call has returned.
    pub(super) lead: Lead,
    clock: fn() -> Duration,
    memories: Mutex<HashMap<Key, Memory>>,
}

impl Sets {
    pub(super) fn new(arm: Arm, lead: Lead, clock: fn() -> Duration) -> Self {
        Self { arm, lead, clock, memories: Mutex::default() }
    }

    /// The time of day.
    pub(super) fn now(&self) -> Time {
        Time::since_1970((self.clock)())
    }

    /// What `act` makes of the memory of a set.
    pub(super) fn remember<T>(
        &self,
        region: &Region,
        set: &GroupName,
        act: impl FnOnce(&mut Memory) -> T,
    ) -> T {
        let key = (region.as_str().to_lowercase(), set.as_str().to_lowercase());
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        act(memories.entry(key).or_default())
    }
}
