//! The rules behind a series: whether Prometheus evaluates them, and without errors.
//!
//! Owns the reading of `/api/v1/rules`. A recorded series whose rule fails or stalls keeps its last value for a while,
//! and an alert that was firing goes on firing after a reload until its rule is evaluated again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::units::Time;

/// A rule that was not evaluated for this many of its intervals counts as stalled.
const MISSED: f64 = 3.0;

/// What a rule gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gives {
    /// A series of this name.
    Record,
    /// An alert of this name.
    Alert,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Its evaluation fails.
    Fails(String),
    /// It has not been evaluated yet, as after a reload.
    Unknown,
    /// It was last evaluated longer ago than its interval allows.
    Stalled {
        /// How long ago.
        since: Duration,
        /// How long ago it may be.
        allowed: Duration,
    },
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fails(why) => write!(f, "its evaluation fails: {why}"),
            Self::Unknown => f.write_str("it has not been evaluated yet"),
            Self::Stalled { since, allowed } => write!(
                f,
                "it was last evaluated {} s ago, and its interval allows {} s",
                since.as_secs(),
                allowed.as_secs()
            ),
        }
    }
}

/// The rules of a server.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// With the interval of their group, in seconds.
    by_name: BTreeMap<(Gives, String), Vec<(RawRule, f64)>>,
}

#[derive(Deserialize)]
pub(super) struct RawRules {
    groups: Vec<RawGroup>,
}

#[derive(Deserialize)]
struct RawGroup {
    #[serde(default)]
    interval: f64,
    rules: Vec<RawRule>,
}

#[derive(Clone, Debug, Deserialize)]
struct RawRule {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    health: String,
    #[serde(default, rename = "lastError")]
    last_error: String,
    #[serde(default, rename = "lastEvaluation")]
    last_evaluation: String,
}

impl From<RawRules> for Rules {
    fn from(raw: RawRules) -> Self {
        let mut by_name: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for group in raw.groups {
            for rule in group.rules {
                let gives = if rule.kind == "alerting" { Gives::Alert } else { Gives::Record };
                by_name.entry((gives, rule.name.clone())).or_default().push((rule, group.interval));
            }
        }
        Self { by_name }
    }
}

impl Rules {
    /// Whether the server has a rule that gives this.
    #[must_use]
    pub fn has(&self, gives: Gives, name: &str) -> bool {
        self.by_name.contains_key(&(gives, name.to_owned()))
    }

    /// What is wrong, as of `now`, with the rules that give this. `None` also without such a rule: then the series comes
    /// from elsewhere.
    #[must_use]
    pub fn trouble(&self, gives: Gives, name: &str, now: Time) -> Option<Trouble> {
        let rules = self.by_name.get(&(gives, name.to_owned()))?;
        rules.iter().find_map(|(rule, interval)| rule.trouble(*interval, now))
    }
}

impl RawRule {
    fn trouble(&self, interval: f64, now: Time) -> Option<Trouble> {
        let evaluated = Time::parse(&self.last_evaluation).filter(|at| at.unix() > 0);
        match (self.health.as_str(), evaluated) {
            ("err", _) => Some(Trouble::Fails(self.last_error.clone())),
            // Some servers leave the time out; their word for the health counts.
            ("ok" | "", None) => None,
            ("ok" | "", Some(at)) => {
                let (since, allowed) = (now.since(at), MISSED * interval.max(1.0));
                let allowed = Duration::try_from_secs_f64(allowed).unwrap_or(Duration::MAX);
                (since > allowed).then_some(Trouble::Stalled { since, allowed })
            }
            _ => Some(Trouble::Unknown),
        }
    }
}

