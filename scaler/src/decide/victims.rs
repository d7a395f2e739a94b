//! Which instances leave: what holds all of them back, which serve, and which go first.
//!
//! Why an instance stays is for [`super::stays`] to say, how a chosen one leaves for [`super::drain`].

use std::cmp::Reverse;

use super::observation::{Group, Instance, Lifecycle, Refresh};
use super::policy::{FleetPolicy, VictimOrder};
use super::reasons::Reason;
use super::stays::{is_ready, stays};
use super::step::Input;
use crate::units::{Capacity, InstanceId, Time};

/// What keeps every instance from leaving now, whatever the purpose.
pub(super) fn obstacles(input: &Input<'_>) -> Vec<Reason> {
    let (group, figures) = (input.group, input.figures);
    let holds = figures.ready.plus(figures.draining).plus(figures.warming);
    let holds = holds.plus(figures.replaced).plus(figures.kept);
    let share = f64::from(figures.reporting.get()) * 100.0 / f64::from(figures.ready.get());
    // With nothing ready the share is not a number, which fails every comparison.
    let enough_report = share >= input.fleet.min_reporting.get();
    let refresh = match group.instance_refresh {
        Refresh::None | Refresh::NotAsked => None,
        Refresh::InProgress => Some(Reason::InstanceRefresh { known: true }),
        Refresh::Unknown => Some(Reason::InstanceRefresh { known: false }),
    };
    let reasons = [
        group.terminate_suspended.then_some(Reason::TerminateSuspended),
        refresh,
        (figures.warming > Capacity::ZERO).then_some(Reason::Warming(figures.warming)),
        (holds > figures.desired).then_some(Reason::Converging { holds, desired: figures.desired }),
        (!enough_report)
            .then_some(Reason::DataQuality { reporting: figures.reporting, ready: figures.ready }),
    ];
    reasons.into_iter().flatten().collect()
}

/// Chooses at least one and up to `wanted` instances to leave, best first; or why none may.
pub(super) fn choose<'a>(input: &Input<'a>, wanted: Capacity) -> Result<Vec<&'a InstanceId>, Reason> {
    let (fleet, group, figures) = (input.fleet, input.group, input.figures);
    let most = fleet.max_in_flight.resolve(figures.desired).min(group.most_drains);
    let room = most.minus(figures.draining);
    if room == Capacity::ZERO {
        return Err(Reason::DrainBudget { in_flight: figures.draining, most });
    }
    let wanted = wanted.min(room);
    let mut candidates = eligible(fleet, group, input.now);
    let mut chosen = Vec::new();
    while chosen.len() < wanted.get() as usize {
        let Some(index) = best(fleet, group, &candidates, &chosen, input.now) else { break };
        chosen.push(&candidates.swap_remove(index).id);
    }
    if chosen.is_empty() { Err(all_stay(input)) } else { Ok(chosen) }
}

/// The instances of which it is unknown what they do: several series carry their id, or they were read before a drain
/// and did not say what they carry.
pub(super) fn unclear(group: &Group) -> Vec<Reason> {
    let named = |is_meant: fn(&Instance) -> bool| {
        let in_service = group.instances.iter().filter(|it| it.lifecycle == Lifecycle::InService);
        in_service.filter(|it| is_meant(it)).map(|it| it.id.clone()).collect::<Vec<_>>()
    };
    let ambiguous = named(|it| it.reported.ambiguous);
    let unreadable = named(|it| it.drain.is_none() && it.live.latest.is_some_and(|it| !it.is_answer()));
    let reasons = [
        (!ambiguous.is_empty()).then_some(Reason::AmbiguousInstance(ambiguous)),
        (!unreadable.is_empty()).then_some(Reason::Unreadable(unreadable)),
    ];
    reasons.into_iter().flatten().collect()
}

/// The instance that would leave first if one had to, whatever holds it back.
pub(super) fn first<'a>(fleet: &FleetPolicy, group: &'a Group, now: Time) -> Option<&'a InstanceId> {
    let candidates = eligible(fleet, group, now);
    best(fleet, group, &candidates, &[], now).map(|index| &candidates[index].id)
}

/// How many of the instances that may leave are expired Jibris.
pub(super) fn expired(input: &Input<'_>) -> Capacity {
    let candidates = eligible(input.fleet, input.group, input.now);
    Capacity::of(candidates.iter().filter(|it| it.reported.expired).count())
}

fn eligible<'a>(fleet: &FleetPolicy, group: &'a Group, now: Time) -> Vec<&'a Instance> {
    group.instances.iter().filter(|it| is_eligible(fleet, it, now)).collect()
}

/// The place of the best of `candidates`, as if `chosen` had left already.
fn best(
    fleet: &FleetPolicy,
    group: &Group,
    candidates: &[&Instance],
    chosen: &[&InstanceId],
    now: Time,
) -> Option<usize> {
    // Among equals the fullest zone loses one first, so that the zones stay even.
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

/// The smaller, the sooner the instance leaves.
fn rank(fleet: &FleetPolicy, instance: &Instance, now: Time) -> f64 {
    if instance.reported.expired {
        return f64::NEG_INFINITY;
    }
    let age = instance.in_service_since.map_or(0.0, |since| now.since(since).as_secs_f64());
    match fleet.victims.order {
        VictimOrder::LeastLoaded => instance.reported.load.unwrap_or(f64::MAX),
        VictimOrder::Oldest => -age,
        VictimOrder::Newest => age,
        VictimOrder::LongestIdle => -instance.reported.idle_for.map_or(0.0, |idle| idle.as_secs_f64()),
    }
}

/// How many instances take new work and so share the load.
pub(super) fn serving(fleet: &FleetPolicy, group: &Group, now: Time) -> Capacity {
    Capacity::of(group.instances.iter().filter(|it| is_serving(fleet, it, now)).count())
}

/// Whether an instance is known to take new work: ready, reporting by a single series, not unhealthy by its own account,
/// not expired, and not drained by anyone.
pub(super) fn is_serving(fleet: &FleetPolicy, instance: &Instance, now: Time) -> bool {
    is_ready(fleet, instance, now)
        && instance.reported.up
        && instance.reported.healthy != Some(false)
        && instance.reported.draining != Some(true)
        && !instance.reported.expired
        && !instance.reported.ambiguous
}

/// Whether an instance may be chosen to leave.
pub(super) fn is_eligible(fleet: &FleetPolicy, instance: &Instance, now: Time) -> bool {
    stays(fleet, instance, now).is_none()
}

/// Why each instance that the group still counts stays.
fn all_stay(input: &Input<'_>) -> Reason {
    let counts =
        |it: &&Instance| matches!(it.lifecycle, Lifecycle::Pending | Lifecycle::InService | Lifecycle::Aside);
    let held = input.group.instances.iter().filter(counts);
    let stays = held.filter_map(|it| Some((it.id.clone(), stays(input.fleet, it, input.now)?)));
    Reason::NoVictim(stays.collect())
}
