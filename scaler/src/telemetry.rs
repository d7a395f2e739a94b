//! The scaler's events: each is one function that writes its log line and its metric together.
//!
//! Owns the texts of the log. The metrics have their names in `metrics`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tracing::{debug, error, info, warn};

use crate::decide::alarm::Verdict;
use crate::decide::decision::{Action, Decision, Effect, Reason};
use crate::decide::policy::FleetPolicy;
use crate::shards::Shard;
use crate::units::{FleetName, Region, Time};

/// Logs an event of a group: its level, the group, and the rest as for the macros of `tracing`.
macro_rules! of_group {
    ($level:ident, $group:expr, $($rest:tt)+) => {
        tracing::$level!(fleet = %$group.fleet, asg = %$group.name, region = %$group.region, $($rest)+)
    };
}

mod chain;
mod current;
pub mod decision_log;
mod leadership;
mod metrics;
mod passing;
mod policies;
mod requests;
mod upkeep;

pub use chain::chain;
use decision_log::{DecisionLog, OpenError};
pub use leadership::ShardEnd;
use metrics::{
    ActionLabels, BlockLabels, CallLabels, CallNameLabels, EffectLabels, FleetLabels, OutcomeLabels,
    PolicyLabels, StateLabels, UnseenLabels, VerdictLabels, whole,
};
pub use metrics::{GroupRef, Telemetry, Webhook};
pub use policies::Cooldowns;

impl Telemetry {
    /// Also appends decisions that differ from the one before to the file `path`.
    pub fn append_to(&mut self, path: &Path) -> Result<DecisionLog, OpenError> {
        let log = DecisionLog::open(path, self.metrics.decision_log_lost.clone())?;
        self.decision_log = Some(log.clone());
        Ok(log)
    }

    /// A decision was made: its figures as metrics, and one log line with its reasons. `news` is its record if it differs
    /// from the decision before; otherwise the line has the level debug.
    pub fn decided(
        &self,
        group: &GroupRef,
        policy: &FleetPolicy,
        decision: &Decision,
        (at, dry_run): (Time, bool),
        news: Option<&impl Serialize>,
    ) {
        // All actions begin at 0, so that Prometheus sees the first increase of each.
        for action in Action::ALL {
            let dry_run = if dry_run { "true" } else { "false" };
            let labels = ActionLabels { group: group.labels(), action: action.as_str(), dry_run };
            let taken = u64::from(action == decision.action);
            self.metrics.decisions.get_or_create(&labels).inc_by(taken);
        }
        let figures = &decision.current;
        let labels = |state| StateLabels { group: group.labels(), state };
        for (state, count) in [
            ("desired", figures.desired),
            ("ready", figures.ready),
            ("reporting", figures.reporting),
            ("min", figures.limits.min),
            ("max", figures.limits.max),
            ("wanted", decision.desired),
        ] {
            self.metrics.group_instances.hold(labels(state), i64::from(count.get()));
        }
        for (state, count) in [
            ("warming", figures.warming),
            ("draining", figures.draining),
            ("replaced", figures.replaced),
            ("kept", figures.kept),
        ] {
            self.metrics.group_instances.set(labels(state), i64::from(count.get()));
        }
        for (policy, outcome) in policy.policies.iter().zip(&decision.policies) {
            let labels = PolicyLabels { group: group.labels(), policy: policy.name.clone() };
            for (direction, verdict) in [("out", outcome.scale_out), ("in", outcome.scale_in)] {
                let Some(verdict) = verdict else { continue };
                for candidate in [Verdict::Alarm, Verdict::Unknown] {
                    let labels =
                        VerdictLabels { policy: labels.clone(), direction, verdict: candidate.as_str() };
                    self.metrics.policy_verdict.set(labels, i64::from(candidate == verdict));
                }
            }
        }
        for reason in Reason::LABELS {
            let held = decision.blocked.iter().any(|block| block.as_str() == reason);
            let labels = BlockLabels { group: group.labels(), reason };
            self.metrics.group_blocked.set(labels, i64::from(held));
        }
        macro_rules! log {
            ($level:ident) => {
                of_group!(
                    $level, group, time = %at,
                    action = decision.action.as_str(), desired = figures.desired.get(),
                    ready = figures.ready.get(), warming = figures.warming.get(),
                    draining = figures.draining.get(), wanted = decision.desired.get(), dry_run,
                    "{}", decision.sentence(policy)
                )
            };
        }
        let Some(news) = news else {
            log!(debug);
            return;
        };
        log!(info);
        if let Some(log) = &self.decision_log {
            log.append(news);
        }
    }

