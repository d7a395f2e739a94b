//! How an instance leaves: the drain as a state machine.
//!
//! Owns the rules that protect calls and recordings. The state of a drain is its tag on the group and the component's
//! own flags; nothing is remembered here. An instance that cannot be seen may carry anything.
//!
//! A bridge is asked to take no new conferences; seen empty twice, it is asked to exit, and is removed once Jicofo has had
//! the time to hear of that. A Jibri is asked to exit when it is done, and is removed once it has. How an instance is
//! removed depends on the purpose of its drain, and on whether a hook holds it by then.

use super::effect::{Condition, Effect, Removal};
use super::observation::{Drain, DrainState, Instance, Lifecycle, Live, Looks, Purpose, Reading};
use super::policy::{Component, Direction};
use crate::units::{InstanceId, Time};

/// The effects that begin the drain of an instance.
pub(super) fn begin(component: Component, id: &InstanceId, purpose: Purpose, now: Time) -> Vec<Effect> {
    begin_as(component, id, Drain::begun(purpose, now))
}

/// The effects that begin a drain.
pub(super) fn begin_as(component: Component, id: &InstanceId, drain: Drain) -> Vec<Effect> {
    let mark = || Effect::MarkDrain(id.clone(), drain);
    match (component, drain.purpose) {
        (Component::Jvb, _) => vec![mark(), Effect::StartDrain(id.clone())],
        // Nothing is written before it has answered. Where two scalers run at once, the slower one would overwrite the
        // tag of the other, and a Jibri that has exited would look like one that was never asked to.
        (Component::Jibri, Purpose::ScaleIn | Purpose::Recycle) if !drain.by_operator => ask_jibri(id, drain),
        // It was not chosen because it is free, so it has to answer first.
        (Component::Jibri, _) => vec![mark()],
    }
}

/// The effects that cancel a drain and then start the cooldown. The tag is written first: a bridge that is left in
/// drain mode without a tag would look like one that an operator drains.
pub(super) fn cancel(id: &InstanceId, drain: Drain) -> Vec<Effect> {
    let mark = Effect::MarkDrain(id.clone(), drain.at(DrainState::Returning));
    std::iter::once(mark).chain(go_on_cancelling(id)).collect()
}

fn go_on_cancelling(id: &InstanceId) -> [Effect; 3] {
    [Effect::StopDrain(id.clone()), Effect::ClearDrain(id.clone()), Effect::MarkScaled(Direction::Out)]
}

/// The drain of an instance, if it can be cancelled now, and the instance leaves by the scaler's choice alone.
pub(super) fn reversible(component: Component, instance: &Instance) -> Option<Drain> {
    cancellable(component, instance)
        .filter(|drain| matches!(drain.purpose, Purpose::ScaleIn | Purpose::Recycle) && !drain.by_operator)
}

/// The drain of a bridge that was to be replaced and is well again, if it can be cancelled now.
pub(super) fn recovered(component: Component, instance: &Instance) -> Option<Drain> {
    let reported = &instance.reported;
    let is_well = !instance.ill && !instance.looks_ill && reported.up && reported.healthy != Some(false);
    cancellable(component, instance)
        .filter(|drain| is_well && drain.purpose == Purpose::Replace && !drain.by_operator)
}

/// The drain of a bridge in service that answers, and that no final request has reached.
fn cancellable(component: Component, instance: &Instance) -> Option<Drain> {
    let answers = matches!(instance.live.latest, Some(Reading::Answered { closing: false, .. }));
    let is_in_service =
        component == Component::Jvb && instance.lifecycle == Lifecycle::InService && instance.healthy;
    // Otherwise it has no address.
    let is_known = !instance.reported.ambiguous;
    let is_early = |drain: &Drain| match drain.state {
        DrainState::Draining | DrainState::Unclosable => true,
        // The request failed, or the scaler that was to make it has ended.
        DrainState::Asked => instance.live.looks > Looks::TooEarly,
        DrainState::Ordered | DrainState::Closed | DrainState::Returning => false,
    };
    instance.drain.filter(|drain| is_in_service && is_known && answers && is_early(drain))
}

