//! AWS' answers in the types of the scaler.

use std::time::Duration;

use aws_sdk_autoscaling::types::{self, AutoScalingGroup, InstanceRefresh, LifecycleHook};

use crate::cloud::{Activity, ActivityKind, ActivityOutcome, GroupDescription, InstanceDescription, layout};
use crate::decide::observation::Hook;
use crate::units::{Capacity, GroupName, InstanceId, Time};

/// An activity.
pub(super) fn activity(activity: &types::Activity) -> Activity {
    use types::ScalingActivityStatusCode as Code;
    // The text is "Launching a new EC2 instance: i-0123456789abcdef0"; a failed launch may lack the id.
    let description = activity.description().unwrap_or_default();
    let id = description.rsplit_once(": ").map(|(_, id)| id.trim()).filter(|id| id.starts_with("i-"));
    let kind = match (description.split(' ').next(), id.map(InstanceId::new)) {
        (Some("Launching"), id) => ActivityKind::Launch(id),
        (Some("Detaching"), Some(id)) => ActivityKind::Detach(id),
        (Some("Terminating"), Some(id)) => ActivityKind::Terminate(id),
        _ => ActivityKind::Other,
    };
    Activity {
        kind,
        ended: activity.end_time().map(|ended| Time::from_unix(ended.secs())),
        outcome: match activity.status_code() {
            Some(Code::Successful) => ActivityOutcome::Successful,
            Some(Code::Failed | Code::Cancelled) => ActivityOutcome::Failed,
            _ => ActivityOutcome::UnderWay,
        },
        message: activity.status_message().unwrap_or_default().to_owned(),
    }
}

/// Whether an instance refresh goes on. A status that is not known to be final counts as in progress.
pub(super) fn is_in_progress(refresh: &InstanceRefresh) -> bool {
    use types::InstanceRefreshStatus as Status;
    !matches!(
        refresh.status(),
        Some(
            Status::Successful
                | Status::Failed
                | Status::Cancelled
                | Status::RollbackFailed
                | Status::RollbackSuccessful
        )
    )
}

/// A hook that holds terminating instances; `None` for any other. The default heartbeat timeout is an hour. A hook holds
/// an instance for at most a hundred of them and at most 48 hours: a longer global timeout cannot be AWS'.
pub(super) fn terminating_hook(hook: &LifecycleHook) -> Option<Hook> {
    if hook.lifecycle_transition() != Some("autoscaling:EC2_INSTANCE_TERMINATING") {
        return None;
    }
    let seconds =
        |number: Option<i32>| number.and_then(|number| u64::try_from(number).ok()).map(Duration::from_secs);
    let heartbeat = seconds(hook.heartbeat_timeout()).unwrap_or(Duration::from_hours(1));
    let most = (heartbeat * 100).min(Duration::from_hours(48));
    let limit = seconds(hook.global_timeout()).map_or(most, |given| given.min(most));
    Some(Hook { name: hook.lifecycle_hook_name()?.to_owned(), heartbeat, limit })
}

/// Whether the capacity of a group counts anything but instances. A weight of 1 makes no difference.
fn is_weighted(group: &AutoScalingGroup) -> bool {
    let has_unit = group.desired_capacity_type().is_some_and(|unit| unit != "units");
    let template = group.mixed_instances_policy().and_then(types::MixedInstancesPolicy::launch_template);
    let overrides = template.map(types::LaunchTemplate::overrides).unwrap_or_default();
    let weights = overrides.iter().map(types::LaunchTemplateOverrides::weighted_capacity);
    let mut weights = weights.chain(group.instances().iter().map(types::Instance::weighted_capacity));
    has_unit || weights.any(|weight| weight.is_some_and(|weight| weight != "1"))
}

