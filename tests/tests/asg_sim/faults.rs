//! Faults on request, and refusals of invalid calls.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jitsi_scaler::cloud::ScalingGroups as _;
use jitsi_scaler::cloud::aws::Aws;
use jitsi_scaler::config::Groups;
use jitsi_scaler::units::{self, GroupName};
use jitsi_tests::asg_sim::{ErrorCode, Fault};
use jitsi_tests::wait::wait_until;

use crate::{
    NAME, REGION, SOON, client, client_with, code, group, in_service, simulator, simulator_with, sized,
};

#[tokio::test]
async fn throttling_is_throttling_to_the_sdk() {
    let sim = simulator_with(&sized(1)).await;
    let once = client(&sim, REGION);
    for (error, seen) in [
        (ErrorCode::Throttling, "Throttling"),
        (ErrorCode::RequestLimitExceeded, "RequestLimitExceeded"),
        (ErrorCode::ExpiredToken, "ExpiredToken"),
        (ErrorCode::AccessDenied, "AccessDenied"),
        (ErrorCode::InternalFailure, "InternalFailure"),
        (ErrorCode::ScalingActivityInProgress, "ScalingActivityInProgress"),
        (ErrorCode::ResourceContention, "ResourceContention"),
        (ErrorCode::ValidationError, "ValidationError"),
    ] {
        sim.add_fault(Fault::error("SetDesiredCapacity", error, 1)).expect("a good fault");
        let refused =
            once.set_desired_capacity().auto_scaling_group_name(NAME).desired_capacity(2).send().await;
        assert_eq!(code(refused), seen);
    }
    assert_eq!(group(&once).await.desired_capacity(), Some(1), "a refused call changes nothing");

    // With retries, the SDK recognises throttling and succeeds by itself.
    sim.clear_calls();
    sim.add_fault(Fault::error("*", ErrorCode::Throttling, 2)).expect("a good fault");
    let patient = client_with(
        &sim,
        REGION,
        RetryConfig::standard().with_initial_backoff(Duration::from_millis(5)),
        TimeoutConfig::disabled(),
    );
    patient
        .set_desired_capacity()
        .auto_scaling_group_name(NAME)
        .desired_capacity(2)
        .send()
        .await
        .expect("at last");
    let outcomes: Vec<_> = sim.calls(true).into_iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, ["Throttling", "Throttling", "ok"]);
}

#[tokio::test]
async fn a_change_can_be_made_without_its_answer_ever_coming() {
    let sim = simulator_with(&sized(1)).await;
    let fault = Fault {
        action: Some("SetDesiredCapacity".into()),
        apply_then_timeout: true,
        times: Some(1),
        ..Fault::default()
    };
    sim.add_fault(fault).expect("a good fault");
    let timeout = TimeoutConfig::builder().operation_timeout(Duration::from_secs(1)).build();
    let hasty = client_with(&sim, REGION, RetryConfig::disabled(), timeout);
    let unanswered =
        hasty.set_desired_capacity().auto_scaling_group_name(NAME).desired_capacity(3).send().await;
    assert_eq!(code(unanswered), "timed out");
    in_service(&sim, 3).await;
    let call = &sim.calls(true)[0];
    assert_eq!((call.outcome.as_str(), call.applied), ("timeout", true));
}

#[tokio::test]
async fn a_delayed_call_takes_effect_after_its_caller_has_gone() {
    let sim = simulator_with(&sized(1)).await;
    let fault = Fault { delay_seconds: Some(1.5), times: Some(1), ..Fault::default() };
    sim.add_fault(fault).expect("a good fault");
    let timeout = TimeoutConfig::builder().operation_timeout(Duration::from_millis(500)).build();
    let hasty = client_with(&sim, REGION, RetryConfig::disabled(), timeout);
    let late = hasty.set_desired_capacity().auto_scaling_group_name(NAME).desired_capacity(2).send().await;
    assert_eq!(code(late), "timed out");
    in_service(&sim, 2).await;
}

