//! The EC2 Auto Scaling API by the AWS SDK.
//!
//! Owns clients per region and role, timeouts and retries, and the translation of AWS' errors into ours.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::config::Builder;
use aws_sdk_autoscaling::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_autoscaling::types::{AutoScalingGroup, Filter, LifecycleHook, ScalingActivityStatusCode, Tag};
use tokio::sync::Mutex;

use super::{
    Activity, ActivityKind, ActivityOutcome, CloudError, GroupDescription, InstanceDescription, ScalingGroups,
};
use crate::config::Groups;
use crate::decide::observation::Hook;
use crate::telemetry::chain;
use crate::units::{Capacity, GroupName, InstanceId, Region, Time};

/// The limit of one attempt. AWS answers in well under a second.
const ATTEMPT: Duration = Duration::from_secs(5);
/// The limit of a call with its repetitions, so that a tick of a minute survives it.
const CALL: Duration = Duration::from_secs(15);
/// How often a reading call is tried.
const ATTEMPTS: u32 = 3;
/// The most names or records in one describe call.
pub(super) const PAGE: usize = 100;
/// How many of the newest instance refreshes are looked at; only one can be in progress.
const REFRESHES: i32 = 5;
/// Above this a tag selector matches more than anybody means.
const MOST_PAGES: usize = 50;

/// Auto Scaling by the AWS SDK, with the credentials of the usual chain and, if asked for, an assumed role.
#[derive(Debug)]
pub struct Aws {
    base: SdkConfig,
    role_arn: Option<String>,
    /// Clients are made when a region is first asked for; the lock is held for that moment only.
    clients: Mutex<HashMap<Region, Arc<Client>>>,
}

impl Aws {
    /// Reads the AWS configuration chain (environment, profiles, web identity, container, instance metadata). The chain
    /// is asked for a region only where none is given: off EC2 that takes seconds.
    pub async fn load(role_arn: Option<String>, region: Option<&Region>) -> Self {
        let timeouts =
            TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(CALL).build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        if let Some(region) = region {
            loader = loader.region(aws_config::Region::new(region.as_str().to_owned()));
        }
        Self::new(loader.load().await, role_arn)
    }

    /// Takes its credentials, its endpoint and its patience from `base`.
    #[must_use]
    pub fn new(base: SdkConfig, role_arn: Option<String>) -> Self {
        Self { base, role_arn, clients: Mutex::default() }
    }

    /// The region that was given, or that of the chain if it names one.
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        self.base.region().map(|region| Region::new(region.as_ref()))
    }

    pub(super) async fn client(&self, region: &Region) -> Arc<Client> {
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(region) {
            return Arc::clone(client);
        }
        let aws_region = aws_config::Region::new(region.as_str().to_owned());
        let mut config = self.base.to_builder().region(aws_region.clone());
        if let Some(role) = &self.role_arn {
            let provider = aws_config::sts::AssumeRoleProvider::builder(role)
                .session_name("jitsi-scaler")
                .region(aws_region)
                .configure(&self.base)
                .build()
                .await;
            config = config.credentials_provider(
                aws_credential_types::provider::SharedCredentialsProvider::new(provider),
            );
        }
        let client = Arc::new(Client::new(&config.build()));
        clients.insert(region.clone(), Arc::clone(&client));
        client
    }
}

/// What changes something is tried once: a repetition after a lost answer could remove a second instance.
fn once() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}

pub(super) fn translate<E>(call: &'static str, error: &SdkError<E>) -> CloudError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    // The causes of the SDK run to many lines of code; their texts in a row are for people.
    let causes = || chain(error).replace(['\n', '\r'], " ");
    let code = match error {
        SdkError::TimeoutError(_) => return CloudError::Timeout { call },
        SdkError::DispatchFailure(failure) if failure.is_timeout() => return CloudError::Timeout { call },
        // The chain found no credentials, or could not ask for them.
        SdkError::DispatchFailure(failure) if failure.is_user() || failure.is_other() => {
            return CloudError::Credentials { call, message: causes() };
        }
        SdkError::ConstructionFailure(_) => return CloudError::Credentials { call, message: causes() },
        // It may have been done: the answer was cut off.
        SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            return CloudError::Unreachable { call, message: causes() };
        }
        other => other.code().unwrap_or("unknown").to_owned(),
    };
    let message = error.message().map_or_else(causes, str::to_owned);
    match code.as_str() {
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" => {
            CloudError::Throttled { call }
        }
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "MissingAuthenticationToken"
        | "SignatureDoesNotMatch"
        | "AuthFailure" => CloudError::Credentials { call, message },
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
            CloudError::Denied { call, message }
        }
        _ => CloudError::Refused { call, code, message },
    }
}

