//! The actions that change something: each turns parameters into one call of the core, and returns its result.

use std::collections::BTreeMap;

use super::action::Action;
use super::answers;
use super::error::{ApiError, ErrorCode};
use super::model::{ActionResult, GroupKey, Hook, Process, Tag, Transition};
use super::protocol::{Query, Xml};
use super::spec::{GroupChange, missing};
use super::state::{ActionOf, Cloud};
use super::writes::TagWrite;

/// Performs an action. Some have a result, possibly empty; the others have none.
pub(super) fn change(
    action: Action,
    cloud: &mut Cloud,
    region: &str,
    query: &Query,
    now: f64,
) -> Result<Option<Xml>, ApiError> {
    let key = || Ok::<_, ApiError>(GroupKey::new(region, query.required("AutoScalingGroupName")?));
    let empty = Ok(Some(Xml::default()));
    match action {
        Action::CreateAutoScalingGroup => create(cloud, &key()?, query, now)?,
        Action::UpdateAutoScalingGroup => cloud.update_group(&key()?, group_change(query, region)?, now)?,
        Action::DeleteAutoScalingGroup => {
            cloud.delete_group(&key()?, query.flag("ForceDelete")?.unwrap_or(false), now)?;
        }
        Action::SetDesiredCapacity => {
            let desired = query.required_number("DesiredCapacity")?;
            cloud.set_desired(&key()?, desired, query.flag("HonorCooldown")?.unwrap_or(false), now)?;
        }
        Action::TerminateInstanceInAutoScalingGroup => return terminate(cloud, region, query, now).map(Some),
        Action::CreateOrUpdateTags => {
            let writes = query.structures("Tags").iter().map(tag_write).collect::<Result<_, _>>()?;
            cloud.put_tags(region, writes)?;
        }
        Action::DeleteTags => {
            for tag in query.structures("Tags") {
                let TagWrite { group, key, .. } = tag_write(&tag)?;
                cloud.delete_tag(region, &group, &key)?;
            }
        }
        Action::SetInstanceProtection => {
            let ids = query.list("InstanceIds");
            if ids.is_empty() {
                return Err(missing("instanceIds"));
            }
            if ids.len() > 50 {
                return Err(ApiError::invalid(
                    "1 validation error detected: Value at 'instanceIds' failed to satisfy constraint: \
                     Member must have length less than or equal to 50",
                ));
            }
            let protect =
                query.flag("ProtectedFromScaleIn")?.ok_or_else(|| missing("protectedFromScaleIn"))?;
            cloud.set_protection(&key()?, &ids, protect)?;
            return empty;
        }
        Action::SetInstanceHealth => {
            let healthy = match query.required("HealthStatus")? {
                "Healthy" => true,
                "Unhealthy" => false,
                other => return Err(one_of("healthStatus", other, "[Healthy, Unhealthy]")),
            };
            let respect = query.flag("ShouldRespectGracePeriod")?.unwrap_or(true);
            cloud.set_health(region, query.required("InstanceId")?, healthy, respect, now)?;
        }
        Action::PutLifecycleHook => {
            put_hook(cloud, &key()?, query)?;
            return empty;
        }
        Action::DeleteLifecycleHook => {
            cloud.delete_hook(&key()?, query.required("LifecycleHookName")?, now)?;
            return empty;
        }
        Action::RecordLifecycleActionHeartbeat => {
            cloud.heartbeat(&key()?, query.required("LifecycleHookName")?, action_of(query)?, now)?;
            return empty;
        }
        Action::CompleteLifecycleAction => {
            let result = action_result(query.required("LifecycleActionResult")?, "lifecycleActionResult")?;
            let hook = query.required("LifecycleHookName")?;
            cloud.complete(&key()?, hook, action_of(query)?, result, now)?;
            return empty;
        }
        Action::SuspendProcesses => cloud.suspend(&key()?, &processes(query)?, now)?,
        Action::ResumeProcesses => cloud.resume(&key()?, &processes(query)?)?,
        _ => return Err(ErrorCode::InternalFailure.into()),
    }
    Ok(None)
}

