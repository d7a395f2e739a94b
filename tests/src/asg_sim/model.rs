//! The model of Auto Scaling: groups, their instances, hooks, tags and activities.
//!
//! Types only. `step` has their behaviour over time, `state` the operations of callers.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

pub use crate::cloud_parts::link::{Component, GroupKey};

/// How long things take, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// From the launch to InService.
    pub launch: f64,
    /// From the launch until the component answers; passed to the Jitsi simulator, unused here.
    pub boot: f64,
    /// From the shutdown of an instance until it is gone from the group.
    pub terminate: f64,
    /// From a failed launch to the next attempt.
    pub launch_retry: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { launch: 0.2, boot: 0.5, terminate: 0.2, launch_retry: 0.5 }
    }
}

/// The settings that Create and Update write.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The minimum capacity.
    pub min: u32,
    /// The maximum capacity.
    pub max: u32,
    /// The desired capacity.
    pub desired: u32,
    /// The zones for launches.
    pub zones: Vec<String>,
    /// The subnets, as one comma-separated text; empty if zones were named.
    pub subnets: String,
    /// The default cooldown in seconds.
    pub default_cooldown: u32,
    /// The grace period before a new instance's health counts, in seconds.
    pub health_check_grace: u32,
    /// `EC2` or `ELB`.
    pub health_check_type: String,
    /// Whether new instances start protected from scale-in.
    pub new_instances_protected: bool,
    /// Whether Spot rebalance recommendations are followed.
    pub capacity_rebalance: bool,
    /// After how many seconds an instance is replaced; 0 for never.
    pub max_instance_lifetime: u32,
    /// The launch template's name.
    pub launch_template: String,
    /// The instance type.
    pub instance_type: String,
    /// The names of the termination policies.
    pub termination_policies: Vec<String>,
}

/// A tag of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tag {
    /// The value, at most 256 characters.
    pub value: String,
    /// Whether it is propagated to instances at launch.
    pub propagate: bool,
}

/// A process of a group that can be suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Process {
    /// Registration with load balancers.
    AddToLoadBalancer,
    /// Alarms of CloudWatch.
    AlarmNotification,
    /// Rebalancing of zones.
    AZRebalance,
    /// Health checks.
    HealthCheck,
    /// Instance refreshes.
    InstanceRefresh,
    /// Launches.
    Launch,
    /// Replacement of unhealthy instances.
    ReplaceUnhealthy,
    /// Scheduled actions.
    ScheduledActions,
    /// Terminations.
    Terminate,
}

impl Process {
    /// Every process, in the order in which the service lists them.
    pub const ALL: [Self; 9] = [
        Self::AddToLoadBalancer,
        Self::AlarmNotification,
        Self::AZRebalance,
        Self::HealthCheck,
        Self::InstanceRefresh,
        Self::Launch,
        Self::ReplaceUnhealthy,
        Self::ScheduledActions,
        Self::Terminate,
    ];

    /// The API's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AddToLoadBalancer => "AddToLoadBalancer",
            Self::AlarmNotification => "AlarmNotification",
            Self::AZRebalance => "AZRebalance",
            Self::HealthCheck => "HealthCheck",
            Self::InstanceRefresh => "InstanceRefresh",
            Self::Launch => "Launch",
            Self::ReplaceUnhealthy => "ReplaceUnhealthy",
            Self::ScheduledActions => "ScheduledActions",
            Self::Terminate => "Terminate",
        }
    }
}

/// The lifecycle state of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Lifecycle {
    /// Starting.
    Pending,
    /// Held by a launching hook.
    #[serde(rename = "Pending:Wait")]
    PendingWait,
    /// Released by its launching hooks.
    #[serde(rename = "Pending:Proceed")]
    PendingProceed,
    /// Serving.
    InService,
    /// Terminating.
    Terminating,
    /// Held by a terminating hook.
    #[serde(rename = "Terminating:Wait")]
    TerminatingWait,
    /// Shut down, to be removed soon.
    #[serde(rename = "Terminating:Proceed")]
    TerminatingProceed,
}

impl Lifecycle {
    /// The API's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::PendingWait => "Pending:Wait",
            Self::PendingProceed => "Pending:Proceed",
            Self::InService => "InService",
            Self::Terminating => "Terminating",
            Self::TerminatingWait => "Terminating:Wait",
            Self::TerminatingProceed => "Terminating:Proceed",
        }
    }

    /// Whether the instance no longer counts towards the capacity.
    #[must_use]
    pub fn is_leaving(self) -> bool {
        matches!(self, Self::Terminating | Self::TerminatingWait | Self::TerminatingProceed)
    }
}

