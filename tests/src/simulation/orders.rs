//! Operators who drain instances through the scaler, and give them back.
//!
//! Owns what they order and when, and how a drain's tag shows that one of them did. In calm hours they give back what they
//! keep, and order nothing more.

use std::collections::BTreeMap;

use jitsi_scaler::cloud::packs;
use jitsi_scaler::cloud::tags::{self, Asked, Memory};
use jitsi_scaler::control::{Order, Then, Wanted};
use jitsi_scaler::decide::observation::{Drain, DrainState, Purpose};
use jitsi_scaler::telemetry::GroupRef;
use jitsi_scaler::units::{InstanceId, Region, Time};
use rand::RngExt as _;

use super::component::Drainer;
use super::setting::REGION;
use super::world::{HOUR, MINUTE, SECOND, World};

/// What a tag says of a drain.
pub(super) fn told(key: &str, value: &str) -> Option<Drain> {
    let memory = Memory::read(&[(key.to_owned(), value.to_owned())], Time::from_unix(0));
    let is_understood = memory.unreadable.is_empty();
    memory.drains.into_iter().chain(memory.ordered).map(|(_, drain)| drain).next().filter(|_| is_understood)
}

/// The drains in tags that hold several.
pub(super) fn packed(tags: &BTreeMap<String, String>) -> BTreeMap<InstanceId, Drain> {
    let packs = tags.range("jitsi-scaler/drains/".to_owned()..).take_while(|(key, _)| packs::is_pack(key));
    let packs: Vec<_> = packs.map(|(key, value)| (key.clone(), value.clone())).collect();
    Memory::read(&packs, Time::from_unix(0)).drains.into_iter().collect()
}

impl World {
    /// The time until an operator next orders something.
    pub(super) fn next_order(&mut self) -> i64 {
        if self.apart.is_some() {
            // People do the same under every configuration that is recorded.
            365 * 24 * HOUR
        } else if self.is_calm() {
            MINUTE
        } else {
            self.orders.random_range(MINUTE..90 * MINUTE).min(self.calm - self.now).max(SECOND)
        }
    }

    /// An order, if there is one to give.
    pub(super) fn some_order(&mut self) -> Option<(GroupRef, Order)> {
        if self.is_calm() {
            return self.kept();
        }
        let group = self.orders.random_range(0..self.groups.len());
        let members = &self.groups[group].members;
        let instance = *members.get(self.orders.random_range(0..members.len().max(1)))?;
        let drained = members.iter().copied().find(|&it| self.tag_of(it).is_some());
        let by_hand = |it: usize| self.instances[it].drain.is_some_and(|(by, _)| by == Drainer::Operator);
        let (instance, wanted) = match self.orders.random_range(0..8) {
            0 | 1 => (instance, Wanted::Drain(Then::Replace)),
            2 => (instance, Wanted::Drain(Then::Shrink)),
            3 | 4 => (instance, Wanted::Drain(Then::Keep)),
            // Somebody else's, or the scaler's.
            5 => (drained.unwrap_or(instance), Wanted::Drain(Then::Replace)),
            _ => {
                let instance = drained.unwrap_or(instance);
                (instance, Wanted::Undrain { by_hand: by_hand(instance) })
            }
        };
        Some(self.ordered(instance, wanted))
    }

    /// The end of a drain that an operator keeps, or that has not begun.
    fn kept(&mut self) -> Option<(GroupRef, Order)> {
        let is_kept = |it: Drain| it.purpose == Purpose::Keep || it.state == DrainState::Ordered;
        let kept: Vec<usize> =
            (0..self.instances.len()).filter(|&it| self.tag_of(it).is_some_and(is_kept)).collect();
        // One that AWS terminates cannot be given back, and must not keep the others from it.
        let kept = *kept.get(self.orders.random_range(0..kept.len().max(1)))?;
        Some(self.ordered(kept, Wanted::Undrain { by_hand: false }))
    }

    fn ordered(&self, instance: usize, wanted: Wanted) -> (GroupRef, Order) {
        let it = &self.instances[instance];
        let group = &self.groups[it.group];
        let fleet = self.setting.config.fleets[group.fleet].name.clone();
        let group = GroupRef { fleet, region: Region::new(REGION), name: group.name.clone() };
        let order =
            Order { instance: it.id.clone(), wanted, asked: Asked::new("an operator", "maintenance") };
        (group, order)
    }

    /// The drain of an instance in the tags of its group.
    pub(super) fn tag_of(&self, instance: usize) -> Option<Drain> {
        let it = &self.instances[instance];
        let (key, tags) = (tags::drain_key(&it.id), &self.groups[it.group].tags);
        match tags.get(&key) {
            Some(value) => told(&key, value),
            None => packed(tags).get(&it.id).copied(),
        }
    }
}
