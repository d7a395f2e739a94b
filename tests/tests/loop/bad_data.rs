//! Prometheus is down, has no data or refuses queries; groups do not exist.

use anyhow::Result;
use jitsi_tests::asg_sim::Component;
use jitsi_tests::jitsi_sim::{ComponentKind, InstanceSpec};

use crate::{GROUP, REGION, Scene, WANTING, group};

fn bridge(group: &str) -> InstanceSpec {
    InstanceSpec {
        component: ComponentKind::Jvb,
        group: group.to_owned(),
        region: REGION.to_owned(),
        zone: format!("{REGION}a"),
        boot_seconds: 0.0,
    }
}

/// The policy has no data; each decision and a metric say so, and nothing scales.
async fn assert_held(scene: &Scene) {
    scene.until_logged("hold at 1: constant has no data").await;
    scene.evaluations(3).await;
    assert!(scene.metric("jitsi_scaler_group_blocked", &["reason=\"unknown\""]).await > 0.0);
    assert!(scene.stage.asg.calls(true).is_empty());
}

async fn assert_raised(scene: &Scene) {
    scene.until("desired capacity is raised", async || scene.desired(GROUP) == 2).await;
    assert!(scene.metric("jitsi_scaler_group_blocked", &["reason=\"unknown\""]).await < 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_comes_late_is_waited_for() -> Result<()> {
    let mut scene = Scene::start(&[(GROUP, group(Component::Jvb, 1, 1, 1))], WANTING).await?;
    scene.stage.stop_prometheus().await?;
    scene.stage.scaler.process.terminate().await?;
    scene.set_bounds(GROUP, 1, 6)?;
    scene.stage.scaler = scene.stage.start_scaler().await?;
    scene.until_logged("failed to query prometheus; its datapoints count as missing").await;
    assert_held(&scene).await;
    let failed = scene.metric("jitsi_scaler_prometheus_queries_total", &["outcome=\"unreachable\""]).await;
    assert!(failed > 0.0);
    assert!(scene.log().contains("check prometheus.url and that it runs"));

    scene.stage.start_prometheus().await?;
    assert_raised(&scene).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_without_an_answer_holds_until_there_is_one() -> Result<()> {
    let scaler = WANTING.replace("vector(1)", "count(jvb_up{asg=\"elsewhere\"})");
    let scene = Scene::start(&[(GROUP, group(Component::Jvb, 1, 1, 6))], &scaler).await?;
    assert_held(&scene).await;
    scene.stage.jitsi.launch("i-elsewhere", bridge("elsewhere")).await?;
    assert_raised(&scene).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_that_prometheus_refuses_is_told_with_its_words() -> Result<()> {
    // Two bridges are one too many for the first fleet; the second fleet's query is always wrong.
    let scaler = WANTING.replace("vector(1)", "vector(0) + on() jvb_up{asg=\"elsewhere\"}")
        + r#"
  - name: broken
    component: jvb
    asg: {regions: [us-east-1], names: [second]}
    policies: [{name: typo, expr: 'sort_by_label(up, "asg")', period: 1s, scale_out: {when: ">= 1", periods: 2, add: 1}}]
"#;
    let groups = [(GROUP, group(Component::Jvb, 1, 1, 6)), ("second", group(Component::Jvb, 1, 1, 6))];
    let scene = Scene::start(&groups, &scaler).await?;
    for id in ["i-1", "i-2"] {
        scene.stage.jitsi.launch(id, bridge("elsewhere")).await?;
    }
    scene.until_logged("prometheus says execution: found duplicate series").await;
    scene.until_logged("prometheus says bad_data: ").await;
    let refused = scene.metric("jitsi_scaler_prometheus_queries_total", &["outcome=\"refused\""]).await;
    assert!(refused >= 2.0);
    // A single bridge may have been seen for a moment, for less than the required two periods.
    assert_held(&scene).await;

    scene.stage.jitsi.terminate("i-2").await?;
    scene.until("desired capacity is raised", async || scene.desired(GROUP) == 2).await;
    assert_eq!(scene.desired("second"), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_does_not_exist_is_told_and_the_others_are_scaled() -> Result<()> {
    let labelled = |name: &str| format!("label_replace(vector(1), 'asg', '{name}', '', '')");
    let expr = format!("{} or {}", labelled(GROUP), labelled("later"));
    let scaler = WANTING.replace("vector(1)", &format!("\"{expr}\"")).replace("[prod]", "[prod, later]");
    let scene = Scene::start(&[(GROUP, group(Component::Jvb, 1, 1, 6))], &scaler).await?;
    scene.until("the other group is scaled", async || scene.desired(GROUP) == 2).await;
    scene.until_logged("groups of the configuration do not exist").await;
    let missing = async || scene.metric("jitsi_scaler_fleet_groups_missing", &["fleet=\"wanting\""]).await;
    assert!((missing().await - 1.0).abs() < 0.5);
    let log = scene.log();
    let line = log.lines().find(|line| line.contains("do not exist")).unwrap_or_default();
    assert!(line.contains("level=error") && line.ends_with("groups=later"), "{line}");

    scene.stage.asg.put_group(REGION, "later", &group(Component::Jvb, 1, 1, 6))?;
    scene.until("it is scaled once it exists", async || scene.desired("later") == 2).await;
    scene.until("nothing is missing", async || missing().await < 0.5).await;
    Ok(())
}

/// One value for the groups named prod in a region.
fn in_region(region: &str, value: u32) -> String {
    format!(
        "label_replace(label_replace(vector({value}), 'asg', 'prod', '', ''), 'region', '{region}', '', '')"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_one_name_in_two_regions_are_told_apart_or_left_alone() -> Result<()> {
    let expr = format!("{} or {}", in_region(REGION, 0), in_region("eu-west-1", 1));
    let two =
        WANTING.replace("[us-east-1]", "[us-east-1, eu-west-1]").replace("vector(1)", &format!("\"{expr}\""));
    let scaler = two.replace("names: [prod]", "names: [prod], region_label: region");
    let scene = Scene::start(&[(GROUP, group(Component::Jvb, 1, 1, 6))], &scaler).await?;
    scene.stage.asg.put_group("eu-west-1", GROUP, &group(Component::Jvb, 1, 1, 6))?;
    let desired = |region: &str| scene.stage.asg.group(region, GROUP).map(|group| group.desired);
    scene.until("the one that wants it is scaled", async || desired("eu-west-1") == Some(2)).await;
    assert_eq!(desired(REGION), Some(1));

    // Without the label the series is ambiguous, even if one region cannot be read.
    let single = in_region("eu-west-1", 1);
    let scaler = WANTING
        .replace("[us-east-1]", "[us-east-1, eu-west-1]")
        .replace("vector(1)", &format!("\"{single}\""));
    let scene = Scene::start(&[("other", group(Component::Jvb, 1, 1, 6))], &scaler).await?;
    for region in [REGION, "eu-west-1"] {
        scene.stage.asg.put_group(region, GROUP, &group(Component::Jvb, 1, 1, 6))?;
    }
    scene.until_logged("series do not match the groups of the fleet one to one").await;
    scene.stage.asg.add_fault(jitsi_tests::asg_sim::Fault {
        region: Some("eu-west-1".to_owned()),
        ..jitsi_tests::asg_sim::Fault::error("*", jitsi_tests::asg_sim::ErrorCode::InternalFailure, 1000)
    })?;
    scene.until_logged("failed to read the groups").await;
    scene.evaluations(3).await;
    assert_eq!(scene.stage.asg.group(REGION, GROUP).map(|group| group.desired), Some(1));
    Ok(())
}
