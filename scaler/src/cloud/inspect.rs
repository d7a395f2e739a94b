//! What `check --online` reads of groups beyond what a run needs: settings, and what else scales them.
//!
//! Owns the interface. Makes no judgement.

use std::time::Duration;

use super::CloudError;
use crate::units::{GroupName, InstanceId, Region};

/// Settings of a group that a run does not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSettings {
    /// Its availability zones.
    pub zones: Vec<String>,
    /// Whether new instances are protected from scale-in.
    pub protects_new: bool,
    /// Instances that are not protected from scale-in.
    pub unprotected: Vec<InstanceId>,
    /// The age at which the cloud replaces an instance.
    pub max_lifetime: Option<Duration>,
    /// Whether it has a pool of stopped or hibernated instances.
    pub has_warm_pool: bool,
}

/// A scaling policy of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalingPolicy {
    /// Its name.
    pub name: String,
    /// The cloud's word for its type, such as `TargetTrackingScaling`.
    pub kind: String,
    /// Whether it may change the group.
    pub enabled: bool,
    /// The CloudWatch alarms that drive it.
    pub alarms: Vec<String>,
}

/// A scheduled action of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledAction {
    /// Its name.
    pub name: String,
    /// Its cron expression; `None` if it runs once.
    pub recurrence: Option<String>,
}

/// The reads that only `check --online` makes.
pub trait Inspection: Send + Sync {
    /// The settings of groups in a region. Groups that do not exist are left out.
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
