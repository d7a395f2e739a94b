//! The expressions of a fleet's policies: whether Prometheus has series for them, and for which groups.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use url::Url;

use super::command::{listed, quoted};
use super::finding::{Check, Finding, Place};
use super::groups::{FleetGroups, Seen};
use crate::config::{Fleet, is_region};
use crate::decide::policy::{Policy, Rules};
use crate::observe::{Labelled, Labels, QueryError, differing, prometheus::Client};
use crate::observe::{Metrics as _, rules};
use crate::telemetry::chain;
use crate::units::Time;

/// The server to ask, and the time to ask about.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) prometheus: &'a Client,
    pub(super) at: Time,
    pub(super) delay: Duration,
}

impl Asked<'_> {
    /// The series that `expr` returns, or why there is no answer.
    pub(super) async fn series(&self, expr: &str, place: &Place) -> Result<Vec<Labelled>, Finding> {
        let answer = self.prometheus.instant(expr, self.at).await;
        answer.map_err(|error| {
            let remedy = remedy(&error, &self.question(expr));
            place.error(Check::Query, format!("failed to {}", chain(&error)), remedy)
        })
    }

    /// A command that shows the series of `expr`.
    pub(super) fn question(&self, expr: &str) -> String {
        question(&self.prometheus.address(), expr)
    }
}

/// What to do about a query without an answer; `question` asks it by hand.
pub(super) fn remedy(error: &QueryError, question: &str) -> String {
    match error {
        QueryError::Secret(_) => {
            "name a file that the service can read, of the group jitsi-scaler-files".to_owned()
        }
        _ => format!("ask it by hand: {question}"),
    }
}

/// A command that asks the server at `address` for `expr`.
pub(super) fn question(address: &Url, expr: &str) -> String {
    let address = address.as_str().trim_end_matches('/');
    let query = quoted(&format!("query={expr}"));
    format!("curl -sG {} --data-urlencode {query}", quoted(&format!("{address}/api/v1/query")))
}

/// Checks every policy of a fleet. `named` are the groups of all fleets.
pub(super) async fn look(
    fleet: &Fleet,
    groups: &FleetGroups,
    named: &BTreeSet<&str>,
    retention: Option<Duration>,
    asked: &Asked<'_>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (policy, expr) in fleet.policy.policies.iter().zip(&fleet.expressions) {
        let place = Place::fleet(&fleet.name).policy(&policy.name);
        findings.extend(retention.and_then(|retention| kept(policy, retention, asked, &place)));
        let answer = match asked.series(expr, &place).await {
            Ok(answer) => answer,
            Err(finding) => {
                findings.push(finding);
                continue;
            }
        };
        if matches!(policy.rules, Rules::Alert { .. }) {
            findings.extend(alert(expr, asked, &place).await);
            // An alert that does not fire has no series.
            findings.extend(labels(fleet, groups, &answer, &place));
            continue;
        }
        if answer.is_empty() {
            findings.push(place.error(
                Check::NoData,
                format!("`{expr}` returns no series"),
                format!(
                    "check its spelling, that its recording rule is loaded, and that the exporter is scraped: {}",
                    asked.question(expr)
                ),
            ));
            continue;
        }
        findings.extend(labels(fleet, groups, &answer, &place));
        let seen = asked.question(expr);
        findings.extend(matching((fleet, &seen), groups, named, &answer, &place));
    }
    findings
}

/// Whether Prometheus keeps the whole window of a policy.
fn kept(policy: &Policy, retention: Duration, asked: &Asked<'_>, place: &Place) -> Option<Finding> {
    let points = u32::try_from(policy.range()).unwrap_or(u32::MAX);
    let window = policy.period.duration().saturating_mul(points) + asked.delay;
    (window > retention).then(|| {
        let words = |length| humantime::format_duration(length).to_string();
        place.error(
            Check::Retention,
            format!("its window is {} long, and prometheus keeps {}", words(window), words(retention)),
            "shorten `periods` or `period`, or raise --storage.tsdb.retention.time",
        )
    })
}

/// How old the list of rules may be, so that one answer serves all policies.
const ONE_LOOK: Duration = Duration::from_mins(1);

/// Whether the alert that a policy waits for has a rule.
async fn alert(expr: &str, asked: &Asked<'_>, place: &Place) -> Option<Finding> {
    // A server without that part of the API is no fault.
    let known = asked.prometheus.rules(ONE_LOOK).await?;
    let (gives, name) = rules::behind(expr)?;
    (!known.has(gives, name)).then(|| {
        place.error(
            Check::Alert,
            format!("prometheus has no rule for the alert {name}, so it never fires"),
            format!(
                "check its spelling and that its rule file is loaded: curl -s {}",
                quoted(&format!(
                    "{}/api/v1/rules?type=alert",
                    asked.prometheus.address().as_str().trim_end_matches('/')
                ))
            ),
        )
    })
}

