//! The instances of a fleet: whether their series name them, whether all report, and whether their components answer.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};

use super::command::{listed, quoted};
use super::finding::{Check, Finding, Place, Severity};
use super::groups::{FleetGroups, Seen};
use super::series::Asked;
use crate::config::Fleet;
use crate::decide::observation::Reading;
use crate::decide::policy::Component;
use crate::jitsi::http::Http;
use crate::jitsi::{Address, Components as _, JitsiError};
use crate::observe::Labelled;
use crate::observe::questions;
use crate::telemetry::chain;
use crate::units::InstanceId;

/// How many components are asked at once.
const AT_ONCE: usize = 16;

/// Checks the instances of a fleet.
pub(super) async fn look(
    (fleet, http): (&Fleet, &Http),
    groups: &FleetGroups,
    asked: &Asked<'_>,
) -> Vec<Finding> {
    let place = Place::fleet(&fleet.name);
    let Some(tick) = fleet.policy.smallest_period() else { return Vec::new() };
    let expr = questions::reporting(&fleet.instances, tick);
    let answer = match asked.series(&expr, &place).await {
        Ok(answer) => answer,
        Err(finding) => return vec![finding],
    };
    let mut findings = Vec::new();
    let (series, label) = (&fleet.instances.series, &fleet.instances.id_label);
    let of_fleet = |series: &&Labelled| {
        let names = |name| groups.groups.iter().any(|seen| seen.description.name.as_str() == name);
        series.label(&fleet.asg.label).is_none_or(names)
    };
    let reporting: Vec<&Labelled> = answer.iter().filter(of_fleet).collect();
    let lacking = reporting.iter().filter(|series| series.label(label).is_none()).count();
    if lacking > 0 {
        let text = format!(
            "{lacking} of {} series of {series} lack the label `{label}`, so their instances count as not reporting",
            reporting.len()
        );
        let remedy = format!(
            "in relabel_configs: {{source_labels: [__meta_ec2_instance_id], target_label: {label}}}; or name the label that they \
             have in instances.id_label: {}",
            asked.question(series)
        );
        findings.push(place.error(Check::InstanceLabel, text, remedy));
    }
    findings.extend(unlabelled(fleet, &answer, &asked.question(series), &place));
    // An instance reports whatever group its series names.
    let by_id: BTreeMap<&str, &Labelled> =
        answer.iter().filter_map(|series| Some((series.label(label)?, series))).collect();
    findings.extend(ambiguous(
        label,
        &reporting,
        &asked.question(&format!("count by ({label}) ({series}) > 1")),
        &place,
    ));
    findings.extend(strangers(fleet, groups, &reporting, &asked.question(series), &place));
    // Without the label it is unknown which instances report; the missing label is reported above.
    for seen in groups.groups.iter().filter(|_| lacking == 0) {
        findings.extend(silent(fleet, seen, &by_id, &asked.question(series), &place));
        findings.extend(misnamed(fleet, seen, &by_id, &asked.question(series), &place));
    }
    if fleet.drain.is_some() {
        findings.extend(components((fleet, http, asked), groups, &by_id, &place).await);
    }
    findings
}

/// Whether `asg.label` is the label of any series at all.
fn unlabelled(fleet: &Fleet, answer: &[Labelled], question: &str, place: &Place) -> Option<Finding> {
    let label = &fleet.asg.label;
    let has_label = answer.iter().any(|series| series.label(label).is_some());
    (!answer.is_empty() && !has_label).then(|| {
        place.warning(
            Check::GroupLabel,
            format!("no series of {} has the label `{label}`, so no policy can tell groups apart", fleet.instances.series),
            format!(
                "in relabel_configs: {{source_labels: [__meta_ec2_tag_aws_autoscaling_groupName], target_label: {label}}}; or name \
                 the label that they have in asg.label: {question}"
            ),
        )
    })
}

/// Ids that several series carry.
fn ambiguous(label: &str, reporting: &[&Labelled], question: &str, place: &Place) -> Option<Finding> {
    let (mut ids, mut repeated) = (BTreeSet::new(), BTreeSet::new());
    repeated.extend(reporting.iter().filter_map(|series| series.label(label)).filter(|id| !ids.insert(*id)));
    (!repeated.is_empty()).then(|| {
        place.error(
            Check::AmbiguousInstance,
            format!("several series carry the id of one instance: {}", listed(repeated)),
            format!(
                "they are never drained or replaced; run one component per instance, or select one of its series by \
                 instances.series: {question}"
            ),
        )
    })
}

