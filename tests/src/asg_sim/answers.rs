//! Groups, instances, activities and other items, as elements of an answer.

use super::model::{Activity, Group, Hook, Instance, Refresh, ScalingPolicy, ScheduledAction, Tag};
use super::protocol::Xml;
use crate::cloud_parts::time::to_millisecond;

pub(super) fn group(xml: &mut Xml, group: &Group, with_instances: bool) {
    let settings = &group.settings;
    xml.leaf("AutoScalingGroupName", &group.key.name);
    xml.leaf("AutoScalingGroupARN", &group.arn);
    match group.weight {
        None => launch_template(xml, group),
        Some(weight) => xml.node("MixedInstancesPolicy", |xml| mixed_instances(xml, group, weight)),
    }
    xml.leaf("MinSize", settings.min);
    xml.leaf("MaxSize", settings.max);
    xml.leaf("DesiredCapacity", settings.desired);
    xml.leaf("DefaultCooldown", settings.default_cooldown);
    xml.texts("AvailabilityZones", &settings.zones);
    xml.texts("LoadBalancerNames", &[]);
    xml.texts("TargetGroupARNs", &[]);
    xml.leaf("HealthCheckType", &settings.health_check_type);
    xml.leaf("HealthCheckGracePeriod", settings.health_check_grace);
    let instances = if with_instances { group.instances.as_slice() } else { &[] };
    xml.list("Instances", instances, |xml, one| instance(xml, group, one));
    xml.leaf("CreatedTime", to_millisecond(group.created));
    xml.list("SuspendedProcesses", &group.suspended, |xml, (process, reason)| {
        xml.leaf("ProcessName", process.as_str());
        xml.leaf("SuspensionReason", reason);
    });
    xml.leaf("VPCZoneIdentifier", &settings.subnets);
    xml.texts("EnabledMetrics", &[]);
    xml.maybe("Status", group.deleting.then_some("Delete in progress"));
    xml.list("Tags", &group.tags, |xml, (key, value)| tag(xml, &group.key.name, key, value));
    xml.texts("TerminationPolicies", &settings.termination_policies);
    xml.leaf("NewInstancesProtectedFromScaleIn", settings.new_instances_protected);
    xml.leaf(
        "ServiceLinkedRoleARN",
        "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/\
         AWSServiceRoleForAutoScaling",
    );
    xml.maybe(
        "MaxInstanceLifetime",
        (settings.max_instance_lifetime > 0).then_some(settings.max_instance_lifetime),
    );
    xml.leaf("CapacityRebalance", settings.capacity_rebalance);
    if group.warm_pool {
        xml.node("WarmPoolConfiguration", |xml| {
            xml.leaf("MinSize", 0);
            xml.leaf("PoolState", "Stopped");
        });
        xml.leaf("WarmPoolSize", 0);
    }
    xml.maybe("DesiredCapacityType", group.capacity_type.as_deref());
    xml.texts("TrafficSources", &[]);
}

fn mixed_instances(xml: &mut Xml, group: &Group, weight: u32) {
    xml.node("LaunchTemplate", |xml| {
        xml.node("LaunchTemplateSpecification", |xml| template_names(xml, group));
        xml.list("Overrides", [weight], |xml, weight| {
            xml.leaf("InstanceType", &group.settings.instance_type);
            xml.leaf("WeightedCapacity", weight);
        });
    });
}

fn launch_template(xml: &mut Xml, group: &Group) {
    xml.node("LaunchTemplate", |xml| template_names(xml, group));
}

fn template_names(xml: &mut Xml, group: &Group) {
    xml.leaf("LaunchTemplateId", "lt-0123456789abcdef0");
    xml.leaf("LaunchTemplateName", &group.settings.launch_template);
    xml.leaf("Version", "1");
}

pub(super) fn instance(xml: &mut Xml, group: &Group, instance: &Instance) {
    xml.leaf("InstanceId", &instance.id);
    xml.leaf("InstanceType", &group.settings.instance_type);
    xml.leaf("AvailabilityZone", &instance.zone);
    xml.leaf("LifecycleState", instance.state.as_str());
    xml.leaf("HealthStatus", if instance.healthy { "Healthy" } else { "Unhealthy" });
    launch_template(xml, group);
    xml.leaf("ProtectedFromScaleIn", instance.protected);
    xml.maybe("WeightedCapacity", group.weight);
}

