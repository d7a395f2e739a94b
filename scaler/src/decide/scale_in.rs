//! Who goes, and how: victims, and the drain of each as a state machine.
//!
//! Owns the rules that keep calls and recordings whole. The memory of a drain is its tag on the group and the
//! component's own flags; nothing is remembered here. Whatever cannot be seen is taken to carry something.

use std::cmp::Reverse;

use super::decision::{Block, Effect, Figures};
use super::observation::{Drain, DrainState, Group, Instance, Lifecycle, Live, Reading};
use super::policy::{Component, Direction, FleetPolicy, VictimOrder};
use crate::units::{Capacity, InstanceId, Time};

/// Above this no further drain begins: each is a tag, a group has fifty of them, and others need some.
const MOST_DRAINS: i64 = 40;

/// Chooses up to `wanted` instances to go, best first, and says what kept the number lower.
pub(super) fn victims<'a>(
    fleet: &FleetPolicy,
    group: &'a Group,
    figures: &Figures,
    wanted: Capacity,
    now: Time,
    blocked: &mut Vec<Block>,
) -> Vec<&'a InstanceId> {
    let most = fleet.max_in_flight.resolve(figures.desired).min(Capacity::saturating(MOST_DRAINS));
    let room = most.minus(figures.draining);
    if room == Capacity::ZERO {
        blocked.push(Block::DrainBudget { in_flight: figures.draining, most });
        return Vec::new();
    }
    let wanted = wanted.min(room);
    let mut candidates: Vec<&Instance> =
        group.instances.iter().filter(|it| is_eligible(fleet, it, now)).collect();
    if candidates.is_empty() {
        blocked.push(Block::NoVictim);
        return Vec::new();
    }
    let mut chosen = Vec::new();
    while chosen.len() < wanted.get() as usize && !candidates.is_empty() {
        // The fullest zone goes first among equals, so that the zones stay even as victims are taken one by one.
        let stays = |it: &&Instance| {
            it.lifecycle == Lifecycle::InService && it.drain.is_none() && !chosen.contains(&&it.id)
        };
        let zone_size =
            |zone: &str| group.instances.iter().filter(stays).filter(|it| it.zone == zone).count();
        let best = candidates.iter().enumerate().min_by(|(_, a), (_, b)| {
            rank(fleet, a, now)
                .total_cmp(&rank(fleet, b, now))
                .then_with(|| Reverse(zone_size(&a.zone)).cmp(&Reverse(zone_size(&b.zone))))
                .then_with(|| a.id.cmp(&b.id))
        });
        let Some((index, _)) = best else { break };
        chosen.push(&candidates.swap_remove(index).id);
    }
    chosen
}

/// The smaller, the sooner it goes.
fn rank(fleet: &FleetPolicy, instance: &Instance, now: Time) -> f64 {
    let age = instance.in_service_since.map_or(0.0, |since| now.since(since).as_secs_f64());
    match fleet.victims.order {
        VictimOrder::LeastLoaded => instance.reported.load.unwrap_or(f64::MAX),
        VictimOrder::Oldest => -age,
        VictimOrder::Newest => age,
        VictimOrder::LongestIdle => -instance.reported.idle_for.map_or(0.0, |idle| idle.as_secs_f64()),
    }
}

/// Whether an instance is in service, past the warm-up and not drained by us.
pub(super) fn is_ready(fleet: &FleetPolicy, instance: &Instance, now: Time) -> bool {
    instance.lifecycle == Lifecycle::InService
        && instance.drain.is_none()
        && instance.in_service_since.is_some_and(|since| now.since(since) >= fleet.warmup)
}

/// How many instances take new work: what a load is shared by.
pub(super) fn serving(fleet: &FleetPolicy, group: &Group, now: Time) -> Capacity {
    Capacity::of(group.instances.iter().filter(|it| is_serving(fleet, it, now)).count())
}

/// Whether an instance takes new work: ready, reporting, not ill and not drained by anybody.
fn is_serving(fleet: &FleetPolicy, instance: &Instance, now: Time) -> bool {
    is_ready(fleet, instance, now)
        && instance.reported.up
        && instance.reported.healthy != Some(false)
        && instance.reported.draining != Some(true)
}

/// Whether an instance may be chosen to go.
fn is_eligible(fleet: &FleetPolicy, instance: &Instance, now: Time) -> bool {
    let reported = &instance.reported;
    let old_enough = instance.in_service_since.is_some_and(|since| now.since(since) >= fleet.victims.min_age);
    let free = match fleet.component {
        // A bridge in use is drained for as long as that takes.
        Component::Jvb => reported.load.is_some(),
        Component::Jibri => {
            reported.load == Some(0.0)
                && (fleet.victims.idle_for.is_zero()
                    || reported.idle_for.is_some_and(|idle| idle >= fleet.victims.idle_for))
        }
    };
    // A drain without a tag of ours is somebody else's: it is left alone.
    let untouched = instance.drain.is_none() && reported.draining != Some(true);
    is_ready(fleet, instance, now) && old_enough && untouched && reported.up && free
}

/// What begins the drains of `victims`.
pub(super) fn begin(component: Component, victims: &[&InstanceId]) -> Vec<Effect> {
    let mut effects = Vec::new();
    for &id in victims {
        match component {
            Component::Jvb => {
                effects.push(Effect::MarkDrain(id.clone(), DrainState::Draining));
                effects.push(Effect::StartDrain(id.clone()));
            }
            // Nothing is written before it has answered: where two scalers run at once, the slower one would take back
            // what the other wrote, and a Jibri that has exited would be taken for one that was never asked to.
            Component::Jibri => effects.extend(ask_jibri(id)),
        }
    }
    effects
}

