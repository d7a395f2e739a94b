//! The decorator that every changing call to the cloud goes through: it is made by the leader, or not at all.

use futures::future::BoxFuture;

use super::{Activity, CloudError, GroupDescription, ScalingGroups};
use crate::config::Groups;
use crate::decide::observation::Hook;
use crate::leader::Lead;
use crate::units::{Capacity, GroupName, InstanceId, Region};

/// A cloud that is changed during one term only, and read at any time.
#[derive(Clone, Debug)]
pub struct Led<C> {
    inner: C,
    lead: Lead,
}

impl<C> Led<C> {
    /// Wraps `inner` for the term `lead`.
    pub fn new(inner: C, lead: Lead) -> Self {
        Self { inner, lead }
    }

    /// The futures of the SDK are large: behind a pointer they are not copied from one wrapper into the next.
    async fn permit(&self, call: BoxFuture<'_, Result<(), CloudError>>) -> Result<(), CloudError> {
        self.lead.permit(call).await?
    }
}

impl<C: ScalingGroups> ScalingGroups for Led<C> {
    async fn describe(&self, region: &Region, groups: &Groups) -> Result<Vec<GroupDescription>, CloudError> {
        self.inner.describe(region, groups).await
    }

    async fn activities(&self, region: &Region, group: &GroupName) -> Result<Vec<Activity>, CloudError> {
        self.inner.activities(region, group).await
    }

    async fn hooks(&self, region: &Region, group: &GroupName) -> Result<Vec<Hook>, CloudError> {
        self.inner.hooks(region, group).await
    }

    async fn refreshing(&self, region: &Region, group: &GroupName) -> Result<bool, CloudError> {
        self.inner.refreshing(region, group).await
    }

    async fn set_desired(
        &self,
        region: &Region,
        group: &GroupName,
        desired: Capacity,
    ) -> Result<(), CloudError> {
        self.permit(Box::pin(self.inner.set_desired(region, group, desired))).await
    }

    async fn terminate_and_decrement(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<(), CloudError> {
        self.permit(Box::pin(self.inner.terminate_and_decrement(region, instance))).await
    }

    async fn terminate_and_replace(&self, region: &Region, instance: &InstanceId) -> Result<(), CloudError> {
        self.permit(Box::pin(self.inner.terminate_and_replace(region, instance))).await
    }

    async fn set_unhealthy(&self, region: &Region, instance: &InstanceId) -> Result<(), CloudError> {
        self.permit(Box::pin(self.inner.set_unhealthy(region, instance))).await
    }

    async fn protect(
        &self,
        region: &Region,
        group: &GroupName,
        instances: &[InstanceId],
        protected: bool,
    ) -> Result<(), CloudError> {
        self.permit(Box::pin(self.inner.protect(region, group, instances, protected))).await
    }

    async fn heartbeat(
        &self,
        region: &Region,
        group: &GroupName,
        hook: &str,
        instance: &InstanceId,
    ) -> Result<(), CloudError> {
        self.permit(Box::pin(self.inner.heartbeat(region, group, hook, instance))).await
    }

    async fn complete(
        &self,
        region: &Region,
        group: &GroupName,
        hook: &str,
        instance: &InstanceId,
    ) -> Result<(), CloudError> {
        self.permit(Box::pin(self.inner.complete(region, group, hook, instance))).await
    }

    async fn tag(
        &self,
        region: &Region,
        group: &GroupName,
        key: &str,
        value: &str,
    ) -> Result<(), CloudError> {
        self.permit(Box::pin(self.inner.tag(region, group, key, value))).await
    }

    async fn untag(&self, region: &Region, group: &GroupName, key: &str) -> Result<(), CloudError> {
        self.permit(Box::pin(self.inner.untag(region, group, key))).await
    }
}
