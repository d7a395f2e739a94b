//! The actions of the API, and the groups that a request is about.

use super::protocol::Query;
use super::state::Groups;

/// An action that the simulator knows.
#[expect(clippy::enum_variant_names, reason = "the API's own names")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    CompleteLifecycleAction,
    CreateAutoScalingGroup,
    CreateOrUpdateTags,
    DeleteAutoScalingGroup,
    DeleteLifecycleHook,
    DeleteTags,
    DescribeAccountLimits,
    DescribeAutoScalingGroups,
    DescribeAutoScalingInstances,
    DescribeInstanceRefreshes,
    DescribeLifecycleHooks,
    DescribePolicies,
    DescribeScalingActivities,
    DescribeScheduledActions,
    DescribeTags,
    PutLifecycleHook,
    RecordLifecycleActionHeartbeat,
    ResumeProcesses,
    SetDesiredCapacity,
    SetInstanceHealth,
    SetInstanceProtection,
    SuspendProcesses,
    TerminateInstanceInAutoScalingGroup,
    UpdateAutoScalingGroup,
}

impl Action {
    const ALL: [Self; 24] = [
        Self::CompleteLifecycleAction,
        Self::CreateAutoScalingGroup,
        Self::CreateOrUpdateTags,
        Self::DeleteAutoScalingGroup,
        Self::DeleteLifecycleHook,
        Self::DeleteTags,
        Self::DescribeAccountLimits,
        Self::DescribeAutoScalingGroups,
        Self::DescribeAutoScalingInstances,
        Self::DescribeInstanceRefreshes,
        Self::DescribeLifecycleHooks,
        Self::DescribePolicies,
        Self::DescribeScalingActivities,
        Self::DescribeScheduledActions,
        Self::DescribeTags,
        Self::PutLifecycleHook,
        Self::RecordLifecycleActionHeartbeat,
        Self::ResumeProcesses,
        Self::SetDesiredCapacity,
        Self::SetInstanceHealth,
        Self::SetInstanceProtection,
        Self::SuspendProcesses,
        Self::TerminateInstanceInAutoScalingGroup,
        Self::UpdateAutoScalingGroup,
    ];

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::CompleteLifecycleAction => "CompleteLifecycleAction",
            Self::CreateAutoScalingGroup => "CreateAutoScalingGroup",
            Self::CreateOrUpdateTags => "CreateOrUpdateTags",
            Self::DeleteAutoScalingGroup => "DeleteAutoScalingGroup",
            Self::DeleteLifecycleHook => "DeleteLifecycleHook",
            Self::DeleteTags => "DeleteTags",
            Self::DescribeAccountLimits => "DescribeAccountLimits",
            Self::DescribeAutoScalingGroups => "DescribeAutoScalingGroups",
            Self::DescribeAutoScalingInstances => "DescribeAutoScalingInstances",
            Self::DescribeInstanceRefreshes => "DescribeInstanceRefreshes",
            Self::DescribeLifecycleHooks => "DescribeLifecycleHooks",
            Self::DescribePolicies => "DescribePolicies",
            Self::DescribeScalingActivities => "DescribeScalingActivities",
            Self::DescribeScheduledActions => "DescribeScheduledActions",
            Self::DescribeTags => "DescribeTags",
            Self::PutLifecycleHook => "PutLifecycleHook",
            Self::RecordLifecycleActionHeartbeat => "RecordLifecycleActionHeartbeat",
            Self::ResumeProcesses => "ResumeProcesses",
            Self::SetDesiredCapacity => "SetDesiredCapacity",
            Self::SetInstanceHealth => "SetInstanceHealth",
            Self::SetInstanceProtection => "SetInstanceProtection",
            Self::SuspendProcesses => "SuspendProcesses",
            Self::TerminateInstanceInAutoScalingGroup => "TerminateInstanceInAutoScalingGroup",
            Self::UpdateAutoScalingGroup => "UpdateAutoScalingGroup",
        }
    }

    /// Whether it only reads. All others change something, at least a heartbeat's deadline.
    pub(super) fn reads(self) -> bool {
        self.as_str().starts_with("Describe")
    }
}

/// The groups that a request is about, comma-separated; empty if it names none.
pub(super) fn group_of(query: &Query, region: &str, groups: &Groups) -> Option<String> {
    if let Some(name) = query.text("AutoScalingGroupName") {
        return Some(name.to_owned());
    }
    if let Some((group, _)) = query.text("InstanceId").and_then(|id| groups.instance(region, id)) {
        return Some(group.key.name.clone());
    }
    let mut names = query.list("AutoScalingGroupNames");
    names.extend(query.structures("Tags").iter().filter_map(|tag| tag.text("ResourceId").map(str::to_owned)));
    names.dedup();
    (!names.is_empty()).then(|| names.join(","))
}
