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

/// Defines parts of an answer: structs whose fields are its keys.
macro_rules! parts {
    ($($(#[$about:meta])* $name:ident { $($(#[$how:meta])? $key:ident: $type:ty),+ $(,)? })+) => {
        $(
            $(#[$about])*
            #[derive(Clone, Debug, PartialEq, Deserialize)]
            #[serde(rename_all = "PascalCase")]
            pub(super) struct $name { $($(#[$how])? pub(super) $key: $type),+ }
        )+
    };
}

parts! {
    /// A metric alarm of `describe-alarms`.
    #[expect(clippy::struct_field_names, reason = "they are AWS' names")]
    Alarm {
        alarm_name: String,
        #[serde(default = "yes")] actions_enabled: bool,
        #[serde(default, rename = "OKActions")] ok_actions: Vec<String>,
        #[serde(default)] alarm_actions: Vec<String>,
        #[serde(default)] insufficient_data_actions: Vec<String>,
        metric_name: Option<String>, namespace: Option<String>, statistic: Option<String>,
        extended_statistic: Option<String>,
        #[serde(default)] dimensions: Vec<Dimension>,
        period: Option<u32>, evaluation_periods: u32, datapoints_to_alarm: Option<u32>,
        threshold: Option<f64>, comparison_operator: String, treat_missing_data: Option<String>,
        #[serde(default)] metrics: Vec<MetricQuery>,
    }
    Dimension { name: String, value: String }
    /// One line of metric math.
    MetricQuery {
        #[serde(default)] id: String,
        expression: Option<String>, metric_stat: Option<MetricStat>, period: Option<u32>,
        return_data: Option<bool>,
    }
    MetricStat { metric: Metric, period: u32, #[serde(default)] stat: String }
    Metric { #[serde(default)] namespace: String, #[serde(default)] metric_name: String }
    /// A scaling policy of `describe-policies`.
    ScalingPolicy {
        auto_scaling_group_name: String, policy_name: String,
        #[serde(rename = "PolicyARN")] arn: String,
        #[serde(default)] policy_type: String,
        adjustment_type: Option<String>, min_adjustment_magnitude: Option<i64>,
        scaling_adjustment: Option<i64>, cooldown: Option<u64>,
        #[serde(default)] step_adjustments: Vec<StepAdjustment>,
        estimated_instance_warmup: Option<u64>, target_tracking_configuration: Option<TargetTracking>,
        #[serde(default = "yes")] enabled: bool,
    }
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
    /// A metric that AWS has a name for, or one of a namespace.
    TrackedMetric {
        predefined_metric_type: Option<String>, namespace: Option<String>, metric_name: Option<String>,
    }
}

fn yes() -> bool {
    true
}
