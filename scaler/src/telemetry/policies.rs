//! What is told of policies: values, thresholds and cooldowns, for dashboards that draw one beside the other.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::{Adder, GroupLabels, GroupRef, Telemetry};
use crate::decide::observation::{Group, Observation, Series};
use crate::decide::policy::{Direction, FleetPolicy};
use crate::units::Time;

type Value = Gauge<f64, std::sync::atomic::AtomicU64>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PolicyLabels {
    fleet: String,
    asg: String,
    region: String,
    policy: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ThresholdLabels {
    fleet: String,
    asg: String,
    region: String,
    policy: String,
    direction: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DirectionLabels {
    fleet: String,
    asg: String,
    region: String,
    direction: &'static str,
}

/// Gauges per group; each is set, or taken away, at every evaluation.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    values: Family<PolicyLabels, Value>,
    thresholds: Family<ThresholdLabels, Value>,
    cooldowns: Family<DirectionLabels, Gauge>,
    paused: Family<GroupLabels, Gauge>,
}

impl Gauges {
    pub(super) fn register(&self, add: &mut Adder<'_>) {
        add.it(
            "policy_value",
            "The newest datapoint of the policy, in the unit of its expression; absent while that point is missing",
            &self.values,
        );
        add.it("policy_threshold", "What the policy compares its datapoints with", &self.thresholds);
        add.it(
            "cooldown_until_timestamp_seconds",
            "Unix time at which the last cooldown of this direction ends or has ended; absent before the first",
            &self.cooldowns,
        );
        add.it("paused", "1 while an operator has paused the group, else 0", &self.paused);
    }

    pub(super) fn clear(&self) {
        self.values.clear();
        self.thresholds.clear();
        self.cooldowns.clear();
        self.paused.clear();
    }
}

/// Until when each direction of a group waits after an action: to the end of the longest cooldown of its policies. (One
/// with a shorter cooldown may scale out before.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cooldowns {
    /// Upwards.
    pub scale_out: Option<Time>,
    /// Downwards: after the last scale-in, and after the last scale-out too.
    pub scale_in: Option<Time>,
}

impl Cooldowns {
    /// Those of a group, over or not.
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

impl Telemetry {
    /// What the policies of a group were seen to say, and whether they are listened to.
    pub fn watched(&self, group: &GroupRef, fleet: &FleetPolicy, seen: &Observation, paused: bool) {
        let gauges = &self.metrics.policies;
        let GroupLabels { fleet: name, asg, region } = group.labels();
        for (index, policy) in fleet.policies.iter().enumerate() {
            let (fleet, asg, region) = (name.clone(), asg.clone(), region.clone());
            let labels = PolicyLabels { fleet, asg, region, policy: policy.name.to_string() };
            match seen.windows.get(index).and_then(Series::last) {
                Some(value) => {
                    gauges.values.get_or_create(&labels).set(value);
                }
                None => {
                    gauges.values.remove(&labels);
                }
            }
            for (direction, word) in [(Direction::Out, "out"), (Direction::In, "in")] {
                let Some(rule) = policy.rule(direction) else { continue };
                let PolicyLabels { fleet, asg, region, policy } = labels.clone();
                let labels = ThresholdLabels { fleet, asg, region, policy, direction: word };
                gauges.thresholds.get_or_create(&labels).set(rule.when.threshold());
            }
        }
        let cooldowns = Cooldowns::of(fleet, &seen.group);
        for (until, direction) in [(cooldowns.scale_out, "out"), (cooldowns.scale_in, "in")] {
            let (fleet, asg, region) = (name.clone(), asg.clone(), region.clone());
            let labels = DirectionLabels { fleet, asg, region, direction };
            match until {
                Some(until) => {
                    gauges.cooldowns.get_or_create(&labels).set(until.unix());
                }
                None => {
                    gauges.cooldowns.remove(&labels);
                }
            }
        }
        gauges.paused.get_or_create(&group.labels()).set(i64::from(paused));
    }
}