/// What cancels a drain, and begins the cooldown once that is done. The tag says so first: a bridge whose drain mode is
/// left on without a tag would be taken for an operator's.
pub(super) fn cancel(id: &InstanceId) -> Vec<Effect> {
    let id = || id.clone();
    vec![
        Effect::MarkDrain(id(), DrainState::Returning),
        Effect::StopDrain(id()),
        Effect::ClearDrain(id()),
        Effect::MarkScaled(Direction::Out),
    ]
}

/// Whether a drain can be cancelled now: the bridge answers, and no final request was made.
pub(super) fn is_reversible(component: Component, instance: &Instance) -> bool {
    let answers = matches!(instance.live.latest, Some(Reading::Answered { closing: false, .. }));
    let undoable =
        matches!(instance.drain, Some(Drain { state: DrainState::Draining | DrainState::Unclosable, .. }));
    component == Component::Jvb && undoable && answers && instance.lifecycle == Lifecycle::InService
}

/// The next steps of the drain of an instance; none while it waits.
pub(super) fn advance(component: Component, instance: &Instance, drain: Drain) -> Vec<Effect> {
    if instance.lifecycle != Lifecycle::InService {
        return vec![Effect::ClearDrain(instance.id.clone())];
    }
    match component {
        Component::Jvb => advance_bridge(&instance.id, drain.state, instance.live),
        Component::Jibri => advance_jibri(&instance.id, drain.state, instance.live),
    }
}

/// Whether steps take something away that cannot be brought back.
pub(super) fn is_final(steps: &[Effect]) -> bool {
    steps.iter().any(|step| matches!(step, Effect::Close(_) | Effect::Terminate(_)))
}

fn advance_bridge(id: &InstanceId, state: DrainState, live: Live) -> Vec<Effect> {
    let Some(latest) = live.latest else { return Vec::new() };
    let (empty, draining, closing) = match latest {
        Reading::Answered { empty, draining, closing } => (empty, draining, closing),
        Reading::Refused => return if has_exited(state, live) { remove(id) } else { Vec::new() },
        Reading::Unknown => return Vec::new(),
    };
    let seen_twice = empty
        && matches!(live.previous, Some(Reading::Answered { empty: true, draining, closing }) if draining || closing);
    match state {
        DrainState::Closed if closing && empty => remove(id),
        DrainState::Closed if closing => Vec::new(),
        // The final request went out, and whoever sent it could not write it down.
        _ if closing => vec![Effect::MarkDrain(id.clone(), DrainState::Closed)],
        DrainState::Returning => vec![Effect::StopDrain(id.clone()), Effect::ClearDrain(id.clone())],
        // The request was lost.
        DrainState::Draining if !draining => vec![Effect::StartDrain(id.clone())],
        // A bridge that was restarted has forgotten its flags: its drain starts again.
        _ if !draining => {
            vec![Effect::MarkDrain(id.clone(), DrainState::Draining), Effect::StartDrain(id.clone())]
        }
        DrainState::Draining | DrainState::Asked | DrainState::Closed if seen_twice => {
            // In one go, so that a bridge that exits and is restarted by its supervisor does not come back into
            // rotation; the termination looks once more.
            let mut steps = vec![Effect::MarkDrain(id.clone(), DrainState::Asked), Effect::Close(id.clone())];
            steps.extend(remove(id));
            steps
        }
        DrainState::Unclosable if seen_twice => remove(id),
        DrainState::Draining | DrainState::Asked | DrainState::Closed | DrainState::Unclosable => Vec::new(),
    }
}

fn advance_jibri(id: &InstanceId, state: DrainState, live: Live) -> Vec<Effect> {
    match (state, live.latest) {
        (_, Some(Reading::Refused)) if has_exited(state, live) => remove(id),
        (
            DrainState::Draining | DrainState::Unclosable | DrainState::Returning,
            Some(Reading::Answered { empty, .. }),
        ) => {
            // Where it is in use somebody was faster: it was not asked anything yet, and another one is free.
            if empty { ask_jibri(id) } else { vec![Effect::ClearDrain(id.clone())] }
        }
        (DrainState::Asked, Some(Reading::Answered { .. })) => vec![Effect::Close(id.clone())],
        // Idle twice although it was asked to exit when idle: something restarted it. It is asked again, so that no
        // recording can begin between this look and the end.
        (DrainState::Closed, Some(Reading::Answered { empty: true, .. }))
            if live.previous.is_some_and(Reading::is_empty) =>
        {
            let mut steps = vec![Effect::Close(id.clone())];
            steps.extend(remove(id));
            steps
        }
        // Refused without a request is unknown, so nothing more can be asked of it.
        (DrainState::Closed, Some(Reading::Answered { .. }))
        | (_, None | Some(Reading::Refused | Reading::Unknown)) => Vec::new(),
    }
}

/// Asks a free Jibri to shut down. It must have answered that it is free: an address that refuses says nothing later
/// on. The intent is written down first, because an idle Jibri exits at once, and its answer may be lost with it.
fn ask_jibri(id: &InstanceId) -> Vec<Effect> {
    vec![
        Effect::ConfirmEmpty(id.clone()),
        Effect::MarkDrain(id.clone(), DrainState::Asked),
        Effect::Close(id.clone()),
    ]
}

/// Whether an instance that answered, and was then asked to exit, has been seen gone twice.
fn has_exited(state: DrainState, live: Live) -> bool {
    matches!(state, DrainState::Asked | DrainState::Closed) && live.previous == Some(Reading::Refused)
}

fn remove(id: &InstanceId) -> Vec<Effect> {
    vec![Effect::Terminate(id.clone()), Effect::ClearDrain(id.clone())]
}