    /// A step was performed, or would have been in a dry run.
    pub fn performed(&self, group: &GroupRef, effect: &Effect, dry_run: bool) {
        let outcome = if dry_run { "dry_run" } else { "done" };
        self.count_effect(group, effect, outcome);
        of_group!(info, group, effect = effect.as_str(), dry_run, "{effect}");
    }

    /// A step failed; the rest of its sequence is left to the next evaluation.
    pub fn failed(&self, group: &GroupRef, effect: &Effect, error: &dyn std::error::Error) {
        self.count_effect(group, effect, "failed");
        of_group!(
            error,
            group,
            effect = effect.as_str(),
            error = chain(error),
            "failed to {effect}; the next evaluation starts from what it sees"
        );
    }

    /// A step was left out because the group had changed since the decision.
    pub fn overtaken(&self, group: &GroupRef, effect: &Effect, why: &str) {
        self.count_effect(group, effect, "overtaken");
        of_group!(warn, group, effect = effect.as_str(), "did not {effect}: {why}");
    }

    fn count_effect(&self, group: &GroupRef, effect: &Effect, outcome: &'static str) {
        let labels = EffectLabels { fleet: group.fleet.clone(), effect: effect.as_str(), outcome };
        self.metrics.effects.get_or_create(&labels).inc();
    }

    /// A call to AWS returned.
    pub fn cloud_call(&self, call: &'static str, outcome: &'static str, took: Duration) {
        self.metrics.cloud_calls.get_or_create(&CallLabels { call, outcome }).inc();
        let labels = CallNameLabels { call };
        self.metrics.cloud_call_duration_seconds.get_or_create(&labels).observe(took.as_secs_f64());
        debug!(call, outcome, seconds = took.as_secs_f64(), "called AWS");
    }

    /// The groups of a fleet in a region could not be read: this evaluation does nothing to them but send heartbeats of
    /// hooks.
    pub fn groups_unseen(&self, fleet: &FleetName, region: &Region, error: &dyn std::error::Error) {
        self.unseen(fleet, "groups");
        error!(%fleet, %region, error = chain(error), "failed to read the groups; until they can be read, only heartbeats of hooks are sent");
    }

    /// The activities of a group could not be read: the age of a new instance counts from when it was first seen.
    pub fn activities_unseen(&self, group: &GroupRef, error: &dyn std::error::Error) {
        let text =
            "failed to read the scaling activities; instances count as warming up until their age is known";
        self.unseen_of(group, "activities", text, error);
    }

    /// A query returned, with or without an answer.
    pub fn queried(&self, fleet: &FleetName, outcome: &'static str, took: Duration) {
        let labels = OutcomeLabels { fleet: fleet.clone(), outcome };
        self.metrics.prometheus_queries.get_or_create(&labels).inc();
        self.metrics.prometheus_query_duration_seconds.observe(took.as_secs_f64());
    }

    /// Queries failed: their points are missing, and a policy without points holds. Logs one line per cause, and returns
    /// the causes in words.
    pub fn queries_failed<E: std::error::Error>(
        &self,
        fleet: &FleetName,
        failures: &[(&str, E)],
    ) -> Vec<String> {
        let mut causes: Vec<(String, Vec<&str>)> = Vec::new();
        for (what, error) in failures {
            let text = chain(error);
            match causes.iter_mut().find(|(cause, _)| *cause == text) {
                Some((_, queries)) => queries.push(what),
                None => causes.push((text, vec![what])),
            }
        }
        let mut texts = Vec::new();
        for (error, queries) in causes {
            let what = queries.join(",");
            error!(%fleet, what, error, "failed to query prometheus; its datapoints count as missing");
            texts.push(format!("no data for {}: failed to {error}", queries.join(", ")));
        }
        texts
    }

    /// How many series of a fleet's policies match no group, or the same one twice: `ambiguous` says which, in words.
    pub fn series_unmatched(&self, fleet: &FleetName, unmatched: &[String], ambiguous: &[String]) {
        for (outcome, series) in [("unmatched", unmatched), ("ambiguous", ambiguous)] {
            let labels = OutcomeLabels { fleet: fleet.clone(), outcome };
            let count = whole(series.len());
            let before = self.metrics.policy_series_unmatched.get_or_create(&labels).set(count);
            // A rule that several fleets share also returns series of the other fleets' groups.
            if outcome == "ambiguous" && before != count && count > 0 {
                let series = series.iter().map(String::as_str).collect::<BTreeSet<_>>();
                let series = series.into_iter().collect::<Vec<_>>().join("; ");
                warn!(%fleet, outcome, series, "series do not match the groups of the fleet one to one, so none of these counts; if they differ in the region, set asg.region_label, else aggregate them by asg.label in the expression");
            }
        }
    }

