//! `jitsi-scaler check --online`: whether a valid configuration would work where it is to run.
//!
//! Owns what is checked, and the judgement. It only reads: no call changes anything, so it cannot see whether a
//! permission to write is missing. It knows no loop and makes no decision.

use std::time::Duration;

use futures::future::join_all;

use crate::access;
use crate::cloud::ScalingGroups;
use crate::cloud::inspect::Inspection;
use crate::config::{Config, Problem};
use crate::observe::prometheus::Client;
use crate::telemetry::chain;
use crate::units::Time;

mod command;
mod finding;
mod groups;
mod hazards;
mod instances;
mod series;

pub use finding::{Check, Finding, Place, Report, Severity};
pub use groups::Visit;

/// Seconds. With a larger offset, a query may ask for the newest point of a window before it exists.
const LARGEST_OFFSET: f64 = 3.0;
/// Permissions that a run needs and that no reading call shows: these calls have no dry run in AWS.
const UNCHECKED: &[&str] = &[
    "autoscaling:SetDesiredCapacity",
    "autoscaling:TerminateInstanceInAutoScalingGroup",
    "autoscaling:CreateOrUpdateTags",
    "autoscaling:DeleteTags",
];

/// The services that are asked besides the cloud.
#[derive(Debug)]
pub struct Deps<'a> {
    /// Where datapoints come from.
    pub prometheus: &'a Client,
    /// The time of day.
    pub clock: fn() -> Duration,
}

/// Checks the configuration itself and the files that it names, without any request.
#[must_use]
pub fn offline(config: &Config) -> Report {
    let mut findings = odd(&config.warnings);
    let prometheus = &config.prometheus;
    let unusable = access::unusable(&prometheus.tls, &prometheus.auth, "prometheus.tls");
    findings.extend(elsewhere(&Place::default(), unusable));
    for fleet in &config.fleets {
        let Some(via) = &fleet.drain else { continue };
        let unusable = access::unusable(&via.tls, &via.auth, "drain.tls");
        findings.extend(elsewhere(&Place::fleet(&fleet.name), unusable));
    }
    Report::new(findings, &[])
}

/// Files that this host cannot use; the service may run on another host.
fn elsewhere(place: &Place, unusable: Vec<Box<dyn std::error::Error>>) -> impl Iterator<Item = Finding> {
    unusable.into_iter().map(|error| {
        let text = format!("this host cannot {}", chain(error.as_ref()));
        let remedy = "make sure that it is there and readable where the service runs";
        place.warning(Check::Configuration, text, remedy)
    })
}

fn odd(warnings: &[Problem]) -> Vec<Finding> {
    let finding = |problem: &Problem| Place::default().warning(Check::Configuration, problem.to_string(), "");
    warnings.iter().map(finding).collect()
}

/// Checks everything that the configuration names.
pub async fn inspect<C: ScalingGroups + Inspection>(
    config: &Config,
    visits: &[Visit<'_, C>],
    deps: &Deps<'_>,
) -> Report {
    let mut findings = odd(&config.warnings);
    let server = server(config, deps, &mut findings).await;
    let mut seen = Vec::new();
    for (groups, found) in join_all(visits.iter().map(groups::look)).await {
        seen.push(groups);
        findings.extend(found);
    }
    findings.extend(groups::shared(&seen));
    // Without a server that answers, each query would report the same error again.
    if let Some(Server { retention }) = server {
        let (now, delay) = (Time::since_1970((deps.clock)()), config.prometheus.delay);
        let named = groups::names(&seen);
        for (visit, groups) in visits.iter().zip(&seen) {
            let asked = series::Asked { prometheus: deps.prometheus, at: now.before(delay), delay };
            findings.extend(series::look(visit.fleet, groups, &named, retention, &asked).await);
            findings.extend(instances::look((visit.fleet, &visit.components), groups, &asked).await);
        }
    }
    Report::new(findings, UNCHECKED)
}

/// What a server says of itself.
struct Server {
    /// How long it keeps samples, if it says so.
    retention: Option<Duration>,
}

/// Asks the server for its clock and its retention; `None` if it does not answer.
async fn server(config: &Config, deps: &Deps<'_>, findings: &mut Vec<Finding>) -> Option<Server> {
    let place = Place::default();
    let before = (deps.clock)().as_secs_f64();
    let theirs = match deps.prometheus.clock().await {
        Ok(theirs) => theirs,
        Err(error) => {
            let text = format!("failed to {}", chain(&error));
            let asked = series::question(&deps.prometheus.address(), "time()");
            findings.push(place.error(Check::Query, text, format!("ask it by hand: {asked}")));
            return None;
        }
    };
    let after = (deps.clock)().as_secs_f64();
    findings.extend(offset(config, before, theirs, after));
    // A server need not say its retention; windows are then taken to be short enough.
    let retention = deps.prometheus.retention().await.ok().flatten();
    if retention.is_none() {
        findings.push(place.note(
            Check::Retention,
            "the server does not say how long it keeps samples, as Thanos and Mimir do not",
            "make sure that it keeps the longest window of a policy: its retention is a flag or a setting of its own",
        ));
    }
    Some(Server { retention })
}

/// The smallest difference of the two clocks that fits an answer between `before` and `after`, in seconds since 1970.
fn offset(config: &Config, before: f64, theirs: f64, after: f64) -> Option<Finding> {
    let apart = if theirs < before {
        before - theirs
    } else if theirs > after {
        theirs - after
    } else {
        0.0
    };
    if apart <= LARGEST_OFFSET {
        return None;
    }
    let periods = config.fleets.iter().filter_map(|fleet| fleet.policy.smallest_period());
    let smallest = periods.map(|period| period.duration().as_secs_f64()).fold(f64::INFINITY, f64::min);
    // With an offset of a whole period, every newest point is missing or in the future.
    let severity = if apart >= smallest { Severity::Error } else { Severity::Warning };
    let word = if theirs > after { "ahead of" } else { "behind" };
    Some(Place::default().finding(
        severity,
        Check::Clock,
        format!("the clock of prometheus is {apart:.0} s {word} the clock of this host"),
        "a window that ends in the wrong second lacks its newest point; on both hosts: sudo timedatectl set-ntp true",
    ))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::config::sample::{self, GROUPS, OUT};

    #[test_case(100.0, None; "within the answer's time")]
    #[test_case(97.5, None; "a little behind")]
    #[test_case(95.0, Some((Severity::Warning, "the clock of prometheus is 5 s behind the clock of this host")); "behind")]
    #[test_case(106.0, Some((Severity::Warning, "the clock of prometheus is 5 s ahead of the clock of this host")); "ahead")]
    #[test_case(40.0, Some((Severity::Error, "the clock of prometheus is 60 s behind the clock of this host")); "a whole period")]
    fn clocks_are_compared(theirs: f64, expected: Option<(Severity, &str)>) {
        let config = sample::config(GROUPS, &format!("expr: x\n        {OUT}"));
        let found = offset(&config, 100.0, theirs, 101.0);
        let expected = expected.map(|(severity, text)| (severity, text.to_owned()));
        assert_eq!(found.map(|finding| (finding.severity, finding.text)), expected);
    }
}
