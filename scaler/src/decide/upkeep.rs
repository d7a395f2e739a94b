//! What a group needs although no policy calls for it: drains are taken further, instances that AWS takes are held until
//! they are empty, ill ones are replaced, old ones recycled, and busy ones protected.
//!
//! Owns the order and the budgets of that. The steps of a single drain are [`super::drain`]'s.

use super::decision::{Action, Block, Cause, Decision, Effect, PROTECTED_AT_ONCE, Waiting};
use super::observation::{Drain, DrainState, Group, Instance, Lifecycle, Observation, Purpose, Reading};
use super::policy::{Amount, Component, FleetPolicy, OnTimeout};
use super::scale_in::{is_eligible, is_serving, serving};
use super::{drain, obstacles};
use crate::units::{Capacity, InstanceId, Time};

/// How often a hook is told to go on holding, as a part of the time that it holds without: two may get lost.
const HEARTBEATS: u32 = 3;

/// Has ill instances replaced, a few at a time. If much of a group looks ill at once, the measuring is ill: for that it
/// counts who looks ill now, because what goes wrong with the measuring does not show everywhere at the same moment, and
/// the first would be replaced before the others have looked ill for long enough.
pub(super) fn replace(fleet: &FleetPolicy, group: &Group, decision: &mut Decision, now: Time) {
    let Some(replace) = fleet.replace else { return };
    let in_service = || group.instances.iter().filter(|it| it.lifecycle == Lifecycle::InService);
    let begun = |it: &&Instance| it.drain.is_some_and(|drain| drain.purpose == Purpose::Replace);
    let (of, ill) = (in_service().count(), in_service().filter(|it| it.ill || it.looks_ill).count());
    let mut waiting: Vec<&Instance> = in_service()
        .filter(|it| it.ill && it.healthy && it.drain.is_none())
        .filter(|it| it.in_service_since.is_some_and(|since| now.since(since) >= fleet.warmup))
        .collect();
    if waiting.is_empty() {
        return;
    }
    if ill > Amount::Share(replace.max_share).resolve(Capacity::of(of)).get() as usize {
        decision.blocked.push(Block::MostlyIll { ill, of });
        return;
    }
    let going = group.instances.iter().filter(|it| begun(it) || !it.healthy).count();
    let in_flight = Capacity::of(going).plus(decision.current.warming);
    let room = replace.max_in_flight.minus(in_flight);
    if room == Capacity::ZERO {
        decision.blocked.push(Block::ReplaceBudget { ill: waiting.len() });
        return;
    }
    let others = serving(fleet, group, now);
    // The oldest first; the order must not depend on that in which AWS lists them.
    waiting.sort_by(|a, b| (a.in_service_since, &a.id).cmp(&(b.in_service_since, &b.id)));
    for instance in waiting.into_iter().take(room.get() as usize) {
        if fleet.component == Component::Jvb && is_serving(fleet, instance, now) && others <= Capacity::ONE {
            decision.blocked.push(Block::LastServing);
            return;
        }
        decision.causes.push(Cause::Ill(instance.id.clone()));
        decision.effects.push(drain::begin(fleet.component, &instance.id, Purpose::Replace, now));
    }
}

