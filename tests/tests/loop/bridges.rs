//! Draining bridges: no participant loses a call, whatever fails meanwhile.

use anyhow::{Context as _, Result};
use jitsi_tests::asg_sim::Component;
use jitsi_tests::jitsi_sim::{Faults, Feature, Lengths, Load, Profile};
use test_case::test_case;

use crate::{GROUP, Scene, group};

/// Seconds; longer than any test.
const LASTING: f64 = 600.0;

pub(crate) const SCALER: &str = r#"
prometheus: {url: "{prometheus}", timeout: 2s}
fleets:
  - name: jvb
    component: jvb
    asg: {regions: [us-east-1], names: [prod]}
    warmup: 0s
    policies:
      - name: stress
        expr: asg:jvb_stress:avg
        measures: load
        period: 1s
        scale_out: {when: ">= 0.5", periods: 2, add: 1, cooldown: 5m}
        scale_in: {when: "<= 0.2", periods: 2, remove: 1, cooldown: 1s}
    drain: {via: "http://{private_ip}:8080", max_in_flight: 1, settle: 300ms}
"#;

/// The course of an undisturbed drain.
const UNDISTURBED: [&str; 7] =
    ["mark_scaled", "mark_drain", "start_drain", "mark_drain", "close", "terminate", "clear_drain"];

/// Two bridges with a conference on each; one may leave once the minimum allows it.
async fn two_in_use() -> Result<(Scene, [String; 2])> {
    two_in_use_with(SCALER).await
}

async fn two_in_use_with(config: &str) -> Result<(Scene, [String; 2])> {
    let scene = Scene::start(&[(GROUP, group(Component::Jvb, 2, 2, 6))], config).await?;
    let bridges = scene.serving(GROUP, 2).await?;
    for (bridge, people) in bridges.iter().zip([2, 5]) {
        scene.stage.jitsi.place_conference(bridge, people, LASTING)?;
    }
    Ok((scene, bridges.try_into().ok().context("two bridges")?))
}

/// The draining bridge, with its conference still on it, and the one that stays.
async fn one_draining(scene: &Scene, bridges: &[String; 2]) -> Result<(String, String)> {
    scene.set_bounds(GROUP, 1, 6)?;
    let leaving = scene.first_drain(GROUP).await?;
    scene.until("the bridge is asked to drain", async || scene.state(&leaving) == "draining").await;
    let staying = bridges.iter().find(|bridge| **bridge != leaving).context("another bridge")?;
    Ok((leaving, staying.clone()))
}

fn assert_nothing_cut(scene: &Scene) {
    assert_eq!(scene.stage.jitsi.status().conferences.cut, 0, "a conference was cut");
    assert!(scene.applied("SetDesiredCapacity").is_empty(), "capacity is lowered by terminating only");
}

