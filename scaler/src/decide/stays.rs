//! Why an instance may not be chosen to leave, and which instances are ready.
//!
//! Owns the checks and their order: an instance has one reason, the first that holds. An instance that cannot be seen may
//! carry anything, so it stays.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::observation::{Group, Instance, Lifecycle, Reading};
use super::policy::{Component, FleetPolicy};
use crate::units::{InstanceId, Time};

/// Why an instance may not be chosen to leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stay {
    /// It boots, or somebody set it aside.
    NotInService,
    /// The cloud finds it unhealthy.
    Unhealthy,
    /// The scaler drains it already.
    Draining,
    /// An operator ordered its drain, which has not begun.
    Ordered,
    /// It is in service for less than the warm-up.
    Warming {
        /// Until when; `None` if it is unknown since when it is in service.
        until: Option<Time>,
    },
    /// It is in service for less than `victims.min_age`.
    TooYoung {
        /// Until when.
        until: Time,
    },
    /// Several series carry its id.
    Ambiguous,
    /// Prometheus has no fresh sample of it.
    Silent,
    /// Somebody drains it at its own interface.
    DrainedByHand,
    /// It is ill, and so replaced instead.
    Ill,
    /// It reports no load.
    UnknownLoad,
    /// It is a bridge in use, and `victims.only_idle` is set.
    Busy {
        /// Its participants, if they are known.
        people: Option<f64>,
    },
    /// It is a Jibri that records.
    Records,
    /// It is a Jibri that is idle for less than `victims.idle_for`.
    BarelyIdle {
        /// Until when; `None` if it is unknown for how long it is idle.
        until: Option<Time>,
    },
    /// It was read, and did not say what it carries.
    Unreadable,
}

impl Stay {
    /// The label in the status.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotInService => "not_in_service",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::Ordered => "ordered",
            Self::Warming { .. } => "warming",
            Self::TooYoung { .. } => "too_young",
            Self::Ambiguous => "ambiguous",
            Self::Silent => "silent",
            Self::DrainedByHand => "drained_by_hand",
            Self::Ill => "ill",
            Self::UnknownLoad => "unknown_load",
            Self::Busy { .. } => "busy",
            Self::Records => "records",
            Self::BarelyIdle { .. } => "barely_idle",
            Self::Unreadable => "unreadable",
        }
    }

    /// When it ends, where that is known.
    #[must_use]
    pub fn until(&self) -> Option<Time> {
        match self {
            Self::Warming { until } | Self::BarelyIdle { until } => *until,
            Self::TooYoung { until } => Some(*until),
            _ => None,
        }
    }

    /// A few words for a person, after a number of instances or the id of one.
    fn kind(&self) -> &'static str {
        match self {
            Self::NotInService => "not in service",
            Self::Unhealthy => "unhealthy to the cloud",
            Self::Draining => "draining already",
            Self::Ordered => "about to be drained by an operator",
            Self::Warming { .. } => "warming up",
            Self::TooYoung { .. } => "too young",
            Self::Ambiguous => "named by several series",
            Self::Silent => "not reporting",
            Self::DrainedByHand => "drained by hand",
            Self::Ill => "ill and to be replaced",
            Self::UnknownLoad => "of unknown load",
            Self::Busy { .. } => "busy",
            Self::Records => "recording",
            Self::BarelyIdle { .. } => "not idle for long enough",
            Self::Unreadable => "unreadable",
        }
    }

    /// The reason in words for a person, after the id of the instance.
    #[must_use]
    pub fn text(&self) -> String {
        let kind = self.kind();
        match self {
            Self::Busy { people: Some(1.0) } => format!("{kind} with 1 person"),
            Self::Busy { people: Some(people) } => format!("{kind} with {people} people"),
            _ => self.until().map_or_else(|| kind.to_owned(), |until| format!("{kind} until {until}")),
        }
    }
}

