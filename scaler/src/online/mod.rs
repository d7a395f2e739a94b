//! `jitsi-scaler check --online`: whether a valid configuration would work where it is to run.
//!
//! Owns what is checked, and the judgement. It only reads: no call changes anything, so it cannot see whether a
//! permission to write is missing. It knows no loop and makes no decision.

use std::time::Duration;

use futures::future::join_all;

use crate::access::{self, ClientError};
use crate::cloud::ScalingGroups;
use crate::cloud::inspect::Inspection;
use crate::config::{Config, Fleet, Problem, Prometheus};
use crate::observe::prometheus::Client;
use crate::telemetry::chain;
use crate::units::Time;

mod azure;
pub(crate) mod command;
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

/// A server of metrics, and the fleets that read it.
#[derive(Debug)]
pub struct Server<'a> {
    /// Asks it.
    pub client: Client,
    /// How it is reached.
    pub settings: &'a Prometheus,
    /// At least one.
    pub fleets: Vec<&'a Fleet>,
}

impl Server<'_> {
    fn is_of(&self, fleet: &Fleet) -> bool {
        self.fleets.iter().any(|own| own.name == fleet.name)
    }

    /// What findings about it concern: the first of its fleets, where the file has several servers.
    fn place(&self, is_only: bool) -> Place {
        self.fleets.first().filter(|_| !is_only).map(|fleet| Place::fleet(&fleet.name)).unwrap_or_default()
    }
}

/// Checks the configuration itself and the files that it names, without any request.
#[must_use]
pub fn offline(config: &Config) -> Report {
    let mut findings = odd(&config.warnings);
    let mut seen: Vec<&Prometheus> = Vec::new();
    for fleet in &config.fleets {
        if fleet.asg.subscription.is_some() && cfg!(not(feature = "azure")) {
            findings.push(Place::fleet(&fleet.name).error(
                Check::Configuration,
                "this build cannot scale the scale sets of vmss",
                "use the container image or a package, or build with --features azure",
            ));
        }
        let prometheus = &fleet.prometheus;
        if !seen.contains(&prometheus) {
            seen.push(prometheus);
            let unusable = access::unusable(&prometheus.tls, &prometheus.auth, "prometheus.tls");
            findings.extend(elsewhere(&Place::default(), unusable));
        }
        let Some(via) = &fleet.drain else { continue };
        let unusable = access::unusable(&via.tls, &via.auth, "drain.tls");
        findings.extend(elsewhere(&Place::fleet(&fleet.name), unusable));
    }
    Report::new(findings, &[])
}

/// Files that this host cannot read, which may be there where the service runs, and those without what they must hold.
fn elsewhere(place: &Place, unusable: Vec<Box<dyn std::error::Error>>) -> impl Iterator<Item = Finding> {
    unusable.into_iter().map(|error| {
        let text = format!("this host cannot {}", chain(error.as_ref()));
        if matches!(
            error.downcast_ref(),
            Some(
                ClientError::NoCertificate { .. }
                    | ClientError::OtherKey { .. }
                    | ClientError::Unusable { .. }
            )
        ) {
            return place.error(Check::Configuration, text, "correct the file, or name another");
        }
        let remedy = "make sure that it is there and readable where the service runs";
        place.warning(Check::Configuration, text, remedy)
    })
}

fn odd(warnings: &[Problem]) -> Vec<Finding> {
    let finding = |problem: &Problem| Place::default().warning(Check::Configuration, problem.to_string(), "");
    warnings.iter().map(finding).collect()
}

/// Checks everything that the configuration names. `clock` is the time of day, since 1970.
pub async fn inspect<C: ScalingGroups + Inspection>(
    config: &Config,
    visits: &[Visit<'_, C>],
    servers: &[Server<'_>],
    clock: fn() -> Duration,
) -> Report {
    let mut findings = odd(&config.warnings);
    let mut answering = Vec::new();
    for server in servers {
        let place = server.place(servers.len() == 1);
        // Without an answer, each query would report the same error again.
        if let Some(kept) = self::server(server, &place, clock, &mut findings).await {
            answering.push((server, kept));
        }
    }
    let mut seen = Vec::new();
    for (groups, found) in join_all(visits.iter().map(groups::look)).await {
        seen.push(groups);
        findings.extend(found);
    }
    findings.extend(groups::shared(&seen));
    let (now, named) = (Time::since_1970(clock()), groups::names(&seen));
    for (visit, groups) in visits.iter().zip(&seen) {
        let answers = |(server, _): &&(&Server<'_>, Kept)| server.is_of(visit.fleet);
        let Some((server, Kept { retention })) = answering.iter().find(answers) else { continue };
        let delay = server.settings.delay;
        let asked = series::Asked { prometheus: &server.client, at: now.before(delay), delay };
        findings.extend(series::look(visit.fleet, groups, &named, *retention, &asked).await);
        findings.extend(instances::look((visit.fleet, &visit.components), groups, &asked).await);
    }
    let is_on_aws = config.fleets.iter().any(|fleet| fleet.asg.subscription.is_none());
    Report::new(findings, if is_on_aws { UNCHECKED } else { &[] })
}

/// What a server says of itself.
struct Kept {
    /// How long it keeps samples, if it says so.
    retention: Option<Duration>,
}

/// Asks a server for its clock and its retention; `None` if it does not answer.
async fn server(
    Server { client, fleets, .. }: &Server<'_>,
    place: &Place,
    clock: fn() -> Duration,
    findings: &mut Vec<Finding>,
) -> Option<Kept> {
    let before = clock().as_secs_f64();
    let theirs = match client.clock().await {
        Ok(theirs) => theirs,
        Err(error) => {
            let text = format!("failed to {}", chain(&error));
            let asked = series::question(&client.address(), "time()");
            findings.push(place.error(Check::Query, text, series::remedy(&error, &asked)));
            return None;
        }
    };
    let after = clock().as_secs_f64();
    findings.extend(offset((fleets, place), before, theirs, after));
    // A server need not say its retention; windows are then taken to be short enough.
    let retention = client.retention().await.ok().flatten();
    if retention.is_none() {
        findings.push(place.note(
            Check::Retention,
            "the server does not say how long it keeps samples, as Thanos and Mimir do not",
            "make sure that it keeps the longest window of a policy: its retention is a flag or a setting of its own",
        ));
    }
    Some(Kept { retention })
}

/// The smallest difference of the two clocks that fits an answer between `before` and `after`, in seconds since 1970.
fn offset((fleets, place): (&[&Fleet], &Place), before: f64, theirs: f64, after: f64) -> Option<Finding> {
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
    let periods = fleets.iter().filter_map(|fleet| fleet.policy.smallest_period());
    let smallest = periods.map(|period| period.duration().as_secs_f64()).fold(f64::INFINITY, f64::min);
    // With an offset of a whole period, every newest point is missing or in the future.
    let severity = if apart >= smallest { Severity::Error } else { Severity::Warning };
    let word = if theirs > after { "ahead of" } else { "behind" };
    Some(place.finding(
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
        let found = offset((&[&config.fleets[0]], &Place::default()), 100.0, theirs, 101.0);
        let expected = expected.map(|(severity, text)| (severity, text.to_owned()));
        assert_eq!(found.map(|finding| (finding.severity, finding.text)), expected);
    }
}