fn create(cloud: &mut Cloud, key: &GroupKey, query: &Query, now: f64) -> Result<(), ApiError> {
    let change = group_change(query, &key.region)?;
    let launches = ["LaunchConfigurationName", "InstanceId"].iter().any(|name| query.text(name).is_some())
        || query
            .parameters()
            .keys()
            .any(|name| name.starts_with("LaunchTemplate.") || name.starts_with("MixedInstancesPolicy."));
    if !launches {
        return Err(ApiError::invalid(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or \
             MixedInstancesPolicy parameter.",
        ));
    }
    if change.zones.is_none() {
        return Err(ApiError::invalid("At least one Availability Zone or VPC Subnet is required."));
    }
    let tags = query
        .structures("Tags")
        .iter()
        .map(|tag| Ok(TagWrite { group: key.name.clone(), ..untargeted_tag(tag)? }))
        .collect::<Result<_, ApiError>>()?;
    let hooks = query
        .structures("LifecycleHookSpecificationList")
        .iter()
        .map(|hook| Ok((hook.required("LifecycleHookName")?.to_owned(), hook_of(hook, None)?)))
        .collect::<Result<BTreeMap<_, _>, ApiError>>()?;
    cloud.create_group(key, change, tags, hooks, now)
}

fn group_change(query: &Query, region: &str) -> Result<GroupChange, ApiError> {
    let subnets = query.text("VPCZoneIdentifier").map(str::to_owned);
    let mut zones = query.list("AvailabilityZones");
    if let (Some(subnets), true) = (&subnets, zones.is_empty()) {
        // The zones of subnets are unknown: the first subnet is in zone a, the second in b, and so on.
        zones = subnets.split(',').zip('a'..='z').map(|(_, letter)| format!("{region}{letter}")).collect();
    }
    let policies = query.list("TerminationPolicies");
    let lifetime = query.number("MaxInstanceLifetime")?;
    if lifetime.is_some_and(|seconds| seconds != 0 && !(86_400..=31_536_000).contains(&seconds)) {
        return Err(ApiError::invalid(
            "Max instance lifetime must be 0, or between 86400 and 31536000 seconds.",
        ));
    }
    let name = |query: &Query| {
        ["LaunchTemplate.LaunchTemplateName", "LaunchConfigurationName"]
            .iter()
            .find_map(|name| query.text(name).map(str::to_owned))
    };
    Ok(GroupChange {
        min: query.number("MinSize")?,
        max: query.number("MaxSize")?,
        desired: query.number("DesiredCapacity")?,
        zones: (!zones.is_empty()).then_some(zones),
        subnets,
        default_cooldown: query.number("DefaultCooldown")?,
        health_check_grace: query.number("HealthCheckGracePeriod")?,
        health_check_type: query.text("HealthCheckType").map(str::to_owned),
        new_instances_protected: query.flag("NewInstancesProtectedFromScaleIn")?,
        capacity_rebalance: query.flag("CapacityRebalance")?,
        max_instance_lifetime: lifetime,
        launch_template: name(query),
        instance_type: None,
        termination_policies: (!policies.is_empty()).then_some(policies),
    })
}

fn terminate(cloud: &mut Cloud, region: &str, query: &Query, now: f64) -> Result<Xml, ApiError> {
    let decrement = query
        .flag("ShouldDecrementDesiredCapacity")?
        .ok_or_else(|| missing("shouldDecrementDesiredCapacity"))?;
    let (key, begun) = cloud.terminate(region, query.required("InstanceId")?, decrement, now)?;
    let group = cloud.groups().get(region, &key.name)?;
    let mut xml = Xml::default();
    xml.node("Activity", |xml| answers::activity(xml, group, &begun));
    Ok(xml)
}

