//! The scaler's own metrics: their names, help texts and labels.
//!
//! Owns no events; the other files of this folder write them. Label values come from closed sets or from the
//! configuration.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::current::{Current, Forget as _, OfFleet};
use super::decision_log::DecisionLog;
use super::passing::Passing;
use crate::units::{FleetName, GroupName, PolicyName, Region};

/// The whole of a group's identity in texts and metrics.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupRef {
    /// The fleet it belongs to.
    pub fleet: FleetName,
    /// Its region.
    pub region: Region,
    /// Its name.
    pub name: GroupName,
}

impl GroupRef {
    pub(super) fn labels(&self) -> GroupLabels {
        GroupLabels { fleet: self.fleet.clone(), asg: self.name.clone(), region: self.region.clone() }
    }
}

/// Writes each event's log line and metric. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Telemetry {
    pub(super) metrics: Arc<Metrics>,
    pub(super) decision_log: Option<DecisionLog>,
}

impl Telemetry {
    /// Registers every metric of the scaler.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Metrics::register(registry);
        // A scaler without a lease always leads; one with a lease sets this to 0 when it stands by.
        metrics.leader.set(1);
        for outcome in Webhook::ALL {
            drop(metrics.webhooks.get_or_create(&WebhookLabels { outcome: outcome.as_str() }));
        }
        Self { metrics: Arc::new(metrics), decision_log: None }
    }
}

