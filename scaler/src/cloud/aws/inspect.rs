//! The reads of `check --online`.

use std::time::Duration;

use aws_sdk_autoscaling::types::{self, AutoScalingGroup, PredictiveScalingMode};

use super::Aws;
use super::errors::translate;
use crate::cloud::CloudError;
use crate::cloud::inspect::{GroupSettings, Inspection, ScalingPolicy, ScheduledAction};
use crate::units::{GroupName, InstanceId, Region};

fn seconds(number: i32) -> Duration {
    Duration::from_secs(u64::try_from(number).unwrap_or(0))
}

fn settings(group: &AutoScalingGroup) -> Option<(GroupName, GroupSettings)> {
    let unprotected =
        group.instances().iter().filter(|instance| instance.protected_from_scale_in() != Some(true));
    let settings = GroupSettings {
        zones: group.availability_zones().to_vec(),
        protects_new: group.new_instances_protected_from_scale_in() == Some(true),
        unprotected: unprotected.filter_map(|instance| instance.instance_id().map(InstanceId::new)).collect(),
        max_lifetime: group.max_instance_lifetime().filter(|seconds| *seconds > 0).map(seconds),
        has_warm_pool: group.warm_pool_configuration().is_some(),
        scale_set: None,
    };
    Some((GroupName::new(group.auto_scaling_group_name()?), settings))
}

/// Whether a predictive policy forecasts without scaling.
fn only_forecasts(policy: &types::ScalingPolicy) -> bool {
    let mode = policy.predictive_scaling_configuration().and_then(|settings| settings.mode());
    mode == Some(&PredictiveScalingMode::ForecastOnly)
}

impl Inspection for Aws {
    async fn settings(
        &self,
        region: &Region,
        groups: &[GroupName],
    ) -> Result<Vec<(GroupName, GroupSettings)>, CloudError> {
        self.by_name(region, groups, settings).await
    }

    async fn policies(&self, region: &Region, group: &GroupName) -> Result<Vec<ScalingPolicy>, CloudError> {
        let request = self.client(region).await.describe_policies();
        let mut pages = request.auto_scaling_group_name(group.as_str()).into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(policy) = pages.next().await {
            let policy = policy.map_err(|error| translate("DescribePolicies", &error))?;
            found.push(ScalingPolicy {
                name: policy.policy_name().unwrap_or_default().to_owned(),
                kind: policy.policy_type().unwrap_or("SimpleScaling").to_owned(),
                enabled: policy.enabled() != Some(false) && !only_forecasts(&policy),
                alarms: policy.alarms().iter().filter_map(|it| it.alarm_name().map(str::to_owned)).collect(),
            });
        }
        Ok(found)
    }

    async fn scheduled_actions(
        &self,
        region: &Region,
        group: &GroupName,
    ) -> Result<Vec<ScheduledAction>, CloudError> {
        let request = self.client(region).await.describe_scheduled_actions();
        let mut pages = request.auto_scaling_group_name(group.as_str()).into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(action) = pages.next().await {
            let action = action.map_err(|error| translate("DescribeScheduledActions", &error))?;
            found.push(ScheduledAction {
                name: action.scheduled_action_name().unwrap_or_default().to_owned(),
                recurrence: action.recurrence().map(str::to_owned),
            });
        }
        Ok(found)
    }
}