/// The next effects of a drain; none while it waits. The tag stays until the instance is gone, because a hook may hold
/// the instance by then.
pub(super) fn advance(component: Component, instance: &Instance, drain: Drain) -> Vec<Effect> {
    let removal = match (instance.lifecycle, drain.purpose) {
        (Lifecycle::Held, _) => Removal::LetGo,
        (Lifecycle::InService, Purpose::Replace) => Removal::Replace,
        (Lifecycle::InService, Purpose::ScaleIn | Purpose::Recycle) => Removal::Terminate,
        (Lifecycle::Terminating, _) => return Vec::new(),
        (Lifecycle::InService, Purpose::Keep) if component == Component::Jvb => {
            return keep(&instance.id, drain, instance.live);
        }
        // An operator may set aside what is kept; it goes on taking nothing.
        (Lifecycle::Aside, Purpose::Keep) if drain.state != DrainState::Returning => return Vec::new(),
        // Someone set it aside, it is back in service after all, or only its tag is left.
        (Lifecycle::Aside | Lifecycle::Pending | Lifecycle::Detached | Lifecycle::Gone, _)
        | (Lifecycle::InService, Purpose::Hook | Purpose::Keep) => {
            return give_back(component, instance, drain.state);
        }
    };
    let end = Effect::Remove(instance.id.clone(), removal, Condition::Empty);
    match component {
        Component::Jvb => advance_bridge(&instance.id, drain, instance.live, end),
        Component::Jibri => advance_jibri(&instance.id, drain, instance.live, end),
    }
}

/// The effects that keep a bridge drained until an operator gives it back. One that was restarted has forgotten its drain.
fn keep(id: &InstanceId, drain: Drain, live: Live) -> Vec<Effect> {
    match (live.latest, drain.state) {
        (Some(Reading::Answered { closing: false, .. }), DrainState::Returning) => {
            go_on_cancelling(id).to_vec()
        }
        (Some(Reading::Answered { closing: false, draining: false, .. }), _) => {
            vec![
                Effect::MarkDrain(id.clone(), drain.at(DrainState::Draining)),
                Effect::StartDrain(id.clone()),
            ]
        }
        _ => Vec::new(),
    }
}

/// The effects that end a drain without ending the instance. A bridge leaves its drain mode before the tag is removed:
/// back in service, it would take nothing, and no tag would say why. The tag stays while that cannot be done.
fn give_back(component: Component, instance: &Instance, state: DrainState) -> Vec<Effect> {
    let clear = || Effect::ClearDrain(instance.id.clone());
    // One that has exited as it was asked to goes on leaving once it is back in service.
    let may_return = matches!(state, DrainState::Asked | DrainState::Closed)
        && matches!(instance.lifecycle, Lifecycle::Aside | Lifecycle::Pending);
    match instance.live.latest {
        _ if instance.lifecycle == Lifecycle::Gone => vec![clear()],
        // A Jibri exits when it is done; that cannot be taken back.
        _ if component == Component::Jibri => {
            if may_return {
                Vec::new()
            } else {
                vec![clear()]
            }
        }
        Some(Reading::Refused) if may_return => Vec::new(),
        Some(Reading::Answered { closing: false, draining: true, .. }) => {
            vec![Effect::StopDrain(instance.id.clone()), clear()]
        }
        // A process that has ended took its drain mode with it.
        Some(Reading::Answered { closing: false, .. } | Reading::Refused) => vec![clear()],
        // One that closes exits by itself.
        Some(Reading::Answered { closing: true, .. } | Reading::Unknown) | None => Vec::new(),
    }
}

/// The effect that ends an instance on a condition.
pub(super) fn end(instance: &Instance, purpose: Purpose, condition: Condition) -> Vec<Effect> {
    let removal = match (instance.lifecycle, purpose) {
        (Lifecycle::Held, _) => Removal::LetGo,
        (_, Purpose::Replace) => Removal::Replace,
        _ => Removal::Terminate,
    };
    vec![Effect::Remove(instance.id.clone(), removal, condition)]
}