/// As in DescribeAutoScalingInstances: with the group's name, and the health in capitals.
pub(super) fn managed_instance(xml: &mut Xml, group: &Group, instance: &Instance) {
    xml.leaf("InstanceId", &instance.id);
    xml.leaf("InstanceType", &group.settings.instance_type);
    xml.leaf("AutoScalingGroupName", &group.key.name);
    xml.leaf("AvailabilityZone", &instance.zone);
    xml.leaf("LifecycleState", instance.state.as_str());
    xml.leaf("HealthStatus", if instance.healthy { "HEALTHY" } else { "UNHEALTHY" });
    launch_template(xml, group);
    xml.leaf("ProtectedFromScaleIn", instance.protected);
}

pub(super) fn tag(xml: &mut Xml, group: &str, key: &str, tag: &Tag) {
    xml.leaf("ResourceId", group);
    xml.leaf("ResourceType", "auto-scaling-group");
    xml.leaf("Key", key);
    xml.leaf("Value", &tag.value);
    xml.leaf("PropagateAtLaunch", tag.propagate);
}

pub(super) fn activity(xml: &mut Xml, group: &Group, activity: &Activity) {
    xml.leaf("ActivityId", &activity.id);
    xml.leaf("AutoScalingGroupName", &group.key.name);
    xml.leaf("Description", &activity.description);
    xml.leaf("Cause", &activity.cause);
    xml.leaf("StartTime", to_millisecond(activity.start));
    xml.maybe("EndTime", activity.end.map(to_millisecond));
    xml.leaf("StatusCode", activity.status.as_str());
    xml.maybe("StatusMessage", activity.message.as_deref());
    xml.leaf("Progress", activity.progress);
    xml.leaf("Details", format_args!("{{\"Availability Zone\":\"{}\"}}", activity.zone));
    xml.leaf("AutoScalingGroupARN", &group.arn);
}

pub(super) fn hook(xml: &mut Xml, group: &Group, name: &str, hook: &Hook) {
    xml.leaf("LifecycleHookName", name);
    xml.leaf("AutoScalingGroupName", &group.key.name);
    xml.leaf("LifecycleTransition", hook.transition.as_str());
    xml.maybe("NotificationMetadata", hook.metadata.as_deref());
    xml.leaf("HeartbeatTimeout", hook.heartbeat_timeout);
    xml.leaf("GlobalTimeout", hook.global_timeout());
    xml.leaf("DefaultResult", hook.default_result.as_str());
}

pub(super) fn policy(xml: &mut Xml, group: &Group, policy: &ScalingPolicy) {
    xml.leaf("AutoScalingGroupName", &group.key.name);
    xml.leaf("PolicyName", &policy.name);
    xml.leaf(
        "PolicyARN",
        format_args!(
            "arn:aws:autoscaling:{}:123456789012:scalingPolicy:autoScalingGroupName/{}:policyName/{}",
            group.key.region, group.key.name, policy.name
        ),
    );
    xml.leaf("PolicyType", &policy.kind);
    xml.texts("StepAdjustments", &[]);
    xml.list("Alarms", &policy.alarms, |xml, alarm| {
        xml.leaf("AlarmName", alarm);
        let region = &group.key.region;
        xml.leaf("AlarmARN", format_args!("arn:aws:cloudwatch:{region}:123456789012:alarm:{alarm}"));
    });
    xml.leaf("Enabled", !policy.disabled);
}

pub(super) fn scheduled_action(xml: &mut Xml, group: &Group, action: &ScheduledAction) {
    xml.leaf("AutoScalingGroupName", &group.key.name);
    xml.leaf("ScheduledActionName", &action.name);
    xml.leaf(
        "ScheduledActionARN",
        format_args!(
            "arn:aws:autoscaling:{}:123456789012:scheduledUpdateGroupAction:autoScalingGroupName/{}:\
             scheduledActionName/{}",
            group.key.region, group.key.name, action.name
        ),
    );
    xml.maybe("Recurrence", action.recurrence.as_deref());
    xml.maybe("MinSize", action.min);
    xml.maybe("MaxSize", action.max);
    xml.maybe("DesiredCapacity", action.desired);
}

pub(super) fn refresh(xml: &mut Xml, group: &Group, refresh: &Refresh) {
    xml.leaf("InstanceRefreshId", &refresh.id);
    xml.leaf("AutoScalingGroupName", &group.key.name);
    xml.leaf("Status", if refresh.end.is_some() { "Successful" } else { "InProgress" });
    xml.leaf("StartTime", to_millisecond(refresh.start));
    xml.maybe("EndTime", refresh.end.map(to_millisecond));
    xml.leaf("PercentageComplete", if refresh.end.is_some() { 100 } else { 0 });
    xml.leaf("InstancesToUpdate", group.active());
}