/// A group; `None` if it lacks its name or its bounds, without which it cannot be scaled.
pub(super) fn group(group: &AutoScalingGroup) -> Option<GroupDescription> {
    let capacity = |number: Option<i32>| Capacity::try_new(u32::try_from(number?).ok()?);
    let suspended: Vec<_> =
        group.suspended_processes().iter().filter_map(|it| it.process_name().map(str::to_owned)).collect();
    let instance = |instance: &types::Instance| {
        Some(InstanceDescription {
            id: InstanceId::new(instance.instance_id()?),
            zone: instance.availability_zone().unwrap_or_default().to_owned(),
            lifecycle: instance.lifecycle_state()?.as_str().to_owned(),
            healthy: instance.health_status() != Some("Unhealthy"),
            protected: instance.protected_from_scale_in().unwrap_or(false),
        })
    };
    let tag = |tag: &types::TagDescription| {
        Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))
    };
    let tags: Vec<_> = group.tags().iter().filter_map(tag).collect();
    Some(GroupDescription {
        name: GroupName::new(group.auto_scaling_group_name()?),
        min: capacity(group.min_size())?,
        max: capacity(group.max_size())?,
        desired: capacity(group.desired_capacity())?,
        is_weighted: is_weighted(group),
        replaces_unhealthy: !suspended.iter().any(|it| it == "ReplaceUnhealthy" || it == "Terminate"),
        suspended,
        zones: group.availability_zones().to_vec(),
        instances: group.instances().iter().filter_map(instance).collect(),
        most_drains: layout::most_drains(&tags),
        tags,
    })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn overrides(weights: &[Option<&str>]) -> types::MixedInstancesPolicy {
        let overrides = weights.iter().map(|weight| {
            types::LaunchTemplateOverrides::builder().set_weighted_capacity(weight.map(str::to_owned)).build()
        });
        let template = types::LaunchTemplate::builder().set_overrides(Some(overrides.collect())).build();
        types::MixedInstancesPolicy::builder().launch_template(template).build()
    }

    #[test_case(&[], true; "nothing is suspended")]
    #[test_case(&["Launch", "AZRebalance"], true; "launches and rebalancing are")]
    #[test_case(&["ReplaceUnhealthy"], false; "replacements are")]
    #[test_case(&["Terminate"], false; "terminations are")]
    fn aws_replaces_unhealthy_instances_unless_it_is_told_not_to(suspended: &[&str], expected: bool) {
        let process = |name: &&str| types::SuspendedProcess::builder().process_name(*name).build();
        let described = AutoScalingGroup::builder()
            .auto_scaling_group_name("a")
            .min_size(1)
            .max_size(4)
            .desired_capacity(2)
            .set_suspended_processes(Some(suspended.iter().map(process).collect()))
            .build();
        assert_eq!(group(&described).map(|group| group.replaces_unhealthy), Some(expected));
    }

    #[test_case(None, &[], None, false; "a plain group")]
    #[test_case(Some("units"), &[None, Some("1")], Some("1"), false; "weights of one")]
    #[test_case(None, &[Some("1"), Some("4")], None, true; "a weight of an instance type")]
    #[test_case(None, &[], Some("2"), true; "a weight that an instance still has")]
    #[test_case(Some("vcpu"), &[], None, true; "vcpus")]
    #[test_case(Some("memory-mib"), &[], None, true; "memory")]
    fn a_capacity_that_counts_anything_but_instances_is_weighted(
        unit: Option<&str>,
        weights: &[Option<&str>],
        own: Option<&str>,
        expected: bool,
    ) {
        let instance = types::Instance::builder().set_weighted_capacity(own.map(str::to_owned)).build();
        let described = AutoScalingGroup::builder()
            .auto_scaling_group_name("a")
            .min_size(1)
            .max_size(4)
            .desired_capacity(2)
            .set_desired_capacity_type(unit.map(str::to_owned))
            .mixed_instances_policy(overrides(weights))
            .instances(instance)
            .build();
        assert_eq!(group(&described).map(|group| group.is_weighted), Some(expected));
    }
}
