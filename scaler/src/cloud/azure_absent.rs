//! Stands in for Azure in a build without the feature `azure`: connecting fails with a remedy.

use std::time::Duration;

use super::inspect::{GroupSettings, Inspection, ScalingPolicy, ScheduledAction};
use super::{Activity, Call, CloudError, GroupDescription, Permitted, ScalingGroups};
use crate::config::{Groups, Subscription};
use crate::decide::observation::Hook;
use crate::leader::Lead;
use crate::units::{GroupName, Region, Time};

/// No value of this type exists.
#[derive(Debug)]
pub enum Azure {}

/// This build has no client of Azure.
#[derive(Debug, thiserror::Error)]
#[error(
    "reach the subscription {0}, as vmss asks: this build cannot talk to Azure; use the container image or a package, or build \
     with --features azure"
)]
pub struct ConnectError(String);

impl Azure {
    /// Fails, and says what to do instead.
    pub fn connect(of: &Subscription, _: Lead, _: fn() -> Duration) -> Result<Self, ConnectError> {
        Err(ConnectError(of.id.clone()))
    }
}

impl ScalingGroups for Azure {
    fn name_of(&self, _: Call<'_>) -> &'static str {
        match *self {}
    }

    async fn describe(&self, _: &Region, _: &Groups) -> Result<Vec<GroupDescription>, CloudError> {
        match *self {}
    }

    async fn activities(
        &self,
        _: &Region,
        _: &GroupName,
        _: Option<Time>,
    ) -> Result<Vec<Activity>, CloudError> {
        match *self {}
    }

    async fn hooks(&self, _: &Region, _: &GroupName) -> Result<Vec<Hook>, CloudError> {
        match *self {}
    }

    async fn refreshing(&self, _: &Region, _: &GroupName) -> Result<bool, CloudError> {
        match *self {}
    }

    async fn apply(&self, _: Permitted<'_>) -> Result<(), CloudError> {
        match *self {}
    }
}

impl Inspection for Azure {
    async fn settings(
        &self,
        _: &Region,
        _: &[GroupName],
    ) -> Result<Vec<(GroupName, GroupSettings)>, CloudError> {
        match *self {}
    }

    async fn policies(&self, _: &Region, _: &GroupName) -> Result<Vec<ScalingPolicy>, CloudError> {
        match *self {}
    }

    async fn scheduled_actions(&self, _: &Region, _: &GroupName) -> Result<Vec<ScheduledAction>, CloudError> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_feature() {
        let endpoint = "https://management.azure.com".parse().expect("an address");
        let error =
            Azure::connect(&Subscription { id: "1".to_owned(), endpoint }, Lead::always(), Duration::default);
        assert!(error.expect_err("it is absent").to_string().contains("--features azure"));
    }
}
