//! The parts of the AWS command line's answers that matter here. Unknown keys are ignored, because AWS adds some.

use serde::Deserialize;

/// One file: the answer of either command, or both in one object.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Answers {
    #[serde(rename = "MetricAlarms")]
    pub(super) alarms: Option<Vec<Alarm>>,
    #[serde(rename = "ScalingPolicies")]
    pub(super) policies: Option<Vec<ScalingPolicy>>,
}

impl Answers {
    pub(super) fn extend(&mut self, more: Self) {
        self.alarms.get_or_insert_default().extend(more.alarms.unwrap_or_default());
        self.policies.get_or_insert_default().extend(more.policies.unwrap_or_default());
    }

    pub(super) fn alarms(&self) -> &[Alarm] {
        self.alarms.as_deref().unwrap_or_default()
    }

    pub(super) fn policies(&self) -> &[ScalingPolicy] {
        self.policies.as_deref().unwrap_or_default()
    }
}

/// A metric alarm of `describe-alarms`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "they are AWS' names")]
pub(super) struct Alarm {
    pub(super) alarm_name: String,
    #[serde(default = "yes")]
    pub(super) actions_enabled: bool,
    #[serde(default, rename = "OKActions")]
    pub(super) ok_actions: Vec<String>,
    #[serde(default)]
    pub(super) alarm_actions: Vec<String>,
    #[serde(default)]
    pub(super) insufficient_data_actions: Vec<String>,
    pub(super) metric_name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) statistic: Option<String>,
    pub(super) extended_statistic: Option<String>,
    #[serde(default)]
    pub(super) dimensions: Vec<Dimension>,
    pub(super) period: Option<u32>,
    pub(super) evaluation_periods: u32,
    pub(super) datapoints_to_alarm: Option<u32>,
    pub(super) threshold: Option<f64>,
    pub(super) comparison_operator: String,
    pub(super) treat_missing_data: Option<String>,
    #[serde(default)]
    pub(super) metrics: Vec<MetricQuery>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Dimension {
    pub(super) name: String,
    pub(super) value: String,
}

/// One line of metric math.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricQuery {
    #[serde(default)]
    pub(super) id: String,
    pub(super) expression: Option<String>,
    pub(super) metric_stat: Option<MetricStat>,
    pub(super) period: Option<u32>,
    pub(super) return_data: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricStat {
    pub(super) metric: Metric,
    pub(super) period: u32,
    #[serde(default)]
    pub(super) stat: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Metric {
    #[serde(default)]
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) metric_name: String,
}

/// A scaling policy of `describe-policies`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ScalingPolicy {
    pub(super) auto_scaling_group_name: String,
    pub(super) policy_name: String,
    #[serde(rename = "PolicyARN")]
    pub(super) arn: String,
    #[serde(default)]
    pub(super) policy_type: String,
    pub(super) adjustment_type: Option<String>,
    pub(super) min_adjustment_magnitude: Option<i64>,
    pub(super) scaling_adjustment: Option<i64>,
    pub(super) cooldown: Option<u64>,
    #[serde(default)]
    pub(super) step_adjustments: Vec<StepAdjustment>,
    pub(super) estimated_instance_warmup: Option<u64>,
    pub(super) target_tracking_configuration: Option<TargetTracking>,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StepAdjustment {
    pub(super) metric_interval_lower_bound: Option<f64>,
    pub(super) metric_interval_upper_bound: Option<f64>,
    pub(super) scaling_adjustment: i64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TargetTracking {
    pub(super) target_value: f64,
    #[serde(default)]
    pub(super) disable_scale_in: bool,
    pub(super) predefined_metric_specification: Option<TrackedMetric>,
    pub(super) customized_metric_specification: Option<TrackedMetric>,
}

/// A metric that AWS has a name for, or one of a namespace.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TrackedMetric {
    pub(super) predefined_metric_type: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) metric_name: Option<String>,
}

fn yes() -> bool {
    true
}