fn tag_write(tag: &Query) -> Result<TagWrite, ApiError> {
    let kind = tag.required("ResourceType")?;
    if kind != "auto-scaling-group" {
        return Err(one_of("resourceType", kind, "[auto-scaling-group]"));
    }
    Ok(TagWrite { group: tag.required("ResourceId")?.to_owned(), ..untargeted_tag(tag)? })
}

fn untargeted_tag(tag: &Query) -> Result<TagWrite, ApiError> {
    Ok(TagWrite {
        group: String::new(),
        key: tag.required("Key")?.to_owned(),
        tag: Tag {
            value: tag.text("Value").unwrap_or_default().to_owned(),
            propagate: tag.flag("PropagateAtLaunch")?.unwrap_or(false),
        },
    })
}

fn put_hook(cloud: &mut Cloud, key: &GroupKey, query: &Query) -> Result<(), ApiError> {
    let name = query.required("LifecycleHookName")?;
    let known = cloud.groups().get(&key.region, &key.name)?.hooks.get(name).cloned();
    cloud.put_hook(key, name, hook_of(query, known.as_ref())?)
}

/// A hook from a request; omitted fields keep their value, or have the default.
fn hook_of(query: &Query, known: Option<&Hook>) -> Result<Hook, ApiError> {
    let transition = match (query.text("LifecycleTransition"), known) {
        (Some("autoscaling:EC2_INSTANCE_LAUNCHING"), _) => Transition::Launching,
        (Some("autoscaling:EC2_INSTANCE_TERMINATING"), _) => Transition::Terminating,
        (Some(other), _) => {
            return Err(ApiError::invalid(format!("Lifecycle Transition {other} is not valid")));
        }
        (None, Some(known)) => known.transition,
        (None, None) => return Err(missing("lifecycleTransition")),
    };
    let timeout = query.number("HeartbeatTimeout")?;
    if timeout.is_some_and(|seconds| !(30..=7_200).contains(&seconds)) {
        return Err(ApiError::invalid("HeartbeatTimeout must be between 30 and 7200 seconds"));
    }
    let result = query.text("DefaultResult").map(|text| action_result(text, "defaultResult")).transpose()?;
    let metadata = query.text("NotificationMetadata").map(str::to_owned);
    Ok(Hook {
        transition,
        heartbeat_timeout: timeout.or(known.map(|hook| hook.heartbeat_timeout)).unwrap_or(3_600),
        default_result: result.or(known.map(|hook| hook.default_result)).unwrap_or(ActionResult::Abandon),
        metadata: metadata.or(known.and_then(|hook| hook.metadata.clone())),
    })
}

fn action_of(query: &Query) -> Result<ActionOf<'_>, ApiError> {
    match (query.text("LifecycleActionToken"), query.text("InstanceId")) {
        (Some(token), _) => Ok(ActionOf::Token(token)),
        (None, Some(id)) => Ok(ActionOf::Instance(id)),
        (None, None) => Err(ApiError::invalid("Either LifecycleActionToken or InstanceId must be given")),
    }
}

fn action_result(text: &str, parameter: &str) -> Result<ActionResult, ApiError> {
    match text {
        "CONTINUE" => Ok(ActionResult::Continue),
        "ABANDON" => Ok(ActionResult::Abandon),
        other => Err(one_of(parameter, other, "[CONTINUE, ABANDON]")),
    }
}

fn processes(query: &Query) -> Result<Vec<Process>, ApiError> {
    let process = |name: &String| {
        Process::ALL
            .into_iter()
            .find(|process| process.as_str() == name)
            .ok_or_else(|| ApiError::invalid(format!("Scaling process {name} is not valid")))
    };
    query.list("ScalingProcesses").iter().map(process).collect()
}

fn one_of(parameter: &str, value: &str, values: &str) -> ApiError {
    ApiError::invalid(format!(
        "1 validation error detected: Value '{value}' at '{parameter}' failed to satisfy constraint: \
         Member must satisfy enum value set: {values}"
    ))
}
