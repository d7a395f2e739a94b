//! Scaling groups, behind one interface: four reads, and one method for every change.
//!
//! Owns the interface and its errors. A cloud is a folder here that implements [`ScalingGroups`] and
//! [`inspect::Inspection`], and `network` chooses it. The rest of the program reaches it through [`client::Client`]. Makes
//! no choices.

use crate::config::Groups;
use crate::decide::observation::Hook;
use crate::leader::NotLeading;
use crate::units::{Capacity, GroupName, InstanceId, Region, Time};

pub mod aws;
#[cfg_attr(not(feature = "azure"), path = "azure_absent.rs")]
pub mod azure;
mod batch;
pub mod client;
mod drain_tags;
pub mod either;
pub mod inspect;
pub mod layout;
pub mod packs;
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
    /// Its desired capacity.
    pub desired: Capacity,
    /// Whether these count weights, vCPUs or memory instead of instances.
    pub is_weighted: bool,
    /// The names of its suspended processes, such as `Launch`.
    pub suspended: Vec<String>,
    /// Whether the cloud replaces an instance that it finds unhealthy.
    pub replaces_unhealthy: bool,
    /// The availability zones that it launches into.
    pub zones: Vec<String>,
    /// Its instances, in every lifecycle state.
    pub instances: Vec<InstanceDescription>,
    /// Its tags: key and value.
    pub tags: Vec<(String, String)>,
    /// For how many drains its tags have room, those that they hold included.
    pub most_drains: Capacity,
}

#[cfg(test)]
impl GroupDescription {
    /// A group without bounds to speak of, whose instances stand in the given states, in AWS' words.
    pub(crate) fn with(name: &str, desired: u32, states: &[&str]) -> Self {
        let instance = |(number, state): (usize, &&str)| InstanceDescription {
            id: InstanceId::new(&format!("i-{number}")),
            zone: "z".to_owned(),
            lifecycle: (*state).to_owned(),
            healthy: true,
            protected: false,
        };
        Self {
            name: GroupName::new(name),
            min: Capacity::ONE,
            max: Capacity::of(9),
            desired: Capacity::saturating(desired.into()),
            is_weighted: false,
            suspended: Vec::new(),
            replaces_unhealthy: true,
            zones: vec!["z".to_owned()],
            instances: states.iter().enumerate().map(instance).collect(),
            tags: Vec::new(),
            most_drains: layout::most_drains(&[]),
        }
    }
}

/// An instance as its group describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceDescription {
    /// Its id.
    pub id: InstanceId,
    /// Its availability zone.
    pub zone: String,
    /// Its lifecycle state in AWS' words, such as `Terminating:Wait`, into which other clouds translate theirs.
    pub lifecycle: String,
    /// Whether the cloud considers it healthy.
    pub healthy: bool,
    /// Whether it is protected from scale-in: then the cloud does not choose it.
    pub protected: bool,
}

/// How many activities a page has at most. Source: the API reference of DescribeScalingActivities.
pub const ACTIVITIES: usize = 100;
/// How many activities are read at most: those of a day in which a large group grew and shrank several times.
pub const MOST_ACTIVITIES: usize = 20 * ACTIVITIES;

/// Something that the cloud did to a group, or tried to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The kind of activity.
    pub kind: ActivityKind,
    /// When it ended; `None` while it is in progress.
    pub ended: Option<Time>,
    /// How it went.
    pub outcome: ActivityOutcome,
    /// The cloud's own description of the outcome; often empty.
    pub message: String,
}

/// The kind of an activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActivityKind {
    /// The launch of an instance. The id is missing where the cloud has not named one.
    Launch(Option<InstanceId>),
    /// The detachment of an instance, which runs on outside of the group.
    Detach(InstanceId),
    /// The termination of an instance.
    Terminate(InstanceId),
    /// Anything else.
    Other,
}

