//! Lifecycle hooks: instances that AWS takes are held by one until they are empty.

use super::decision::Waiting;
use super::drain;
use super::effect::Effect;
use super::observation::{Drain, Group, Instance, Lifecycle, Purpose};
use super::policy::FleetPolicy;
use super::reasons::Reason;
use super::step::{Input, Proposal};
use crate::units::Capacity;

/// How many heartbeats fall into the timeout of a hook, so that two may get lost.
const HEARTBEATS: u32 = 3;

/// Begins the drain of an instance that a hook holds. If no bridge serves (`is_alone`), the held one goes on serving
/// for as long as its hook holds it.
pub(super) fn begin(input: &Input<'_>, instance: &Instance, is_alone: bool) -> Proposal {
    let (group, now) = (input.group, input.now);
    let stays = is_alone && group.desired > Capacity::ZERO;
    let drain = Drain::begun(Purpose::Hook, now);
    // The tag keeps when the hook began to hold the instance, whether it drains yet or not.
    let effects = if stays {
        vec![Effect::MarkDrain(instance.id.clone(), drain)]
    } else {
        drain::begin(input.fleet.component, &instance.id, Purpose::Hook, now)
    };
    Proposal {
        waiting: vec![Waiting { held_back: stays, ..Waiting::of(group, instance, drain, now) }],
        effects: heartbeat(group, instance).into_iter().chain([effects]).collect(),
        ..Proposal::default()
    }
}

/// Goes on holding an instance whose component is unknown, if a hook holds it.
pub(super) fn hold(input: &Input<'_>, instance: &Instance) -> Proposal {
    let is_held = instance.lifecycle == Lifecycle::Held && input.fleet.serves_hooks;
    let effects = is_held.then(|| heartbeat(input.group, instance)).flatten();
    let waiting = instance.drain.map(|drain| Waiting::of(input.group, instance, drain, input.now));
    Proposal {
        effects: effects.into_iter().collect(),
        waiting: waiting.into_iter().collect(),
        ..Proposal::default()
    }
}

/// The heartbeat of an instance that a hook holds, if one is due.
pub(super) fn heartbeat(group: &Group, instance: &Instance) -> Option<Vec<Effect>> {
    let hook = group.hook.as_ref()?;
    let is_due = instance.heartbeat.is_none_or(|ago| ago >= hook.heartbeat / HEARTBEATS);
    is_due.then(|| vec![Effect::Heartbeat(instance.id.clone())])
}

/// The heartbeats that are due in a group, as it was seen last.
pub(super) fn heartbeats(fleet: &FleetPolicy, group: &Group) -> Vec<Vec<Effect>> {
    let held = group.instances.iter().filter(|it| it.lifecycle == Lifecycle::Held);
    let is_served = |it: &&Instance| fleet.serves_hooks || it.drain.is_some();
    held.filter(is_served).filter_map(|instance| heartbeat(group, instance)).collect()
}

/// That a hook holds instances, and it is not known which one.
pub(super) fn unknown(input: &Input<'_>) -> Option<Reason> {
    let has_held = || input.group.instances.iter().any(|it| it.lifecycle == Lifecycle::Held);
    (input.group.hook.is_none() && input.fleet.serves_hooks && has_held()).then_some(Reason::HookUnknown)
}
