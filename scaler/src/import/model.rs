//! What a configuration will say, before it is text. Whatever AWS' answers do not decide is an open choice.

use crate::decide::policy::{Comparison, Component, Direction};

/// A value, or the words of the choice that is left to a person.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Choice<T> {
    Made(T),
    Open(String),
}

/// All that was translated, in the order of the configuration.
#[derive(Debug, Default)]
pub(super) struct Imported {
    pub(super) fleets: Vec<ImportedFleet>,
    /// What calls for no rule, and why.
    pub(super) remarks: Vec<String>,
    /// What may call for a rule and belongs to no fleet.
    pub(super) open: Vec<String>,
}

/// One Auto Scaling group.
#[derive(Debug)]
pub(super) struct ImportedFleet {
    pub(super) name: String,
    pub(super) group: String,
    pub(super) region: Option<String>,
    /// Whether another region has a group of this name.
    pub(super) has_twin: bool,
    /// What the group's name says.
    pub(super) component: Option<Component>,
    pub(super) warmup: Option<u64>,
    pub(super) policies: Vec<ImportedPolicy>,
    pub(super) schedules: Vec<ImportedSchedule>,
    /// Rules that must be written by hand, and why.
    pub(super) open: Vec<String>,
    /// What calls for no rule, and why.
    pub(super) remarks: Vec<String>,
}

impl ImportedFleet {
    /// Whether a policy has this name.
    pub(super) fn has_policy(&self, name: &str) -> bool {
        self.policies.iter().any(|policy| policy.name == name)
    }

    /// Whether AWS scales the group by anything of the files.
    pub(super) fn acts(&self) -> bool {
        !(self.policies.is_empty() && self.schedules.is_empty() && self.open.is_empty())
    }
}

/// One or two rules on one value.
#[derive(Clone, Debug)]
pub(super) struct ImportedPolicy {
    pub(super) name: String,
    pub(super) subject: Subject,
    pub(super) rules: Vec<ImportedRule>,
}

/// What a policy looks at.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Subject {
    Metric(Source),
    /// An alert of Prometheus that a person must write.
    Alert(Words),
    /// PromQL for the capacity itself, which a person must write.
    Desired(Words),
}

/// The words of an open choice, and what a person needs to know to make it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) choice: String,
    pub(super) details: Vec<String>,
}

/// The value of an alarm; alarms with the same value can share a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Namespace, name and statistic of the metric, or the expression of metric math.
    pub(super) metric: String,
    /// Its dimensions, or the terms of metric math with theirs.
    pub(super) details: Vec<String>,
    pub(super) period: u32,
    /// Whether it is an average over the instances of a group, as AWS' own metrics of EC2 are.
    pub(super) is_load: bool,
}

/// One direction.
#[derive(Clone, Debug)]
pub(super) struct ImportedRule {
    /// `None` where only a person knows it.
    pub(super) direction: Option<Direction>,
    /// What calls for it, in words.
    pub(super) caller: String,
    /// Absent where there is nothing to compare.
    pub(super) when: Option<Comparison>,
    /// N and M; absent for an alert.
    pub(super) window: Option<(u32, u32)>,
    pub(super) missing: Option<Choice<&'static str>>,
    /// What to add, remove or set; absent where the value is the capacity itself.
    pub(super) change: Option<Adjustment>,
    pub(super) cooldown: Cooldown,
    pub(super) remarks: Vec<String>,
}

/// What a rule changes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Adjustment {
    By(Choice<String>),
    Set(i64),
    Steps(Vec<ImportedStep>),
}

/// One step, by its distance from the threshold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ImportedStep {
    pub(super) from: Option<f64>,
    pub(super) to: Option<f64>,
    pub(super) by: Choice<String>,
}

impl ImportedStep {
    pub(super) fn nothing(from: Option<f64>, to: Option<f64>) -> Self {
        Self { from, to, by: Choice::Made("0".to_owned()) }
    }

    /// Whether it changes nothing.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(&self.by, Choice::Made(by) if by == "0" || by == "0%")
    }
}

/// How long a rule waits after it acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cooldown {
    /// So many seconds.
    Own(u64),
    /// That of the group, which is not in the files.
    Group,
    /// Its kind of policy has none.
    None,
}

/// A minimum, a maximum or both, for a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ImportedSchedule {
    pub(super) name: String,
    pub(super) cron: Choice<String>,
    pub(super) duration: Choice<u64>,
    pub(super) timezone: Choice<String>,
    /// Each bound with its key, which may be open.
    pub(super) bounds: Vec<(Choice<&'static str>, Choice<u32>)>,
    pub(super) remarks: Vec<String>,
}

/// `name`, or with a number if it is taken.
pub(super) fn free_name(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let name = if name.is_empty() { "unnamed" } else { name };
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default()
}
