//! How the program reaches a cloud.
//!
//! Owns what every call has in common: it is counted and timed, a change needs the lease, and fleets that tick together
//! share a describe.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::batch::Batches;
use super::drain_tags::DrainTags;
use super::{Activity, Call, Change, CloudError, GroupDescription, Permitted, ScalingGroups};
use crate::config::Groups;
use crate::decide::observation::Hook;
use crate::leader::Lead;
use crate::telemetry::Telemetry;
use crate::units::{GroupName, Region, Time};

mod keep;

/// How long a describe of the service waits for those of other fleets: longer than fleets that tick together are apart,
/// and too short to delay an evaluation.
pub const TOGETHER: Duration = Duration::from_millis(15);

/// How long any call may take, with all of its pages and attempts. AWS answers in well under a second, and its client waits
/// for 15 s.
pub const LONGEST: Duration = Duration::from_secs(45);

/// How many calls for activities a region gets at a time. A start may have thousands to make, and AWS throttles a region
/// that gets some tens a second, with it the calls that matter more.
const ACTIVITIES_AT_ONCE: usize = 8;

/// A cloud during one term of leadership. Clones share its describes and its limits.
#[derive(Debug)]
pub struct Client<C> {
    cloud: Arc<C>,
    telemetry: Telemetry,
    lead: Lead,
    batches: Batches,
    drains: Arc<DrainTags>,
    activities: Arc<Mutex<HashMap<Region, Arc<Semaphore>>>>,
}

impl<C> Clone for Client<C> {
    fn clone(&self) -> Self {
        Self {
            cloud: Arc::clone(&self.cloud),
            telemetry: self.telemetry.clone(),
            lead: self.lead.clone(),
            batches: self.batches.clone(),
            drains: Arc::clone(&self.drains),
            activities: Arc::clone(&self.activities),
        }
    }
}

impl<C: ScalingGroups + 'static> Client<C> {
    /// A client of `cloud` that changes it during the term `lead`. A describe by name waits for `together`, at most a
    /// moment, so that others join it; with zero it joins none.
    pub fn new(cloud: C, telemetry: Telemetry, lead: Lead, together: Duration) -> Self {
        let (batches, drains, activities) = (Batches::new(together), Arc::default(), Arc::default());
        Self { cloud: Arc::new(cloud), telemetry, lead, batches, drains, activities }
    }

    /// See [`ScalingGroups::describe`]. Groups that are selected by tag are described by a call of their own.
    pub async fn describe(
        &self,
        region: &Region,
        groups: &Groups,
    ) -> Result<Vec<GroupDescription>, CloudError> {
        let mut found = match groups {
            Groups::Tags(_) => self.describe_alone(region, groups).await?,
            Groups::Names(names) => {
                let (client, of) = (self.clone(), region.clone());
                let ask = |groups: Groups| async move { client.describe_alone(&of, &groups).await }.boxed();
                self.batches.describe(region, names, ask).await?
            }
        };
        if self.cloud.packs_drains() {
            self.drains.note(region, &mut found);
        }
        Ok(found)
    }

    async fn describe_alone(
        &self,
        region: &Region,
        groups: &Groups,
    ) -> Result<Vec<GroupDescription>, CloudError> {
        self.counted(Call::Describe, self.cloud.describe(region, groups).boxed()).await
    }

    /// See [`ScalingGroups::activities`]. Waits while the region has [`ACTIVITIES_AT_ONCE`] such calls.
    pub async fn activities(
        &self,
        region: &Region,
        group: &GroupName,
        since: Option<Time>,
    ) -> Result<Vec<Activity>, CloudError> {
        let places = {
            let mut all = self.activities.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(ACTIVITIES_AT_ONCE));
            Arc::clone(all.entry(region.clone()).or_insert_with(new))
        };
        // The semaphore is never closed.
        let _place = places.acquire().await;
        self.counted(Call::Activities, self.cloud.activities(region, group, since).boxed()).await
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
        let answer = timeout(LONGEST, answer)
            .await
            .unwrap_or_else(|_| Err(CloudError::Timeout(self.cloud.name_of(call))));
        let outcome = answer.as_ref().map_or_else(CloudError::as_str, |_| "ok");
        self.telemetry.cloud_call(self.cloud.name_of(call), outcome, started.elapsed());
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use prometheus_client::registry::Registry;

    use super::*;

    /// Takes a second for the activities of a group, and never answers in the region `silent`.
    #[derive(Debug, Default)]
    struct Slow {
        asked: AtomicUsize,
        most: AtomicUsize,
    }

    impl ScalingGroups for Slow {
        fn name_of(&self, _: Call<'_>) -> &'static str {
            "call"
        }

        async fn describe(&self, _: &Region, _: &Groups) -> Result<Vec<GroupDescription>, CloudError> {
            Ok(Vec::new())
        }

        async fn activities(
            &self,
            region: &Region,
            _: &GroupName,
            _: Option<Time>,
        ) -> Result<Vec<Activity>, CloudError> {
            if region.as_str() == "silent" {
                return std::future::pending().await;
            }
            self.most.fetch_max(self.asked.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.asked.fetch_sub(1, Ordering::Relaxed);
            Ok(Vec::new())
        }

        async fn hooks(&self, _: &Region, _: &GroupName) -> Result<Vec<Hook>, CloudError> {
            Ok(Vec::new())
        }

        async fn refreshing(&self, _: &Region, _: &GroupName) -> Result<bool, CloudError> {
            Ok(false)
        }

        async fn apply(&self, _: Permitted<'_>) -> Result<(), CloudError> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn activities_of_many_groups_wait_for_places_of_their_region() {
        let telemetry = Telemetry::register(&mut Registry::default());
        let client = Client::new(Slow::default(), telemetry, Lead::always(), Duration::ZERO);
        let (other, silent) = (client.clone(), Region::new("silent"));
        let hanging = tokio::spawn(async move {
            let group = GroupName::new("b");
            join_all((0..100).map(|_| other.activities(&silent, &group, None))).await
        });
        tokio::task::yield_now().await;
        let started = Instant::now();
        let (region, group) = (Region::new("r"), GroupName::new("a"));
        let answers =
            join_all((0..4 * ACTIVITIES_AT_ONCE).map(|_| client.activities(&region, &group, None))).await;
        assert!(answers.iter().all(Result::is_ok) && !hanging.is_finished());
        assert_eq!(started.elapsed(), Duration::from_secs(4));
        assert_eq!(client.cloud.most.load(Ordering::Relaxed), ACTIVITIES_AT_ONCE);
        hanging.abort();
    }
}
