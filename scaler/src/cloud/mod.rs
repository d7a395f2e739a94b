//! Auto Scaling groups as the scaler needs them: one interface, and what speaks it.
//!
//! Owns the interface, its errors and the tags. Makes no choices.

use crate::config::Groups;
use crate::decide::observation::Hook;
use crate::leader::NotLeading;
use crate::units::{Capacity, GroupName, InstanceId, Region, Time};

pub mod aws;
pub mod batched;
pub mod inspect;
pub mod led;
pub mod metered;
pub mod tags;

/// A group as the cloud describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its name.
    pub name: GroupName,
    /// Its minimum.
    pub min: Capacity,
    /// Its maximum.
    pub max: Capacity,
    /// What it is asked to hold.
    pub desired: Capacity,
    /// The names of its suspended processes, such as `Launch`.
    pub suspended: Vec<String>,
    /// The availability zones that it launches into.
    pub zones: Vec<String>,
    /// Every instance that it holds.
    pub instances: Vec<InstanceDescription>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

/// An instance as its group describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceDescription {
    /// Its id.
    pub id: InstanceId,
    /// Its availability zone.
    pub zone: String,
    /// Its lifecycle state in AWS' words, such as `Terminating:Wait`.
    pub lifecycle: String,
    /// Whether AWS holds it for healthy.
    pub healthy: bool,
    /// Whether it is protected from scale-in, which keeps AWS from choosing it.
    pub protected: bool,
}

/// What AWS did to a group, or tried to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// What it was about.
    pub kind: ActivityKind,
    /// When it ended, if it has.
    pub ended: Option<Time>,
    /// How it went.
    pub outcome: ActivityOutcome,
    /// AWS' own words for what came of it; often empty.
    pub message: String,
}

/// What an activity is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActivityKind {
    /// The launch of an instance, which may have an id already.
    Launch(Option<InstanceId>),
    /// Anything else.
    Other,
}

/// How an activity went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityOutcome {
    /// It goes on.
    UnderWay,
    /// It did what it was for.
    Successful,
    /// It failed, or was given up.
    Failed,
}

/// A call that did not do what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CloudError {
    /// AWS asks for patience; nothing is wrong with the group.
    #[error("call {call}: AWS throttles; the next tick tries again")]
    Throttled {
        /// The call.
        call: &'static str,
    },
    /// Credentials are missing or have expired.
    #[error(
        "call {call}: {message}; give or renew credentials by the environment, a profile, a web identity, or the role of \
         the container or instance"
    )]
    Credentials {
        /// The call.
        call: &'static str,
        /// What AWS or its SDK says.
        message: String,
    },
    /// The credentials do not allow it.
    #[error("call {call}: {message}; allow autoscaling:{call} in the IAM policy")]
    Denied {
        /// The call.
        call: &'static str,
        /// What AWS says.
        message: String,
    },
    /// No answer in time: it may have been done or not.
    #[error("get an answer to {call} in time; whether it was done shows at the next tick")]
    Timeout {
        /// The call.
        call: &'static str,
    },
    /// No connection.
    #[error("reach AWS for {call}: {message}; check the network and AWS_ENDPOINT_URL")]
    Unreachable {
        /// The call.
        call: &'static str,
        /// What the SDK says.
        message: String,
    },
    /// AWS refused it.
    #[error("call {call}: {code}: {message}")]
    Refused {
        /// The call.
        call: &'static str,
        /// AWS' error code.
        code: String,
        /// AWS' words.
        message: String,
    },
    /// It was not made, or given up while it was: another scaler acts now.
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
}

impl CloudError {
    /// Whether a hook was asked about an instance that it does not hold, or holds no more. These are AWS' words.
    #[must_use]
    pub fn is_not_held(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if message.contains("No active Lifecycle Action"))
    }

    /// The word for it in metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "throttled",
            Self::Credentials { .. } => "credentials",
            Self::Denied { .. } => "denied",
            Self::Timeout { .. } => "timeout",
            Self::Unreachable { .. } => "unreachable",
            Self::Refused { .. } => "refused",
            Self::NotLeading(_) => "not_leading",
        }
    }
}