/// Series of instances that are in no group of the fleet.
fn strangers(
    fleet: &Fleet,
    groups: &FleetGroups,
    reporting: &[&Labelled],
    question: &str,
    place: &Place,
) -> Option<Finding> {
    let held: BTreeSet<&str> =
        groups.groups.iter().flat_map(|seen| &seen.description.instances).map(|it| it.id.as_str()).collect();
    // Series that name a group of this fleet; others belong to other fleets.
    let ours = |series: &Labelled| series.label(&fleet.asg.label).is_some();
    let named = reporting.iter().filter(|series| ours(series));
    let ids = named.filter_map(|series| series.label(&fleet.instances.id_label));
    let strange: BTreeSet<&str> = ids.filter(|id| !held.contains(id)).collect();
    (!strange.is_empty() && groups.complete).then(|| {
        place.warning(
            Check::StrangeInstance,
            format!("series name instances that are not in their group: {}", listed(strange)),
            format!("some may have just been terminated; if not, check the relabelling of the instance id: {question}"),
        )
    })
}

/// Instances in service that do not report.
fn silent(
    fleet: &Fleet,
    seen: &Seen,
    by_id: &BTreeMap<&str, &Labelled>,
    question: &str,
    place: &Place,
) -> Option<Finding> {
    let Seen { region, description } = seen;
    let serving = description.instances.iter().filter(|it| it.lifecycle == "InService");
    let serving: Vec<&str> = serving.map(|it| it.id.as_str()).collect();
    let reports =
        |id: &&str| by_id.get(*id).and_then(|series| series.last()).is_some_and(|value| value > 0.0);
    let silent: Vec<&str> = serving.iter().copied().filter(|id| !reports(id)).collect();
    if silent.is_empty() {
        return None;
    }
    let series = &fleet.instances.series;
    let place = place.clone().region(region).group(&description.name);
    Some(if silent.len() == serving.len() {
        place.error(
            Check::SilentInstance,
            format!("none of the {} instances in service reports {series}", serving.len()),
            format!(
                "check instances.series and instances.id_label, and that the exporter is scraped: {question}"
            ),
        )
    } else {
        place.warning(
            Check::SilentInstance,
            format!("in service, but not reporting {series}: {}", listed(silent)),
            format!("some may have just booted; a component that is down does not report: {question}"),
        )
    })
}

/// Instances whose series name another group than their own.
fn misnamed(
    fleet: &Fleet,
    Seen { region, description }: &Seen,
    by_id: &BTreeMap<&str, &Labelled>,
    question: &str,
    place: &Place,
) -> Option<Finding> {
    let label = &fleet.asg.label;
    let serving = description.instances.iter().filter(|it| it.lifecycle == "InService");
    let named: Vec<&str> = serving.filter_map(|it| by_id.get(it.id.as_str())?.label(label)).collect();
    let others: Vec<&str> = named.iter().copied().filter(|name| *name != description.name.as_str()).collect();
    // A single one may have been detached and attached elsewhere just now.
    let severity = if others.len() == named.len() { Severity::Error } else { Severity::Warning };
    let text = format!(
        "the series of {} of its {} reporting instances have {label}=\"{}\" in place of \"{}\"",
        others.len(),
        named.len(),
        listed(others.iter().copied().collect::<BTreeSet<_>>()),
        description.name
    );
    let remedy = format!(
        "name the label that has the name of the group as asg.label, or correct the relabelling that sets `{label}`: {question}"
    );
    let place = place.clone().region(region).group(&description.name);
    (!others.is_empty()).then(|| place.finding(severity, Check::GroupLabel, text, remedy))
}

/// Whether each component answers a request that changes nothing.
async fn components(
    (fleet, http, asked): (&Fleet, &Http, &Asked<'_>),
    groups: &FleetGroups,
    by_id: &BTreeMap<&str, &Labelled>,
    place: &Place,
) -> Vec<Finding> {
    let Some(via) = &fleet.drain else { return Vec::new() };
    let mut findings = Vec::new();
    for Seen { region, description } in &groups.groups {
        let place = place.clone().region(region).group(&description.name);
        let mut unknown: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut addresses: Vec<(&InstanceId, Address)> = Vec::new();
        for instance in description.instances.iter().filter(|it| it.lifecycle == "InService") {
            let Some(series) = by_id.get(instance.id.as_str()) else { continue };
            match Address::new(&instance.id, fleet.policy.component, via, |name| series.label(name)) {
                Ok(address) => addresses.push((&instance.id, address)),
                Err(error) => unknown.entry(error.to_string()).or_default().push(instance.id.as_str()),
            }
        }
        findings.extend(unknown.into_iter().map(|(error, ids)| {
            let text = format!("failed to {error}; this concerns {}", listed(ids));
            let remedy = format!("these labels are there: {}", asked.question(&fleet.instances.series));
            place.error(Check::DrainAddress, text, remedy)
        }));
        let questions = addresses.iter().map(|(id, address)| async move {
            let (text, remedy) = match http.read(address).await {
                Ok(Reading::Answered { .. }) => return None,
                Ok(_) => (
                    "nothing listens at its address; check drain.via and where the component listens"
                        .to_owned(),
                    "it cannot be drained until it answers",
                ),
                // It does answer, and does not say what it carries.
                Err(error @ JitsiError::Unreadable { .. }) => {
                    (format!("failed to {}", chain(&error)), "scale-ins pass it over until then")
                }
                Err(error) => {
                    (format!("failed to {}", chain(&error)), "it cannot be drained until it answers")
                }
            };
            let address = quoted(&format!("{}{}", address.external(), probe(fleet.policy.component)));
            Some((*id, text, format!("{remedy}: curl -si {address}")))
        });
        let answers: Vec<_> =
            stream::iter(questions).buffered(AT_ONCE).filter_map(std::future::ready).collect().await;
        findings.extend(silence(answers, addresses.len(), &place));
    }
    findings
}

/// Where a component says what it carries.
fn probe(component: Component) -> &'static str {
    match component {
        Component::Jvb => "/colibri/stats",
        Component::Jibri => "/jibri/api/v1.0/health",
    }
}