/// The rule that `expr` depends on: that of a recorded series, if `expr` is its bare name, or that of an alert.
#[must_use]
pub fn behind(expr: &str) -> Option<(Gives, &str)> {
    let expr = expr.trim();
    if crate::config::is_metric_name(expr) {
        return Some((Gives::Record, expr));
    }
    let (_, rest) = expr.split_once("ALERTS{alertname=\"")?;
    rest.split_once('"').map(|(name, _)| (Gives::Alert, name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use test_case::test_case;

    use super::*;

    const NOW: &str = "2026-11-20T07:00:00Z";

    /// One rule as Prometheus shows it.
    fn rules(health: &str, last_evaluation: &str) -> Rules {
        let rule = format!(
            r#"{{"groups": [{{"name": "g", "file": "f", "interval": 30, "rules": [{{"name": "a:b", "query": "x",
            "type": "recording", "health": "{health}", "lastError": "many-to-many",
            "lastEvaluation": "{last_evaluation}"}}]}}]}}"#
        );
        let raw: RawRules = serde_json::from_str(&rule).expect("an answer");
        raw.into()
    }

    #[test_case("ok", "2026-11-20T06:59:40.123456789Z", None; "well")]
    #[test_case("ok", "2026-11-20T06:58:30Z", None; "three intervals ago")]
    #[test_case("ok", "2026-11-20T06:58:29Z", Some("it was last evaluated 91 s ago, and its interval allows 90 s"); "stalled")]
    #[test_case("err", "2026-11-20T06:59:59Z", Some("its evaluation fails: many-to-many"); "failing")]
    #[test_case("unknown", "0001-01-01T00:00:00Z", Some("it has not been evaluated yet"); "after a reload")]
    #[test_case("ok", "0001-01-01T00:00:00Z", None; "without a time")]
    fn health_is_judged(health: &str, last: &str, expected: Option<&str>) {
        let now = Time::parse(NOW).expect("a time");
        let trouble = rules(health, last).trouble(Gives::Record, "a:b", now);
        assert_eq!(trouble.map(|it| it.to_string()).as_deref(), expected);
        assert_eq!(rules(health, last).trouble(Gives::Alert, "a:b", now), None);
        assert_eq!(rules(health, last).trouble(Gives::Record, "c", now), None);
    }

    #[test_case("asg:jvb_stress:avg", Some((Gives::Record, "asg:jvb_stress:avg")); "a recorded series")]
    #[test_case("max by (asg) (ALERTS{alertname=\"Busy\",alertstate=\"firing\"})", Some((Gives::Alert, "Busy")); "an alert")]
    #[test_case("avg(jvb_stress)", None; "an expression")]
    fn what_is_behind_an_expression(expr: &str, expected: Option<(Gives, &str)>) {
        assert_eq!(behind(expr), expected);
    }

    fn answers() -> Vec<Value> {
        let rule = json!({"name": "a:b", "type": "recording", "health": "ok", "lastError": "",
            "lastEvaluation": "2026-11-20T06:59:40.123456789Z"});
        vec![json!({"groups": [{"name": "g", "interval": 30, "rules": [rule]}]})]
    }

    proptest! {
        #![proptest_config(jitsi_inputs::cases(300))]

        #[test]
        fn a_mutated_list_judges_only_the_rules_that_it_names(
            body in jitsi_inputs::mutated(answers().iter().map(|body| body.to_string().into_bytes()).collect()),
            now in any::<i64>(),
        ) {
            let Ok(raw) = serde_json::from_slice::<RawRules>(&body) else { return Ok(()) };
            let text = String::from_utf8_lossy(&body).into_owned();
            let rules = Rules::from(raw);
            for gives in [Gives::Record, Gives::Alert] {
                for name in ["a:b", "", "c"] {
                    let trouble = rules.trouble(gives, name, Time::from_unix(now));
                    prop_assert!(trouble.is_none() || rules.has(gives, name), "{text}");
                    let _text = trouble.map(|trouble| trouble.to_string());
                }
                prop_assert!(!rules.has(gives, "a:b") || text.contains("a:b") || text.contains('\\'), "{text}");
            }
        }
    }
}
