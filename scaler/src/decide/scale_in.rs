//! Who goes, and how: victims, and the drain of each as a state machine.
//!
//! Owns the rules that keep calls and recordings whole. The memory of a drain is its tag on the group and the
//! component's own flags; nothing is remembered here. Whatever cannot be seen is taken to carry something.

use std::cmp::Reverse;

use super::decision::{Block, Effect, Figures};
use super::observation::{Drain, DrainState, Group, Instance, Lifecycle, Live, Reading};
use super::policy::{Component, FleetPolicy, VictimOrder};
use crate::units::{Capacity, InstanceId, Time};

/// Chooses up to `wanted` instances to go, best first, and says what kept the number lower.
pub(super) fn victims<'a>(
    fleet: &FleetPolicy,
    group: &'a Group,
    figures: &Figures,
    wanted: Capacity,
    now: Time,
    blocked: &mut Vec<Block>,
) -> Vec<&'a InstanceId> {
    let most = fleet.max_in_flight.resolve(figures.desired);
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
        let zone_size = |zone: &str| candidates.iter().filter(|it| it.zone == zone).count();
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
        effects.push(Effect::MarkDrain(id.clone(), DrainState::Draining));
        effects.push(match component {
            Component::Jvb => Effect::StartDrain(id.clone()),
            Component::Jibri => Effect::Close(id.clone()),
        });
    }
    effects
}

/// What cancels a drain. The tag says so first: a bridge whose drain mode is left on without a tag would be taken
/// for an operator's.
pub(super) fn cancel(id: &InstanceId) -> Vec<Effect> {
    let id = || id.clone();
    vec![Effect::MarkDrain(id(), DrainState::Returning), Effect::StopDrain(id()), Effect::ClearDrain(id())]
}

/// Whether a drain can still be cancelled.
pub(super) fn is_reversible(component: Component, instance: &Instance) -> bool {
    let closing = matches!(instance.live.latest, Some(Reading::Answered { closing: true, .. }));
    let undoable =
        matches!(instance.drain, Some(Drain { state: DrainState::Draining | DrainState::Unclosable, .. }));
    component == Component::Jvb && undoable && !closing && instance.lifecycle == Lifecycle::InService
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

fn advance_bridge(id: &InstanceId, state: DrainState, live: Live) -> Vec<Effect> {
    let id = || id.clone();
    let Some(latest) = live.latest else { return Vec::new() };
    let (empty, draining, closing) = match latest {
        Reading::Answered { empty, draining, closing } => (empty, draining, closing),
        Reading::Refused if state == DrainState::Closed && live.previous == Some(Reading::Refused) => {
            return remove(id());
        }
        Reading::Refused | Reading::Unknown => return Vec::new(),
    };
    let seen_twice = empty
        && matches!(live.previous, Some(Reading::Answered { empty: true, draining, closing }) if draining || closing);
    match state {
        // The final request went out, and whoever sent it could not write it down.
        DrainState::Draining | DrainState::Unclosable | DrainState::Returning if closing => {
            vec![Effect::MarkDrain(id(), DrainState::Closed)]
        }
        DrainState::Returning => vec![Effect::StopDrain(id()), Effect::ClearDrain(id())],
        DrainState::Draining if !draining => vec![Effect::StartDrain(id())],
        DrainState::Draining if seen_twice => vec![Effect::Close(id())],
        DrainState::Unclosable if draining && seen_twice => confirm_and_remove(id()),
        DrainState::Closed if closing && empty => confirm_and_remove(id()),
        // A bridge that was restarted has forgotten both flags: its drain starts again.
        DrainState::Closed if !closing => vec![Effect::MarkDrain(id(), DrainState::Draining)],
        DrainState::Unclosable if !draining => vec![Effect::MarkDrain(id(), DrainState::Draining)],
        DrainState::Draining | DrainState::Unclosable | DrainState::Closed => Vec::new(),
    }
}

fn advance_jibri(id: &InstanceId, state: DrainState, live: Live) -> Vec<Effect> {
    let id = || id.clone();
    match (state, live.latest, live.previous) {
        (DrainState::Closed, Some(Reading::Refused), Some(Reading::Refused)) => remove(id()),
        // Idle twice although it was asked to exit when idle: something restarted it. It is asked again, so that no
        // recording can begin between this look and the end.
        (
            DrainState::Closed,
            Some(Reading::Answered { empty: true, .. }),
            Some(Reading::Answered { empty: true, .. }),
        ) => {
            let mut effects = vec![Effect::Close(id())];
            effects.extend(confirm_and_remove(id()));
            effects
        }
        // Refused without a request that was accepted: unknown, so nothing more can be asked of it.
        (DrainState::Closed, _, _) | (_, None | Some(Reading::Refused), _) => Vec::new(),
        (DrainState::Draining | DrainState::Unclosable | DrainState::Returning, _, _) => {
            vec![Effect::Close(id())]
        }
    }
}

fn confirm_and_remove(id: InstanceId) -> Vec<Effect> {
    let mut effects = vec![Effect::ConfirmEmpty(id.clone())];
    effects.extend(remove(id));
    effects
}

fn remove(id: InstanceId) -> Vec<Effect> {
    vec![Effect::Terminate(id.clone()), Effect::ClearDrain(id)]
}
