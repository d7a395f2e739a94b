//! Instances that AWS terminates by itself: a lifecycle hook holds them until they are empty.

use anyhow::{Context as _, Result};
use jitsi_tests::asg_sim::{
    ActionResult, Component, ErrorCode, Fault, GroupSpec, HookSpec, Lifecycle, Transition,
};

use crate::{GROUP, REGION, Scene, bridges, group, jibris};

/// Seconds; longer than any test.
const LASTING: f64 = 600.0;
/// Seconds that a hook holds without a heartbeat: longer than a restart of the scaler.
const HEARTBEAT: u32 = 6;
/// With this many heartbeats, each after a third of the time, the hook holds longer than without.
const SEVERAL: usize = 4;

/// Two instances, and hooks that hold each at termination.
fn held_by(component: Component, hooks: &[(&str, u32)]) -> GroupSpec {
    let hook = |&(name, heartbeat_timeout): &(&str, u32)| HookSpec {
        name: name.to_owned(),
        transition: Transition::Terminating,
        heartbeat_timeout,
        default_result: ActionResult::Abandon,
    };
    GroupSpec { hooks: hooks.iter().map(hook).collect(), ..group(component, 2, 2, 6) }
}

/// Two bridges; AWS terminates one with a conference on it.
async fn bridge_taken(hooks: &[(&str, u32)]) -> Result<(Scene, String)> {
    let scene = Scene::start(&[(GROUP, held_by(Component::Jvb, hooks))], bridges::SCALER).await?;
    let taken = scene.serving(GROUP, 2).await?.swap_remove(0);
    scene.stage.jitsi.place_conference(&taken, 3, LASTING)?;
    scene.stage.asg.terminate_by_aws(REGION, GROUP, &taken, false)?;
    scene.until("it is asked to drain", async || scene.state(&taken) == "draining").await;
    Ok((scene, taken))
}

fn heartbeats(scene: &Scene) -> usize {
    scene.applied("RecordLifecycleActionHeartbeat").len()
}

async fn held_for_long(scene: &Scene) {
    let before = heartbeats(scene);
    scene.until("its hook is told to hold it on", async || heartbeats(scene) >= before + SEVERAL).await;
}

fn is_held(scene: &Scene, id: &str) -> bool {
    scene.lifecycle(GROUP, id) == Some(Lifecycle::TerminatingWait)
}