/// The components of a group that do not answer as they should, of so many `asked`. If it is all of them, nothing can be
/// drained.
fn silence(answers: Vec<(&InstanceId, String, String)>, asked: usize, place: &Place) -> Vec<Finding> {
    let severity = if answers.len() == asked { Severity::Error } else { Severity::Warning };
    let finding = |(id, text, remedy): (&InstanceId, String, String)| {
        place.finding(severity, Check::Component, format!("{id}: {text}"), remedy)
    };
    answers.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::GroupDescription;
    use crate::units::{FleetName, Region};

    #[test]
    fn a_group_of_which_no_component_answers_is_an_error() {
        let (one, two) = (InstanceId::new("i-1"), InstanceId::new("i-2"));
        let place = Place::fleet(&FleetName::new("jvb"));
        let answer = |id| (id, "nothing listens".to_owned(), "curl".to_owned());
        let found =
            |answers: Vec<_>| silence(answers, 2, &place).iter().map(|it| it.severity).collect::<Vec<_>>();
        assert_eq!(found(vec![answer(&one)]), [Severity::Warning]);
        assert_eq!(found(vec![answer(&one), answer(&two)]), [Severity::Error; 2]);
        assert!(found(Vec::new()).is_empty());
    }

    #[test]
    fn series_that_name_another_group_are_no_silence() {
        let config = crate::config::sample::config(
            "asg: {names: [prod], label: job}",
            &format!("expr: x\n        {}", crate::config::sample::OUT),
        );
        let (fleet, place) = (&config.fleets[0], Place::default());
        let description = GroupDescription::with("prod", 2, &["InService", "InService"]);
        let seen = Seen { region: Region::new("us-east-1"), description };
        let told = |jobs: [&str; 2]| {
            let series = [("i-0", jobs[0]), ("i-1", jobs[1])].map(|(id, job)| Labelled {
                labels: [("instance_id", id), ("job", job)].into_iter().collect(),
                points: vec![(60.0, 1.0)],
            });
            let by_id = BTreeMap::from([("i-0", &series[0]), ("i-1", &series[1])]);
            assert_eq!(silent(fleet, &seen, &by_id, "curl", &place), None);
            misnamed(fleet, &seen, &by_id, "curl", &place).map(|it| (it.severity, it.text, it.remedy))
        };
        let remedy = "name the label that has the name of the group as asg.label, or correct the relabelling that sets `job`: curl";
        let finding = |severity, count: usize| {
            let text = format!(
                "the series of {count} of its 2 reporting instances have job=\"jitsi\" in place of \"prod\""
            );
            Some((severity, text, remedy.to_owned()))
        };
        assert_eq!(told(["jitsi", "jitsi"]), finding(Severity::Error, 2));
        assert_eq!(told(["prod", "jitsi"]), finding(Severity::Warning, 1));
        assert_eq!(told(["prod", "prod"]), None);
    }

    #[test]
    fn a_label_that_no_series_has_is_a_warning() {
        let config = crate::config::sample::config(
            "asg: {names: [a], label: group}",
            &format!("expr: x\n        {}", crate::config::sample::OUT),
        );
        let series =
            |label: &str| Labelled { labels: [(label, "a")].into_iter().collect(), points: Vec::new() };
        let place = Place::default();
        let found = |label: &str| unlabelled(&config.fleets[0], &[series(label)], "curl", &place);
        assert!(found("group").is_none());
        let finding = found("asg").expect("a warning");
        assert!(finding.text.contains("no series of jvb_up has the label `group`"), "{}", finding.text);
        assert!(finding.remedy.contains("target_label: group"), "{}", finding.remedy);
    }
}
