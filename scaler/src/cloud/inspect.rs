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
    /// What only a scale set of Azure has; `None` for a group of AWS.
    pub scale_set: Option<ScaleSet>,
}

/// Settings of a scale set that can end instances, or keep it from being scaled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent setting of Azure")]
pub struct ScaleSet {
    /// Whether Azure creates more instances than asked for, and deletes the surplus.
    pub overprovisions: bool,
    /// How changes of the model reach instances: `Manual`, `Automatic` or `Rolling`.
    pub upgrade_mode: String,
    /// Whether Azure replaces disks as new images appear.
    pub upgrades_images: bool,
    /// Whether Azure repairs instances that it finds unhealthy.
    pub repairs: bool,
    /// Whether Azure moves instances between zones.
    pub rebalances: bool,
    /// Whether a change that would leave zones out of balance fails.
    pub balances_strictly: bool,
    /// Whether Azure may take instances back at any time.
    pub is_spot: bool,
    /// The numbers of instances in service that actions on the set may end.
    pub unprotected: Vec<String>,
    /// The numbers of instances that were never created, each with the reason.
    pub failed: Vec<(String, String)>,
    /// How many instances have an older model than the set.
    pub old_models: usize,
    /// The rights that a run needs and the identity lacks.
    pub missing_rights: Vec<String>,
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