/// Raises the group by one, and then has its oldest idle instance go; again and again while old ones are left and the
/// time for it lasts. Policies come first, and whatever they do ends this or makes it wait.
pub(super) fn recycle(fleet: &FleetPolicy, observation: &Observation, decision: &mut Decision, now: Time) {
    let Some(max_age) = fleet.recycle else { return };
    let group = &observation.group;
    let figures = decision.current;
    let under_way =
        group.instances.iter().any(|it| it.drain.is_some_and(|drain| drain.purpose == Purpose::Recycle));
    let room = group.recycling.filter(|it| figures.desired >= it.desired);
    if group.recycling.is_some() && room.is_none() && !under_way {
        decision.effects.push(vec![Effect::EndRecycling]);
        return;
    }
    match decision.action {
        // What is wanted now is wanted of all that there is.
        Action::ScaleOut if group.recycling.is_some() => decision.effects.push(vec![Effect::EndRecycling]),
        Action::ScaleIn if group.recycling.is_some() && !under_way => {
            decision.effects.push(vec![Effect::EndRecycling]);
        }
        _ => {}
    }
    if under_way || decision.action != Action::Hold || (room.is_none() && !observation.may_recycle) {
        return;
    }
    let idle = |it: &&Instance| is_eligible(fleet, it, now) && it.reported.load == Some(0.0);
    let age = |it: &Instance| it.in_service_since.map_or_else(Default::default, |since| now.since(since));
    let oldest = group.instances.iter().filter(idle).max_by_key(|it| (age(it), std::cmp::Reverse(&it.id)));
    let old = oldest.filter(|it| observation.may_recycle && age(it) >= max_age);
    let (instance, cause) = match (oldest, old) {
        (_, Some(old)) => (old, Cause::Old(old.id.clone())),
        // Nothing old is left, and the one too many goes.
        (Some(oldest), None) if room.is_some() => (oldest, Cause::OneTooMany(oldest.id.clone())),
        (None, _) if room.is_some() => {
            decision.blocked.push(Block::RecycleWaits);
            return;
        }
        _ => return,
    };
    let before = decision.blocked.len();
    obstacles(fleet, group, decision);
    let alone = fleet.component == Component::Jvb && serving(fleet, group, now) <= Capacity::ONE;
    if decision.blocked.len() > before || figures.draining > Capacity::ZERO {
        decision.blocked.push(Block::RecycleWaits);
        return;
    }
    if room.is_some() {
        if alone || figures.capacity <= figures.limits.min {
            decision.blocked.push(Block::RecycleWaits);
            return;
        }
        decision.action = Action::ScaleIn;
        decision.desired = figures.capacity.minus(Capacity::ONE);
        decision.effects.push(drain::begin(fleet.component, &instance.id, Purpose::Recycle, now));
    } else {
        let to = figures.desired.plus(Capacity::ONE);
        if to > figures.limits.max {
            decision.blocked.push(Block::Maximum);
            return;
        }
        if group.launch_suspended || group.launch_failures.is_some() {
            decision.blocked.push(Block::RecycleWaits);
            return;
        }
        decision.action = Action::ScaleOut;
        decision.desired = figures.capacity.plus(Capacity::ONE);
        let raise = Effect::SetDesired { from: figures.desired, to };
        decision.effects.push(vec![Effect::MarkRecycling(to), raise]);
        decision.causes.push(Cause::RoomToRecycle);
        return;
    }
    decision.causes.push(cause);
}

/// Takes every drain under way one step further, and clears what a crash left behind. A drain that this very decision
/// cancels is left to that. The last step waits while AWS would not terminate, and a bridge's while no other is known
/// to serve: if others are known, and all of them are ill, its drain is taken back. One that is ill itself waits for
/// others only while they may recover and somebody may join it, and goes on serving if it is well again before.
pub(super) fn advance_drains(fleet: &FleetPolicy, group: &Group, decision: &mut Decision, now: Time) {
    let alone = fleet.component == Component::Jvb && serving(fleet, group, now) == Capacity::ZERO;
    let all_ill = alone && decision.current.reporting > Capacity::ZERO;
    for instance in &group.instances {
        let Some(drain) = instance.drain else {
            if instance.lifecycle == Lifecycle::Held && fleet.serves_hooks {
                hold(fleet, group, instance, alone, decision, now);
            }
            continue;
        };
        let concerned =
            decision.effects.iter().flatten().any(|effect| effect.instance() == Some(&instance.id));
        if concerned {
            continue;
        }
        let is_held = instance.lifecycle == Lifecycle::Held;
        let mut steps = drain::advance(fleet.component, instance, drain);
        let no_way = match (is_held, drain.purpose) {
            // AWS takes it in any case, and with nothing wanted nothing needs to serve.
            (true, _) => group.hook.is_none() || (alone && group.desired > Capacity::ZERO),
            (false, Purpose::Replace) => {
                group.terminate_suspended || (alone && may_be_joined(group, instance))
            }
            (false, _) => group.terminate_suspended || alone,
        };
        let begins = is_held && steps.iter().any(|step| matches!(step, Effect::StartDrain(_)));
        let held = (drain::is_final(&steps) || (begins && alone)) && no_way;
        if held {
            steps.clear();
        }
        let reversible = drain::reversible(fleet.component, instance);
        let limit = fleet.drain_limit.filter(|limit| now.since(drain.since) >= limit.timeout);
        // What is in service, and was drained because AWS would take it, is wanted still.
        let may_end =
            is_held || (instance.lifecycle == Lifecycle::InService && drain.purpose != Purpose::Hook);
        match (limit.map(|limit| limit.then), reversible) {
            (Some(OnTimeout::Undrain), Some(drain)) => steps = drain::cancel(&instance.id, drain),
            (Some(OnTimeout::Terminate), _) if may_end && !no_way => {
                steps = drain::overdue(instance, drain.purpose);
            }
            (_, Some(drain)) if all_ill => steps = drain::cancel(&instance.id, drain),
            // Nobody else serves, so that people go on coming to it, and it would never be empty.
            _ if alone => {
                if let Some(drain) = drain::recovered(fleet.component, instance) {
                    steps = drain::cancel(&instance.id, drain);
                }
            }
            _ => {}
        }
        let gone = steps.iter().any(|step| matches!(step, Effect::Remove(..)));
        // Although it is let go: where that fails, its hook must not let it go in its stead, unasked.
        if is_held {
            beat(group, instance, decision, now);
        }
        if !steps.is_empty() {
            decision.effects.push(steps);
        }
        if !gone && instance.lifecycle != Lifecycle::Terminating {
            decision.waiting.push(waiting(group, instance, drain, (held, limit.is_some()), now));
        }
    }
    for id in &group.orphaned_drains {
        decision.effects.push(vec![Effect::ClearDrain(id.clone())]);
    }
    if group.hook.is_none()
        && fleet.serves_hooks
        && group.instances.iter().any(|it| it.lifecycle == Lifecycle::Held)
    {
        decision.blocked.push(Block::HookUnknown);
    }
}

