//! The findings of a check, for people and for programs.
//!
//! Owns severities, the words for each check, and the texts around findings. It checks nothing itself.

use serde::{Serialize, Serializer};

use crate::units::{FleetName, GroupName, PolicyName, Region};

jitsi_web::words! {
    /// How bad a finding is. The worst come first.
    #[derive(PartialOrd, Ord, Serialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Severity {
        /// It would not work, or would do harm.
        Error = "error",
        /// It can do harm, or soon will not work.
        Warning = "warning",
        /// Worth knowing.
        Note = "note",
    }
}

/// The subject of a check. The words are a contract with programs: more may be added, none renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The configuration itself.
    Configuration,
    /// Whether Prometheus answers.
    Query,
    /// Whether an expression has any series.
    NoData,
    /// Whether values are numbers.
    NotANumber,
    /// Whether series carry the labels that name their group.
    GroupLabel,
    /// Whether a group has one series.
    AmbiguousSeries,
    /// Whether series belong to a group.
    SeriesWithoutGroup,
    /// Whether groups have a series.
    GroupWithoutSeries,
    /// Whether an alert has a rule.
    Alert,
    /// Whether Prometheus keeps the windows of policies.
    Retention,
    /// Whether clocks agree.
    Clock,
    /// Whether AWS answers.
    Cloud,
    /// Whether calls are permitted.
    Permission,
    /// Whether groups exist.
    MissingGroup,
    /// Whether a group has one fleet.
    SharedGroup,
    /// Whether the bounds of a group and of the configuration overlap.
    Bounds,
    /// Whether the capacity of a group counts instances.
    WeightedCapacity,
    /// Whether a scaling policy scales the group too.
    ScalingPolicy,
    /// Whether a scheduled action scales the group too.
    ScheduledAction,
    /// Whether the group has a warm pool.
    WarmPool,
    /// Whether AWS rebalances zones.
    Rebalance,
    /// Whether the group has the tag that permissions may depend on.
    ManagedTag,
    /// Whether the group has room for the scaler's tags.
    TagRoom,
    /// Whether processes are suspended.
    SuspendedProcess,
    /// Whether instances are protected from scale-in.
    ScaleInProtection,
    /// Whether a hook holds for as long as a drain takes.
    HookLimit,
    /// Whether it is clear which hook is served.
    HookChoice,
    /// Whether an instance refresh is in progress.
    InstanceRefresh,
    /// Whether AWS replaces instances by age.
    MaxLifetime,
    /// Whether Azure creates more instances than asked for.
    Overprovisioning,
    /// Whether Azure changes instances in place as their model or image changes.
    UpgradePolicy,
    /// Whether Azure repairs instances.
    Repairs,
    /// Whether Azure may take instances back.
    Spot,
    /// Whether instances were never created.
    FailedInstance,
    /// Whether series carry the label with the instance id.
    InstanceLabel,
    /// Whether instances report.
    SilentInstance,
    /// Whether an instance has one series.
    AmbiguousInstance,
    /// Whether series belong to an instance.
    StrangeInstance,
    /// Whether an instance's address is known.
    DrainAddress,
    /// Whether components answer.
    Component,
}

/// What a finding is about. A field that is `None` stands for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The fleet.
    #[serde(serialize_with = "name")]
    pub fleet: Option<FleetName>,
    /// The region.
    #[serde(serialize_with = "name")]
    pub region: Option<Region>,
    /// The group.
    #[serde(rename = "asg", serialize_with = "name")]
    pub group: Option<GroupName>,
    /// The policy.
    #[serde(serialize_with = "name")]
    pub policy: Option<PolicyName>,
}

#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn name<N: ToString, S: Serializer>(name: &Option<N>, serializer: S) -> Result<S::Ok, S::Error> {
    name.as_ref().map(ToString::to_string).serialize(serializer)
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was checked.
    pub check: Check,
    /// What it is about.
    #[serde(flatten)]
    pub place: Place,
    /// The finding, as a sentence without a full stop.
    pub text: String,
    /// The remedy; empty where the text names it.
    pub remedy: String,
}