#[tokio::test]
async fn reads_can_be_stale_while_writes_are_not() {
    let sim = simulator_with(&sized(1)).await;
    let client = client(&sim, REGION);
    sim.add_fault(Fault { stale_describe_seconds: Some(2.0), ..Fault::default() }).expect("a good fault");
    client
        .set_desired_capacity()
        .auto_scaling_group_name(NAME)
        .desired_capacity(2)
        .send()
        .await
        .expect("set");
    assert_eq!(group(&client).await.desired_capacity(), Some(1));
    assert_eq!(sim.group(REGION, NAME).expect("the group").desired, 2);
    let caught_up = async || group(&client).await.desired_capacity() == Some(2);
    wait_until(SOON, caught_up).await.expect("reads catch up");
    sim.clear_faults();
    assert_eq!(group(&client).await.desired_capacity(), Some(2));
}

#[tokio::test]
async fn what_is_not_signed_or_not_an_action_is_refused() {
    let sim = simulator().await;
    let http = reqwest::Client::new();
    let post = |authorization: Option<&'static str>, action: &'static str| {
        let mut request = http.post(sim.url()).form(&[("Action", action), ("Version", "2011-01-01")]);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        async move {
            let answer = request.send().await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.expect("a text"))
        }
    };
    let signed =
        "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/autoscaling/aws4_request, SignedHeaders=host";
    for (authorization, action, status, code) in [
        (None, "DescribeTags", 403, "MissingAuthenticationToken"),
        (Some("Bearer nonsense"), "DescribeTags", 400, "IncompleteSignature"),
        (Some(signed), "RebootTheCloud", 400, "InvalidAction"),
    ] {
        let (got, xml) = post(authorization, action).await;
        assert_eq!(got, status, "{xml}");
        assert!(xml.contains(&format!("<Code>{code}</Code>")), "{xml}");
        assert!(xml.contains("<RequestId>"), "{xml}");
    }
}

#[tokio::test]
async fn stopping_ends_calls_that_hang() {
    let sim = simulator_with(&sized(1)).await;
    sim.add_fault(Fault { apply_then_timeout: true, ..Fault::default() }).expect("a good fault");
    let hanging = client(&sim, REGION);
    let call = tokio::spawn(async move { code(hanging.describe_tags().send().await) });
    wait_until(SOON, async || !sim.calls(false).is_empty()).await.expect("the call arrives");
    tokio::time::timeout(SOON, sim.stop()).await.expect("it stops");
    assert_ne!(call.await.expect("no panic"), "ok");
}

#[tokio::test]
async fn an_answer_that_is_cut_at_any_byte_is_none_to_the_scaler() {
    let sim = simulator_with(&sized(1)).await;
    let config = aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKID", "secret", None, None, "test",
        )))
        .endpoint_url(sim.url())
        .retry_config(RetryConfig::disabled())
        .build();
    let aws = Aws::new(config, None);
    let (region, name) = (units::Region::new(REGION), GroupName::new(NAME));
    let groups = Groups::Names(vec![name]);
    let described = async || aws.describe(&region, &groups).await;
    let whole = described().await.expect("the whole answer");
    assert_eq!(whole.len(), 1);

    let cut_at = |bytes: usize| {
        let action = Some("DescribeAutoScalingGroups".into());
        sim.clear_faults();
        sim.add_fault(Fault { action, cut_answer_bytes: Some(bytes), ..Fault::default() })
            .expect("a good fault");
    };
    let mut bytes = 0;
    loop {
        cut_at(bytes);
        match described().await {
            Err(error) => assert_eq!(error.as_str(), "unreachable", "cut after {bytes} bytes: {error}"),
            Ok(answer) => {
                assert_eq!(answer, whole, "cut after {bytes} bytes");
                break;
            }
        }
        bytes += 1;
    }
    assert!(bytes > 1_000, "the answer has {bytes} bytes");
}
