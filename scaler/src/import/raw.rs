//! The parts of the AWS command line's answers that matter here, and the bytes that hold them.
//!
//! Every entry is read by itself, so that one of a kind to come does not hide the others. A key that is neither read nor
//! known to change nothing is kept by name: AWS adds keys, and some of them change what an alarm does.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// All answers together.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    pub(super) alarms: Vec<Alarm>,
    pub(super) composites: Vec<Composite>,
    pub(super) policies: Vec<ScalingPolicy>,
    pub(super) actions: Vec<ScheduledAction>,
    /// Entries that are not understood: what each is, and why.
    pub(super) unreadable: Vec<String>,
}

/// Why an answer is no use.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It holds none of the lists.
    Neither,
    /// AWS has more than it holds.
    CutShort,
}

impl Answers {
    /// Reads one answer, or several in one object.
    pub(super) fn read(answer: Value) -> Result<Self, Unusable> {
        let Value::Object(mut answer) = answer else { return Err(Unusable::Neither) };
        if answer.get("NextToken").is_some_and(|token| !token.is_null()) {
            return Err(Unusable::CutShort);
        }
        let mut lists = 0;
        let mut take = |key: &str| match answer.remove(key) {
            Some(Value::Array(list)) => {
                lists += 1;
                list
            }
            _ => Vec::new(),
        };
        let [alarms, composites, policies, actions] =
            ["MetricAlarms", "CompositeAlarms", "ScalingPolicies", "ScheduledUpdateGroupActions"]
                .map(&mut take);
        if lists == 0 {
            return Err(Unusable::Neither);
        }
        let mut unreadable = Vec::new();
        Ok(Self {
            alarms: entries(alarms, ("alarm", "AlarmName"), &mut unreadable),
            composites: entries(composites, ("composite alarm", "AlarmName"), &mut unreadable),
            policies: entries(policies, ("scaling policy", "PolicyName"), &mut unreadable),
            actions: entries(actions, ("scheduled action", "ScheduledActionName"), &mut unreadable),
            unreadable,
        })
    }

    /// Adds what is not there yet: files may overlap.
    pub(super) fn extend(&mut self, more: Self) {
        fn add<T: PartialEq>(to: &mut Vec<T>, more: Vec<T>) {
            for entry in more {
                if !to.contains(&entry) {
                    to.push(entry);
                }
            }
        }
        add(&mut self.alarms, more.alarms);
        add(&mut self.composites, more.composites);
        add(&mut self.policies, more.policies);
        add(&mut self.actions, more.actions);
        add(&mut self.unreadable, more.unreadable);
    }

    /// The accounts whose groups the answers scale.
    pub(super) fn accounts(&self) -> BTreeSet<&str> {
        let policies = self.policies.iter().map(|policy| policy.arn.as_str());
        let arns = policies.chain(self.actions.iter().map(|action| action.arn.as_str()));
        arns.filter_map(|arn| arn.split(':').nth(4)).filter(|account| !account.is_empty()).collect()
    }
}

fn entries<T: DeserializeOwned>(
    list: Vec<Value>,
    (word, key): (&str, &str),
    unreadable: &mut Vec<String>,
) -> Vec<T> {
    let read = |(number, entry): (usize, Value)| {
        let name = entry.get(key).and_then(Value::as_str).map(|name| format!("\"{name}\""));
        let name = name.unwrap_or_else(|| format!("number {}", number + 1));
        // AWS writes `null` for what is absent.
        let entry = match entry {
            Value::Object(keys) => keys.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            other => other,
        };
        serde_json::from_value(entry)
            .map_err(|error| unreadable.push(format!("the {word} {name} is not understood ({error})")))
            .ok()
    };
    list.into_iter().enumerate().filter_map(read).collect()
}

/// The text in the bytes of a file: UTF-8, or UTF-16 with a byte order mark, as the `>` of `PowerShell` writes it.
pub(super) fn decode(bytes: &[u8]) -> Option<String> {
    let units = |read: fn([u8; 2]) -> u16, bytes: &[u8]| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let text: Option<String> = char::decode_utf16(pairs.iter().map(|pair| read(*pair)))
            .map(Result::ok)
            .collect::<Option<String>>()
            .filter(|_| rest.is_empty());
        text
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => units(u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => units(u16::from_be_bytes, rest),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => String::from_utf8(rest.to_vec()).ok(),
    }
}