impl Aws {
    async fn terminate(
        &self,
        region: &Region,
        instance: &InstanceId,
        decrement: bool,
    ) -> Result<(), CloudError> {
        self.client(region)
            .await
            .terminate_instance_in_auto_scaling_group()
            .instance_id(instance.as_str())
            .should_decrement_desired_capacity(decrement)
            .customize()
            .config_override(once())
            .send()
            .await
            .map(drop)
            .map_err(|error| translate("TerminateInstanceInAutoScalingGroup", &error))
    }
}

impl ScalingGroups for Aws {
    async fn describe(&self, region: &Region, groups: &Groups) -> Result<Vec<GroupDescription>, CloudError> {
        const CALL: &str = "DescribeAutoScalingGroups";
        let client = self.client(region).await;
        let mut found = Vec::new();
        match groups {
            Groups::Names(names) => {
                for names in names.chunks(PAGE) {
                    let names = names.iter().map(|name| name.as_str().to_owned()).collect();
                    let answer = client
                        .describe_auto_scaling_groups()
                        .set_auto_scaling_group_names(Some(names))
                        .max_records(i32::try_from(PAGE).unwrap_or(i32::MAX))
                        .send()
                        .await
                        .map_err(|error| translate(CALL, &error))?;
                    found.extend(answer.auto_scaling_groups().iter().filter_map(described));
                }
            }
            Groups::Tags(tags) => {
                let filters: Vec<_> = tags
                    .iter()
                    .map(|(key, value)| Filter::builder().name(format!("tag:{key}")).values(value).build())
                    .collect();
                let mut token = None;
                for _ in 0..MOST_PAGES {
                    let answer = client
                        .describe_auto_scaling_groups()
                        .set_filters(Some(filters.clone()))
                        .max_records(i32::try_from(PAGE).unwrap_or(i32::MAX))
                        .set_next_token(token)
                        .send()
                        .await
                        .map_err(|error| translate(CALL, &error))?;
                    found.extend(answer.auto_scaling_groups().iter().filter_map(described));
                    token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
                    if token.is_none() {
                        return Ok(found);
                    }
                }
                return Err(CloudError::Refused {
                    call: CALL,
                    code: "TooManyGroups".to_owned(),
                    message: format!("more than {} groups carry the tags of the fleet", MOST_PAGES * PAGE),
                });
            }
        }
        Ok(found)
    }

    async fn activities(&self, region: &Region, group: &GroupName) -> Result<Vec<Activity>, CloudError> {
        let answer = self
            .client(region)
            .await
            .describe_scaling_activities()
            .auto_scaling_group_name(group.as_str())
            .max_records(i32::try_from(PAGE).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| translate("DescribeScalingActivities", &error))?;
        Ok(answer.activities().iter().map(activity).collect())
    }

    async fn hooks(&self, region: &Region, group: &GroupName) -> Result<Vec<Hook>, CloudError> {
        let answer = self
            .client(region)
            .await
            .describe_lifecycle_hooks()
            .auto_scaling_group_name(group.as_str())
            .send()
            .await
            .map_err(|error| translate("DescribeLifecycleHooks", &error))?;
        Ok(answer.lifecycle_hooks().iter().filter_map(hook).collect())
    }

    async fn refreshing(&self, region: &Region, group: &GroupName) -> Result<bool, CloudError> {
        use aws_sdk_autoscaling::types::InstanceRefreshStatus as Status;
        let answer = self
            .client(region)
            .await
            .describe_instance_refreshes()
            .auto_scaling_group_name(group.as_str())
            .max_records(REFRESHES)
            .send()
            .await
            .map_err(|error| translate("DescribeInstanceRefreshes", &error))?;
        // Whatever is not known to be over is taken to go on.
        Ok(answer.instance_refreshes().iter().any(|refresh| {
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
        }))
    }

    async fn set_desired(
        &self,
        region: &Region,
        group: &GroupName,
        desired: Capacity,
    ) -> Result<(), CloudError> {
        self.client(region)
            .await
            .set_desired_capacity()
            .auto_scaling_group_name(group.as_str())
            .desired_capacity(i32::try_from(desired.get()).unwrap_or(i32::MAX))
            .honor_cooldown(false)
            .customize()
            .config_override(once())
            .send()
            .await
            .map(drop)
            .map_err(|error| translate("SetDesiredCapacity", &error))
    }