/// Whether series carry the labels that name their group, and name it once.
fn labels(fleet: &Fleet, groups: &FleetGroups, answer: &[Labelled], place: &Place) -> Vec<Finding> {
    let asg = &fleet.asg;
    let mut findings = Vec::new();
    let alone = answer.len() == 1 && groups.groups.len() == 1;
    let lack = |label: &str| answer.iter().filter(|series| series.label(label).is_none()).count();
    if alone && lack(&asg.label) == 1 {
        findings.push(place.note(
            Check::GroupLabel,
            format!(
                "the only series has no label `{}`: it stands for the only group, and a second group would make it useless",
                asg.label
            ),
            format!("if its instances could be those of other groups, write avg by ({}) (…), or sum by", asg.label),
        ));
    }
    for label in [Some(&asg.label), asg.region_label.as_ref()].into_iter().flatten() {
        let lacking = lack(label);
        // The only series of a fleet with one group needs no label.
        if lacking > 0 && !(alone && lack(&asg.label) == 1) {
            findings.push(place.error(
                Check::GroupLabel,
                format!(
                    "{lacking} of {} series lack the label `{label}`, so their group is unknown",
                    answer.len()
                ),
                format!("keep it, as in avg by ({}) (…), and add it by relabelling", by(fleet)),
            ));
        }
    }
    let mut of_group: BTreeMap<(&str, Option<&str>), Vec<&Labels>> = BTreeMap::new();
    for series in answer {
        let region = asg.region_label.as_deref().and_then(|label| series.label(label));
        if let Some(group) = series.label(&asg.label) {
            of_group.entry((group, region)).or_default().push(&series.labels);
        }
    }
    let several = of_group.into_iter().filter(|(_, series)| series.len() > 1);
    findings.extend(several.map(|((group, _), series)| ambiguous(fleet, group, &series, place)));
    findings
}

