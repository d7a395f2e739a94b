//! How the program reaches a cloud.
//!
//! Owns what every call has in common: it is counted and timed, a change needs the lease, and fleets that tick together
//! share a describe.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::batch::Batches;
use super::{Activity, Call, Change, CloudError, GroupDescription, Permitted, ScalingGroups};
use crate::config::Groups;
use crate::decide::observation::Hook;
use crate::leader::Lead;
use crate::telemetry::Telemetry;
use crate::units::{GroupName, Region};

/// How long a describe of the service waits for those of other fleets: longer than fleets that tick together are apart,
/// and too short to delay an evaluation.
pub const TOGETHER: Duration = Duration::from_millis(15);

/// A cloud during one term of leadership. Clones share its describes.
#[derive(Debug)]
pub struct Client<C> {
    cloud: Arc<C>,
    telemetry: Telemetry,
    lead: Lead,
    batches: Batches,
}

impl<C> Clone for Client<C> {
    fn clone(&self) -> Self {
        Self {
            cloud: Arc::clone(&self.cloud),
            telemetry: self.telemetry.clone(),
            lead: self.lead.clone(),
            batches: self.batches.clone(),
        }
    }
}

impl<C: ScalingGroups + 'static> Client<C> {
    /// A client of `cloud` that changes it during the term `lead`. A describe by name waits for `together`, at most a
    /// moment, so that others join it; with zero it joins none.
    pub fn new(cloud: C, telemetry: Telemetry, lead: Lead, together: Duration) -> Self {
        Self { cloud: Arc::new(cloud), telemetry, lead, batches: Batches::new(together) }
    }

    /// See [`ScalingGroups::describe`]. Groups that are selected by tag are described by a call of their own.
    pub async fn describe(
        &self,
        region: &Region,
        groups: &Groups,
    ) -> Result<Vec<GroupDescription>, CloudError> {
        let Groups::Names(names) = groups else { return self.describe_alone(region, groups).await };
        let (client, of) = (self.clone(), region.clone());
        let ask = |groups: Groups| async move { client.describe_alone(&of, &groups).await }.boxed();
        self.batches.describe(region, names, ask).await
    }

    async fn describe_alone(
        &self,
        region: &Region,
        groups: &Groups,
    ) -> Result<Vec<GroupDescription>, CloudError> {
        self.counted(Call::Describe, self.cloud.describe(region, groups).boxed()).await
    }

    /// See [`ScalingGroups::activities`].
    pub async fn activities(&self, region: &Region, group: &GroupName) -> Result<Vec<Activity>, CloudError> {
        self.counted(Call::Activities, self.cloud.activities(region, group).boxed()).await
    }

    /// See [`ScalingGroups::hooks`].
    pub async fn hooks(&self, region: &Region, group: &GroupName) -> Result<Vec<Hook>, CloudError> {
        self.counted(Call::Hooks, self.cloud.hooks(region, group).boxed()).await
    }

    /// See [`ScalingGroups::refreshing`].
    pub async fn refreshing(&self, region: &Region, group: &GroupName) -> Result<bool, CloudError> {
        self.counted(Call::Refreshing, self.cloud.refreshing(region, group).boxed()).await
    }

    /// Makes a change, if this scaler leads. See [`ScalingGroups::apply`].
    pub async fn apply(
        &self,
        region: &Region,
        group: &GroupName,
        change: Change<'_>,
    ) -> Result<(), CloudError> {
        let call = self.cloud.apply(Permitted { region, group, change }).boxed();
        self.counted(Call::Apply(change), async { self.lead.permit(call).await? }.boxed()).await
    }

    /// The futures of an SDK are large: a pointer avoids copies from one wrapper into the next.
    async fn counted<T>(
        &self,
        call: Call<'_>,
        answer: BoxFuture<'_, Result<T, CloudError>>,
    ) -> Result<T, CloudError> {
        let started = Instant::now();
        let answer = answer.await;
        let outcome = answer.as_ref().map_or_else(CloudError::as_str, |_| "ok");
        self.telemetry.cloud_call(C::name_of(call), outcome, started.elapsed());
        answer
    }
}