/// Waits until the instance is gone and its tag removed: its hook was completed once, and nothing else ended it.
async fn let_go(scene: &Scene, id: &str) {
    scene.until("it goes", async || scene.lifecycle(GROUP, id).is_none()).await;
    scene.until("its drain is forgotten", async || scene.drains(GROUP).is_empty()).await;
    let completed = scene.applied("CompleteLifecycleAction");
    assert_eq!(completed.len(), 1, "{completed:#?}");
    assert_eq!(completed[0].parameters["LifecycleActionResult"], "CONTINUE");
    assert!(scene.applied("TerminateInstanceInAutoScalingGroup").is_empty(), "AWS takes it without us");
    assert_eq!(scene.desired(GROUP), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_aws_takes_is_held_until_its_conference_has_ended() -> Result<()> {
    let (mut scene, taken) = bridge_taken(&[("drain", HEARTBEAT)]).await?;
    held_for_long(&scene).await;
    scene.restart_scaler().await?;
    held_for_long(&scene).await;
    assert!(is_held(&scene, &taken) && scene.state(&taken) == "draining");
    assert!(scene.applied("CompleteLifecycleAction").is_empty());

    assert_eq!(scene.stage.jitsi.end_conferences(&taken)?, 1);
    let_go(&scene, &taken).await;
    let performed = scene.performed();
    let began = performed.iter().filter(|effect| *effect == "start_drain").count();
    assert_eq!(began, 1, "the scaler that was started anew goes on with the drain: {performed:?}");
    assert_eq!(scene.stage.jitsi.status().conferences.cut, 0, "a conference was cut");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jibri_that_aws_takes_finishes_its_recording_and_the_upload() -> Result<()> {
    let groups = [(GROUP, held_by(Component::Jibri, &[("drain", HEARTBEAT)]))];
    let mut scene = Scene::start(&groups, jibris::SCALER).await?;
    let taken = scene.serving(GROUP, 2).await?.swap_remove(0);
    scene.stage.jitsi.place_recording(&taken, LASTING, 5.0)?;
    scene.stage.asg.terminate_by_aws(REGION, GROUP, &taken, false)?;
    let asked = || scene.component(&taken).is_some_and(|jibri| jibri.leaving && jibri.state == "recording");
    scene.until("it is asked to leave once it is done", async || asked()).await;
    scene.restart_scaler().await?;
    held_for_long(&scene).await;
    assert!(is_held(&scene, &taken) && scene.state(&taken) == "recording");

    assert!(scene.stage.jitsi.stop_recording(&taken)?);
    assert_eq!(scene.state(&taken), "uploading");
    scene.evaluations(2).await;
    assert!(scene.applied("CompleteLifecycleAction").is_empty());
    let_go(&scene, &taken).await;
    let recordings = scene.stage.jitsi.status().recordings;
    assert_eq!((recordings.completed, recordings.cut, recordings.lost), (1, 0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_that_aws_throttles_are_sent_again_in_time() -> Result<()> {
    let (scene, taken) = bridge_taken(&[("drain", 2 * HEARTBEAT)]).await?;
    scene.until("its hook is told to hold it on", async || heartbeats(&scene) > 0).await;
    let throttled = Fault::error("RecordLifecycleActionHeartbeat", ErrorCode::Throttling, 6);
    scene.stage.asg.add_fault(throttled)?;
    held_for_long(&scene).await;
    let calls = scene.stage.asg.calls(true);
    let refused = calls.iter().filter(|call| call.outcome == "Throttling").count();
    assert_eq!(refused, 6, "the fault has befallen them");
    assert!(scene.log().contains("throttled; the next evaluation tries again"));
    assert!(is_held(&scene, &taken));

    scene.stage.jitsi.end_conferences(&taken)?;
    let_go(&scene, &taken).await;
    assert_eq!(scene.stage.jitsi.status().conferences.cut, 0, "a conference was cut");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hook_held_is_held_on_while_aws_cannot_be_read() -> Result<()> {
    let (scene, taken) = bridge_taken(&[("drain", 2 * HEARTBEAT)]).await?;
    scene.until("its hook is told to hold it on", async || heartbeats(&scene) > 0).await;
    let blind = Fault::error("DescribeAutoScalingGroups", ErrorCode::Throttling, u64::MAX);
    scene.stage.asg.add_fault(blind)?;
    let share = async || scene.metric("jitsi_scaler_hook_limit_ratio", &[]).await;
    let (before, share_before) = (scene.stage.asg.calls(false).len(), share().await);
    held_for_long(&scene).await;
    assert!(share().await > share_before, "how near the hook is to its limit is told all the same");
    let calls = scene.stage.asg.calls(false);
    let looks: Vec<_> =
        calls[before..].iter().filter(|it| it.action == "DescribeAutoScalingGroups").collect();
    assert!(!looks.is_empty() && looks.iter().all(|it| it.outcome == "Throttling"), "{looks:#?}");
    assert!(is_held(&scene, &taken), "it was lost while nobody could see it");

    scene.stage.asg.clear_faults();
    scene.stage.jitsi.end_conferences(&taken)?;
    let_go(&scene, &taken).await;
    assert_eq!(scene.stage.jitsi.status().conferences.cut, 0, "a conference was cut");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_hooks_only_the_one_that_is_named_is_served() -> Result<()> {
    let (scene, taken) = bridge_taken(&[("backup", 120), ("drain", 120)]).await?;
    scene.until("it is told", async || scene.is_blocked("hook_unknown").await).await;
    assert!(scene.log().contains("name it by lifecycle_hook"));
    scene.stage.jitsi.end_conferences(&taken)?;
    scene.evaluations(3).await;
    let asked = |action: &str| -> Vec<String> {
        let calls = scene.stage.asg.calls(true);
        let of_it = calls.into_iter().filter(|call| call.action == action);
        of_it.filter_map(|call| call.parameters.get("LifecycleHookName").cloned()).collect()
    };
    assert_eq!((asked("CompleteLifecycleAction"), heartbeats(&scene)), (Vec::new(), 0));
    assert!(is_held(&scene, &taken));

    let file = scene.stage.folder.join("scaler.yml");
    let named =
        std::fs::read_to_string(&file)?.replace("    drain:", "    lifecycle_hook: drain\n    drain:");
    std::fs::write(&file, named)?;
    let reloaded = reqwest::Client::new().post(format!("http://{}/-/reload", scene.stage.scaler.address));
    reloaded.send().await?.error_for_status()?;
    scene.until("it is let go", async || !scene.applied("CompleteLifecycleAction").is_empty()).await;
    // The other hook belongs to another program, and still holds it.
    scene.evaluations(3).await;
    assert!(is_held(&scene, &taken));
    let hooks = [asked("CompleteLifecycleAction"), asked("RecordLifecycleActionHeartbeat")].concat();
    assert!(hooks.iter().all(|hook| hook == "drain"), "{hooks:?}");
    assert_eq!(scene.applied("CompleteLifecycleAction").len(), 1);
    let failed = scene.metric("jitsi_scaler_effects_total", &["outcome=\"failed\""]).await;
    assert!(failed.abs() < 0.5, "what was done already is no failure:\n{}", scene.log());
    let waiting = scene.log();
    let last = waiting.lines().rfind(|line| line.contains(" action=")).context("a decision")?;
    assert!(!last.contains("hook_unknown"), "{last}");
    Ok(())
}