/// Why an instance is terminated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// `TerminateInstanceInAutoScalingGroup`.
    Api,
    /// Desired capacity fell below the number of instances, and the service chose a victim.
    Victim,
    /// It was marked unhealthy, and is replaced.
    Unhealthy,
    /// AWS terminated it by itself: rebalancing, Spot, the console, a fault of the host.
    Aws,
    /// It exceeded the group's maximum lifetime.
    Lifetime,
    /// A launching hook was abandoned.
    LaunchAbandoned,
    /// The whole group was deleted by force.
    GroupDeleted,
}

impl Cause {
    /// The key of the counters' `by_cause`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Victim => "victim",
            Self::Unhealthy => "unhealthy",
            Self::Aws => "aws",
            Self::Lifetime => "lifetime",
            Self::LaunchAbandoned => "launch_abandoned",
            Self::GroupDeleted => "group_deleted",
        }
    }
}

/// When a hook holds an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transition {
    /// At launch, before it serves.
    #[serde(rename = "autoscaling:EC2_INSTANCE_LAUNCHING", alias = "launching")]
    Launching,
    /// At termination, before it is shut down.
    #[serde(rename = "autoscaling:EC2_INSTANCE_TERMINATING", alias = "terminating")]
    Terminating,
}

impl Transition {
    /// The API's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Launching => "autoscaling:EC2_INSTANCE_LAUNCHING",
            Self::Terminating => "autoscaling:EC2_INSTANCE_TERMINATING",
        }
    }
}

/// How a lifecycle action ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ActionResult {
    /// Continue.
    Continue,
    /// Launching: give the instance up. Terminating: skip the other hooks.
    Abandon,
}

impl ActionResult {
    /// The API's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "CONTINUE",
            Self::Abandon => "ABANDON",
        }
    }
}

/// A lifecycle hook of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// When it holds an instance.
    pub transition: Transition,
    /// Seconds from one heartbeat to the default result.
    pub heartbeat_timeout: u32,
    /// The result if no heartbeat comes in time.
    pub default_result: ActionResult,
    /// A text for the process that serves the hook.
    pub metadata: Option<String>,
}

impl Hook {
    /// The longest time that a hook can hold an instance: 48 hours or a hundred heartbeat timeouts.
    #[must_use]
    pub fn global_timeout(&self) -> u32 {
        self.heartbeat_timeout.saturating_mul(100).min(172_800)
    }
}

/// One lifecycle action in progress: a hook that holds an instance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wait {
    /// The hook's name.
    pub hook: String,
    /// The token of the action.
    pub token: String,
    /// When the default result applies, without a further heartbeat.
    pub deadline: f64,
    /// When the default result applies in any case.
    pub global_deadline: f64,
}

/// An instance of a group.
#[derive(Debug, Clone, Serialize)]
pub struct Instance {
    /// `i-0` and sixteen more hexadecimal digits.
    pub id: String,
    /// Its zone.
    pub zone: String,
    /// Its lifecycle state.
    pub state: Lifecycle,
    /// Since when it is in this state (Unix seconds).
    pub since: f64,
    /// Its health, as the group sees it.
    pub healthy: bool,
    /// Whether it is protected from scale-in.
    pub protected: bool,
    /// When it was launched (Unix seconds).
    pub launched: f64,
    /// When it entered service.
    pub in_service: Option<f64>,
    /// Its address, once the Jitsi simulator has reported it.
    pub private_ip: Option<String>,
    /// The hooks that hold it.
    pub waits: Vec<Wait>,
    /// Why it is terminating, if it is.
    pub cause: Option<Cause>,
    /// Whether its shutdown has been announced; everything that it carried is then lost.
    pub stopped: bool,
    #[serde(skip)]
    pub(super) activity: u64,
}

/// The status of an activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ActivityStatus {
    /// A launch before service.
    PreInService,
    /// Held by a lifecycle hook.
    MidLifecycleAction,
    /// A termination in progress.
    InProgress,
    /// Successful.
    Successful,
    /// Failed.
    Failed,
    /// Cancelled.
    Cancelled,
}

