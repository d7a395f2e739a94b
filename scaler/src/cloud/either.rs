//! The clouds that one process reaches, behind one type.

use super::aws::Aws;
use super::azure::Azure;
use super::inspect::{GroupSettings, Inspection, ScalingPolicy, ScheduledAction};
use super::{Activity, Call, CloudError, GroupDescription, Permitted, ScalingGroups};
use crate::config::Groups;
use crate::decide::observation::Hook;
use crate::units::{GroupName, Region, Time};

/// One of the clouds.
#[derive(Debug)]
pub enum Cloud {
    /// Auto Scaling groups.
    Aws(Box<Aws>),
    /// Scale sets.
    Azure(Azure),
}

/// The same for each cloud.
macro_rules! each {
    ($this:expr, $cloud:ident => $what:expr) => {
        match $this {
            Cloud::Aws($cloud) => $what,
            Cloud::Azure($cloud) => $what,
        }
    };
}

impl ScalingGroups for Cloud {
    fn name_of(&self, call: Call<'_>) -> &'static str {
        each!(self, cloud => cloud.name_of(call))
    }

    fn packs_drains(&self) -> bool {
        each!(self, cloud => cloud.packs_drains())
    }

    async fn describe(&self, region: &Region, groups: &Groups) -> Result<Vec<GroupDescription>, CloudError> {
        each!(self, cloud => cloud.describe(region, groups).await)
    }

    async fn activities(
        &self,
        region: &Region,
        group: &GroupName,
        since: Option<Time>,
    ) -> Result<Vec<Activity>, CloudError> {
        each!(self, cloud => cloud.activities(region, group, since).await)
    }

    async fn hooks(&self, region: &Region, group: &GroupName) -> Result<Vec<Hook>, CloudError> {
        each!(self, cloud => cloud.hooks(region, group).await)
    }

    async fn refreshing(&self, region: &Region, group: &GroupName) -> Result<bool, CloudError> {
        each!(self, cloud => cloud.refreshing(region, group).await)
    }

    async fn apply(&self, permitted: Permitted<'_>) -> Result<(), CloudError> {
        each!(self, cloud => cloud.apply(permitted).await)
    }
}

impl Inspection for Cloud {
    async fn settings(
        &self,
        region: &Region,
        groups: &[GroupName],
    ) -> Result<Vec<(GroupName, GroupSettings)>, CloudError> {
        each!(self, cloud => cloud.settings(region, groups).await)
    }

    async fn policies(&self, region: &Region, group: &GroupName) -> Result<Vec<ScalingPolicy>, CloudError> {
        each!(self, cloud => cloud.policies(region, group).await)
    }

    async fn scheduled_actions(
        &self,
        region: &Region,
        group: &GroupName,
    ) -> Result<Vec<ScheduledAction>, CloudError> {
        each!(self, cloud => cloud.scheduled_actions(region, group).await)
    }
}
