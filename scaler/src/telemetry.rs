//! What happens, told once: each happening is one function that writes its log line and its metric together.
//!
//! Owns the names of the scaler's own metrics. Label values come from closed sets or from the configuration.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use serde::Serialize;
use tracing::{debug, error, info, warn};

use crate::decide::alarm::Verdict;
use crate::decide::decision::{Block, Decision, Effect};
use crate::decide::policy::FleetPolicy;
use crate::units::{FleetName, GroupName, Region, Time};

pub mod decision_log;
mod leadership;
mod policies;
mod requests;
mod upkeep;

use decision_log::{DecisionLog, OpenError};
pub use policies::Cooldowns;
pub use requests::Webhook;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct GroupLabels {
    fleet: String,
    asg: String,
    region: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FleetLabels {
    fleet: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StateLabels {
    fleet: String,
    asg: String,
    region: String,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ActionLabels {
    fleet: String,
    asg: String,
    region: String,
    action: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VerdictLabels {
    fleet: String,
    asg: String,
    region: String,
    policy: String,
    direction: &'static str,
    verdict: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BlockLabels {
    fleet: String,
    asg: String,
    region: String,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EffectLabels {
    fleet: String,
    effect: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    call: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallNameLabels {
    call: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UnseenLabels {
    fleet: String,
    what: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    fleet: String,
    outcome: &'static str,
}

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
    fn labels(&self) -> GroupLabels {
        GroupLabels {
            fleet: self.fleet.to_string(),
            asg: self.name.to_string(),
            region: self.region.to_string(),
        }
    }
}

type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// Where happenings are told. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Telemetry {
    metrics: Arc<Metrics>,
    decision_log: Option<DecisionLog>,
}

#[derive(Debug)]
struct Metrics {
    instances: Family<StateLabels, Gauge>,
    decisions: Family<ActionLabels, Counter>,
    verdicts: Family<VerdictLabels, Gauge>,
    blocks: Family<BlockLabels, Gauge>,
    effects: Family<EffectLabels, Counter>,
    cloud_calls: Family<CallLabels, Counter>,
    cloud_seconds: Durations<CallNameLabels>,
    queries: Family<OutcomeLabels, Counter>,
    query_seconds: Histogram,
    last_evaluation: Family<FleetLabels, Gauge>,
    tick_seconds: Durations<FleetLabels>,
    late_ticks: Family<FleetLabels, Counter>,
    groups: Family<FleetLabels, Gauge>,
    missing_groups: Family<FleetLabels, Gauge>,
    mismatches: Family<OutcomeLabels, Gauge>,
    unseen: Family<UnseenLabels, Counter>,
    unreadable_tags: Family<GroupLabels, Counter>,
    leadership: leadership::Figures,
    upkeep: upkeep::Gauges,
    policies: policies::Gauges,
    requests: requests::Counters,
    decisions_lost: Counter,
}

fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 8))
}

impl Telemetry {
    /// Registers every metric of the scaler.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Metrics {
            instances: Family::default(),
            decisions: Family::default(),
            verdicts: Family::default(),
            blocks: Family::default(),
            effects: Family::default(),
            cloud_calls: Family::default(),
            cloud_seconds: Family::new_with_constructor(durations),
            queries: Family::default(),
            query_seconds: durations(),
            last_evaluation: Family::default(),
            tick_seconds: Family::new_with_constructor(durations),
            late_ticks: Family::default(),
            groups: Family::default(),
            missing_groups: Family::default(),
            mismatches: Family::default(),
            unseen: Family::default(),
            unreadable_tags: Family::default(),
            leadership: leadership::Figures::default(),
            upkeep: upkeep::Gauges::default(),
            policies: policies::Gauges::default(),
            requests: requests::Counters::default(),
            decisions_lost: Counter::default(),
        };
        let m = &metrics;
        let mut add = Adder { registry };
        add.it("group_instances", "Instances of the group by state (desired, ready, reporting, warming, draining, replaced, min, max, wanted)", &m.instances);
        add.it("decisions", "Decisions by the action taken", &m.decisions);
        add.it(
            "policy_verdict",
            "1 for the verdict of a policy in a direction, 0 for the other verdicts",
            &m.verdicts,
        );
        add.it("group_blocked", "1 while this reason keeps the group from scaling further", &m.blocks);
        add.it("effects", "Steps performed on groups and instances, by outcome", &m.effects);
        add.it("cloud_calls", "Calls to AWS by outcome", &m.cloud_calls);
        add.it("cloud_call_duration_seconds", "Seconds that calls to AWS took", &m.cloud_seconds);
        add.it("prometheus_queries", "Queries to Prometheus by outcome", &m.queries);
        add.it(
            "prometheus_query_duration_seconds",
            "Seconds that queries to Prometheus took",
            &m.query_seconds,
        );
        add.it(
            "last_evaluation_timestamp_seconds",
            "Unix time of the grid point that was last evaluated",
            &m.last_evaluation,
        );
        add.it(
            "evaluation_duration_seconds",
            "Seconds from the grid point to the end of its evaluation and its actions",
            &m.tick_seconds,
        );
        add.it(
            "evaluations_missed",
            "Grid points that passed while an earlier evaluation was still under way",
            &m.late_ticks,
        );
        add.it("fleet_groups", "Groups found for the fleet", &m.groups);
        add.it(
            "fleet_groups_missing",
            "Groups that the configuration names and AWS does not have",
            &m.missing_groups,
        );
        add.it(
            "policy_series_unmatched",
            "Series of the fleet's policies that match no group (unmatched) or several at once (ambiguous)",
            &m.mismatches,
        );
        add.it(
            "unseen",
            "Looks that gave nothing: at groups, activities, instance refreshes, or an instance that drains",
            &m.unseen,
        );
        add.it(
            "unreadable_tags",
            "Tags of the scaler's prefix whose value could not be understood",
            &m.unreadable_tags,
        );
        add.it(
            "decision_log_lost",
            "Decisions that could not be written to the file of --decision-log",
            &m.decisions_lost,
        );
        m.leadership.register(&mut add);
        m.upkeep.register(&mut add);
        m.policies.register(&mut add);
        m.requests.register(&mut add);
        Self { metrics: Arc::new(metrics), decision_log: None }
    }

    /// Appends the decisions that change to the file `path` too.
    pub fn append_to(&mut self, path: &Path) -> Result<DecisionLog, OpenError> {
        let log = DecisionLog::open(path, self.metrics.decisions_lost.clone())?;
        self.decision_log = Some(log.clone());
        Ok(log)
    }

    /// A decision was made: its figures as metrics, and one log line with its reasons, at debug level unless it is `news`:
    /// the record of a decision that says something else than the one before.
    pub fn decided(
        &self,
        group: &GroupRef,
        policy: &FleetPolicy,
        decision: &Decision,
        (at, dry_run): (Time, bool),
        news: Option<&impl Serialize>,
    ) {
        drop(self.metrics.unreadable_tags.get_or_create(&group.labels()));
        let labels = group.labels();
        let action = ActionLabels {
            fleet: labels.fleet.clone(),
            asg: labels.asg.clone(),
            region: labels.region.clone(),
            action: decision.action.as_str(),
        };
        self.metrics.decisions.get_or_create(&action).inc();
        let figures = &decision.current;
        for (state, count) in [
            ("desired", figures.desired),
            ("ready", figures.ready),
            ("reporting", figures.reporting),
            ("warming", figures.warming),
            ("draining", figures.draining),
            ("replaced", figures.replaced),
            ("min", figures.limits.min),
            ("max", figures.limits.max),
            ("wanted", decision.desired),
        ] {
            let labels = StateLabels {
                fleet: labels.fleet.clone(),
                asg: labels.asg.clone(),
                region: labels.region.clone(),
                state,
            };
            self.metrics.instances.get_or_create(&labels).set(i64::from(count.get()));
        }
        for (policy, outcome) in policy.policies.iter().zip(&decision.policies) {
            for (direction, verdict) in [("out", outcome.scale_out), ("in", outcome.scale_in)] {
                let Some(verdict) = verdict else { continue };
                for candidate in [Verdict::Ok, Verdict::Alarm, Verdict::Unknown] {
                    let labels = VerdictLabels {
                        fleet: labels.fleet.clone(),
                        asg: labels.asg.clone(),
                        region: labels.region.clone(),
                        policy: policy.name.to_string(),
                        direction,
                        verdict: candidate.as_str(),
                    };
                    self.metrics.verdicts.get_or_create(&labels).set(i64::from(candidate == verdict));
                }
            }
        }
        for reason in Block::REASONS {
            let held = decision.blocked.iter().any(|block| block.as_str() == reason);
            let labels = BlockLabels {
                fleet: labels.fleet.clone(),
                asg: labels.asg.clone(),
                region: labels.region.clone(),
                reason,
            };
            self.metrics.blocks.get_or_create(&labels).set(i64::from(held));
        }
        macro_rules! tell {
            ($tell:ident) => {
                $tell!(
                    fleet = %group.fleet, asg = %group.name, region = %group.region, time = %at,
                    action = decision.action.as_str(), desired = figures.desired.get(),
                    ready = figures.ready.get(), warming = figures.warming.get(),
                    draining = figures.draining.get(), wanted = decision.desired.get(), dry_run,
                    "{}", decision.sentence(policy)
                )
            };
        }
        let Some(news) = news else {
            tell!(debug);
            return;
        };
        tell!(info);
        if let Some(log) = &self.decision_log {
            log.append(news);
        }
    }

    /// A step was performed, or would have been in a dry run.
    pub fn performed(&self, group: &GroupRef, effect: &Effect, dry_run: bool) {
        let outcome = if dry_run { "dry_run" } else { "done" };
        self.count_effect(group, effect, outcome);
        info!(fleet = %group.fleet, asg = %group.name, region = %group.region, effect = effect.as_str(), dry_run, "{effect}");
    }

    /// A step failed; what follows it in its sequence is left to the next tick.
    pub fn failed(&self, group: &GroupRef, effect: &Effect, error: &dyn std::error::Error) {
        self.count_effect(group, effect, "failed");
        error!(
            fleet = %group.fleet, asg = %group.name, region = %group.region, effect = effect.as_str(),
            error = chain(error), "failed to {effect}; the next evaluation starts from what it sees"
        );
    }

    /// A step was not performed because the world had changed since the decision.
    pub fn overtaken(&self, group: &GroupRef, effect: &Effect, why: &str) {
        self.count_effect(group, effect, "overtaken");
        warn!(fleet = %group.fleet, asg = %group.name, region = %group.region, effect = effect.as_str(), "did not {effect}: {why}");
    }

    fn count_effect(&self, group: &GroupRef, effect: &Effect, outcome: &'static str) {
        let labels = EffectLabels { fleet: group.fleet.to_string(), effect: effect.as_str(), outcome };
        self.metrics.effects.get_or_create(&labels).inc();
    }

    /// A call to AWS came back.
    pub fn cloud_call(&self, call: &'static str, outcome: &'static str, took: Duration) {
        self.metrics.cloud_calls.get_or_create(&CallLabels { call, outcome }).inc();
        self.metrics.cloud_seconds.get_or_create(&CallNameLabels { call }).observe(took.as_secs_f64());
        debug!(call, outcome, seconds = took.as_secs_f64(), "called AWS");
    }

    /// The groups of a fleet in a region could not be read: nothing is done to them at this tick but that hooks go on
    /// holding what they held.
    pub fn groups_unseen(&self, fleet: &FleetName, region: &Region, error: &dyn std::error::Error) {
        self.unseen(fleet, "groups");
        error!(%fleet, %region, error = chain(error), "failed to read the groups; until they are seen again nothing is done to them, but hooks go on holding what they held");
    }

    /// The activities of a group could not be read: the age of new instances is taken from when they were first seen.
    pub fn activities_unseen(&self, group: &GroupRef, error: &dyn std::error::Error) {
        self.unseen(&group.fleet, "activities");
        warn!(
            fleet = %group.fleet, asg = %group.name, region = %group.region, error = chain(error),
            "failed to read the scaling activities; instances count as warming up until their age is known"
        );
    }

    /// A query came back, whole or not.
    pub fn queried(&self, fleet: &FleetName, outcome: &'static str, took: Duration) {
        let labels = OutcomeLabels { fleet: fleet.to_string(), outcome };
        self.metrics.queries.get_or_create(&labels).inc();
        self.metrics.query_seconds.observe(took.as_secs_f64());
    }

    /// Queries of a tick gave nothing: their points are missing, and a policy without points holds. One line per cause,
    /// however many queries it struck; gives the causes in words.
    pub fn queries_failed<E: std::error::Error>(
        &self,
        fleet: &FleetName,
        failures: &[(&str, E)],
    ) -> Vec<String> {
        let mut causes: Vec<(String, Vec<&str>)> = Vec::new();
        for (what, error) in failures {
            let text = chain(error);
            match causes.iter_mut().find(|(cause, _)| *cause == text) {
                Some((_, struck)) => struck.push(what),
                None => causes.push((text, vec![what])),
            }
        }
        let mut texts = Vec::new();
        for (error, struck) in causes {
            let what = struck.join(",");
            error!(%fleet, what, error, "failed to query prometheus; its datapoints count as missing");
            texts.push(format!("no data for {}: failed to {error}", struck.join(", ")));
        }
        texts
    }

    /// How many series of a fleet's policies match no group, or the same one twice.
    pub fn series_unmatched(&self, fleet: &FleetName, unmatched: &[String], ambiguous: &[String]) {
        for (outcome, names) in [("unmatched", unmatched), ("ambiguous", ambiguous)] {
            let labels = OutcomeLabels { fleet: fleet.to_string(), outcome };
            let count = i64::try_from(names.len()).unwrap_or(i64::MAX);
            let before = self.metrics.mismatches.get_or_create(&labels).set(count);
            // A rule that other fleets share gives series of groups that are none of ours.
            if outcome == "ambiguous" && before != count && count > 0 {
                warn!(%fleet, outcome, groups = names.join(","), "series do not match the groups of the fleet one to one; check asg.label, asg.region_label and the expressions");
            }
        }
    }

    /// A fleet was evaluated, as far as its groups could be seen.
    pub fn evaluated(&self, fleet: &FleetName, took: Duration, groups: usize, missing: &[String]) {
        let labels = FleetLabels { fleet: fleet.to_string() };
        self.metrics.tick_seconds.get_or_create(&labels).observe(took.as_secs_f64());
        self.metrics.groups.get_or_create(&labels).set(i64::try_from(groups).unwrap_or(i64::MAX));
        let absent = i64::try_from(missing.len()).unwrap_or(i64::MAX);
        self.metrics.missing_groups.get_or_create(&labels).set(absent);
        if !missing.is_empty() {
            error!(%fleet, groups = missing.join(","), "groups of the configuration do not exist; check asg.names and asg.regions");
        }
        debug!(%fleet, seconds = took.as_secs_f64(), groups, "evaluated");
    }

    /// The evaluation at `at` saw at least one region.
    pub fn evaluated_at(&self, fleet: &FleetName, at: Time) {
        self.metrics.last_evaluation.get_or_create(&FleetLabels { fleet: fleet.to_string() }).set(at.unix());
    }

    /// A group matches two fleets: it is left to the one that saw it first.
    pub fn group_claimed(&self, group: &GroupRef, owner: &FleetName) {
        self.unseen(&group.fleet, "claimed_group");
        error!(
            fleet = %group.fleet, asg = %group.name, region = %group.region, %owner,
            "the group belongs to another fleet already and is left to it; make the tags of the fleets distinct"
        );
    }

    /// No group matches a fleet.
    pub fn fleet_empty(&self, fleet: &FleetName) {
        error!(%fleet, "no group matches the fleet; check asg.names or asg.tags, and asg.regions");
    }

    /// Grid points passed while an evaluation was under way.
    pub fn evaluations_missed(&self, fleet: &FleetName, count: u64) {
        self.metrics.late_ticks.get_or_create(&FleetLabels { fleet: fleet.to_string() }).inc_by(count);
        warn!(%fleet, count, "evaluations were missed because the one before took too long");
    }

    /// Whether an instance refresh is in progress could not be seen: nothing scales in meanwhile.
    pub fn refresh_unseen(&self, group: &GroupRef, error: &dyn std::error::Error) {
        self.unseen(&group.fleet, "instance_refreshes");
        warn!(
            fleet = %group.fleet, asg = %group.name, region = %group.region, error = chain(error),
            "failed to see whether an instance refresh is in progress; nothing scales in until it is seen"
        );
    }

    /// Tags of ours could not be understood.
    pub fn tags_unreadable(&self, group: &GroupRef, keys: &[String]) {
        self.metrics.unreadable_tags.get_or_create(&group.labels()).inc();
        warn!(
            fleet = %group.fleet, asg = %group.name, region = %group.region, keys = keys.join(","),
            "tags of the prefix jitsi-scaler/ cannot be understood and are read cautiously; remove them"
        );
    }

    /// A component that drains did not say what it holds.
    pub fn instance_unseen(&self, group: &GroupRef, instance: &str, error: &dyn std::error::Error) {
        self.unseen(&group.fleet, "instance");
        warn!(
            fleet = %group.fleet, asg = %group.name, region = %group.region, instance, error = chain(error),
            "failed to ask an instance that drains; it is taken to carry something"
        );
    }

    fn unseen(&self, fleet: &FleetName, what: &'static str) {
        self.metrics.unseen.get_or_create(&UnseenLabels { fleet: fleet.to_string(), what }).inc();
    }

    /// A configuration is in force.
    pub fn started(&self, fleets: usize) {
        info!(fleets, "started; each fleet is evaluated at its next grid point");
    }

    /// The service stops, although what was under way has not ended in the time `given`.
    pub fn cut_short(&self, given: Duration) {
        warn!(
            seconds = given.as_secs(),
            "an evaluation did not end in time and is given up; what it began is on the groups' tags, and what it was \
             asking for may be done all the same"
        );
    }

    /// The service stops.
    pub fn stopping(&self) {
        info!("stopping; drains and cooldowns are on the groups' tags and go on at the next start");
    }
}

struct Adder<'a> {
    registry: &'a mut Registry,
}

impl Adder<'_> {
    fn it<M: prometheus_client::registry::Metric + Clone>(&mut self, name: &str, help: &str, metric: &M) {
        self.registry.register(format!("jitsi_scaler_{name}"), help, metric.clone());
    }
}

/// An error with its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}
