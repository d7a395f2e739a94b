//! Policies and their windows, as reports show them.

use serde::Serialize;

use crate::decide::capacity;
use crate::decide::observation::Series;
use crate::decide::policy::{Direction, Policy, Rules};
use crate::units::{Capacity, Time};

/// A configured policy.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyReport {
    /// `threshold`, `alert` or `desired`.
    pub kind: &'static str,
    /// Seconds between its datapoints.
    pub period_seconds: u64,
    /// `load`, `idle` or `other`.
    pub measures: &'static str,
    /// Upwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_out: Option<RuleReport>,
    /// Downwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_in: Option<RuleReport>,
}

/// One direction of a policy.
#[derive(Clone, Debug, Serialize)]
pub struct RuleReport {
    /// The comparison, such as `>= 0.6`; absent where the value is the desired capacity itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// N: how many of the newest points count.
    pub periods: usize,
    /// M: how many of them must breach.
    pub breaching: usize,
    /// Seconds after an action before another one in this direction.
    pub cooldown_seconds: u64,
}

/// A point of a window.
#[derive(Clone, Debug, Serialize)]
pub struct Datapoint {
    /// In JSON RFC 3339.
    pub time: Time,
    /// `null` where it is missing.
    pub value: Option<f64>,
    /// The threshold that the value breaches: `scale_out` or `scale_in`; otherwise `fine`, or `missing`.
    pub state: &'static str,
}

impl PolicyReport {
    /// The report of a policy.
    pub(super) fn new(policy: &Policy) -> Self {
        let rule = |direction| RuleReport::new(policy, direction);
        Self {
            kind: match policy.rules {
                Rules::Threshold { .. } => "threshold",
                Rules::Alert { .. } => "alert",
                Rules::Desired { .. } => "desired",
            },
            period_seconds: policy.period.duration().as_secs(),
            measures: policy.measures.as_str(),
            scale_out: rule(Direction::Out),
            scale_in: rule(Direction::In),
        }
    }

    /// How many of the newest points count in either direction.
    #[must_use]
    pub fn counted(&self) -> usize {
        [&self.scale_out, &self.scale_in].into_iter().flatten().map(|rule| rule.periods).max().unwrap_or(0)
    }
}

impl RuleReport {
    fn new(policy: &Policy, direction: Direction) -> Option<Self> {
        let cooldown_seconds = policy.cooldown(direction)?.as_secs();
        if let Some(target_rule) = policy.target_rule(direction) {
            let periods = usize::from(target_rule.periods);
            return Some(Self { when: None, threshold: None, periods, breaching: periods, cooldown_seconds });
        }
        let rule = policy.rule(direction)?;
        Some(Self {
            when: Some(rule.when.to_string()),
            threshold: Some(rule.when.threshold()),
            periods: rule.window.periods(),
            breaching: rule.window.breaching(),
            cooldown_seconds,
        })
    }
}

/// A window, oldest point first. The values of a policy with `desired` are compared with `capacity`.
pub(super) fn datapoints(policy: &Policy, series: &Series, capacity: Capacity) -> Vec<Datapoint> {
    let last = series.points.len();
    let points = series.points.iter().enumerate().map(|(index, &value)| {
        let back = series.period.duration() * u32::try_from(last - 1 - index).unwrap_or(u32::MAX);
        Datapoint { time: series.end.before(back), value, state: state(policy, series, value, capacity) }
    });
    points.collect()
}

fn state(policy: &Policy, series: &Series, value: Option<f64>, capacity: Capacity) -> &'static str {
    let Some(value) = value else {
        // An alert that does not fire has no series.
        let silent = matches!(policy.rules, Rules::Alert { .. }) && series.answered;
        return if silent { "fine" } else { "missing" };
    };
    let calls = |direction| match policy.target_rule(direction) {
        Some(_) if direction == Direction::Out => capacity::wanted(value) > capacity,
        Some(_) => capacity::wanted(value) < capacity,
        None => policy.rule(direction).is_some_and(|rule| rule.when.holds(value)),
    };
    if calls(Direction::Out) {
        "scale_out"
    } else if calls(Direction::In) {
        "scale_in"
    } else {
        "fine"
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use test_case::test_case;

    use super::*;
    use crate::config::sample::{self, GROUPS};

    const THRESHOLD: &str = "expr: x
        measures: load
        scale_out: {when: '>= 0.6', periods: 3, breaching: 2, add: 1}
        scale_in: {when: '<= 0.2', periods: 3, breaching: 2, remove: 1}";
    const DESIRED: &str = "desired: x\n        scale_out: {periods: 4}\n        scale_in: {periods: 4}";
    const ALERT: &str = "alert: Busy\n        scale_out: {add: 1}";

    fn policy(text: &str) -> Policy {
        sample::config(GROUPS, text).fleets.remove(0).policy.policies.remove(0)
    }

    #[test_case(THRESHOLD, true, &["scale_out", "fine", "scale_in", "missing"]; "compared with thresholds")]
    #[test_case(DESIRED, true, &["scale_in", "scale_in", "scale_in", "missing"]; "compared with the capacity")]
    #[test_case(ALERT, true, &["fine", "fine", "fine", "fine"]; "an alert that is silent")]
    #[test_case(ALERT, false, &["fine", "fine", "fine", "missing"]; "an alert that could not be queried")]
    fn a_point_says_what_it_calls_for(text: &str, answered: bool, expected: &[&str]) {
        let policy = policy(text);
        let points = vec![Some(0.6), Some(0.3), Some(0.2), None];
        let end = Time::from_unix(1_790_000_000);
        let series = Series { end, period: policy.period, points, fresh: true, answered };
        let shown = datapoints(&policy, &series, Capacity::of(4));
        assert_eq!(shown.iter().map(|point| point.state).collect::<Vec<_>>(), expected);
        assert_eq!(shown[0].time, end.before(Duration::from_mins(3)));
        assert_eq!(shown[3].time, end);
    }

    #[test]
    fn a_policy_is_reported_as_it_is_configured() {
        let report = PolicyReport::new(&policy(THRESHOLD));
        let out = report.scale_out.as_ref().expect("a rule");
        assert_eq!(
            (out.when.as_deref(), out.threshold, out.periods, out.breaching),
            (Some(">= 0.6"), Some(0.6), 3, 2)
        );
        assert_eq!((report.kind, report.period_seconds, report.counted()), ("threshold", 60, 3));
        let report = PolicyReport::new(&policy(DESIRED));
        assert_eq!((report.kind, report.counted()), ("desired", 4));
        assert!(PolicyReport::new(&policy(ALERT)).scale_in.is_none());
    }
}
