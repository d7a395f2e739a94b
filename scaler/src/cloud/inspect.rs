//! What `check --online` asks of AWS beyond what a run needs: settings of groups, and who else scales them.
//!
//! Owns calls that read and nothing else. Makes no judgement.

use std::time::Duration;

use aws_sdk_autoscaling::types::{AutoScalingGroup, PredictiveScalingMode};

use super::CloudError;
use super::aws::{Aws, PAGE, translate};
use crate::units::{GroupName, InstanceId, Region};

/// Settings of a group that a run takes no notice of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSettings {
    /// Its availability zones.
    pub zones: Vec<String>,
    /// Whether new instances are protected from scale-in.
    pub protects_new: bool,
    /// Instances that are not protected from scale-in.
    pub unprotected: Vec<InstanceId>,
    /// How old an instance may become before AWS replaces it.
    pub max_lifetime: Option<Duration>,
    /// Whether it has a pool of stopped or hibernated instances.
    pub has_warm_pool: bool,
}

/// A scaling policy of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalingPolicy {
    /// Its name.
    pub name: String,
    /// AWS' word for what it is, such as `TargetTrackingScaling`.
    pub kind: String,
    /// Whether it acts.
    pub enabled: bool,
    /// The CloudWatch alarms that drive it.
    pub alarms: Vec<String>,
}

/// A scheduled action of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledAction {
    /// Its name.
    pub name: String,
    /// When it comes again, as cron; none where it comes once.
    pub recurrence: Option<String>,
}

/// Calls that read what a run has no use for.
pub trait Inspection: Send + Sync {
    /// The settings of groups in a region; those that do not exist are left out.
    fn settings(
        &self,
        region: &Region,
        groups: &[GroupName],
    ) -> impl Future<Output = Result<Vec<(GroupName, GroupSettings)>, CloudError>> + Send;

    /// The scaling policies of a group.
    fn policies(
        &self,
        region: &Region,
        group: &GroupName,
    ) -> impl Future<Output = Result<Vec<ScalingPolicy>, CloudError>> + Send;

    /// The scheduled actions of a group.
    fn scheduled_actions(
        &self,
        region: &Region,
        group: &GroupName,
    ) -> impl Future<Output = Result<Vec<ScheduledAction>, CloudError>> + Send;
}

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
    };
    Some((GroupName::new(group.auto_scaling_group_name()?), settings))
}

/// Whether a predictive policy shows what it would do and does nothing.
fn only_forecasts(policy: &aws_sdk_autoscaling::types::ScalingPolicy) -> bool {
    let mode = policy.predictive_scaling_configuration().and_then(|settings| settings.mode());
    mode == Some(&PredictiveScalingMode::ForecastOnly)
}

impl Inspection for Aws {
    async fn settings(
        &self,
        region: &Region,
        groups: &[GroupName],
    ) -> Result<Vec<(GroupName, GroupSettings)>, CloudError> {
        let client = self.client(region).await;
        let mut found = Vec::new();
        for names in groups.chunks(PAGE) {
            let names = names.iter().map(|name| name.as_str().to_owned()).collect();
            let answer = client
                .describe_auto_scaling_groups()
                .set_auto_scaling_group_names(Some(names))
                .max_records(i32::try_from(PAGE).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|error| translate("DescribeAutoScalingGroups", &error))?;
            found.extend(answer.auto_scaling_groups().iter().filter_map(settings));
        }
        Ok(found)
    }

    async fn policies(&self, region: &Region, group: &GroupName) -> Result<Vec<ScalingPolicy>, CloudError> {
        let client = self.client(region).await;
        let mut pages = client
            .describe_policies()
            .auto_scaling_group_name(group.as_str())
            .into_paginator()
            .items()
            .send();
        let mut found = Vec::new();
        while let Some(policy) = pages.next().await {
            let policy = policy.map_err(|error| translate("DescribePolicies", &error))?;
            found.push(ScalingPolicy {
                name: policy.policy_name().unwrap_or_default().to_owned(),
                kind: policy.policy_type().unwrap_or("SimpleScaling").to_owned(),
                enabled: policy.enabled() != Some(false) && !only_forecasts(&policy),
                alarms: policy
                    .alarms()
                    .iter()
                    .filter_map(|alarm| alarm.alarm_name().map(str::to_owned))
                    .collect(),
            });
        }
        Ok(found)
    }

    async fn scheduled_actions(
        &self,
        region: &Region,
        group: &GroupName,
    ) -> Result<Vec<ScheduledAction>, CloudError> {
        let client = self.client(region).await;
        let mut pages = client
            .describe_scheduled_actions()
            .auto_scaling_group_name(group.as_str())
            .into_paginator()
            .items()
            .send();
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