impl ActivityStatus {
    /// The API's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreInService => "PreInService",
            Self::MidLifecycleAction => "MidLifecycleAction",
            Self::InProgress => "InProgress",
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }
}

/// One entry of a group's history.
#[derive(Debug, Clone, Serialize)]
pub struct Activity {
    /// Its place in the order of all activities.
    pub sequence: u64,
    /// The id, a UUID.
    pub id: String,
    /// The description, with the instance's ID.
    pub description: String,
    /// The cause, in the service's wording.
    pub cause: String,
    /// When it began (Unix seconds).
    pub start: f64,
    /// When it ended.
    pub end: Option<f64>,
    /// Its status.
    pub status: ActivityStatus,
    /// Why it failed, or is not complete.
    pub message: Option<String>,
    /// The progress in percent.
    pub progress: u8,
    /// Its zone.
    pub zone: String,
}

/// An instance refresh, as data only: the simulator does not replace instances for it.
#[derive(Debug, Clone, Serialize)]
pub struct Refresh {
    /// The id, a UUID.
    pub id: String,
    /// When it began (Unix seconds).
    pub start: f64,
    /// When it ended; none while in progress.
    pub end: Option<f64>,
}

/// A scaling policy, as data only: the simulator does not apply it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScalingPolicy {
    /// Its name.
    pub name: String,
    /// `SimpleScaling`, `StepScaling`, `TargetTrackingScaling` or `PredictiveScaling`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it is switched off.
    #[serde(default)]
    pub disabled: bool,
    /// The names of the CloudWatch alarms that drive it.
    #[serde(default)]
    pub alarms: Vec<String>,
}

/// A scheduled action, as data only: the simulator does not apply it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledAction {
    /// Its name.
    pub name: String,
    /// Its recurrence, as cron.
    pub recurrence: Option<String>,
    /// The minimum capacity that it sets.
    pub min: Option<u32>,
    /// The maximum capacity that it sets.
    pub max: Option<u32>,
    /// The desired capacity that it sets.
    pub desired: Option<u32>,
}

/// Launches that will fail.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LaunchFailures {
    /// The remaining number.
    pub left: u32,
    /// The status message; none for the service's text about insufficient capacity.
    pub message: Option<String>,
}

/// An Auto Scaling group.
#[derive(Debug, Clone)]
pub struct Group {
    /// Region and name.
    pub key: GroupKey,
    /// Its ARN.
    pub arn: String,
    /// When it was created (Unix seconds).
    pub created: f64,
    /// What runs on its instances; none to keep the instances out of the Jitsi simulator.
    pub component: Option<Component>,
    /// The settings that Create and Update write.
    pub settings: Settings,
    /// Its timing.
    pub timing: Timing,
    /// Its tags by key.
    pub tags: BTreeMap<String, Tag>,
    /// Its instances, oldest first.
    pub instances: Vec<Instance>,
    /// Its suspended processes, each with the reason.
    pub suspended: BTreeMap<Process, String>,
    /// Its hooks by name.
    pub hooks: BTreeMap<String, Hook>,
    /// Its history, oldest first.
    pub activities: VecDeque<Activity>,
    /// Its instance refreshes, oldest first.
    pub refreshes: Vec<Refresh>,
    /// Its scaling policies.
    pub policies: Vec<ScalingPolicy>,
    /// Its scheduled actions.
    pub scheduled_actions: Vec<ScheduledAction>,
    /// Whether it claims to have a warm pool, which stays empty.
    pub warm_pool: bool,
    /// How much of the capacity one instance is, if it has a weight.
    pub weight: Option<u32>,
    /// What the capacity counts, if that was said.
    pub capacity_type: Option<String>,
    /// Launches that will fail.
    pub launch_failures: LaunchFailures,
    /// Whether it is being deleted.
    pub deleting: bool,
    pub(super) launch_after: f64,
    pub(super) last_activity_end: Option<f64>,
    pub(super) request: Option<String>,
    pub(super) told_protected: bool,
}

impl Group {
    /// The instances that count towards the capacity.
    #[must_use]
    pub fn active(&self) -> usize {
        self.instances.iter().filter(|instance| !instance.state.is_leaving()).count()
    }

    /// The instance with this id.
    #[must_use]
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.id == id)
    }

    /// Whether this process is suspended.
    #[must_use]
    pub fn is_suspended(&self, process: Process) -> bool {
        self.suspended.contains_key(&process)
    }
}