/// The labels by which an expression aggregates.
fn by(fleet: &Fleet) -> String {
    let labels = [Some(&fleet.asg.label), fleet.asg.region_label.as_ref()];
    labels.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Several series of one group. To aggregate those of two regions would mix two groups.
fn ambiguous(fleet: &Fleet, group: &str, series: &[&Labels], place: &Place) -> Finding {
    let (asg, differs) = (&fleet.asg, differing(series));
    let tells_regions = |label: &&&str| match asg.subscription {
        None => series.iter().all(|labels| labels.get(label).is_some_and(is_region)),
        Some(_) => label.contains("resource_group"),
    };
    let region = differs.iter().find(tells_regions).filter(|_| asg.region_label.is_none());
    let remedy = match region {
        Some(label) if differs.len() == 1 => format!("set {}: {label}", asg.keys()[3]),
        Some(label) => format!(
            "set {}: {label}, and aggregate what is left, as in avg by ({}, {label}) (…)",
            asg.keys()[3],
            asg.label
        ),
        None => format!("aggregate them, as in avg by ({}) (…)", by(fleet)),
    };
    let text = format!(
        "{} series name the group {group}, so none of them counts; they differ in {}",
        series.len(),
        differs.join(", ")
    );
    place.error(Check::AmbiguousSeries, text, remedy)
}

/// Whether each group has a series with a number, and each series a group.
fn matching(
    (fleet, question): (&Fleet, &str),
    groups: &FleetGroups,
    named: &BTreeSet<&str>,
    answer: &[Labelled],
    place: &Place,
) -> Vec<Finding> {
    let asg = &fleet.asg;
    let mut findings = Vec::new();
    let strange: BTreeSet<&str> = answer
        .iter()
        .filter_map(|series| series.label(&asg.label))
        .filter(|name| !named.contains(name))
        .collect();
    // The group of a series may be in a region that could not be read.
    if !strange.is_empty() && groups.complete {
        findings.push(place.note(
            Check::SeriesWithoutGroup,
            format!("series name groups that no fleet has: {}", listed(strange)),
            "to scale them, add them to asg",
        ));
    }
    let unlabelled = answer.iter().all(|series| series.label(&asg.label).is_none());
    for Seen { region, description } in &groups.groups {
        let own = |series: &&Labelled| {
            let of_region =
                asg.region_label.as_ref().is_none_or(|label| series.label(label) == Some(region.as_str()));
            series.label(&asg.label) == Some(description.name.as_str()) && of_region
        };
        // A series without the label is reported above, or belongs to the only group.
        let series = if unlabelled { answer.first() } else { answer.iter().find(own) };
        let place = place.clone().region(region).group(&description.name);
        match series {
            Some(series) if series.points.is_empty() => findings.push(place.warning(
                Check::NotANumber,
                "the newest value is not a finite number, which counts as missing",
                format!(
                    "check what the expression divides by, and whether it returns a histogram: {question}"
                ),
            )),
            Some(_) => {}
            None if description.instances.is_empty() => findings.push(place.note(
                Check::GroupWithoutSeries,
                "the group has no instance and no series",
                "",
            )),
            None => findings.extend(without_series((fleet, question), groups, named, answer, &place)),
        }
    }
    findings
}

/// Why no series is that of the group at `place`, which has instances.
fn without_series(
    (fleet, question): (&Fleet, &str),
    groups: &FleetGroups,
    named: &BTreeSet<&str>,
    answer: &[Labelled],
    place: &Place,
) -> Option<Finding> {
    let asg = &fleet.asg;
    let name = place.group.as_ref()?.as_str();
    let named_so = || answer.iter().filter(|series| series.label(&asg.label) == Some(name));
    if let (Some(label), Some(region)) = (&asg.region_label, &place.region)
        && named_so().next().is_some()
    {
        // Series without the label are reported above.
        let others: Option<BTreeSet<&str>> = named_so().map(|series| series.label(label)).collect();
        let text = format!(
            "the series of this name have {label}=\"{}\", and none has \"{region}\"",
            listed(others?)
        );
        let remedy = format!("check the relabelling that sets `{label}`, and {}: {question}", asg.keys()[3]);
        return Some(place.error(Check::GroupWithoutSeries, text, remedy));
    }
    let own = |name: &&str| groups.groups.iter().any(|seen| seen.description.name.as_str() == *name);
    let found: BTreeSet<&str> = answer.iter().filter_map(|series| series.label(&asg.label)).collect();
    let is_foreign = !found.is_empty() && found.iter().all(|name| named.contains(name) && !own(name));
    Some(if is_foreign {
        place.error(
            Check::GroupWithoutSeries,
            format!("the expression returns only series of groups of other fleets: {}", listed(found)),
            format!("read a metric of this fleet's instances: {question}"),
        )
    } else {
        place.error(
            Check::GroupWithoutSeries,
            format!("the expression returns series, but none with {}=\"{name}\"", asg.label),
            format!("check the relabelling that sets `{}`, and asg.label: {question}", asg.label),
        )
    })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::cloud::GroupDescription;
    use crate::config::sample::{self, OUT};
    use crate::units::Region;

    /// The errors about an answer whose series have these labels; the fleet has the group `my-jvb` in us-east-1, and
    /// another fleet has `my-jibri`.
    fn told(asg: &str, answer: &[&[(&str, &str)]]) -> Vec<String> {
        let config =
            sample::config(&format!("asg: {{names: [my-jvb]{asg}}}"), &format!("expr: x\n        {OUT}"));
        let fleet = &config.fleets[0];
        let description = GroupDescription::with("my-jvb", 1, &["InService"]);
        let seen = Seen { region: Region::new("us-east-1"), description };
        let groups = FleetGroups { fleet: fleet.name.clone(), groups: vec![seen], complete: true };
        let series = |labels: &&[(&str, &str)]| Labelled {
            labels: labels.iter().copied().collect(),
            points: vec![(60.0, 1.0)],
        };
        let answer: Vec<_> = answer.iter().map(series).collect();
        let (named, place) = (BTreeSet::from(["my-jvb", "my-jibri"]), Place::fleet(&fleet.name));
        let mut findings = labels(fleet, &groups, &answer, &place);
        findings.extend(matching((fleet, "curl"), &groups, &named, &answer, &place));
        findings.iter().map(|it| format!("{} / {}", it.text, it.remedy)).collect()
    }

    const REGION: &str = ", region_label: region";

    #[test_case("", &[&[("asg", "my-jvb"), ("region", "us-east-1")], &[("asg", "my-jvb"), ("region", "eu-west-1")]],
        &["2 series name the group my-jvb, so none of them counts; they differ in region / set asg.region_label: region"];
        "two regions")]
    #[test_case("", &[&[("asg", "my-jvb"), ("r", "us-east-1"), ("job", "x")], &[("asg", "my-jvb"), ("r", "eu-west-1")]],
        &["2 series name the group my-jvb, so none of them counts; they differ in job, r / set asg.region_label: r, and aggregate what is left, as in avg by (asg, r) (…)"];
        "two regions and two jobs")]
    #[test_case("", &[&[("asg", "my-jvb"), ("job", "x")], &[("asg", "my-jvb"), ("job", "y")]],
        &["2 series name the group my-jvb, so none of them counts; they differ in job / aggregate them, as in avg by (asg) (…)"];
        "two jobs")]
    #[test_case(REGION, &[&[("asg", "my-jvb")]],
        &["1 of 1 series lack the label `region`, so their group is unknown / keep it, as in avg by (asg, region) (…), and add it by relabelling"];
        "no region")]
    #[test_case(REGION, &[&[("asg", "my-jvb"), ("region", "eu-west-1")]],
        &["the series of this name have region=\"eu-west-1\", and none has \"us-east-1\" / check the relabelling that sets `region`, and asg.region_label: curl"];
        "another region")]
    #[test_case("", &[&[("asg", "my-jibri")]],
        &["the expression returns only series of groups of other fleets: my-jibri / read a metric of this fleet's instances: curl"];
        "another fleet")]
    #[test_case("", &[&[("asg", "other")]],
        &["series name groups that no fleet has: other / to scale them, add them to asg",
          "the expression returns series, but none with asg=\"my-jvb\" / check the relabelling that sets `asg`, and asg.label: curl"];
        "no fleet")]
    #[test_case("", &[&[("asg", "my-jvb"), ("region", "us-east-1")]], &[]; "its own")]
    fn series_that_do_not_match_their_group(asg: &str, answer: &[&[(&str, &str)]], expected: &[&str]) {
        assert_eq!(told(asg, answer), expected);
    }
}