/// The calls that the scaler makes to the cloud. A call that changes capacity makes one attempt: the next tick starts
/// from what it sees.
pub trait ScalingGroups: Send + Sync {
    /// The groups that `groups` selects in `region`; those that do not exist are left out.
    fn describe(
        &self,
        region: &Region,
        groups: &Groups,
    ) -> impl Future<Output = Result<Vec<GroupDescription>, CloudError>> + Send;

    /// What AWS did to a group lately, newest first, as far back as one page goes.
    fn activities(
        &self,
        region: &Region,
        group: &GroupName,
    ) -> impl Future<Output = Result<Vec<Activity>, CloudError>> + Send;

    /// The hooks of a group that hold instances on their way out.
    fn hooks(
        &self,
        region: &Region,
        group: &GroupName,
    ) -> impl Future<Output = Result<Vec<Hook>, CloudError>> + Send;

    /// Whether an instance refresh of a group is in progress.
    fn refreshing(
        &self,
        region: &Region,
        group: &GroupName,
    ) -> impl Future<Output = Result<bool, CloudError>> + Send;

    /// Sets the desired capacity, within the group's own bounds.
    fn set_desired(
        &self,
        region: &Region,
        group: &GroupName,
        desired: Capacity,
    ) -> impl Future<Output = Result<(), CloudError>> + Send;

    /// Terminates an instance and lowers the desired capacity by one.
    fn terminate_and_decrement(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> impl Future<Output = Result<(), CloudError>> + Send;

    /// Terminates an instance at once; another one is launched in its place.
    fn terminate_and_replace(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> impl Future<Output = Result<(), CloudError>> + Send;

    /// Tells AWS that an instance is ill: when AWS next looks it is terminated, and another one launched in its place.
    fn set_unhealthy(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> impl Future<Output = Result<(), CloudError>> + Send;

    /// Protects instances from scale-in by AWS, or ends that. AWS takes at most 50 of them.
    fn protect(
        &self,
        region: &Region,
        group: &GroupName,
        instances: &[InstanceId],
        protected: bool,
    ) -> impl Future<Output = Result<(), CloudError>> + Send;

    /// Has a hook hold an instance for another heartbeat's length from now.
    fn heartbeat(
        &self,
        region: &Region,
        group: &GroupName,
        hook: &str,
        instance: &InstanceId,
    ) -> impl Future<Output = Result<(), CloudError>> + Send;

    /// Has a hook let an instance go.
    fn complete(
        &self,
        region: &Region,
        group: &GroupName,
        hook: &str,
        instance: &InstanceId,
    ) -> impl Future<Output = Result<(), CloudError>> + Send;

    /// Writes a tag of the group; it is not propagated to instances.
    fn tag(
        &self,
        region: &Region,
        group: &GroupName,
        key: &str,
        value: &str,
    ) -> impl Future<Output = Result<(), CloudError>> + Send;

    /// Removes a tag of the group; one that is not there is fine.
    fn untag(
        &self,
        region: &Region,
        group: &GroupName,
        key: &str,
    ) -> impl Future<Output = Result<(), CloudError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_told_in_words() {
        let call = "SetDesiredCapacity";
        let message = || "the words of AWS".to_owned();
        let errors = [
            CloudError::Throttled { call },
            CloudError::Credentials { call, message: message() },
            CloudError::Denied { call, message: message() },
            CloudError::Timeout { call },
            CloudError::Unreachable { call, message: message() },
            CloudError::Refused { call, code: "ScalingActivityInProgress".to_owned(), message: message() },
            CloudError::NotLeading(NotLeading),
        ];
        let told: String =
            errors.iter().map(|error| format!("{}: failed to {error}\n", error.as_str())).collect();
        insta::assert_snapshot!(told, @"
        throttled: failed to call SetDesiredCapacity: AWS throttles; the next tick tries again
        credentials: failed to call SetDesiredCapacity: the words of AWS; give or renew credentials by the environment, a profile, a web identity, or the role of the container or instance
        denied: failed to call SetDesiredCapacity: the words of AWS; allow autoscaling:SetDesiredCapacity in the IAM policy
        timeout: failed to get an answer to SetDesiredCapacity in time; whether it was done shows at the next tick
        unreachable: failed to reach AWS for SetDesiredCapacity: the words of AWS; check the network and AWS_ENDPOINT_URL
        refused: failed to call SetDesiredCapacity: ScalingActivityInProgress: the words of AWS
        not_leading: failed to act: this scaler does not lead any more; whoever does goes on from the groups' tags
        ");
    }
}
