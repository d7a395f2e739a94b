//! AWS refuses, throttles, answers too late, or follows another caller.

use anyhow::{Context as _, Result};
use jitsi_tests::asg_sim::{Component, ErrorCode, Fault};

use crate::{GROUP, REGION, Scene, WANTING, group};

/// A fleet that wants one instance more, and a group whose maximum does not allow it yet.
async fn held_back() -> Result<Scene> {
    Scene::start(&[(GROUP, group(Component::Jvb, 1, 1, 1))], WANTING).await
}

/// The fleet gets exactly what it wants.
async fn assert_raised_once(scene: &Scene) {
    scene.until("desired capacity is raised", async || scene.desired(GROUP) == 2).await;
    scene.evaluations(3).await;
    assert_eq!(scene.desired(GROUP), 2, "once only");
    assert_eq!(scene.applied("SetDesiredCapacity").len(), 1, "once only");
    assert_eq!(scene.applied("CreateOrUpdateTags").len(), 1, "its cooldown has begun");
}

/// While every call of `action` fails with `error`, nothing scales, and the log and the metric of calls say why;
/// afterwards the loop continues by itself.
async fn refused(action: &str, error: ErrorCode, outcome: &str, told: &str) -> Result<()> {
    let scene = held_back().await?;
    let fault = Fault { action: Some(action.to_owned()), error: Some(error), ..Fault::default() };
    scene.stage.asg.add_fault(fault)?;
    scene.set_bounds(GROUP, 1, 6)?;
    scene.until_logged(told).await;
    scene.evaluations(2).await;
    let outcome = format!("outcome=\"{outcome}\"");
    assert!(scene.metric("jitsi_scaler_cloud_calls_total", &[&outcome]).await >= 2.0);
    let line = scene.log().lines().find(|line| line.contains(told)).map(str::to_owned).unwrap_or_default();
    assert!(line.contains("level=error") && line.contains("fleet=wanting"), "{line}");
    assert_eq!(scene.desired(GROUP), 1);
    assert!(scene.stage.asg.calls(true).iter().all(|call| !call.applied), "nothing is changed");

    scene.stage.asg.clear_faults();
    assert_raised_once(&scene).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_are_told_and_renewed_ones_taken_up() -> Result<()> {
    refused("*", ErrorCode::ExpiredToken, "credentials", "give or renew credentials by the environment").await
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_beyond_all_retries_costs_ticks_and_nothing_else() -> Result<()> {
    refused("DescribeAutoScalingGroups", ErrorCode::Throttling, "throttled", "throttled; the next evaluation")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named() -> Result<()> {
    let told = "allow autoscaling:SetDesiredCapacity in the IAM policy";
    refused("SetDesiredCapacity", ErrorCode::AccessDenied, "denied", told).await
}

/// AWS' answer about the group.
async fn describe_answer(scene: &Scene) -> Result<String> {
    let scope = format!("AWS4-HMAC-SHA256 Credential=AKID/20260101/{REGION}/autoscaling/aws4_request");
    let form = [("Action", "DescribeAutoScalingGroups"), ("AutoScalingGroupNames.member.1", GROUP)];
    let request =
        reqwest::Client::new().post(scene.stage.asg.url()).header("authorization", scope).form(&form);
    Ok(request.send().await?.text().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_short_changes_nothing() -> Result<()> {
    let scene = held_back().await?;
    // What is left has a name and bounds, and neither desired capacity nor tags.
    let whole = describe_answer(&scene).await?;
    let end = whole.find("<DesiredCapacity>").context("a desired capacity")?;
    let action = Some("DescribeAutoScalingGroups".to_owned());
    scene.stage.asg.add_fault(Fault { action, cut_answer_bytes: Some(end), ..Fault::default() })?;
    scene.set_bounds(GROUP, 1, 6)?;
    scene.until_logged("the answer ends before its closing element").await;
    scene.evaluations(3).await;
    assert_eq!(scene.desired(GROUP), 1);
    assert!(scene.stage.asg.calls(true).is_empty(), "nothing is changed");

    scene.stage.asg.clear_faults();
    assert_raised_once(&scene).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn capacity_raised_by_a_call_without_an_answer_is_raised_once() -> Result<()> {
    let scene = held_back().await?;
    scene.stage.asg.add_fault(unanswered("SetDesiredCapacity"))?;
    scene.set_bounds(GROUP, 1, 6)?;
    scene.until("desired capacity is raised", async || scene.desired(GROUP) == 2).await;
    scene.until("the scaler gives up waiting", async || timeouts(&scene).await > 0.0).await;
    assert_raised_once(&scene).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_terminated_by_a_call_without_an_answer_is_the_only_one() -> Result<()> {
    let scaler = crate::bridges::SCALER;
    let scene = Scene::start(&[(GROUP, group(Component::Jvb, 3, 3, 6))], scaler).await?;
    scene.serving(GROUP, 3).await?;
    scene.stage.asg.add_fault(unanswered("TerminateInstanceInAutoScalingGroup"))?;
    scene.set_bounds(GROUP, 2, 6)?;
    scene.until("the scaler gives up waiting", async || timeouts(&scene).await > 0.0).await;
    scene.settled(GROUP, 2).await;
    scene.evaluations(3).await;
    assert_eq!(scene.applied("TerminateInstanceInAutoScalingGroup").len(), 1);
    assert_eq!((scene.desired(GROUP), scene.group(GROUP)?.instances.len()), (2, 2));
    Ok(())
}

fn unanswered(action: &str) -> Fault {
    let action = Some(action.to_owned());
    Fault { action, apply_then_timeout: true, times: Some(1), ..Fault::default() }
}

async fn timeouts(scene: &Scene) -> f64 {
    scene.metric("jitsi_scaler_cloud_calls_total", &["outcome=\"timeout\""]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capacity_that_somebody_else_sets_meanwhile_is_not_overwritten() -> Result<()> {
    let scene = held_back().await?;
    // The second read comes late enough for another caller to act between it and the decision.
    let action = Some("DescribeAutoScalingGroups".to_owned());
    scene.stage.asg.add_fault(Fault { action, delay_seconds: Some(1.5), ..Fault::default() })?;
    scene.set_bounds(GROUP, 1, 6)?;
    scene.until_logged("action=scale_out").await;
    scene.stage.asg.put_group(REGION, GROUP, &group(Component::Jvb, 1, 4, 6))?;
    scene.until_logged("desired capacity was 1 and is 4 now").await;
    let overtaken = ["effect=\"set_desired\"", "outcome=\"overtaken\""];
    scene
        .until("the metric says so", async || {
            scene.metric("jitsi_scaler_effects_total", &overtaken).await > 0.0
        })
        .await;
    assert!(scene.applied("SetDesiredCapacity").is_empty());

    // The next evaluation starts from the other caller's setting.
    scene.stage.asg.clear_faults();
    scene.until("one more than four", async || scene.desired(GROUP) == 5).await;
    Ok(())
}
