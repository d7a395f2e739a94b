//! The scaler's own metrics: their names, help texts and labels.
//!
//! Owns no events; the other files of this folder write them. Label values come from closed sets or from the
//! configuration.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};

use super::decision_log::DecisionLog;
use crate::units::{FleetName, GroupName, Region};

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
        GroupLabels {
            fleet: self.fleet.to_string(),
            asg: self.name.to_string(),
            region: self.region.to_string(),
        }
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
        let metrics = Metrics::default();
        metrics.register(&mut Adder { registry });
        metrics.leadership.register(&mut Adder { registry });
        metrics.upkeep.register(&mut Adder { registry });
        metrics.policies.register(&mut Adder { registry });
        metrics.requests.register(&mut Adder { registry });
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
    GroupLabels { fleet: String, asg: String, region: String }
    FleetLabels { fleet: String }
    StateLabels { #[prometheus(flatten)] group: GroupLabels, state: &'static str }
    ActionLabels { #[prometheus(flatten)] group: GroupLabels, action: &'static str }
    PolicyLabels { #[prometheus(flatten)] group: GroupLabels, policy: String }
    ThresholdLabels { #[prometheus(flatten)] policy: PolicyLabels, direction: &'static str }
    VerdictLabels { #[prometheus(flatten)] policy: PolicyLabels, direction: &'static str, verdict: &'static str }
    DirectionLabels { #[prometheus(flatten)] group: GroupLabels, direction: &'static str }
    BlockLabels { #[prometheus(flatten)] group: GroupLabels, reason: &'static str }
    EffectLabels { fleet: String, effect: &'static str, outcome: &'static str }
    CallLabels { call: &'static str, outcome: &'static str }
    CallNameLabels { call: &'static str }
    UnseenLabels { fleet: String, what: &'static str }
    OutcomeLabels { fleet: String, outcome: &'static str }
    ReasonLabels { reason: &'static str }
    WebhookLabels { outcome: &'static str }
    WakeLabels { fleet: String, trigger: &'static str }
}

type Real = Gauge<f64, AtomicU64>;
type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Debug, Default)]
pub(super) struct Metrics {
    pub(super) instances: Family<StateLabels, Gauge>,
    pub(super) decisions: Family<ActionLabels, Counter>,
    pub(super) verdicts: Family<VerdictLabels, Gauge>,
    pub(super) blocks: Family<BlockLabels, Gauge>,
    pub(super) effects: Family<EffectLabels, Counter>,
    pub(super) cloud_calls: Family<CallLabels, Counter>,
    pub(super) queries: Family<OutcomeLabels, Counter>,
    pub(super) last_evaluation: Family<FleetLabels, Gauge>,
    pub(super) timings: Timings,
    pub(super) late_ticks: Family<FleetLabels, Counter>,
    pub(super) groups: Family<FleetLabels, Gauge>,
    pub(super) missing_groups: Family<FleetLabels, Gauge>,
    pub(super) mismatches: Family<OutcomeLabels, Gauge>,
    pub(super) unseen: Family<UnseenLabels, Counter>,
    pub(super) unreadable_tags: Family<GroupLabels, Counter>,
    pub(super) leadership: Leadership,
    pub(super) upkeep: Upkeep,
    pub(super) policies: Policies,
    pub(super) requests: Requests,
    pub(super) decisions_lost: Counter,
}

impl Metrics {
    fn register(&self, add: &mut Adder<'_>) {
        add.it("group_instances", "Instances of the group by state (desired, ready, reporting, warming, draining, replaced, min, max, wanted)", &self.instances);
        add.it("decisions", "Decisions by the action taken", &self.decisions);
        add.it(
            "policy_verdict",
            "1 for the verdict of a policy in a direction, 0 for the other verdicts",
            &self.verdicts,
        );
        add.it("group_blocked", "1 while this reason keeps the group from scaling further", &self.blocks);
        add.it("effects", "Steps performed on groups and instances, by outcome", &self.effects);
        add.it("cloud_calls", "Calls to AWS by outcome", &self.cloud_calls);
        add.it("cloud_call_duration_seconds", "Seconds that calls to AWS took", &self.timings.cloud);
        add.it("prometheus_queries", "Queries to Prometheus by outcome", &self.queries);
        add.it(
            "prometheus_query_duration_seconds",
            "Seconds that queries to Prometheus took",
            &self.timings.query,
        );
        add.it(
            "last_evaluation_timestamp_seconds",
            "Unix time of the grid point that was last evaluated",
            &self.last_evaluation,
        );
        add.it(
            "evaluation_duration_seconds",
            "Seconds from the grid point to the end of its evaluation and its actions",
            &self.timings.evaluation,
        );
        add.it(
            "evaluations_missed",
            "Grid points that passed while an earlier evaluation was still under way",
            &self.late_ticks,
        );
        add.it("fleet_groups", "Groups found for the fleet", &self.groups);
        add.it(
            "fleet_groups_missing",
            "Groups that the configuration names and AWS does not have",
            &self.missing_groups,
        );
        add.it(
            "policy_series_unmatched",
            "Series of the fleet's policies that match no group (unmatched) or several at once (ambiguous)",
            &self.mismatches,
        );
        add.it(
            "unseen",
            "Failed reads of groups, activities, instance refreshes, or instances that drain",
            &self.unseen,
        );
        add.it(
            "unreadable_tags",
            "Tags of the scaler's prefix whose value could not be understood",
            &self.unreadable_tags,
        );
        add.it(
            "decision_log_lost",
            "Decisions that could not be written to the file of --decision-log",
            &self.decisions_lost,
        );
    }
}

/// Histograms of seconds.
#[derive(Debug)]
pub(super) struct Timings {
    pub(super) cloud: Durations<CallNameLabels>,
    pub(super) query: Histogram,
    pub(super) evaluation: Durations<FleetLabels>,
}

impl Default for Timings {
    fn default() -> Self {
        let durations = || Histogram::new(exponential_buckets(0.001, 4.0, 8));
        Self {
            cloud: Family::new_with_constructor(durations),
            query: durations(),
            evaluation: Family::new_with_constructor(durations),
        }
    }
}

/// Leadership among replicas.
#[derive(Debug, Default)]
pub(super) struct Leadership {
    pub(super) leads: Gauge,
    pub(super) changes: Counter,
    pub(super) failures: Family<ReasonLabels, Counter>,
}

impl Leadership {
    fn register(&self, add: &mut Adder<'_>) {
        // A scaler without a lease always leads; one with a lease sets this to 0 when it stands by.
        self.leads.set(1);
        add.it(
            "leader",
            "1 while this scaler acts, which without --leader.lease is always; 0 while it stands by",
            &self.leads,
        );
        add.it("leader_changes", "Times that this scaler gained or lost the lead", &self.changes);
        add.it(
            "lease_failures",
            "Failed requests for the lease, by reason; conflict: another scaler was faster",
            &self.failures,
        );
    }
}

/// Policies of groups; each gauge is set or removed at every evaluation.
#[derive(Debug, Default)]
pub(super) struct Policies {
    pub(super) values: Family<PolicyLabels, Real>,
    pub(super) thresholds: Family<ThresholdLabels, Real>,
    pub(super) cooldowns: Family<DirectionLabels, Gauge>,
    pub(super) paused: Family<GroupLabels, Gauge>,
}

impl Policies {
    fn register(&self, add: &mut Adder<'_>) {
        add.it(
            "policy_value",
            "The newest datapoint of the policy, in the unit of its expression; absent while that point is missing",
            &self.values,
        );
        add.it(
            "policy_threshold",
            "The threshold that the policy compares its datapoints with",
            &self.thresholds,
        );
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

/// What became of a notification of Alertmanager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Webhook {
    /// It woke the evaluation of a group.
    Woken,
    /// An earlier notification said the same.
    Duplicate,
    /// No alert in it fires.
    Resolved,
    /// It names no known group.
    Unmatched,
    /// It cannot be understood.
    Invalid,
    /// Too many came; a later one may be accepted.
    Limited,
    /// Nothing has been evaluated yet, or a fleet is busy; a later one may be accepted.
    Busy,
}

impl Webhook {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Woken,
        Self::Duplicate,
        Self::Resolved,
        Self::Unmatched,
        Self::Invalid,
        Self::Limited,
        Self::Busy,
    ];

    /// The word for it in metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Woken => "woken",
            Self::Duplicate => "duplicate",
            Self::Resolved => "resolved",
            Self::Unmatched => "unmatched",
            Self::Invalid => "invalid",
            Self::Limited => "limited",
            Self::Busy => "busy",
        }
    }
}

/// Requests from outside.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) webhooks: Family<WebhookLabels, Counter>,
    pub(super) wakes: Family<WakeLabels, Counter>,
}

impl Requests {
    fn register(&self, add: &mut Adder<'_>) {
        add.it("webhooks", "Notifications of Alertmanager by outcome", &self.webhooks);
        add.it(
            "wakes",
            "Evaluations of some groups of a fleet between two grid points, by trigger",
            &self.wakes,
        );
        for outcome in Webhook::ALL {
            drop(self.webhooks.get_or_create(&WebhookLabels { outcome: outcome.as_str() }));
        }
    }
}

/// Drains, hooks, launches and health of groups; each gauge is set at every evaluation.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    pub(super) oldest_drain: Family<GroupLabels, Gauge>,
    pub(super) overdue: Family<GroupLabels, Gauge>,
    pub(super) unreachable: Family<GroupLabels, Gauge>,
    pub(super) hook_limit: Family<GroupLabels, Real>,
    pub(super) launches_failing: Family<GroupLabels, Gauge>,
    pub(super) unreached: Family<GroupLabels, Gauge>,
    pub(super) ill: Family<GroupLabels, Gauge>,
}

impl Upkeep {
    fn register(&self, add: &mut Adder<'_>) {
        add.it(
            "oldest_drain_seconds",
            "Seconds for which the oldest drain of the group has been under way; 0 without one",
            &self.oldest_drain,
        );
        add.it("drains_overdue", "Drains that have taken longer than drain.timeout", &self.overdue);
        add.it("drains_unreachable", "Draining instances that do not report their load", &self.unreachable);
        add.it(
            "hook_limit_ratio",
            "The largest share of the hook's time limit that has passed for an instance held by it; at 1 AWS ends the instance, even if it is in use",
            &self.hook_limit,
        );
        add.it(
            "launch_failing",
            "Launches that failed in a row while the group lacks instances",
            &self.launches_failing,
        );
        add.it(
            "unreached_seconds",
            "Seconds for which the group has had fewer instances than desired; 0 otherwise",
            &self.unreached,
        );
        add.it(
            "ill_instances",
            "Instances that replace_unhealthy found unhealthy for its number of periods",
            &self.ill,
        );
    }

    pub(super) fn clear(&self) {
        let Self { oldest_drain, overdue, unreachable, hook_limit, launches_failing, unreached, ill } = self;
        for gauges in [oldest_drain, overdue, unreachable, launches_failing, unreached, ill] {
            gauges.clear();
        }
        hook_limit.clear();
    }
}

/// Adds metrics below the scaler's prefix.
struct Adder<'a> {
    registry: &'a mut Registry,
}

impl Adder<'_> {
    fn it<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: &M) {
        self.registry.register(format!("jitsi_scaler_{name}"), help, metric.clone());
    }
}
