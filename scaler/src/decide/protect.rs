//! Busy instances are protected from scale-in by AWS.

use super::effect::{Effect, PROTECTED_AT_ONCE};
use super::observation::{Instance, Lifecycle};
use super::step::{Input, Proposal};
use crate::units::InstanceId;

/// Protects busy instances, and ends the protection of free ones. An instance that does not report keeps what it has.
pub(super) fn step(input: &Input<'_>) -> Proposal {
    if !input.fleet.protect_busy {
        return Proposal::default();
    }
    let is_busy = |it: &Instance| it.reported.load.filter(|_| it.reported.up).map(|load| load > 0.0);
    let (mut busy, mut free) = (Vec::new(), Vec::new());
    for instance in input.group.instances.iter().filter(|it| it.lifecycle == Lifecycle::InService) {
        match is_busy(instance) {
            Some(true) if !instance.protected => busy.push(instance.id.clone()),
            Some(false) if instance.protected => free.push(instance.id.clone()),
            _ => {}
        }
    }
    let mut effects = Vec::new();
    let mut add = |ids: Vec<InstanceId>, effect: fn(Vec<InstanceId>) -> Effect| {
        effects.extend(ids.chunks(PROTECTED_AT_ONCE).map(|ids| vec![effect(ids.to_vec())]));
    };
    add(busy, Effect::Protect);
    add(free, Effect::Unprotect);
    Proposal { effects, ..Proposal::default() }
}