#[test_case(SCALER; "compressed")]
#[test_case(&SCALER.replace(", settle: 300ms", ""); "at the default of settle")]
#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_goes_only_after_its_conference_has_ended(config: &str) -> Result<()> {
    let (scene, bridges) = two_in_use_with(config).await?;
    let (leaving, _) = one_draining(&scene, &bridges).await?;
    scene.evaluations(4).await;
    assert_eq!(scene.state(&leaving), "draining");
    assert!(scene.applied("TerminateInstanceInAutoScalingGroup").is_empty());
    assert!(scene.log().contains(&format!("{leaving} draining for")), "the decision tells what it waits for");

    assert_eq!(scene.stage.jitsi.end_conferences(&leaving)?, 1);
    scene.settled(GROUP, 1).await;
    assert_eq!(scene.performed(), UNDISTURBED);
    assert_nothing_cut(&scene);

    // The calls of AWS in order: tags come first, so that a crash at any point leaves a trace.
    let drain = format!("jitsi-scaler/drain/{leaving}");
    let calls = scene.stage.asg.calls(true);
    let told: Vec<String> = calls
        .iter()
        .map(|call| {
            let parameter = |name: &str| call.parameters.get(name).map_or("", String::as_str);
            let state = parameter("Tags.member.1.Value").split(' ').nth(1).unwrap_or_default();
            match call.action.as_str() {
                "CreateOrUpdateTags" if parameter("Tags.member.1.Key") == drain => format!("tag {state}"),
                "CreateOrUpdateTags" => format!("tag {}", parameter("Tags.member.1.Key")),
                "DeleteTags" => format!("untag {}", parameter("Tags.member.1.Key")),
                action => format!("{action} {}", parameter("ShouldDecrementDesiredCapacity")),
            }
        })
        .collect();
    let expected = [
        "tag jitsi-scaler/scaled-in".to_owned(),
        "tag draining".to_owned(),
        "tag asked".to_owned(),
        "tag closed".to_owned(),
        "TerminateInstanceInAutoScalingGroup true".to_owned(),
        format!("untag {drain}"),
    ];
    assert_eq!(told, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn load_that_returns_cancels_the_drain_before_anything_is_launched() -> Result<()> {
    let (scene, bridges) = two_in_use().await?;
    let (leaving, staying) = one_draining(&scene, &bridges).await?;

    scene.stage.jitsi.place_conference(&staying, 40, LASTING)?;
    scene.until("the drain is cancelled", async || scene.drains(GROUP).is_empty()).await;
    assert_eq!(scene.state(&leaving), "running");
    scene.evaluations(3).await;
    assert_nothing_cut(&scene);
    assert_eq!((scene.desired(GROUP), scene.group(GROUP)?.instances.len()), (2, 2));

    // Jicofo gives it conferences again.
    let lengths = Lengths { conference_seconds: LASTING, recorded_share: 0.0, ..Lengths::default() };
    let profile = Profile::Steady { conferences_per_minute: 300.0, duration_seconds: Some(1.0) };
    scene.stage.jitsi.set_load(&Load { profile, seed: Some(1), lengths: Some(lengths) })?;
    let conferences = || scene.component(&leaving).map_or(0, |bridge| bridge.conferences);
    scene.until("conferences come to it", async || conferences() > 1).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_without_a_shutdown_interface_leaves_when_seen_empty_twice() -> Result<()> {
    let scene = Scene::start(&[(GROUP, group(Component::Jvb, 2, 2, 6))], SCALER).await?;
    for bridge in scene.serving(GROUP, 2).await? {
        let faults = Faults { shutdown: Feature::Off, ..Faults::default() };
        scene.stage.jitsi.set_faults(&bridge, faults).await?;
    }
    scene.set_bounds(GROUP, 1, 6)?;
    let leaving = scene.first_drain(GROUP).await?;
    scene.settled(GROUP, 1).await;
    assert_eq!(scene.performed(), UNDISTURBED);
    assert_eq!(scene.state(&leaving), "gone");

    let tags = scene.applied("CreateOrUpdateTags");
    let written = |state| tags.iter().any(|call| call.parameters["Tags.member.1.Value"].contains(state));
    assert!(written(" unclosable ") && !written(" closed "), "{tags:#?}");
    let log = scene.log();
    let once = log.find("it is empty; a second look must confirm that").context("it is seen once")?;
    assert!(once < log.find("effect=close").context("it is asked to close")?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_with_its_statistics_off_leaves_by_its_own_metrics() -> Result<()> {
    let (scene, bridges) = two_in_use().await?;
    for bridge in &bridges {
        let faults = Faults { rest: Feature::Off, ..Faults::default() };
        scene.stage.jitsi.set_faults(bridge, faults).await?;
    }
    let (leaving, _) = one_draining(&scene, &bridges).await?;
    scene.evaluations(3).await;
    assert_eq!(scene.state(&leaving), "draining");
    assert_eq!(scene.stage.jitsi.end_conferences(&leaving)?, 1);
    scene.settled(GROUP, 1).await;
    // The same switch takes the final request away.
    assert_eq!(scene.performed(), UNDISTURBED);
    assert_nothing_cut(&scene);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_does_not_say_what_it_carries_is_not_drained() -> Result<()> {
    let (scene, _) = two_in_use_with(&SCALER.replace(":8080", ":8081")).await?;
    scene.set_bounds(GROUP, 1, 6)?;
    scene.until_logged("no answer tells the load of").await;
    scene.evaluations(2).await;
    assert!(scene.performed().is_empty(), "{:?}", scene.performed());
    assert!(scene.log().contains("videobridge.apis.rest.enabled"), "the log names the setting");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_cannot_be_asked_stays_and_delays_nobody_else() -> Result<()> {
    let groups = [(GROUP, group(Component::Jvb, 2, 2, 6)), ("other", group(Component::Jvb, 1, 1, 6))];
    let scene = Scene::start(&groups, &SCALER.replace("[prod]", "[prod, other]")).await?;
    let bridges: [String; 2] = scene.serving(GROUP, 2).await?.try_into().ok().context("two bridges")?;
    let other = scene.serving("other", 1).await?.pop().context("a bridge")?;
    for bridge in &bridges {
        scene.stage.jitsi.place_conference(bridge, 2, LASTING)?;
    }
    let (leaving, _) = one_draining(&scene, &bridges).await?;

    let hangs = Faults { hang: true, ..Faults::default() };
    let fails = Faults { status: Some(500), ..Faults::default() };
    let page = Faults { body: Some("<html>It works!</html>".to_owned()), ..Faults::default() };
    scene.stage.jitsi.set_faults(&leaving, hangs).await?;
    scene.stage.jitsi.end_conferences(&leaving)?;
    scene.stage.jitsi.place_conference(&other, 40, LASTING)?;
    scene.until("the other group scales out meanwhile", async || scene.desired("other") == 2).await;
    for (what, faults) in [("500", fails), ("a page", page)] {
        scene.stage.jitsi.set_faults(&leaving, faults).await?;
        scene.evaluations(3).await;
        assert!(scene.applied("TerminateInstanceInAutoScalingGroup").is_empty(), "{what}");
        assert_eq!(scene.drains(GROUP), [leaving.as_str()], "{what}");
    }
    assert!(scene.log().contains("failed to ask a draining instance"));

    scene.stage.jitsi.set_faults(&leaving, Faults::default()).await?;
    scene.settled(GROUP, 1).await;
    assert_eq!(scene.state(&leaving), "gone");
    assert_eq!(scene.stage.jitsi.status().conferences.cut, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scaler_that_is_killed_takes_its_drains_up_again() -> Result<()> {
    let (mut scene, _) = two_in_use().await?;
    scene.set_bounds(GROUP, 1, 6)?;
    // A crash between the tag and the drain, or just after it.
    let leaving = scene.first_drain(GROUP).await?;
    scene.stage.scaler.process.cut_off().await?;
    scene.stage.scaler = scene.stage.start_scaler().await?;
    scene.until("the bridge drains", async || scene.state(&leaving) == "draining").await;
    scene.evaluations(2).await;
    assert_eq!(scene.drains(GROUP), [leaving.as_str()], "one drain at a time");

    scene.stage.jitsi.end_conferences(&leaving)?;
    let closing = |tags: &str| tags.contains(" closed ");
    let key = format!("jitsi-scaler/drain/{leaving}");
    scene
        .until("the final request is made", async || {
            let group = scene.group(GROUP);
            group.is_ok_and(|group| group.tags.get(&key).is_none_or(|tag| closing(&tag.value)))
        })
        .await;
    scene.stage.scaler.process.cut_off().await?;
    scene.stage.scaler = scene.stage.start_scaler().await?;
    scene.settled(GROUP, 1).await;
    assert_eq!(scene.state(&leaving), "gone");
    assert_eq!(scene.applied("TerminateInstanceInAutoScalingGroup").len(), 1);
    assert_nothing_cut(&scene);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_refuses_connections_unasked_is_not_taken_for_gone() -> Result<()> {
    let (scene, bridges) = two_in_use().await?;
    let (leaving, _) = one_draining(&scene, &bridges).await?;
    let refuses = Faults { refuse: true, ..Faults::default() };
    let dies = Faults { die: true, ..Faults::default() };
    for (what, faults) in [("refuses", refuses), ("has died", dies)] {
        scene.stage.jitsi.set_faults(&leaving, faults).await?;
        scene.evaluations(3).await;
        assert!(scene.applied("TerminateInstanceInAutoScalingGroup").is_empty(), "it {what}");
        assert_eq!(scene.drains(GROUP), [leaving.as_str()], "it {what}");
    }
    assert!(scene.log().contains("it refuses connections although it was not asked to exit"));

    // A restarted bridge has lost its drain mode; the drain begins again.
    scene.stage.jitsi.set_faults(&leaving, Faults::default()).await?;
    scene.settled(GROUP, 1).await;
    let performed = scene.performed();
    assert_eq!(performed.iter().filter(|effect| *effect == "start_drain").count(), 2, "{performed:?}");
    assert_nothing_cut(&scene);
    Ok(())
}