impl Place {
    /// A whole fleet.
    #[must_use]
    pub fn fleet(fleet: &FleetName) -> Self {
        Self { fleet: Some(fleet.clone()), ..Self::default() }
    }

    /// The part of it in a region.
    #[must_use]
    pub fn region(mut self, region: &Region) -> Self {
        self.region = Some(region.clone());
        self
    }

    /// One of its groups.
    #[must_use]
    pub fn group(mut self, group: &GroupName) -> Self {
        self.group = Some(group.clone());
        self
    }

    /// One of its policies.
    #[must_use]
    pub fn policy(mut self, policy: &PolicyName) -> Self {
        self.policy = Some(policy.clone());
        self
    }

    /// A finding here.
    #[must_use]
    pub fn finding(
        &self,
        severity: Severity,
        check: Check,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding { severity, check, place: self.clone(), text: text.into(), remedy: remedy.into() }
    }

    /// An error here.
    #[must_use]
    pub fn error(&self, check: Check, text: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(Severity::Error, check, text, remedy)
    }

    /// A warning here.
    #[must_use]
    pub fn warning(&self, check: Check, text: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(Severity::Warning, check, text, remedy)
    }

    /// A note here.
    #[must_use]
    pub fn note(&self, check: Check, text: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(Severity::Note, check, text, remedy)
    }

    /// Group and policy in words; empty for a whole fleet.
    fn words(&self) -> String {
        let group = match (&self.group, &self.region) {
            (Some(group), Some(region)) => Some(format!("{group} in {region}")),
            (Some(group), None) => Some(group.to_string()),
            (None, Some(region)) => Some(region.to_string()),
            (None, None) => None,
        };
        let policy = self.policy.as_ref().map(|policy| format!("policy {policy}"));
        group.into_iter().chain(policy).collect::<Vec<_>>().join(", ")
    }
}

/// All findings of a check.
#[derive(Clone, Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
    /// Permissions that only a change would show.
    unchecked: &'static [&'static str],
}

/// A report in JSON.
#[derive(Serialize)]
struct ReportJson<'a> {
    errors: usize,
    warnings: usize,
    notes: usize,
    findings: &'a [Finding],
    unchecked_permissions: &'static [&'static str],
}

