//! The calls that change a group.
//!
//! Owns which of them may be repeated.

use aws_config::retry::RetryConfig;
use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::config::Builder;
use aws_sdk_autoscaling::types::Tag;
use aws_sdk_autoscaling::types::builders::TagBuilder;

use super::errors::translate;
use crate::cloud::{Change, CloudError};
use crate::units::InstanceId;

/// Makes a change to `group`. Errors name `call`.
pub(super) async fn apply(
    client: &Client,
    call: &'static str,
    group: &str,
    change: Change<'_>,
) -> Result<(), CloudError> {
    match change {
        Change::SetDesired(desired) => {
            let request = client
                .set_desired_capacity()
                .auto_scaling_group_name(group)
                .desired_capacity(i32::try_from(desired.get()).unwrap_or(i32::MAX))
                .honor_cooldown(false);
            let answer = request.customize().config_override(once()).send().await;
            answer.map(drop).map_err(|error| translate(call, &error))
        }
        Change::TerminateAndDecrement(instance) => terminate(client, call, instance, true).await,
        Change::TerminateAndReplace(instance) => terminate(client, call, instance, false).await,
        Change::SetUnhealthy(instance) => {
            let request = client
                .set_instance_health()
                .instance_id(instance.as_str())
                .health_status("Unhealthy")
                .should_respect_grace_period(false);
            let answer = request.customize().config_override(once()).send().await;
            answer.map(drop).map_err(|error| translate(call, &error))
        }
        Change::SetProtection { instances, protected } => {
            let ids = instances.iter().map(|id| id.as_str().to_owned()).collect();
            let request = client
                .set_instance_protection()
                .auto_scaling_group_name(group)
                .set_instance_ids(Some(ids))
                .protected_from_scale_in(protected);
            request.send().await.map(drop).map_err(|error| translate(call, &error))
        }
        Change::Heartbeat { hook, instance } => {
            let request = client
                .record_lifecycle_action_heartbeat()
                .auto_scaling_group_name(group)
                .lifecycle_hook_name(hook)
                .instance_id(instance.as_str());
            request.send().await.map(drop).map_err(|error| translate(call, &error))
        }
        Change::Complete { hook, instance } => {
            let request = client
                .complete_lifecycle_action()
                .auto_scaling_group_name(group)
                .lifecycle_hook_name(hook)
                .instance_id(instance.as_str())
                .lifecycle_action_result("CONTINUE");
            let answer = request.customize().config_override(once()).send().await;
            answer.map(drop).map_err(|error| translate(call, &error))
        }
        Change::Tag { key, value } => {
            let tag = tag_of(group, key).value(value).propagate_at_launch(false).build();
            let answer = client.create_or_update_tags().tags(tag).send().await;
            answer.map(drop).map_err(|error| translate(call, &error))
        }
        Change::Untag { key } => {
            let answer = client.delete_tags().tags(tag_of(group, key).build()).send().await;
            answer.map(drop).map_err(|error| translate(call, &error))
        }
    }
}

async fn terminate(
    client: &Client,
    call: &'static str,
    instance: &InstanceId,
    decrement: bool,
) -> Result<(), CloudError> {
    let request = client
        .terminate_instance_in_auto_scaling_group()
        .instance_id(instance.as_str())
        .should_decrement_desired_capacity(decrement);
    let answer = request.customize().config_override(once()).send().await;
    answer.map(drop).map_err(|error| translate(call, &error))
}

/// One attempt: a retry after a lost answer could remove a second instance.
fn once() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}

fn tag_of(group: &str, key: &str) -> TagBuilder {
    Tag::builder().resource_type("auto-scaling-group").resource_id(group).key(key)
}