/// How an activity went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityOutcome {
    /// It is in progress.
    UnderWay,
    /// It succeeded.
    Successful,
    /// It failed or was cancelled.
    Failed,
}

/// A change to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Set the desired capacity, within the group's own bounds.
    SetDesired(Capacity),
    /// Terminate an instance and lower the desired capacity by one.
    TerminateAndDecrement(&'a InstanceId),
    /// Terminate an instance at once; the cloud launches a replacement.
    TerminateAndReplace(&'a InstanceId),
    /// Report an instance as unhealthy: the cloud replaces it at its next health check.
    SetUnhealthy(&'a InstanceId),
    /// Protect instances from scale-in by the cloud, or end their protection. At most
    /// [`PROTECTED_AT_ONCE`](crate::decide::decision::PROTECTED_AT_ONCE) instances.
    SetProtection {
        /// The instances.
        instances: &'a [InstanceId],
        /// Whether they become protected.
        protected: bool,
    },
    /// Make a lifecycle hook hold an instance for another heartbeat timeout from now.
    Heartbeat {
        /// The name of the hook.
        hook: &'a str,
        /// The instance.
        instance: &'a InstanceId,
    },
    /// Make a lifecycle hook release an instance, which then terminates.
    Complete {
        /// The name of the hook.
        hook: &'a str,
        /// The instance.
        instance: &'a InstanceId,
    },
    /// Write a tag of the group. Instances do not inherit it.
    Tag {
        /// Its key.
        key: &'a str,
        /// Its value.
        value: &'a str,
    },
    /// Remove a tag of the group. Succeeds where the group has no such tag.
    Untag {
        /// Its key.
        key: &'a str,
    },
}

/// A change that the lease permits and that is counted. Outside this folder only [`client::Client::apply`] can make one,
/// and an implementation accepts nothing else: a change that bypasses the lease or the metrics does not compile.
#[derive(Clone, Copy, Debug)]
pub struct Permitted<'a> {
    region: &'a Region,
    group: &'a GroupName,
    change: Change<'a>,
}

impl<'a> Permitted<'a> {
    /// The region of the group.
    #[must_use]
    pub fn region(&self) -> &'a Region {
        self.region
    }

    /// The group to change.
    #[must_use]
    pub fn group(&self) -> &'a GroupName {
        self.group
    }

    /// The change.
    #[must_use]
    pub fn change(&self) -> Change<'a> {
        self.change
    }
}

/// A call to the cloud.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// [`ScalingGroups::describe`].
    Describe,
    /// [`ScalingGroups::activities`].
    Activities,
    /// [`ScalingGroups::hooks`].
    Hooks,
    /// [`ScalingGroups::refreshing`].
    Refreshing,
    /// [`ScalingGroups::apply`].
    Apply(Change<'a>),
}

