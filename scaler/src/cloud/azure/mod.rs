//! Azure VM Scale Sets by Azure Resource Manager's REST API.
//!
//! Owns one subscription. Only this folder knows the names that Azure gives to things. A resource group takes the place of
//! a region: within one the names of sets are unique. An instance is known by the name of its machine, which Prometheus'
//! discovery reports; names may be used again, so drains and deletions go by the unique `vmId` as well.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use self::arm::{Arm, Resource};
use self::sets::Sets;
use self::tokens::Tokens;
use crate::cloud::{Activity, Call, Change, CloudError, GroupDescription, Permitted, ScalingGroups};
use crate::config::{Groups, Subscription};
use crate::decide::observation::Hook;
use crate::leader::Lead;
use crate::units::{GroupName, Region, Time};

mod answers;
mod arm;
mod changes;
mod errors;
#[cfg(test)]
mod fake;
mod inspect;
mod memory;
mod operations;
mod reading;
mod sets;
mod tags;
#[cfg(test)]
mod tests;
mod tokens;

/// Azure cannot be reached with what the environment says.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The credentials that the environment names cannot be used.
    #[error("use the credentials of Azure that the environment names; check the variables AZURE_…")]
    Credentials(#[source] azure_core::Error),
    /// TLS cannot be set up.
    #[error("set up TLS; a system that trusts no authority needs its package ca-certificates")]
    Tls(#[source] reqwest::Error),
}

/// The scale sets of a subscription.
#[derive(Debug)]
pub struct Azure {
    sets: Arc<Sets>,
}

impl Azure {
    /// The scale sets of a subscription, with the credentials of the environment. What a change leaves to be done after
    /// its call is done while `lead` holds. `clock` is the time since 1970.
    pub fn connect(of: &Subscription, lead: Lead, clock: fn() -> Duration) -> Result<Self, ConnectError> {
        let tokens = Tokens::of_environment(of.endpoint.as_str().trim_end_matches('/'));
        Self::with(&of.endpoint, &of.id, tokens.map_err(ConnectError::Credentials)?, (lead, clock))
    }

    fn with(
        endpoint: &Url,
        subscription: &str,
        tokens: Tokens,
        (lead, clock): (Lead, fn() -> Duration),
    ) -> Result<Self, ConnectError> {
        let arm = Arm::new(endpoint.clone(), subscription, tokens).map_err(ConnectError::Tls)?;
        Ok(Self { sets: Arc::new(Sets::new(arm, lead, clock)) })
    }

    /// The name of a call: that of the operation in Azure's REST API specifications.
    fn operation(call: Call<'_>) -> &'static str {
        match call {
            Call::Describe => "VirtualMachineScaleSets_List",
            // The client keeps them itself.
            Call::Activities => "activities",
            Call::Hooks | Call::Apply(Change::Heartbeat { .. } | Change::Complete { .. }) => "hooks",
            Call::Refreshing => "VirtualMachineScaleSetRollingUpgrades_GetLatest",
            Call::Apply(Change::SetDesired(_)) => "VirtualMachineScaleSets_Update",
            Call::Apply(
                Change::TerminateAndDecrement(_) | Change::TerminateAndReplace(_) | Change::SetUnhealthy(_),
            ) => "VirtualMachineScaleSets_DeleteInstances",
            Call::Apply(Change::SetProtection { .. }) => "VirtualMachineScaleSetVMs_Update",
            Call::Apply(Change::Tag { .. } | Change::Untag { .. }) => "Tags_UpdateAtScope",
        }
    }
}

impl ScalingGroups for Azure {
    fn name_of(&self, call: Call<'_>) -> &'static str {
        Self::operation(call)
    }

    async fn describe(&self, region: &Region, groups: &Groups) -> Result<Vec<GroupDescription>, CloudError> {
        reading::describe(&self.sets, Self::operation(Call::Describe), region, groups).await
    }

    /// Azure keeps no list of them that is not minutes late: this is what this process saw. No machine is detached in it, so
    /// that how far it reaches back does not matter.
    async fn activities(
        &self,
        region: &Region,
        group: &GroupName,
        _: Option<Time>,
    ) -> Result<Vec<Activity>, CloudError> {
        Ok(self.sets.remember(region, group, |memory| memory.activities()))
    }

    /// Nothing in Azure holds an instance on its way out.
    async fn hooks(&self, _: &Region, _: &GroupName) -> Result<Vec<Hook>, CloudError> {
        Ok(Vec::new())
    }

    async fn refreshing(&self, region: &Region, group: &GroupName) -> Result<bool, CloudError> {
        let path = ["virtualMachineScaleSets", group.as_str(), "rollingUpgrades", "latest"];
        let call = Self::operation(Call::Refreshing);
        let latest = self.sets.arm.get(call, Resource::Compute(region.as_str(), &path, "")).await?;
        // A set that was never upgraded has none.
        let code = latest.as_ref().and_then(|it| it.pointer("/properties/runningStatus/code"));
        Ok(code
            .and_then(serde_json::Value::as_str)
            .is_some_and(|code| code.eq_ignore_ascii_case("RollingForward")))
    }

    async fn apply(&self, permitted: Permitted<'_>) -> Result<(), CloudError> {
        changes::apply(&self.sets, permitted, Self::operation).await
    }
}
