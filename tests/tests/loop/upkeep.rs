//! Upkeep of a group without a policy: replacing unhealthy instances, recycling old ones, protecting busy ones, backing
//! off after failing launches, limiting drains, and leaving an operator's manual changes alone.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jitsi_tests::asg_sim::{Component, GroupSpec};
use jitsi_tests::harness::{Scaler, ScalerEnvironment, query};
use jitsi_tests::jitsi_sim::Faults;
use serde_json::Value;

use crate::{GROUP, REGION, Scene, bridges, group, jibris};

/// Seconds; longer than any test.
const LASTING: f64 = 600.0;

/// A fleet with these additional lines.
fn with(scaler: &str, more: &str) -> String {
    scaler.replace("    warmup: 0s\n", &format!("    warmup: 0s\n    {more}\n"))
}

/// A fleet whose drains may take two seconds.
fn limited(then: &str) -> String {
    bridges::SCALER.replace("max_in_flight: 1", &format!("max_in_flight: 1, timeout: 2s, on_timeout: {then}"))
}

/// Two bridges in use, one of which drains for longer than allowed.
async fn overdue(then: &str) -> Result<(Scene, String)> {
    let scene = Scene::start(&[(GROUP, group(Component::Jvb, 2, 2, 6))], &limited(then)).await?;
    for (bridge, people) in scene.serving(GROUP, 2).await?.iter().zip([2, 5]) {
        scene.stage.jitsi.place_conference(bridge, people, LASTING)?;
    }
    scene.set_bounds(GROUP, 1, 6)?;
    let leaving = scene.first_drain(GROUP).await?;
    scene.until_logged("effect=start_drain").await;
    Ok((scene, leaving))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_takes_too_long_is_told_and_waited_for() -> Result<()> {
    let (scene, leaving) = overdue("wait").await?;
    let overdue = async || scene.metric("jitsi_scaler_drains_overdue", &[]).await;
    scene.until("it is told", async || overdue().await > 0.5).await;
    scene.until_logged("longer than drain.timeout").await;
    scene.evaluations(2).await;
    assert_eq!(scene.state(&leaving), "draining");

    scene.stage.jitsi.end_conferences(&leaving)?;
    scene.settled(GROUP, 1).await;
    scene.until("it is over", async || overdue().await < 0.5).await;
    assert_eq!(scene.stage.jitsi.status().conferences.cut, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_takes_too_long_is_taken_back() -> Result<()> {
    let (scene, leaving) = overdue("undrain").await?;
    scene.until_logged("effect=stop_drain").await;
    scene.until("its tag goes", async || scene.drains(GROUP).is_empty()).await;
    assert_eq!(scene.state(&leaving), "running");
    // It counts as a scale-out, whose cooldown prevents an immediate new drain.
    scene.evaluations(4).await;
    assert!(scene.drains(GROUP).is_empty());
    assert!(scene.log().contains("the cooldown of stress allows no scale-in until"));
    assert_eq!((scene.desired(GROUP), scene.stage.jitsi.status().conferences.cut), (2, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_takes_too_long_is_ended_where_the_operator_says_so() -> Result<()> {
    let (scene, leaving) = overdue("terminate").await?;
    scene.settled(GROUP, 1).await;
    assert_eq!(scene.state(&leaving), "gone");
    let call = scene.applied("TerminateInstanceInAutoScalingGroup").pop().context("a termination")?;
    assert_eq!(call.parameters["ShouldDecrementDesiredCapacity"], "true");
    assert!(scene.log().contains("whatever it carries: its drain took longer than drain.timeout"));
    assert_eq!(scene.stage.jitsi.status().conferences.cut, 1, "that is what was asked for");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_of_an_operator_is_left_alone() -> Result<()> {
    let scene = Scene::start(&[(GROUP, group(Component::Jvb, 3, 3, 6))], bridges::SCALER).await?;
    let by_hand = scene.serving(GROUP, 3).await?.swap_remove(0);
    let address = scene.component(&by_hand).context("a bridge")?.private_ip;
    let url = format!("http://{address}:8080/colibri/drain/enable");
    reqwest::Client::builder().no_proxy().build()?.post(url).send().await?.error_for_status()?;
    scene
        .until("Prometheus knows", async || {
            let draining = query(&scene.stage.prometheus.url, "jvb_draining == 1", "instance_id").await;
            draining.is_ok_and(|draining| draining.len() == 1)
        })
        .await;

    // One of the two serving bridges leaves; the other stays, because the manually drained one does not serve.
    scene.set_bounds(GROUP, 1, 6)?;
    scene.settled(GROUP, 2).await;
    scene.until("the last one that serves stays", async || scene.is_blocked("last_serving").await).await;
    scene.evaluations(3).await;
    assert_eq!((scene.state(&by_hand).as_str(), scene.desired(GROUP)), ("draining", 2));
    let log = scene.log();
    let concerned = log.lines().filter(|line| line.contains("effect=") && line.contains(&by_hand));
    assert_eq!(concerned.collect::<Vec<_>>(), Vec::<&str>::new());
    Ok(())
}

fn ill() -> Faults {
    Faults { unhealthy: true, ..Faults::default() }
}

const REPLACE: &str = r#"replace_unhealthy: {expr: "jibri_healthy == 0", periods: 2}"#;

#[tokio::test(flavor = "multi_thread")]
async fn ill_jibris_are_replaced_one_at_a_time_and_finish_what_they_record() -> Result<()> {
    let scaler = with(jibris::SCALER, REPLACE);
    let scene = Scene::start(&[(GROUP, group(Component::Jibri, 6, 6, 9))], &scaler).await?;
    let jibris = scene.serving(GROUP, 6).await?;
    let (records, idle) = (&jibris[0], &jibris[1]);
    scene.stage.jitsi.place_recording(records, LASTING, 2.0)?;
    for jibri in [records, idle] {
        scene.stage.jitsi.set_faults(jibri, ill()).await?;
    }
    let told_ill = || {
        let calls = scene.applied("SetInstanceHealth").into_iter();
        calls.map(|call| call.parameters["InstanceId"].clone()).collect::<BTreeSet<_>>()
    };
    let mut most = 0;
    let mut stopped = false;
    scene
        .until("both are replaced", async || {
            most = most.max(scene.drains(GROUP).len());
            let asked = scene.component(records).is_some_and(|jibri| jibri.leaving);
            if asked && !stopped {
                assert!(!told_ill().contains(records), "it records");
                stopped = scene.stage.jitsi.stop_recording(records).expect("it is there");
            }
            let gone = [records, idle].iter().all(|jibri| scene.lifecycle(GROUP, jibri).is_none());
            gone && scene.drains(GROUP).is_empty()
                && scene.group(GROUP).is_ok_and(|it| it.instances.len() == 6)
        })
        .await;
    assert_eq!(most, 1, "one at a time");
    assert_eq!(told_ill(), [records.clone(), idle.clone()].into());
    assert!(scene.applied("TerminateInstanceInAutoScalingGroup").is_empty());
    assert!(scene.applied("SetDesiredCapacity").is_empty());
    assert_eq!(scene.desired(GROUP), 6);
    let recordings = scene.stage.jitsi.status().recordings;
    assert_eq!((recordings.completed, recordings.cut, recordings.lost), (1, 0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ill_bridge_is_replaced_at_once_when_its_conference_has_ended() -> Result<()> {
    let scaler = with(bridges::SCALER, r#"replace_unhealthy: {expr: "jvb_healthy == 0", periods: 2}"#);
    let scene = Scene::start(&[(GROUP, group(Component::Jvb, 4, 4, 9))], &scaler).await?;
    let ill_one = scene.serving(GROUP, 4).await?.swap_remove(0);
    scene.stage.jitsi.place_conference(&ill_one, 5, LASTING)?;
    scene.stage.jitsi.set_faults(&ill_one, ill()).await?;
    scene.until("it is asked to drain", async || scene.state(&ill_one) == "draining").await;
    scene.evaluations(3).await;
    assert!(scene.applied("TerminateInstanceInAutoScalingGroup").is_empty(), "it is still in use");

    scene.stage.jitsi.end_conferences(&ill_one)?;
    scene
        .until("another one is in its place", async || {
            scene.lifecycle(GROUP, &ill_one).is_none()
                && scene.drains(GROUP).is_empty()
                && scene.group(GROUP).is_ok_and(|it| it.instances.len() == 4)
        })
        .await;
    // It answered to the end: the scaler terminates it, because AWS may take minutes to replace an unhealthy instance.
    let calls = scene.applied("TerminateInstanceInAutoScalingGroup");
    let told: Vec<_> = calls
        .iter()
        .map(|call| [&call.parameters["InstanceId"], &call.parameters["ShouldDecrementDesiredCapacity"]])
        .collect();
    assert_eq!(told, [[ill_one.as_str(), "false"]]);
    assert!(scene.applied("SetInstanceHealth").is_empty() && scene.applied("SetDesiredCapacity").is_empty());
    assert_eq!((scene.desired(GROUP), scene.stage.jitsi.status().conferences.cut), (4, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn when_most_look_ill_at_once_nothing_is_replaced() -> Result<()> {
    let scaler = with(jibris::SCALER, REPLACE);
    let mut scene = Scene::start(&[(GROUP, group(Component::Jibri, 4, 4, 9))], &scaler).await?;
    let jibris = scene.serving(GROUP, 4).await?;
    // Scrapes are spread over the second: the test waits until all three look unhealthy.
    scene.stage.scaler.process.cut_off().await?;
    for jibri in &jibris[..3] {
        scene.stage.jitsi.set_faults(jibri, ill()).await?;
    }
    scene
        .until("Prometheus knows", async || {
            let ill = "max_over_time(jibri_healthy[4s]) == 0";
            let ill = query(&scene.stage.prometheus.url, ill, "instance_id").await;
            ill.is_ok_and(|ill| ill.len() == 3)
        })
        .await;
    scene.stage.scaler = scene.stage.start_scaler().await?;
    scene.until("it is told", async || scene.is_blocked("mostly_ill").await).await;
    scene.evaluations(4).await;
    assert!(scene.drains(GROUP).is_empty() && scene.applied("SetInstanceHealth").is_empty());
    assert!(scene.log().contains("3 of 4 instances look ill at once"));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the night has to lie around the present of the programs")]
fn now() -> jiff::Zoned {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_of_recycling_leaves_no_old_instance_and_as_many_as_before() -> Result<()> {
    let now = now();
    let clock = |minutes: i64| (&now + jiff::Span::new().minutes(minutes)).strftime("%H:%M").to_string();
    let recycle =
        format!("recycle: {{max_age: 1h, from: \"{}\", to: \"{}\", timezone: UTC}}", clock(-5), clock(30));
    // No policy wants anything.
    let quiet = jibris::SCALER.replace("\">= 2\"", "\">= 50\"");
    let groups = [(GROUP, group(Component::Jibri, 2, 2, 6))];
    let mut scene = Scene::start(&groups, &with(&quiet, &recycle)).await?;
    let old = scene.serving(GROUP, 2).await?;
    scene.stage.jitsi.place_recording(&old[1], LASTING, 2.0)?;
    scene.evaluations(3).await;
    assert!(scene.stage.asg.calls(true).is_empty(), "they are young");

    // As if the day had passed; the process caches ages.
    scene.stage.asg.age(REGION, GROUP, Duration::from_hours(3))?;
    scene.restart_scaler().await?;
    let first_gone = async || scene.lifecycle(GROUP, &old[0]).is_none() && scene.desired(GROUP) == 2;
    scene.until("the old one that is idle is recycled", first_gone).await;
    scene.evaluations(3).await;
    assert_eq!(scene.state(&old[1]), "recording", "the one that records stays for as long");
    assert!(scene.stage.jitsi.stop_recording(&old[1])?);
    scene
        .until("the other one follows", async || {
            let group = scene.group(GROUP);
            scene.lifecycle(GROUP, &old[1]).is_none()
                && scene.desired(GROUP) == 2
                && group.is_ok_and(|group| !group.tags.contains_key("jitsi-scaler/recycling"))
        })
        .await;
    scene.evaluations(3).await;
    let raised: Vec<_> = scene
        .applied("SetDesiredCapacity")
        .iter()
        .map(|call| call.parameters["DesiredCapacity"].clone())
        .collect();
    assert_eq!(raised, ["3", "3"], "by one, once for each");
    assert_eq!(scene.applied("TerminateInstanceInAutoScalingGroup").len(), 2);
    assert_eq!((scene.desired(GROUP), scene.drains(GROUP).len()), (2, 0));
    let recordings = scene.stage.jitsi.status().recordings;
    assert_eq!((recordings.completed, recordings.cut, recordings.lost), (1, 0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_busy_is_protected_in_batches_and_on_change_only() -> Result<()> {
    let count = 52_u32;
    let scaler = with(bridges::SCALER, "protect_busy: true");
    let mut scene = Scene::start(&[(GROUP, group(Component::Jvb, count, count, 60))], &scaler).await?;
    scene.stage.scaler.process.cut_off().await?;
    let all = scene.serving(GROUP, 52).await?;
    for bridge in &all[..51] {
        scene.stage.jitsi.place_conference(bridge, 2, LASTING)?;
    }
    scene
        .until("Prometheus knows of everybody", async || {
            // At a start the scaler looks as of the last grid point.
            let expr = "jvb_participants offset 3s > 0";
            let busy = query(&scene.stage.prometheus.url, expr, "instance_id").await;
            busy.is_ok_and(|busy| busy.len() == 51)
        })
        .await;
    scene.stage.scaler = scene.stage.start_scaler().await?;
    let batches = || {
        let calls = scene.applied("SetInstanceProtection");
        let size = |call: &jitsi_tests::asg_sim::Call| {
            let ids = call.parameters.keys().filter(|key| key.starts_with("InstanceIds.member.")).count();
            (call.parameters["ProtectedFromScaleIn"].clone(), ids)
        };
        calls.iter().map(size).collect::<BTreeSet<_>>()
    };
    let protected =
        || scene.group(GROUP).map_or(0, |it| it.instances.iter().filter(|it| it.protected).count());
    scene.until("all that are busy are protected", async || protected() == 51).await;
    scene.evaluations(3).await;
    let on = |count| ("true".to_owned(), count);
    assert_eq!(batches(), [on(1), on(50)].into());
    assert_eq!(scene.applied("SetInstanceProtection").len(), 2, "once each");

    scene.stage.jitsi.end_conferences(&all[0])?;
    scene.until("the free one is not", async || protected() == 50).await;
    scene.evaluations(3).await;
    assert_eq!(batches(), [on(1), on(50), ("false".to_owned(), 1)].into());
    assert_eq!(scene.applied("SetInstanceProtection").len(), 3);
    Ok(())
}

/// As many bridges as participants, at least two.
const DEMAND: &str = r#"
prometheus: {url: "{prometheus}", timeout: 2s}
fleets:
  - name: jvb
    component: jvb
    asg: {regions: [us-east-1], names: [prod]}
    warmup: 0s
    policies:
      - name: people
        desired: sum by (asg) (jvb_participants)
        period: 1s
        scale_out: {periods: 2, cooldown: 1s}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn while_aws_cannot_launch_no_more_is_asked_for_and_nothing_is_given_up() -> Result<()> {
    let spec = GroupSpec { launch_retry_seconds: Some(1.0), ..group(Component::Jvb, 1, 1, 9) };
    let scene = Scene::start(&[(GROUP, spec)], DEMAND).await?;
    let bridge = scene.serving(GROUP, 1).await?.pop().context("a bridge")?;
    scene.stage.asg.fail_launches(REGION, GROUP, 10_000, None)?;
    scene.stage.jitsi.place_conference(&bridge, 2, LASTING)?;
    scene.until("one more is wanted", async || scene.desired(GROUP) == 2).await;
    scene.until("AWS is seen to fail", async || scene.is_blocked("launch_failing").await).await;
    assert!(scene.metric("jitsi_scaler_launch_failing", &[]).await > 0.5);

    scene.stage.jitsi.place_conference(&bridge, 3, LASTING)?;
    scene.until_logged("people has wanted 5").await;
    scene.evaluations(4).await;
    assert_eq!(scene.desired(GROUP), 2, "it is neither raised further nor lowered");
    let words =
        "We currently do not have sufficient c5.xlarge capacity in the Availability Zone you requested";
    assert!(scene.log().contains(words), "the log has the words of AWS");
    let environment = ScalerEnvironment { aws: scene.stage.asg.url() };
    let file = scene.stage.folder.join("scaler.yml");
    let plan = ["plan", "--config.file", file.to_str().context("a path")?];
    let plan = String::from_utf8(Scaler::output(&plan, &environment).await?.stdout)?;
    assert!(plan.contains("hold at 2") && plan.contains(words), "a new process knows it too: {plan}");

    scene.stage.asg.fail_launches(REGION, GROUP, 0, None)?;
    scene.until("all that are wanted are there", async || scene.desired(GROUP) == 5).await;
    assert!(!scene.is_blocked("launch_failing").await);
    let asked: Vec<_> = scene
        .applied("SetDesiredCapacity")
        .iter()
        .map(|call| call.parameters["DesiredCapacity"].clone())
        .collect();
    assert_eq!(asked, ["2", "5"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_shows_drains_and_who_would_be_next() -> Result<()> {
    let scene = Scene::start(&[(GROUP, group(Component::Jvb, 3, 3, 6))], bridges::SCALER).await?;
    let all = scene.serving(GROUP, 3).await?;
    for (bridge, people) in all.iter().zip([2, 5, 9]) {
        scene.stage.jitsi.place_conference(bridge, people, LASTING)?;
    }
    scene
        .until("Prometheus knows of everybody", async || {
            let busy = query(&scene.stage.prometheus.url, "jvb_participants > 1", "instance_id").await;
            busy.is_ok_and(|busy| busy.len() == 3)
        })
        .await;
    scene.set_bounds(GROUP, 2, 6)?;
    let leaving = scene.first_drain(GROUP).await?;
    scene.until("the bridge is asked to drain", async || scene.state(&leaving) == "draining").await;
    assert_eq!(leaving, all[0], "the one with the fewest people");
    scene.evaluations(2).await;

    let environment = ScalerEnvironment { aws: scene.stage.asg.url() };
    let file = scene.stage.folder.join("scaler.yml");
    let plan = async |form| {
        let arguments = ["plan", "--output", form, "--config.file", file.to_str().context("a path")?];
        anyhow::Ok(String::from_utf8(Scaler::output(&arguments, &environment).await?.stdout)?)
    };
    let json: Value = serde_json::from_str(&plan("json").await?)?;
    let told = &json["groups"][0];
    let [drain] = told["drains"].as_array().context("drains")?.as_slice() else { panic!("{told:#}") };
    for (key, value) in [
        ("instance", leaving.as_str()),
        ("state", "draining"),
        ("purpose", "scale-in"),
        ("waits_for", "it is still in use"),
    ] {
        assert_eq!(drain[key], value, "{drain:#}");
    }
    assert!(drain["age_seconds"].as_u64().is_some_and(|age| (1..300).contains(&age)), "{drain:#}");
    assert!(drain["since"].as_str().context("a time")?.parse::<jiff::Timestamp>().is_ok());
    assert_eq!((&drain["overdue"], &told["next_victim"]), (&false.into(), &all[1].as_str().into()));

    let text = plan("text").await?;
    let line = text.lines().find(|line| line.starts_with("  drain: ")).with_context(|| text.clone())?;
    assert!(line.starts_with(&format!("  drain: {leaving} draining for ")), "{line}");
    assert!(line.ends_with(" s (scale-in): it is still in use"), "{line}");
    assert!(text.contains(&format!("  a scale-in would drain {} first\n", all[1])), "{text}");
    assert!(text.contains("draining 1,"), "{text}");
    Ok(())
}
