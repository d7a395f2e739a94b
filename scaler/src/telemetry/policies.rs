//! Values, thresholds and cooldowns of policies, for dashboards that draw one beside the other.

use std::hash::Hash;

use prometheus_client::metrics::gauge::{Atomic, Gauge};

use super::current::Current;
use super::metrics::{DirectionLabels, GroupRef, PolicyLabels, Telemetry, ThresholdLabels};
use crate::decide::observation::{Group, Observation, Series};
use crate::decide::policy::{Direction, FleetPolicy};
use crate::units::Time;

/// When the cooldown of each direction ends, by the longest cooldown of the group's policies. (A policy with a shorter
/// one may act earlier.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cooldowns {
    /// Upwards.
    pub scale_out: Option<Time>,
    /// Downwards: after the last scale-in, and after the last scale-out too.
    pub scale_in: Option<Time>,
}

impl Cooldowns {
    /// The cooldowns of a group, which may have ended.
    #[must_use]
    pub fn of(fleet: &FleetPolicy, group: &Group) -> Self {
        let until = |last: Option<Time>, direction| {
            let longest = fleet.policies.iter().filter_map(|policy| policy.cooldown(direction)).max();
            last.zip(longest).map(|(last, cooldown)| last.after(cooldown))
        };
        let scale_out = until(group.scaled_out, Direction::Out);
        Self { scale_out, scale_in: until(group.scaled_in, Direction::In).max(scale_out) }
    }
}

/// Sets a gauge, or removes it where there is no value.
fn assign<L, N, A>(gauges: &Current<L, Gauge<N, A>>, labels: &L, value: Option<N>)
where
    L: Clone + Eq + Hash,
    A: Atomic<N> + Default,
{
    match value {
        Some(value) => drop(gauges.get_or_create(labels).set(value)),
        None => gauges.remove(labels),
    }
}

impl Telemetry {
    /// The policies of a group were read; `paused` if an operator has paused it.
    pub fn watched(&self, group: &GroupRef, fleet: &FleetPolicy, seen: &Observation, paused: bool) {
        let gauges = &self.metrics;
        for (index, policy) in fleet.policies.iter().enumerate() {
            let labels = PolicyLabels { group: group.labels(), policy: policy.name.clone() };
            assign(&gauges.policy_value, &labels, seen.windows.get(index).and_then(Series::last));
            for (direction, word) in [(Direction::Out, "out"), (Direction::In, "in")] {
                let Some(rule) = policy.rule(direction) else { continue };
                let (fleet, policy) = (group.fleet.clone(), policy.name.clone());
                let labels = ThresholdLabels { fleet, policy, direction: word };
                gauges.policy_threshold.get_or_create(&labels).set(rule.when.threshold());
            }
        }
        let cooldowns = Cooldowns::of(fleet, &seen.group);
        for (until, direction) in [(cooldowns.scale_out, "out"), (cooldowns.scale_in, "in")] {
            let labels = DirectionLabels { group: group.labels(), direction };
            assign(&gauges.cooldown_until_timestamp_seconds, &labels, until.map(Time::unix));
        }
        gauges.paused.set(group.labels(), i64::from(paused));
    }
}