/// Whether effects are irreversible.
pub(super) fn is_final(effects: &[Effect]) -> bool {
    effects.iter().any(|it| matches!(it, Effect::Close(..) | Effect::Remove(..)))
}

fn advance_bridge(id: &InstanceId, drain: Drain, live: Live, end: Effect) -> Vec<Effect> {
    let (empty, draining, closing) = match live.latest {
        Some(Reading::Answered { empty, draining, closing }) => (empty, draining, closing),
        Some(Reading::Refused) if has_exited(drain.state, live) => return vec![end],
        None | Some(Reading::Refused | Reading::Unknown) => return Vec::new(),
    };
    let mark = |state| Effect::MarkDrain(id.clone(), drain.at(state));
    match drain.state {
        // Until Jicofo hears of the final request it may place people here. If it did, the bridge waits for them.
        DrainState::Closed if closing && empty && live.looks >= Looks::One => vec![end],
        DrainState::Closed if closing => Vec::new(),
        // The final request went out, and its sender could not write the tag.
        _ if closing => vec![mark(DrainState::Closed)],
        DrainState::Returning => go_on_cancelling(id).to_vec(),
        // The request was lost, or the bridge was restarted and has forgotten its flags: its drain starts again. So
        // does its tag: another scaler may just have cancelled the drain, and without a tag the bridge would look like
        // one that an operator drains.
        _ if !draining => vec![mark(DrainState::Draining), Effect::StartDrain(id.clone())],
        _ if !empty || live.looks < Looks::Two => Vec::new(),
        DrainState::Unclosable => vec![end],
        DrainState::Ordered | DrainState::Draining | DrainState::Asked | DrainState::Closed => {
            vec![mark(DrainState::Asked), Effect::Close(id.clone(), drain)]
        }
    }
}

fn advance_jibri(id: &InstanceId, drain: Drain, live: Live, end: Effect) -> Vec<Effect> {
    match (drain.state, live.latest) {
        (_, Some(Reading::Refused)) if has_exited(drain.state, live) => vec![end],
        (
            DrainState::Ordered | DrainState::Draining | DrainState::Unclosable | DrainState::Returning,
            Some(Reading::Answered { empty, .. }),
        ) => match drain.purpose {
            // A recording came first. It was not asked to exit yet, and another Jibri is free.
            Purpose::ScaleIn | Purpose::Recycle if !empty && !drain.by_operator => {
                vec![Effect::ClearDrain(id.clone())]
            }
            _ => ask_jibri(id, drain),
        },
        (DrainState::Asked, Some(Reading::Answered { .. })) => vec![Effect::Close(id.clone(), drain)],
        // Idle twice although it was asked to exit when idle: it was restarted. It is asked again, so that no recording
        // can begin between this look and the end.
        (DrainState::Closed, Some(Reading::Answered { empty: true, .. })) if live.looks == Looks::Two => {
            vec![Effect::Close(id.clone(), drain), end]
        }
        // A refused connection without a final request is unknown, so nothing more is requested.
        (DrainState::Closed, Some(Reading::Answered { .. }))
        | (_, None | Some(Reading::Refused | Reading::Unknown)) => Vec::new(),
    }
}

/// Asks a Jibri to shut down once it is done. It must have answered before, because a later refusal proves nothing
/// unless the address answered once. The tag is written first, because an idle Jibri exits at once, and its answer may
/// be lost. One that the scaler chose must be free; one that leaves in any case finishes what it does.
fn ask_jibri(id: &InstanceId, drain: Drain) -> Vec<Effect> {
    let mut effects = Vec::new();
    if matches!(drain.purpose, Purpose::ScaleIn | Purpose::Recycle) && !drain.by_operator {
        effects.push(Effect::ConfirmEmpty(id.clone()));
    }
    effects.push(Effect::MarkDrain(id.clone(), drain.at(DrainState::Asked)));
    effects.push(Effect::Close(id.clone(), drain));
    effects
}

/// Whether an instance that answered, and was then asked to exit, has been seen gone twice.
fn has_exited(state: DrainState, live: Live) -> bool {
    matches!(state, DrainState::Asked | DrainState::Closed) && live.looks == Looks::Two
}