/// Defines parts of an answer: structs whose fields are its keys.
macro_rules! parts {
    ($($(#[$about:meta])* $name:ident { $($(#[$how:meta])* $key:ident: $type:ty),+ $(,)? })+) => {
        $(
            $(#[$about])*
            #[derive(Clone, Debug, PartialEq, Deserialize)]
            #[serde(rename_all = "PascalCase")]
            #[allow(clippy::struct_field_names, reason = "they are AWS' names")]
            pub(super) struct $name { $($(#[$how])* pub(super) $key: $type),+ }
        )+
    };
}

parts! {
    /// A metric alarm of `describe-alarms`.
    Alarm {
        alarm_name: String,
        #[serde(default = "yes")] actions_enabled: bool,
        #[serde(default, rename = "OKActions")] ok_actions: Vec<String>,
        #[serde(default)] alarm_actions: Vec<String>,
        #[serde(default)] insufficient_data_actions: Vec<String>,
        metric_name: Option<String>, namespace: Option<String>, statistic: Option<String>,
        extended_statistic: Option<String>, unit: Option<String>,
        #[serde(default)] dimensions: Vec<Dimension>,
        period: Option<u32>, evaluation_periods: Option<u32>, datapoints_to_alarm: Option<u32>,
        threshold: Option<f64>, comparison_operator: Option<String>, treat_missing_data: Option<String>,
        evaluate_low_sample_count_percentile: Option<String>,
        #[serde(default)] metrics: Vec<MetricQuery>,
        evaluation_criteria: Option<Value>,
        #[serde(flatten)] rest: BTreeMap<String, Value>,
    }
    /// An alarm that combines others.
    Composite {
        alarm_name: String,
        #[serde(default)] alarm_rule: String,
        #[serde(default = "yes")] actions_enabled: bool,
        #[serde(default, rename = "OKActions")] ok_actions: Vec<String>,
        #[serde(default)] alarm_actions: Vec<String>,
        #[serde(default)] insufficient_data_actions: Vec<String>,
    }
    Dimension { name: String, value: String }
    /// One line of metric math.
    MetricQuery {
        #[serde(default)] id: String,
        expression: Option<String>, metric_stat: Option<MetricStat>, period: Option<u32>,
        return_data: Option<bool>,
    }
    MetricStat { metric: Metric, period: Option<u32>, #[serde(default)] stat: String, unit: Option<String> }
    Metric {
        #[serde(default)] namespace: String, #[serde(default)] metric_name: String,
        #[serde(default)] dimensions: Vec<Dimension>,
    }
    /// A scaling policy of `describe-policies`, or of Application Auto Scaling, which has no group.
    ScalingPolicy {
        auto_scaling_group_name: Option<String>, resource_id: Option<String>, policy_name: String,
        #[serde(rename = "PolicyARN", default)] arn: String,
        #[serde(default)] policy_type: String,
        adjustment_type: Option<String>,
        min_adjustment_magnitude: Option<i64>,
        /// AWS' former name for it; an answer may have both.
        min_adjustment_step: Option<i64>,
        scaling_adjustment: Option<i64>, cooldown: Option<u64>,
        #[serde(default)] step_adjustments: Vec<StepAdjustment>,
        estimated_instance_warmup: Option<u64>, target_tracking_configuration: Option<TargetTracking>,
        predictive_scaling_configuration: Option<Predictive>,
        #[serde(default)] alarms: Vec<Driver>,
        #[serde(default = "yes")] enabled: bool,
    }
    /// An alarm as a scaling policy names it.
    Driver { alarm_name: String }
    StepAdjustment {
        metric_interval_lower_bound: Option<f64>, metric_interval_upper_bound: Option<f64>,
        scaling_adjustment: i64,
    }
    TargetTracking {
        target_value: f64,
        #[serde(default)] disable_scale_in: bool,
        predefined_metric_specification: Option<TrackedMetric>,
        customized_metric_specification: Option<TrackedMetric>,
    }
    /// A metric that AWS has a name for, one of a namespace, or metric math.
    TrackedMetric {
        predefined_metric_type: Option<String>, resource_label: Option<String>, namespace: Option<String>,
        metric_name: Option<String>, statistic: Option<String>,
        #[serde(default)] dimensions: Vec<Dimension>,
        #[serde(default)] metrics: Vec<MetricQuery>,
    }
    Predictive { mode: Option<String> }
    /// A scheduled action of `describe-scheduled-actions`.
    ScheduledAction {
        auto_scaling_group_name: String, scheduled_action_name: String,
        #[serde(rename = "ScheduledActionARN", default)] arn: String,
        start_time: Option<String>, end_time: Option<String>, recurrence: Option<String>,
        time_zone: Option<String>, min_size: Option<u32>, max_size: Option<u32>, desired_capacity: Option<u32>,
    }
}

/// Keys of an alarm that change nothing of what it does.
const HARMLESS: [&str; 12] = [
    "AlarmArn",
    "AlarmConfigurationUpdatedTimestamp",
    "AlarmDescription",
    "EvaluationInterval",
    "EvaluationState",
    "StateReason",
    "StateReasonData",
    "StateTransitionedTimestamp",
    "StateUpdatedTimestamp",
    "StateValue",
    "ThresholdMetricId",
    "Tags",
];

impl Alarm {
    /// The keys that this version does not know.
    pub(super) fn unknown(&self) -> Vec<&str> {
        self.rest.keys().map(String::as_str).filter(|key| !HARMLESS.contains(key)).collect()
    }

    /// The query of an alarm that `CloudWatch` evaluates in PromQL, and for how many seconds it must hold.
    pub(super) fn promql(&self) -> Option<(&str, u64)> {
        let criteria: &Map<String, Value> =
            self.evaluation_criteria.as_ref()?.get("PromQLCriteria")?.as_object()?;
        let pending = criteria.get("PendingPeriod").and_then(Value::as_u64).unwrap_or(0);
        Some((criteria.get("Query")?.as_str()?, pending))
    }
}

fn yes() -> bool {
    true
}