/// How many instances stay for each reason, the most frequent first.
pub(super) fn summary(stays: &[(InstanceId, Stay)]) -> String {
    let mut counts = BTreeMap::new();
    for (_, stay) in stays {
        *counts.entry(stay.kind()).or_insert(0) += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    let counted: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    if counted.is_empty() { "the group has none".to_owned() } else { counted.join(", ") }
}

type Check = fn(&FleetPolicy, &Instance, Time) -> Option<Stay>;

/// Why an instance may not be chosen to leave; `None` if it may.
pub(super) fn stays(fleet: &FleetPolicy, instance: &Instance, now: Time) -> Option<Stay> {
    let checks: [Check; 8] = [unready, ordered, too_young, unseen, drained_by_hand, ill, in_use, read];
    checks.into_iter().find_map(|check| check(fleet, instance, now))
}

/// Whether an instance is in service, past the warm-up, not drained by the scaler, and healthy to the cloud.
pub(super) fn is_ready(fleet: &FleetPolicy, instance: &Instance, now: Time) -> bool {
    unready(fleet, instance, now).is_none()
}

fn unready(fleet: &FleetPolicy, instance: &Instance, now: Time) -> Option<Stay> {
    let since = instance.in_service_since;
    let is_warm = since.is_some_and(|since| now.since(since) >= fleet.warmup);
    let reasons = [
        (instance.lifecycle != Lifecycle::InService, Stay::NotInService),
        (!instance.healthy, Stay::Unhealthy),
        (instance.drain.is_some(), Stay::Draining),
        (!is_warm, Stay::Warming { until: since.map(|since| since.after(fleet.warmup)) }),
    ];
    reasons.into_iter().find_map(|(holds, stay)| holds.then_some(stay))
}

/// An operator said how it is to end.
fn ordered(_: &FleetPolicy, instance: &Instance, _: Time) -> Option<Stay> {
    instance.ordered.map(|_| Stay::Ordered)
}

fn too_young(fleet: &FleetPolicy, instance: &Instance, now: Time) -> Option<Stay> {
    let (since, min_age) = (instance.in_service_since?, fleet.victims.min_age);
    (now.since(since) < min_age).then(|| Stay::TooYoung { until: since.after(min_age) })
}

fn unseen(_: &FleetPolicy, instance: &Instance, _: Time) -> Option<Stay> {
    let reported = &instance.reported;
    let reasons = [(reported.ambiguous, Stay::Ambiguous), (!reported.up, Stay::Silent)];
    reasons.into_iter().find_map(|(holds, stay)| holds.then_some(stay))
}

/// A drain without a tag is an operator's, and is left alone.
fn drained_by_hand(_: &FleetPolicy, instance: &Instance, _: Time) -> Option<Stay> {
    is_drained_by_hand(instance).then_some(Stay::DrainedByHand)
}

/// Whether an instance in service takes nothing new, and no tag of the scaler says why: somebody drains it at its own
/// interface. Once it has been read, its own answer counts too.
fn is_drained_by_hand(instance: &Instance) -> bool {
    let answers_so = matches!(instance.live.latest, Some(Reading::Answered { draining: true, .. }));
    let drains = instance.reported.draining == Some(true) || answers_so;
    drains && instance.lifecycle == Lifecycle::InService && instance.drain.is_none()
}

/// An ill one is replaced instead, except an expired one: the group does not need another in its place.
fn ill(_: &FleetPolicy, instance: &Instance, _: Time) -> Option<Stay> {
    (instance.ill && !instance.reported.expired).then_some(Stay::Ill)
}

/// The instances that somebody drains at their own interface.
pub(super) fn by_hand(group: &Group) -> Vec<InstanceId> {
    group.instances.iter().filter(|it| is_drained_by_hand(it)).map(|it| it.id.clone()).collect()
}

fn in_use(fleet: &FleetPolicy, instance: &Instance, now: Time) -> Option<Stay> {
    let Some(load) = instance.reported.load else { return Some(Stay::UnknownLoad) };
    match fleet.component {
        // By default a bridge in use is drained for as long as that takes.
        Component::Jvb => {
            (load != 0.0 && fleet.victims.only_idle).then_some(Stay::Busy { people: Some(load) })
        }
        Component::Jibri if load != 0.0 => Some(Stay::Records),
        Component::Jibri => barely_idle(fleet, instance, now),
    }
}

fn barely_idle(fleet: &FleetPolicy, instance: &Instance, now: Time) -> Option<Stay> {
    let (idle, idle_for) = (instance.reported.idle_for, fleet.victims.idle_for);
    let suffices =
        instance.reported.expired || idle_for.is_zero() || idle.is_some_and(|idle| idle >= idle_for);
    let until = || idle.map(|idle| now.after(idle_for.saturating_sub(idle)));
    (!suffices).then(|| Stay::BarelyIdle { until: until() })
}

/// Once it has been read, its own answer counts too.
fn read(fleet: &FleetPolicy, instance: &Instance, _: Time) -> Option<Stay> {
    match (instance.live.latest?, fleet.component) {
        (Reading::Answered { empty: false, .. }, Component::Jvb) => {
            fleet.victims.only_idle.then_some(Stay::Busy { people: None })
        }
        (Reading::Answered { empty: false, .. }, Component::Jibri) => Some(Stay::Records),
        (Reading::Answered { empty: true, .. }, _) => None,
        (Reading::Refused | Reading::Unknown, _) => Some(Stay::Unreadable),
    }
}