/// A cloud that holds scaling groups.
pub trait ScalingGroups: Send + Sync {
    /// The name of a call in the cloud's own API: what error texts, permissions and the label `call` of metrics say.
    fn name_of(&self, call: Call<'_>) -> &'static str;

    /// Whether one tag may hold several drains. If not, each drain has a tag of its own.
    fn packs_drains(&self) -> bool {
        false
    }

    /// The groups that `groups` selects in `region`. Groups that do not exist are left out.
    fn describe(
        &self,
        region: &Region,
        groups: &Groups,
    ) -> impl Future<Output = Result<Vec<GroupDescription>, CloudError>> + Send;

    /// The latest activities of a group, newest first: a page of them, and all that ended after `since` as far as those are
    /// fewer than [`MOST_ACTIVITIES`].
    fn activities(
        &self,
        region: &Region,
        group: &GroupName,
        since: Option<Time>,
    ) -> impl Future<Output = Result<Vec<Activity>, CloudError>> + Send;

    /// The lifecycle hooks of a group that hold terminating instances.
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

    /// Makes a change. A change of capacity makes one attempt: the next evaluation starts from what it sees. After
    /// [`CloudError::Timeout`] or [`CloudError::Unreachable`] the change may have been made.
    fn apply(&self, permitted: Permitted<'_>) -> impl Future<Output = Result<(), CloudError>> + Send;
}

/// A call that failed. Each variant names it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CloudError {
    /// The cloud limits the rate of calls; nothing is wrong with the group.
    #[error("call {0}: throttled; the next evaluation tries again")]
    Throttled(&'static str),
    /// Credentials are missing or have expired.
    #[error("call {call}: {message}")]
    Credentials {
        /// The call.
        call: &'static str,
        /// The message of the cloud or its SDK, and the remedy.
        message: String,
    },
    /// The credentials do not allow the call.
    #[error("call {call}: {message}")]
    Denied {
        /// The call.
        call: &'static str,
        /// The cloud's message, and the remedy.
        message: String,
    },
    /// No answer in time: a change may have been made.
    #[error("get an answer to {0} in time; the next evaluation shows whether it was done")]
    Timeout(&'static str),
    /// No connection, or one that broke: a change may have been made.
    #[error("reach the cloud for {call}: {message}")]
    Unreachable {
        /// The call.
        call: &'static str,
        /// The SDK's message, and the remedy.
        message: String,
    },
    /// The cloud refused the call.
    #[error("call {call}: {code}: {message}")]
    Refused {
        /// The call.
        call: &'static str,
        /// The cloud's error code.
        code: String,
        /// The cloud's message.
        message: String,
    },
    /// The lifecycle hook does not hold the instance, or no longer does.
    #[error("call {0}: the lifecycle hook does not hold the instance")]
    NotHeld(&'static str),
    /// It is not known for certain what a tag of several drains holds, so it may not be written.
    #[error(
        "write the tag of several drains: for a minute after a start, and after a write without an answer, it may hold more \
         than AWS shows; the next evaluation tries again"
    )]
    Unsettled,
    /// The lease was lost before the call or during it: another scaler acts now.
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
}

impl CloudError {
    /// The label `outcome` of metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Throttled(_) => "throttled",
            Self::Credentials { .. } => "credentials",
            Self::Denied { .. } => "denied",
            Self::Timeout(_) => "timeout",
            Self::Unreachable { .. } => "unreachable",
            Self::Refused { .. } | Self::NotHeld(_) | Self::Unsettled => "refused",
            Self::NotLeading(_) => "not_leading",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_a_text_and_a_label() {
        let call = "SetDesiredCapacity";
        let message = || "a message".to_owned();
        let errors = [
            CloudError::Throttled(call),
            CloudError::Credentials { call, message: message() },
            CloudError::Denied { call, message: message() },
            CloudError::Timeout(call),
            CloudError::Unreachable { call, message: message() },
            CloudError::Refused { call, code: "ScalingActivityInProgress".to_owned(), message: message() },
            CloudError::NotHeld("CompleteLifecycleAction"),
            CloudError::Unsettled,
            CloudError::NotLeading(NotLeading),
        ];
        let texts: String =
            errors.iter().map(|error| format!("{}: failed to {error}\n", error.as_str())).collect();
        insta::assert_snapshot!(texts, @"
        throttled: failed to call SetDesiredCapacity: throttled; the next evaluation tries again
        credentials: failed to call SetDesiredCapacity: a message
        denied: failed to call SetDesiredCapacity: a message
        timeout: failed to get an answer to SetDesiredCapacity in time; the next evaluation shows whether it was done
        unreachable: failed to reach the cloud for SetDesiredCapacity: a message
        refused: failed to call SetDesiredCapacity: ScalingActivityInProgress: a message
        refused: failed to call CompleteLifecycleAction: the lifecycle hook does not hold the instance
        refused: failed to write the tag of several drains: for a minute after a start, and after a write without an answer, it may hold more than AWS shows; the next evaluation tries again
        not_leading: failed to act: this scaler does not lead any more; the new leader continues from the groups' tags
        ");
    }
}
