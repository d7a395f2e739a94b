//! Orders of operators, with the scaler killed between any two of its steps: what was ordered is done to its end.

use std::time::Duration;

use anyhow::{Context as _, Result};
use jitsi_tests::asg_sim::{Component, ErrorCode, Fault, Lifecycle};
use jitsi_tests::wait::wait_until;
use serde_json::{Value, json};
use test_case::test_case;

use crate::{GROUP, PASSWORD, Scene, group, hands};

/// Seconds; longer than any test.
const LASTING: f64 = 600.0;
const USER: &str = "operator";
/// More steps than any order takes.
const MOST: usize = 40;

/// An order, and what shows that it is noted and that it has been carried out to its end.
struct Case<'a> {
    verb: &'static str,
    body: Value,
    bridge: &'a str,
    is_noted: &'a dyn Fn(&Scene) -> bool,
    is_done: &'a dyn Fn(&Scene) -> bool,
}

impl Case<'_> {
    /// Sends the order, and does not wait for a scaler that was refused or not answered.
    async fn send(&self, scene: &Scene) {
        let address = scene.stage.scaler.address;
        let url =
            format!("http://{address}/api/v1/fleets/jvb/{GROUP}/instances/{}/{}", self.bridge, self.verb);
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client.post(&url).basic_auth(USER, Some(PASSWORD)).json(&self.body);
        // Whether it is noted is seen at AWS.
        drop(request.timeout(Duration::from_secs(3)).send().await);
    }

    /// Carries the order out, and kills the scaler before and after each change that it makes at AWS. What it asks of a
    /// bridge lies between two of these. Returns how often it was killed.
    async fn carry_out(&self, scene: &mut Scene) -> Result<usize> {
        // The next change is refused, or it takes effect and its answer is lost. A scaler that was killed between a change
        // and what follows makes that change once more, and is killed next when it has gone on.
        let (mut refuses, mut skips, mut last) = (true, 0, None);
        for kills in 0..MOST {
            let before = scene.stage.asg.calls(true).len();
            let fault = Fault {
                changes_only: true,
                error: refuses.then_some(ErrorCode::Throttling),
                apply_then_timeout: !refuses,
                skips,
                times: (!refuses).then_some(1),
                ..Fault::default()
            };
            scene.stage.asg.add_fault(fault)?;
            if kills > 0 {
                scene.start_guarded(&[]).await?;
            }
            let struck = |scene: &Scene| {
                let calls = scene.stage.asg.calls(true).into_iter().skip(before);
                calls.filter(|call| call.outcome != "ok").map(|call| (call.action, call.parameters)).next()
            };
            let comes = wait_until(crate::SOON, async || {
                if struck(scene).is_none() && !(self.is_noted)(scene) {
                    self.send(scene).await;
                }
                struck(scene).is_some() || (self.is_done)(scene)
            });
            let is_done = comes.await.is_ok();
            assert!(is_done, "{} after {kills} kills: nothing more is done\n{}", self.body, scene.tail());
            let Some(struck) = struck(scene) else {
                scene.stage.asg.clear_faults();
                return Ok(kills);
            };
            scene.stage.scaler.process.cut_off().await?;
            scene.stage.asg.clear_faults();
            let repeats = refuses && skips == 0 && last.as_ref() == Some(&struck);
            (refuses, skips) = (!refuses || repeats, u64::from(repeats));
            last = Some(struck);
        }
        anyhow::bail!("it is never done: {:#?}", scene.stage.asg.calls(true))
    }
}

fn tag(scene: &Scene, bridge: &str) -> String {
    let tags = scene.group(GROUP).map(|group| group.tags).unwrap_or_default();
    tags.get(&format!("jitsi-scaler/drain/{bridge}")).map(|tag| tag.value.clone()).unwrap_or_default()
}

#[test_case("replace", 3; "replace")]
#[test_case("shrink", 2; "shrink")]
#[test_case("keep", 3; "keep and undrain")]
#[tokio::test(flavor = "multi_thread")]
async fn a_scaler_that_is_killed_at_any_step_carries_out(then: &str, left: usize) -> Result<()> {
    let mut scene = Scene::start(&[(GROUP, group(Component::Jvb, 2, 3, 6))], &hands::quiet()).await?;
    let bridges = scene.serving(GROUP, 3).await?;
    for bridge in &bridges {
        scene.stage.jitsi.place_conference(bridge, 5, LASTING)?;
    }
    let bridge = bridges.first().context("a bridge")?.as_str();
    scene.guard(&[USER], &[]).await?;

    // Its people leave once it drains; who is kept drained has people to the end.
    let leaves = |scene: &Scene| {
        if then != "keep" && scene.state(bridge) == "draining" {
            scene.stage.jitsi.end_conferences(bridge).expect("the bridge exists");
        }
    };
    let is_done = |scene: &Scene| {
        leaves(scene);
        let tag = tag(scene, bridge);
        match then {
            "keep" => tag.contains(" draining keep by operator") && scene.state(bridge) == "draining",
            _ => tag.is_empty() && scene.lifecycle(GROUP, bridge).is_none(),
        }
    };
    let is_noted = |scene: &Scene| {
        let has_left = scene.lifecycle(GROUP, bridge).is_none_or(|it| it != Lifecycle::InService);
        has_left || !tag(scene, bridge).is_empty()
    };
    let body = json!({"then": then, "reason": "kernel"});
    let order = Case { verb: "drain", body, bridge, is_noted: &is_noted, is_done: &is_done };
    let mut kills = order.carry_out(&mut scene).await?;
    if then == "keep" {
        let is_noted = |scene: &Scene| !tag(scene, bridge).contains(" draining ");
        let is_done = |scene: &Scene| tag(scene, bridge).is_empty() && scene.state(bridge) == "running";
        let (verb, body) = ("undrain", json!({}));
        kills +=
            Case { verb, body, bridge, is_noted: &is_noted, is_done: &is_done }.carry_out(&mut scene).await?;
    }
    assert!(kills >= 6, "each change is made between two kills: {kills}");

    scene
        .until("the group is at rest", async || {
            let group = scene.group(GROUP);
            group.is_ok_and(|group| group.instances.len() == left && scene.drains(GROUP).is_empty())
        })
        .await;
    assert_eq!((scene.desired(GROUP), scene.applied("SetDesiredCapacity").len()), (u32::try_from(left)?, 0));
    let ended = scene.applied("TerminateInstanceInAutoScalingGroup");
    let ended: Vec<_> =
        ended.iter().map(|call| call.parameters["ShouldDecrementDesiredCapacity"].as_str()).collect();
    let expected: &[&str] = match then {
        "replace" => &["false"],
        "shrink" => &["true"],
        _ => &[],
    };
    assert_eq!(ended, expected);
    let people = scene.stage.jitsi.status().conferences;
    assert_eq!((people.cut, people.lost), (0, 0));
    Ok(())
}