    async fn terminate_and_decrement(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<(), CloudError> {
        self.terminate(region, instance, true).await
    }

    async fn terminate_and_replace(&self, region: &Region, instance: &InstanceId) -> Result<(), CloudError> {
        self.terminate(region, instance, false).await
    }

    async fn set_unhealthy(&self, region: &Region, instance: &InstanceId) -> Result<(), CloudError> {
        self.client(region)
            .await
            .set_instance_health()
            .instance_id(instance.as_str())
            .health_status("Unhealthy")
            .should_respect_grace_period(false)
            .customize()
            .config_override(once())
            .send()
            .await
            .map(drop)
            .map_err(|error| translate("SetInstanceHealth", &error))
    }

    async fn protect(
        &self,
        region: &Region,
        group: &GroupName,
        instances: &[InstanceId],
        protected: bool,
    ) -> Result<(), CloudError> {
        let ids = instances.iter().map(|id| id.as_str().to_owned()).collect();
        self.client(region)
            .await
            .set_instance_protection()
            .auto_scaling_group_name(group.as_str())
            .set_instance_ids(Some(ids))
            .protected_from_scale_in(protected)
            .send()
            .await
            .map(drop)
            .map_err(|error| translate("SetInstanceProtection", &error))
    }

    async fn heartbeat(
        &self,
        region: &Region,
        group: &GroupName,
        hook: &str,
        instance: &InstanceId,
    ) -> Result<(), CloudError> {
        self.client(region)
            .await
            .record_lifecycle_action_heartbeat()
            .auto_scaling_group_name(group.as_str())
            .lifecycle_hook_name(hook)
            .instance_id(instance.as_str())
            .send()
            .await
            .map(drop)
            .map_err(|error| translate("RecordLifecycleActionHeartbeat", &error))
    }

    async fn complete(
        &self,
        region: &Region,
        group: &GroupName,
        hook: &str,
        instance: &InstanceId,
    ) -> Result<(), CloudError> {
        self.client(region)
            .await
            .complete_lifecycle_action()
            .auto_scaling_group_name(group.as_str())
            .lifecycle_hook_name(hook)
            .instance_id(instance.as_str())
            .lifecycle_action_result("CONTINUE")
            .customize()
            .config_override(once())
            .send()
            .await
            .map(drop)
            .map_err(|error| translate("CompleteLifecycleAction", &error))
    }

    async fn tag(
        &self,
        region: &Region,
        group: &GroupName,
        key: &str,
        value: &str,
    ) -> Result<(), CloudError> {
        let tag = tag_of(group, key).value(value).propagate_at_launch(false).build();
        self.client(region)
            .await
            .create_or_update_tags()
            .tags(tag)
            .send()
            .await
            .map(drop)
            .map_err(|error| translate("CreateOrUpdateTags", &error))
    }

    async fn untag(&self, region: &Region, group: &GroupName, key: &str) -> Result<(), CloudError> {
        self.client(region)
            .await
            .delete_tags()
            .tags(tag_of(group, key).build())
            .send()
            .await
            .map(drop)
            .map_err(|error| translate("DeleteTags", &error))
    }
}

fn tag_of(group: &GroupName, key: &str) -> aws_sdk_autoscaling::types::builders::TagBuilder {
    Tag::builder().resource_type("auto-scaling-group").resource_id(group.as_str()).key(key)
}

fn activity(activity: &aws_sdk_autoscaling::types::Activity) -> Activity {
    use ScalingActivityStatusCode as Code;
    // AWS words it "Launching a new EC2 instance: i-0123456789abcdef0"; one that failed may lack the id.
    let description = activity.description().unwrap_or_default();
    let kind = if description.starts_with("Launching") {
        let id = description.rsplit_once(": ").map(|(_, id)| id.trim()).filter(|id| id.starts_with("i-"));
        ActivityKind::Launch(id.map(InstanceId::new))
    } else {
        ActivityKind::Other
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

/// A hook without a heartbeat of its own has one of an hour. It holds for a hundred heartbeats and for 48 hours at most;
/// an answer that says more is not AWS'.
fn hook(hook: &LifecycleHook) -> Option<Hook> {
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

/// A group that lacks its name or its bounds is not one that can be scaled.
fn described(group: &AutoScalingGroup) -> Option<GroupDescription> {
    let capacity = |number: Option<i32>| Capacity::try_new(u32::try_from(number?).ok()?);
    Some(GroupDescription {
        name: GroupName::new(group.auto_scaling_group_name()?),
        min: capacity(group.min_size())?,
        max: capacity(group.max_size())?,
        desired: capacity(group.desired_capacity())?,
        suspended: group
            .suspended_processes()
            .iter()
            .filter_map(|process| process.process_name().map(str::to_owned))
            .collect(),
        zones: group.availability_zones().to_vec(),
        instances: group
            .instances()
            .iter()
            .filter_map(|instance| {
                Some(InstanceDescription {
                    id: InstanceId::new(instance.instance_id()?),
                    zone: instance.availability_zone().unwrap_or_default().to_owned(),
                    lifecycle: instance.lifecycle_state()?.as_str().to_owned(),
                    healthy: instance.health_status() != Some("Unhealthy"),
                    protected: instance.protected_from_scale_in().unwrap_or(false),
                })
            })
            .collect(),
        tags: group
            .tags()
            .iter()
            .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())))
            .collect(),
    })
}