    /// A fleet was evaluated, as far as its groups could be read.
    pub fn evaluated(&self, fleet: &FleetName, took: Duration, groups: usize, missing: &[String]) {
        let labels = FleetLabels { fleet: fleet.clone() };
        self.metrics.evaluation_duration_seconds.get_or_create(&labels).observe(took.as_secs_f64());
        self.metrics.fleet_groups.get_or_create(&labels).set(whole(groups));
        self.metrics.fleet_groups_missing.get_or_create(&labels).set(whole(missing.len()));
        if !missing.is_empty() {
            error!(%fleet, groups = missing.join(","), "groups of the configuration do not exist; check asg.names and asg.regions");
        }
        debug!(%fleet, seconds = took.as_secs_f64(), groups, "evaluated");
    }

    /// The evaluation at `at` could read at least one region.
    pub fn evaluated_at(&self, fleet: &FleetName, at: Time) {
        let labels = FleetLabels { fleet: fleet.clone() };
        self.metrics.last_evaluation_timestamp_seconds.get_or_create(&labels).set(at.unix());
    }

    /// A group matches two fleets; the fleet that saw it first keeps it.
    pub fn group_claimed(&self, group: &GroupRef, owner: &FleetName) {
        self.unseen(&group.fleet, "claimed_group");
        of_group!(
            error, group, %owner,
            "the group already belongs to another fleet, which keeps it; use different tags for the two fleets"
        );
    }

    /// No group matches a fleet.
    pub fn fleet_empty(&self, fleet: &FleetName) {
        error!(%fleet, "no group matches the fleet; check asg.names or asg.tags, and asg.regions");
    }

    /// Grid points passed while an evaluation was under way.
    pub fn evaluations_missed(&self, fleet: &FleetName, count: u64) {
        let labels = FleetLabels { fleet: fleet.clone() };
        self.metrics.evaluations_missed.get_or_create(&labels).inc_by(count);
        warn!(%fleet, count, "evaluations were missed because the one before took too long");
    }

    /// It is unknown whether an instance refresh is in progress: nothing scales in meanwhile.
    pub fn refresh_unseen(&self, group: &GroupRef, error: &dyn std::error::Error) {
        let text = "failed to read whether an instance refresh is in progress; nothing scales in until that is known";
        self.unseen_of(group, "instance_refreshes", text, error);
    }

    /// Tags of the scaler could not be understood.
    pub fn tags_unreadable(&self, group: &GroupRef, keys: &[String]) {
        self.metrics.unreadable_tags.get_or_create(&group.labels()).inc();
        of_group!(
            warn,
            group,
            keys = keys.join(","),
            "tags of the prefix jitsi-scaler/ cannot be understood and are read cautiously; remove them"
        );
    }

    /// A draining component did not report its load.
    pub fn instance_unseen(&self, group: &GroupRef, instance: &str, error: &dyn std::error::Error) {
        self.unseen(&group.fleet, "instance");
        of_group!(
            warn,
            group,
            instance,
            error = chain(error),
            "failed to ask a draining instance; it counts as in use"
        );
    }

    /// A part of a group could not be read; `text` says so, and what follows.
    fn unseen_of(&self, group: &GroupRef, what: &'static str, text: &str, error: &dyn std::error::Error) {
        self.unseen(&group.fleet, what);
        of_group!(warn, group, error = chain(error), "{text}");
    }

    fn unseen(&self, fleet: &FleetName, what: &'static str) {
        self.metrics.unseen.get_or_create(&UnseenLabels { fleet: fleet.clone(), what }).inc();
    }

    /// A configuration is in force.
    pub fn started(&self, fleets: usize, shard: Shard) {
        let shard = (shard != Shard::WHOLE).then(|| tracing::field::display(shard));
        info!(fleets, shard, "started; each fleet is evaluated at once, then at each point of its grid");
    }

    /// The service stops before its evaluations have ended, after the time `given`.
    pub fn cut_short(&self, given: Duration) {
        warn!(
            seconds = given.as_secs(),
            "an evaluation did not end in time and is given up; the groups' tags hold what it began, and its last request \
             may still take effect"
        );
    }

    /// The service stops.
    pub fn stopping(&self) {
        info!("stopping; drains and cooldowns are on the groups' tags and go on at the next start");
    }
}