impl Report {
    /// Sorts findings by fleet (in the order given), severity and place, and removes duplicates.
    #[must_use]
    pub fn new(findings: Vec<Finding>, unchecked: &'static [&'static str]) -> Self {
        let mut order: Vec<Option<FleetName>> = vec![None];
        for finding in &findings {
            if !order.contains(&finding.place.fleet) {
                order.push(finding.place.fleet.clone());
            }
        }
        let mut sorted = findings;
        sorted.sort_by_key(|finding| {
            let fleet = order.iter().position(|fleet| *fleet == finding.place.fleet);
            let Place { region, group, policy, .. } = finding.place.clone();
            (fleet, finding.severity, region, group, policy, finding.check)
        });
        sorted.dedup();
        Self { findings: sorted, unchecked }
    }

    /// All findings, in order.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether no finding is an error.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.count(Severity::Error) == 0
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// The findings by fleet, and their number, for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut fleet = None;
        for finding in &self.findings {
            let Finding { severity, place, text: what, remedy, .. } = finding;
            if fleet != Some(&place.fleet) {
                fleet = Some(&place.fleet);
                let heading = place
                    .fleet
                    .as_ref()
                    .map_or_else(|| "in general".to_owned(), |fleet| format!("fleet {fleet}"));
                text.push_str(&format!("{heading}\n"));
            }
            let words = place.words();
            let separator = if words.is_empty() { "" } else { ": " };
            text.push_str(&format!("  {}: {words}{separator}{what}\n", severity.as_str()));
            if !remedy.is_empty() {
                text.push_str(&format!("    {remedy}\n"));
            }
        }
        if !self.unchecked.is_empty() {
            text.push_str(&format!(
                "not checked, because only a change would show these permissions: {}\n",
                self.unchecked.join(", ")
            ));
        }
        let counted = |severity, word: &str| {
            let count = self.count(severity);
            format!("{count} {word}{}", if count == 1 { "" } else { "s" })
        };
        text.push_str(&format!(
            "{}, {}, {}\n",
            counted(Severity::Error, "error"),
            counted(Severity::Warning, "warning"),
            counted(Severity::Note, "note")
        ));
        text
    }

    /// The report for a program.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        let report = ReportJson {
            errors: self.count(Severity::Error),
            warnings: self.count(Severity::Warning),
            notes: self.count(Severity::Note),
            findings: &self.findings,
            unchecked_permissions: self.unchecked,
        };
        serde_json::to_string_pretty(&report)
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn report() -> Report {
        let (one, two) = (Place::fleet(&FleetName::new("one")), Place::fleet(&FleetName::new("two")));
        let (region, group) = (Region::new("us-east-1"), GroupName::new("prod"));
        let prod = two.clone().region(&region).group(&group);
        let policy = prod.clone().policy(&PolicyName::new("stress"));
        let twice = two.note(Check::Retention, "the same", "");
        Report::new(
            vec![
                twice.clone(),
                prod.warning(Check::WarmPool, "a hazard", "do something"),
                policy.error(Check::NoData, "a fault", ""),
                one.warning(Check::Cloud, "another hazard", "do something else"),
                twice,
                Place::default().note(Check::Clock, "all fleets", ""),
            ],
            &["autoscaling:DeleteTags"],
        )
    }

    #[test]
    fn findings_are_sorted_by_fleet_and_severity_without_duplicates() {
        let report = report();
        assert!(!report.is_fine());
        assert_snapshot!(report.text(), @"
        in general
          note: all fleets
        fleet two
          error: prod in us-east-1, policy stress: a fault
          warning: prod in us-east-1: a hazard
            do something
          note: the same
        fleet one
          warning: another hazard
            do something else
        not checked, because only a change would show these permissions: autoscaling:DeleteTags
        1 error, 2 warnings, 2 notes
        ");
    }

    #[test]
    fn programs_read_the_same() {
        let json = report().json().expect("JSON");
        let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let counts = ["errors", "warnings", "notes", "unchecked_permissions"].map(|key| &report[key]);
        assert_eq!(serde_json::json!(counts), serde_json::json!([1, 2, 2, ["autoscaling:DeleteTags"]]));
        let findings = report["findings"].as_array().expect("a list");
        let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert_snapshot!(lines.join("\n"), @r#"
        {"asg":null,"check":"clock","fleet":null,"policy":null,"region":null,"remedy":"","severity":"note","text":"all fleets"}
        {"asg":"prod","check":"no_data","fleet":"two","policy":"stress","region":"us-east-1","remedy":"","severity":"error","text":"a fault"}
        {"asg":"prod","check":"warm_pool","fleet":"two","policy":null,"region":"us-east-1","remedy":"do something","severity":"warning","text":"a hazard"}
        {"asg":null,"check":"retention","fleet":"two","policy":null,"region":null,"remedy":"","severity":"note","text":"the same"}
        {"asg":null,"check":"cloud","fleet":"one","policy":null,"region":null,"remedy":"do something else","severity":"warning","text":"another hazard"}
        "#);
    }

    #[test]
    fn nothing_found_is_said_too() {
        let nothing = Report::new(Vec::new(), &[]);
        assert!(nothing.is_fine());
        assert_snapshot!(nothing.text(), @"0 errors, 0 warnings, 0 notes");
    }
}
