//! The decorator that every cloud call goes through: counts it by outcome, and times it.

use tokio::time::Instant;

use super::inspect::{GroupSettings, Inspection, ScalingPolicy, ScheduledAction};
use super::{Activity, CloudError, GroupDescription, ScalingGroups};
use crate::config::Groups;
use crate::decide::observation::Hook;
use crate::telemetry::Telemetry;
use crate::units::{Capacity, GroupName, InstanceId, Region};

/// A cloud whose calls are counted and timed.
#[derive(Debug)]
pub struct Metered<C> {
    inner: C,
    telemetry: Telemetry,
}

impl<C> Metered<C> {
    /// Wraps `inner`.
    pub fn new(inner: C, telemetry: Telemetry) -> Self {
        Self { inner, telemetry }
    }

    async fn told<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<T, CloudError>>,
    ) -> Result<T, CloudError> {
        let started = Instant::now();
        let answer = answer.await;
        let outcome = answer.as_ref().map_or_else(CloudError::as_str, |_| "ok");
        self.telemetry.cloud_call(call, outcome, started.elapsed());
        answer
    }
}

impl<C: ScalingGroups> ScalingGroups for Metered<C> {
    async fn describe(&self, region: &Region, groups: &Groups) -> Result<Vec<GroupDescription>, CloudError> {
        self.told("DescribeAutoScalingGroups", self.inner.describe(region, groups)).await
    }

    async fn activities(&self, region: &Region, group: &GroupName) -> Result<Vec<Activity>, CloudError> {
        self.told("DescribeScalingActivities", self.inner.activities(region, group)).await
    }

    async fn hooks(&self, region: &Region, group: &GroupName) -> Result<Vec<Hook>, CloudError> {
        self.told("DescribeLifecycleHooks", self.inner.hooks(region, group)).await
    }

    async fn refreshing(&self, region: &Region, group: &GroupName) -> Result<bool, CloudError> {
        self.told("DescribeInstanceRefreshes", self.inner.refreshing(region, group)).await
    }

    async fn set_desired(
        &self,
        region: &Region,
        group: &GroupName,
        desired: Capacity,
    ) -> Result<(), CloudError> {
        self.told("SetDesiredCapacity", self.inner.set_desired(region, group, desired)).await
    }

    async fn terminate_and_decrement(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<(), CloudError> {
        let call = "TerminateInstanceInAutoScalingGroup";
        self.told(call, self.inner.terminate_and_decrement(region, instance)).await
    }

    async fn terminate_and_replace(&self, region: &Region, instance: &InstanceId) -> Result<(), CloudError> {
        let call = "TerminateInstanceInAutoScalingGroup";
        self.told(call, self.inner.terminate_and_replace(region, instance)).await
    }

    async fn set_unhealthy(&self, region: &Region, instance: &InstanceId) -> Result<(), CloudError> {
        self.told("SetInstanceHealth", self.inner.set_unhealthy(region, instance)).await
    }

    async fn protect(
        &self,
        region: &Region,
        group: &GroupName,
        instances: &[InstanceId],
        protected: bool,
    ) -> Result<(), CloudError> {
        self.told("SetInstanceProtection", self.inner.protect(region, group, instances, protected)).await
    }

    async fn heartbeat(
        &self,
        region: &Region,
        group: &GroupName,
        hook: &str,
        instance: &InstanceId,
    ) -> Result<(), CloudError> {
        self.told("RecordLifecycleActionHeartbeat", self.inner.heartbeat(region, group, hook, instance)).await
    }

    async fn complete(
        &self,
        region: &Region,
        group: &GroupName,
        hook: &str,
        instance: &InstanceId,
    ) -> Result<(), CloudError> {
        self.told("CompleteLifecycleAction", self.inner.complete(region, group, hook, instance)).await
    }

    async fn tag(
        &self,
        region: &Region,
        group: &GroupName,
        key: &str,
        value: &str,
    ) -> Result<(), CloudError> {
        self.told("CreateOrUpdateTags", self.inner.tag(region, group, key, value)).await
    }

    async fn untag(&self, region: &Region, group: &GroupName, key: &str) -> Result<(), CloudError> {
        self.told("DeleteTags", self.inner.untag(region, group, key)).await
    }
}

impl<C: Inspection> Inspection for Metered<C> {
    async fn settings(
        &self,
        region: &Region,
        groups: &[GroupName],
    ) -> Result<Vec<(GroupName, GroupSettings)>, CloudError> {
        self.told("DescribeAutoScalingGroups", self.inner.settings(region, groups)).await
    }

    async fn policies(&self, region: &Region, group: &GroupName) -> Result<Vec<ScalingPolicy>, CloudError> {
        self.told("DescribePolicies", self.inner.policies(region, group)).await
    }

    async fn scheduled_actions(
        &self,
        region: &Region,
        group: &GroupName,
    ) -> Result<Vec<ScheduledAction>, CloudError> {
        self.told("DescribeScheduledActions", self.inner.scheduled_actions(region, group)).await
    }
}