/// Whether people may still come to a bridge that is drained: it accepts them, and Jicofo has nobody else to choose while
/// the others in service are silent. Those that look ill are not waited for, or a group of them would never recover.
fn may_be_joined(group: &Group, instance: &Instance) -> bool {
    let accepts = matches!(instance.live.latest, Some(Reading::Answered { closing: false, .. }));
    let may_recover =
        |it: &Instance| it.lifecycle == Lifecycle::InService && it.healthy && !it.ill && !it.looks_ill;
    accepts && group.instances.iter().any(|it| it.id != instance.id && may_recover(it))
}

/// Begins the drain of an instance that AWS takes; the only bridge that serves goes on serving for as long as its hook
/// holds it.
fn hold(
    fleet: &FleetPolicy,
    group: &Group,
    instance: &Instance,
    alone: bool,
    decision: &mut Decision,
    now: Time,
) {
    beat(group, instance, decision, now);
    let begun = Drain { since: now, state: DrainState::Draining, purpose: Purpose::Hook };
    let stays = alone && group.desired > Capacity::ZERO;
    // The tag tells since when its hook holds it, whether it drains yet or not.
    decision.effects.push(if stays {
        vec![Effect::MarkDrain(instance.id.clone(), begun)]
    } else {
        drain::begin(fleet.component, &instance.id, Purpose::Hook, now)
    });
    decision.waiting.push(waiting(group, instance, begun, (stays, false), now));
}

/// Has the hook hold the instance on, well before it would not.
fn beat(group: &Group, instance: &Instance, decision: &mut Decision, now: Time) {
    decision.effects.extend(heartbeat(group, instance, now));
}

fn heartbeat(group: &Group, instance: &Instance, now: Time) -> Option<Vec<Effect>> {
    let hook = group.hook.as_ref()?;
    let due = instance.heartbeat.is_none_or(|last| now.since(last) >= hook.heartbeat / HEARTBEATS);
    due.then(|| vec![Effect::Heartbeat(instance.id.clone())])
}

/// What is done for a group that cannot be seen, of which `group` was seen last: its hook holds on to what it held.
pub(super) fn hold_on(fleet: &FleetPolicy, group: &Group, now: Time) -> Vec<Vec<Effect>> {
    let is_served = |it: &&Instance| fleet.serves_hooks || it.drain.is_some();
    let held = group.instances.iter().filter(|it| it.lifecycle == Lifecycle::Held);
    held.filter(is_served).filter_map(|instance| heartbeat(group, instance, now)).collect()
}

fn waiting(
    group: &Group,
    instance: &Instance,
    drain: Drain,
    (held, overdue): (bool, bool),
    now: Time,
) -> Waiting {
    let is_held = instance.lifecycle == Lifecycle::Held;
    Waiting {
        instance: instance.id.clone(),
        drain,
        age: now.since(drain.since),
        // Its drain may have begun long before AWS took it.
        held_for: now.since(instance.held_since.unwrap_or(drain.since)),
        latest: instance.live.latest,
        held,
        overdue,
        limit: group.hook.as_ref().filter(|_| is_held).map(|hook| hook.limit),
    }
}

/// Keeps what is busy protected from being chosen by AWS, and what is free not. Of what cannot be seen the protection
/// stays as it is.
pub(super) fn protect(fleet: &FleetPolicy, group: &Group, decision: &mut Decision) {
    if !fleet.protect_busy {
        return;
    }
    let is_busy = |it: &Instance| it.reported.load.filter(|_| it.reported.up).map(|load| load > 0.0);
    let (mut busy, mut free) = (Vec::new(), Vec::new());
    for instance in group.instances.iter().filter(|it| it.lifecycle == Lifecycle::InService) {
        match is_busy(instance) {
            Some(true) if !instance.protected => busy.push(instance.id.clone()),
            Some(false) if instance.protected => free.push(instance.id.clone()),
            _ => {}
        }
    }
    let chunks = |ids: Vec<InstanceId>, effect: fn(Vec<InstanceId>) -> Effect| {
        ids.chunks(PROTECTED_AT_ONCE).map(|ids| vec![effect(ids.to_vec())]).collect::<Vec<_>>()
    };
    decision.effects.extend(chunks(busy, Effect::Protect));
    decision.effects.extend(chunks(free, Effect::Unprotect));
}
