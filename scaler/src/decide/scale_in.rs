//! Who goes: which instances are ready, which serve, and which may be chosen.
//!
//! Owns the choice. How the chosen ones go is [`super::drain`]'s. Whatever cannot be seen is taken to carry something.

use std::cmp::Reverse;

use super::decision::{Block, Figures};
use super::observation::{Group, Instance, Lifecycle};
use super::policy::{Component, FleetPolicy, VictimOrder};
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
        let Some(index) = best(fleet, group, &candidates, &chosen, now) else { break };
        chosen.push(&candidates.swap_remove(index).id);
    }
    chosen
}

/// The instance that would go first if one had to, whatever else stands against it.
pub(super) fn first<'a>(fleet: &FleetPolicy, group: &'a Group, now: Time) -> Option<&'a InstanceId> {
    let candidates: Vec<&'a Instance> =
        group.instances.iter().filter(|it| is_eligible(fleet, it, now)).collect();
    best(fleet, group, &candidates, &[], now).map(|index| &candidates[index].id)
}

/// The place of the best of `candidates`, `chosen` being gone already.
fn best(
    fleet: &FleetPolicy,
    group: &Group,
    candidates: &[&Instance],
    chosen: &[&InstanceId],
    now: Time,
) -> Option<usize> {
    // The fullest zone goes first among equals, so that the zones stay even as victims are taken one by one.
    let stays = |it: &&Instance| {
        it.lifecycle == Lifecycle::InService && it.drain.is_none() && !chosen.contains(&&it.id)
    };
    let zone_size = |zone: &str| group.instances.iter().filter(stays).filter(|it| it.zone == zone).count();
    let ranked = candidates.iter().enumerate().min_by(|(_, a), (_, b)| {
        rank(fleet, a, now)
            .total_cmp(&rank(fleet, b, now))
            .then_with(|| Reverse(zone_size(&a.zone)).cmp(&Reverse(zone_size(&b.zone))))
            .then_with(|| a.id.cmp(&b.id))
    });
    ranked.map(|(index, _)| index)
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

/// Whether an instance is in service, past the warm-up, not drained by us, and not about to be replaced by AWS.
pub(super) fn is_ready(fleet: &FleetPolicy, instance: &Instance, now: Time) -> bool {
    instance.lifecycle == Lifecycle::InService
        && instance.healthy
        && instance.drain.is_none()
        && instance.in_service_since.is_some_and(|since| now.since(since) >= fleet.warmup)
}

/// How many instances take new work: what a load is shared by.
pub(super) fn serving(fleet: &FleetPolicy, group: &Group, now: Time) -> Capacity {
    Capacity::of(group.instances.iter().filter(|it| is_serving(fleet, it, now)).count())
}

/// Whether an instance takes new work: ready, reporting, not ill and not drained by anybody.
pub(super) fn is_serving(fleet: &FleetPolicy, instance: &Instance, now: Time) -> bool {
    is_ready(fleet, instance, now)
        && instance.reported.up
        && instance.reported.healthy != Some(false)
        && instance.reported.draining != Some(true)
}

/// Whether an instance may be chosen to go.
pub(super) fn is_eligible(fleet: &FleetPolicy, instance: &Instance, now: Time) -> bool {
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
    is_ready(fleet, instance, now) && old_enough && untouched && reported.up && free && !instance.ill
}