/// Defines sets of labels.
macro_rules! labels {
    ($($name:ident { $($(#[$flatten:meta])? $field:ident: $type:ty),+ })+) => {
        $(#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
        pub(super) struct $name { $($(#[$flatten])? pub(super) $field: $type),+ })+
    };
}

labels! {
    GroupLabels { fleet: FleetName, asg: GroupName, region: Region }
    FleetLabels { fleet: FleetName }
    StateLabels { #[prometheus(flatten)] group: GroupLabels, state: &'static str }
    ActionLabels { #[prometheus(flatten)] group: GroupLabels, action: &'static str, dry_run: &'static str }
    PolicyLabels { #[prometheus(flatten)] group: GroupLabels, policy: PolicyName }
    ThresholdLabels { fleet: FleetName, policy: PolicyName, direction: &'static str }
    VerdictLabels { #[prometheus(flatten)] policy: PolicyLabels, direction: &'static str, verdict: &'static str }
    DirectionLabels { #[prometheus(flatten)] group: GroupLabels, direction: &'static str }
    BlockLabels { #[prometheus(flatten)] group: GroupLabels, reason: &'static str }
    EffectLabels { fleet: FleetName, effect: &'static str, outcome: &'static str }
    CallLabels { call: &'static str, outcome: &'static str }
    CallNameLabels { call: &'static str }
    UnseenLabels { fleet: FleetName, what: &'static str }
    OutcomeLabels { fleet: FleetName, outcome: &'static str }
    ReasonLabels { reason: &'static str }
    WebhookLabels { outcome: &'static str }
    WakeLabels { fleet: FleetName, trigger: &'static str }
}

/// Where labels name their fleet.
macro_rules! of_fleet {
    ($($name:ident: $($path:ident).+;)+) => {
        $(impl OfFleet for $name {
            fn fleet(&self) -> &FleetName {
                &self.$($path).+
            }
        })+
    };
}

of_fleet! {
    GroupLabels: fleet;
    FleetLabels: fleet;
    OutcomeLabels: fleet;
    StateLabels: group.fleet;
    PolicyLabels: group.fleet;
    DirectionLabels: group.fleet;
    BlockLabels: group.fleet;
    ThresholdLabels: fleet;
    VerdictLabels: policy.group.fleet;
}

/// Names as the values of labels, which share their text.
macro_rules! label_values {
    ($($name:ident),+) => {
        $(impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
                encoder.write_str(self.as_str())
            }
        })+
    };
}

label_values!(FleetName, GroupName, PolicyName, Region);

type Real = Gauge<f64, AtomicU64>;
type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// Defines [`Metrics`] as a table: the name of each metric below `jitsi_scaler_`, its type and its help text. Those of
/// `current` describe fleets and groups as they are, and are removed when another scaler takes over.
macro_rules! metrics {
    (@new) => { Default::default() };
    (@new $new:expr) => { $new };
    (
        lasting { $($lasting:ident: $lasting_type:ty $(= $new:expr)?, $lasting_help:literal;)+ }
        current { $($current:ident: $current_type:ty, $current_help:literal;)+ }
    ) => {
        #[derive(Debug)]
        pub(super) struct Metrics {
            $(pub(super) $lasting: $lasting_type,)+
            $(pub(super) $current: $current_type,)+
        }

        impl Metrics {
            fn register(registry: &mut Registry) -> Self {
                let metrics = Self {
                    $($lasting: metrics!(@new $($new)?),)+
                    $($current: metrics!(@new),)+
                };
                $(registry.register(
                    concat!("jitsi_scaler_", stringify!($lasting)), $lasting_help, metrics.$lasting.clone()
                );)+
                $(registry.register(
                    concat!("jitsi_scaler_", stringify!($current)), $current_help, metrics.$current.clone()
                );)+
                metrics
            }

            /// Removes the figures of fleets that are gone and of their groups, which would grow stale. Counters stay.
            pub(super) fn clear_current(&self, is_gone: &dyn Fn(&str) -> bool) {
                $(self.$current.forget(is_gone);)+
            }
        }
    };
}

metrics! {
    lasting {
        decisions: Family<ActionLabels, Counter>,
            "Decisions by the action, which a dry run (dry_run) does not take";
        effects: Family<EffectLabels, Counter>, "Steps performed on groups and instances, by outcome";
        cloud_calls: Family<CallLabels, Counter>, "Calls to AWS by outcome";
        cloud_call_duration_seconds: Durations<CallNameLabels> = Family::new_with_constructor(durations),
            "Seconds that calls to AWS took";
        prometheus_queries: Family<OutcomeLabels, Counter>, "Queries to Prometheus by outcome";
        prometheus_query_duration_seconds: Histogram = durations(), "Seconds that queries to Prometheus took";
        evaluation_duration_seconds: Durations<FleetLabels> = Family::new_with_constructor(durations),
            "Seconds from the grid point to the end of its evaluation and its actions";
        drain_duration_seconds: Durations<FleetLabels> = Family::new_with_constructor(long_durations),
            "Seconds from the start of a drain to the request that removes its instance";
        evaluations_missed: Family<FleetLabels, Counter>,
            "Grid points that passed while an earlier evaluation was still under way";
        unseen: Family<UnseenLabels, Counter>,
            "Failed reads of groups, activities, instance refreshes, or instances that drain";
        unreadable_tags: Family<GroupLabels, Counter>,
            "Tags of the scaler's prefix whose value could not be understood";
        decision_log_lost: Counter, "Decisions that could not be written to the file of --decision-log";
        leader: Gauge, "1 while this scaler acts, which without --leader.lease is always; 0 while it stands by";
        leader_changes: Counter, "Times that this scaler gained or lost the lead, or that of a shard";
        shards: Gauge, "The number of shards over which the fleets are spread; 0 without --leader.shards";
        shards_led: Gauge, "Shards that this scaler leads; 0 without --leader.shards";
        lease_failures: Family<ReasonLabels, Counter>,
            "Failed requests for the lease, by reason; conflict: another scaler was faster";
        webhooks: Family<WebhookLabels, Counter>, "Notifications of Alertmanager by outcome";
        wakes: Family<WakeLabels, Counter>,
            "Evaluations of some groups of a fleet between two grid points, by trigger";
    }
    current {
        group_instances: Passing<StateLabels>,
            "Instances of the group by state (desired, ready, reporting, min, max, wanted; while there are any: warming, draining, replaced, kept)";
        policy_verdict: Passing<VerdictLabels>,
            "1 while a policy calls for a change in a direction (alarm) or has too few datapoints (unknown); 0 at the scrape after that, then absent";
        group_blocked: Passing<BlockLabels>, "1 while this reason keeps the group from scaling further; 0 at the scrape after that, then absent";
        last_evaluation_timestamp_seconds: Current<FleetLabels, Gauge>,
            "Unix time of the grid point that was last evaluated";
        fleet_groups: Current<FleetLabels, Gauge>, "Groups found for the fleet";
        fleet_groups_missing: Current<FleetLabels, Gauge>,
            "Groups that the configuration names and AWS does not have";
        policy_series_unmatched: Current<OutcomeLabels, Gauge>,
            "Series of the fleet's policies that match no group (unmatched) or several at once (ambiguous)";
        policy_value: Current<PolicyLabels, Real>,
            "The newest datapoint of the policy, in the unit of its expression; absent while that point is missing";
        policy_threshold: Current<ThresholdLabels, Real>,
            "The threshold that the policy compares the datapoints of each of the fleet's groups with";
        cooldown_until_timestamp_seconds: Current<DirectionLabels, Gauge>,
            "Unix time at which the last cooldown of this direction ends or has ended; absent before the first";
        paused: Passing<GroupLabels>, "1 while an operator has paused the group; absent otherwise";
        oldest_drain_seconds: Passing<GroupLabels>,
            "Seconds for which the oldest drain of the group has been under way; absent without one";
        drains_overdue: Passing<GroupLabels>, "Drains that have taken longer than drain.timeout; absent without one";
        drains_unreachable: Passing<GroupLabels>, "Draining instances that do not report their load; absent without one";
        hook_limit_ratio: Passing<GroupLabels, f64>,
            "The largest share of the hook's time limit that has passed for an instance held by it; at 1 AWS ends the instance, even if it is in use";
        launch_failing: Passing<GroupLabels>, "Launches that failed in a row while the group lacks instances; absent without one";
        unreached_seconds: Passing<GroupLabels>,
            "Seconds for which the group has had fewer instances than desired; absent otherwise";
        ill_instances: Passing<GroupLabels>,
            "Instances that replace_unhealthy found unhealthy for its number of periods; absent without one";
    }
}

/// A number of things, or of seconds, as gauges hold it.
pub(super) fn whole<N: TryInto<i64>>(number: N) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// A histogram of seconds.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 8))
}

/// A histogram of what takes a minute to two days: the longest that a lifecycle hook grants.
fn long_durations() -> Histogram {
    Histogram::new([
        60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 43200.0, 86400.0, 172_800.0,
    ])
}

jitsi_web::words! {
    /// What became of a notification of Alertmanager.
    pub enum Webhook {
        /// It woke the evaluation of a group.
        Woken = "woken",
        /// An earlier notification said the same.
        Duplicate = "duplicate",
        /// No alert in it fires.
        Resolved = "resolved",
        /// It names no known group.
        Unmatched = "unmatched",
        /// It cannot be understood.
        Invalid = "invalid",
        /// Too many came; a later one may be accepted.
        Limited = "limited",
        /// Nothing has been evaluated yet, or a fleet is busy; a later one may be accepted.
        Busy = "busy",
    }
}
