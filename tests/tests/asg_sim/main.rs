//! `asg-sim` as the real AWS SDK for Rust sees it.

mod capacity;
mod faults;
mod groups;
mod hooks;
mod outside;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_autoscaling::types::{AutoScalingGroup, Instance, LifecycleState};
use jitsi_tests::asg_sim::model::ActionResult;
use jitsi_tests::asg_sim::{AsgSim, Component, Config, GroupSpec, HookSpec, Transition};
use jitsi_tests::wait::wait_until;

pub(crate) const REGION: &str = "us-east-1";
pub(crate) const NAME: &str = "prod-jvb";
/// Much longer than anything here takes.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) async fn simulator() -> AsgSim {
    AsgSim::start(Config::default()).await.expect("a free port")
}

pub(crate) async fn simulator_with(spec: &GroupSpec) -> AsgSim {
    let sim = simulator().await;
    sim.put_group(REGION, NAME, spec).expect("a good group");
    let wanted = spec.desired.unwrap_or(spec.min);
    in_service(&sim, wanted).await;
    sim
}

/// A client without retries, so that a test sees each answer.
pub(crate) fn client(sim: &AsgSim, region: &'static str) -> Client {
    client_with(sim, region, RetryConfig::disabled(), TimeoutConfig::disabled())
}

pub(crate) fn client_with(
    sim: &AsgSim,
    region: &'static str,
    retry: RetryConfig,
    timeout: TimeoutConfig,
) -> Client {
    let config = aws_sdk_autoscaling::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(Credentials::new("AKIATEST", "secret", None, None, "test"))
        .endpoint_url(sim.url())
        .retry_config(retry)
        .timeout_config(timeout)
        .build();
    Client::from_conf(config)
}

pub(crate) fn sized(desired: u32) -> GroupSpec {
    GroupSpec {
        min: 1,
        max: Some(5),
        desired: Some(desired),
        component: Some(Component::Jvb),
        launch_seconds: Some(0.05),
        terminate_seconds: Some(0.05),
        launch_retry_seconds: Some(0.1),
        ..GroupSpec::default()
    }
}

pub(crate) fn hooked(desired: u32, transition: Transition, heartbeat_timeout: u32) -> GroupSpec {
    let default_result = ActionResult::Abandon;
    let hook = HookSpec { name: "drain".into(), transition, heartbeat_timeout, default_result };
    GroupSpec { hooks: vec![hook], ..sized(desired) }
}

pub(crate) async fn group(client: &Client) -> AutoScalingGroup {
    let answer = client.describe_auto_scaling_groups().auto_scaling_group_names(NAME).send().await;
    answer.expect("a page").auto_scaling_groups().first().expect("the group").clone()
}

pub(crate) async fn instances(client: &Client) -> Vec<Instance> {
    group(client).await.instances().to_vec()
}

pub(crate) fn id(instance: &Instance) -> String {
    instance.instance_id().expect("an id").to_owned()
}

/// Waits until this many instances serve and no others exist.
pub(crate) async fn in_service(sim: &AsgSim, count: u32) {
    let settled = async || {
        let states: Vec<_> = sim
            .group(REGION, NAME)
            .into_iter()
            .flat_map(|group| group.instances)
            .map(|instance| instance.state.as_str())
            .collect();
        states.len() == usize::try_from(count).expect("a small number")
            && states.iter().all(|state| *state == "InService")
    };
    wait_until(SOON, settled).await.expect("the instances serve");
}

pub(crate) async fn in_state(client: &Client, wanted: &str, state: &LifecycleState) {
    let reached = async || {
        instances(client).await.iter().any(|one| id(one) == wanted && one.lifecycle_state() == Some(state))
    };
    wait_until(SOON, reached).await.expect("the state is reached");
}

pub(crate) async fn gone(client: &Client, wanted: &str) {
    let gone = async || instances(client).await.iter().all(|one| id(one) != wanted);
    wait_until(SOON, gone).await.expect("the instance goes");
}

/// The code of a refusal, as parsed by the SDK.
pub(crate) fn code<T, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(SdkError::ServiceError(error)) => error.err().code().unwrap_or("none").to_owned(),
        Err(SdkError::TimeoutError(_)) => "timed out".into(),
        Err(_) => "no answer that could be understood".into(),
    }
}

pub(crate) fn message<T, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> String {
    match result {
        Err(SdkError::ServiceError(error)) => error.err().message().unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}
