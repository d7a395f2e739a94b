//! Draining Jibris: a recording that starts meanwhile finishes, including its upload.

use anyhow::{Context as _, Result};
use jitsi_tests::asg_sim::{Component, Fault};
use jitsi_tests::jitsi_sim::Faults;

use crate::{GROUP, Scene, group};

pub(crate) const SCALER: &str = r#"
prometheus: {url: "{prometheus}", timeout: 2s}
fleets:
  - name: jibri
    component: jibri
    asg: {regions: [us-east-1], names: [prod]}
    warmup: 0s
    policies:
      - name: pool
        expr: asg:jibri_available:sum
        measures: idle
        period: 1s
        scale_in: {when: ">= 2", periods: 2, remove: 1, cooldown: 1s}
    drain:
      via: {health: "http://{private_ip}:2222", internal: "http://{private_ip}:3333"}
      max_in_flight: 1
      settle: 300ms
"#;

/// Two idle Jibris, one of which is chosen but not yet asked to leave, because the first `slow_tags` writes of tags are
/// delayed.
async fn one_chosen(slow_tags: u64) -> Result<(Scene, Vec<String>)> {
    let scene = Scene::start(&[(GROUP, group(Component::Jibri, 2, 2, 6))], SCALER).await?;
    let jibris = scene.serving(GROUP, 2).await?;
    scene.stage.asg.add_fault(Fault {
        action: Some("CreateOrUpdateTags".to_owned()),
        delay_seconds: Some(1.0),
        times: Some(slow_tags),
        ..Fault::default()
    })?;
    scene.set_bounds(GROUP, 1, 6)?;
    scene.until_logged("action=scale_in").await;
    Ok((scene, jibris))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_comes_with_the_shutdown_is_finished_and_uploaded() -> Result<()> {
    let (scene, jibris) = one_chosen(2).await?;
    // It was seen free, and the request follows once the intent is in a tag.
    scene.until_logged("effect=confirm_empty").await;
    for jibri in &jibris {
        scene.stage.jitsi.place_recording(jibri, 600.0, 3.0)?;
    }
    let leaving = scene.first_drain(GROUP).await?;
    let asked = || scene.component(&leaving).is_some_and(|jibri| jibri.leaving && jibri.state == "recording");
    scene.until("it is asked to leave while it records", async || asked()).await;
    for jibri in &jibris {
        assert!(scene.stage.jitsi.stop_recording(jibri)?);
    }
    assert_eq!(scene.state(&leaving), "uploading");
    scene.evaluations(2).await;
    assert!(scene.applied("TerminateInstanceInAutoScalingGroup").is_empty());
    scene.settled(GROUP, 1).await;

    let recordings = scene.stage.jitsi.status().recordings;
    assert_eq!((recordings.completed, recordings.cut, recordings.lost), (2, 0, 0));
    assert_eq!(scene.state(&leaving), "gone");
    let expected = ["mark_scaled", "confirm_empty", "mark_drain", "close", "terminate", "clear_drain"];
    assert_eq!(scene.performed(), expected, "it was seen to have exited, twice");
    let call = scene.applied("TerminateInstanceInAutoScalingGroup").pop().context("a termination")?;
    assert_eq!(call.parameters["ShouldDecrementDesiredCapacity"], "true");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jibri_that_is_taken_before_it_is_asked_to_leave_stays() -> Result<()> {
    let (scene, jibris) = one_chosen(2).await?;
    for jibri in &jibris {
        scene.stage.jitsi.place_recording(jibri, 600.0, 3.0)?;
    }
    scene.until_logged("it is in use again").await;
    scene.until("it is not to go any more", async || scene.drains(GROUP).is_empty()).await;
    scene.evaluations(2).await;
    for jibri in &jibris {
        assert!(scene.component(jibri).is_some_and(|jibri| !jibri.leaving && jibri.state == "recording"));
    }
    assert!(scene.applied("TerminateInstanceInAutoScalingGroup").is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jibri_that_dies_before_it_is_asked_to_leave_is_not_taken_for_gone() -> Result<()> {
    let (scene, jibris) = one_chosen(1).await?;
    for jibri in &jibris {
        scene.stage.jitsi.set_faults(jibri, Faults { die: true, ..Faults::default() }).await?;
    }
    scene.until_logged("its state cannot be read any more").await;
    scene.evaluations(3).await;
    assert!(scene.applied("TerminateInstanceInAutoScalingGroup").is_empty());
    assert_eq!(scene.drains(GROUP), [] as [&str; 0], "it was not asked anything");

    for jibri in &jibris {
        scene.stage.jitsi.set_faults(jibri, Faults::default()).await?;
    }
    scene.settled(GROUP, 1).await;
    assert_eq!(jibris.iter().filter(|jibri| scene.state(jibri) == "gone").count(), 1);
    Ok(())
}
