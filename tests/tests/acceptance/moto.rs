//! The scaler against moto, an independent emulator of AWS.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use aws_config::BehaviorVersion;
use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::config::Credentials;
use jitsi_tests::harness::{Exporter, Moto, Prometheus, Scaler, ScalerEnvironment, prometheus_config, query};
use jitsi_tests::jitsi_sim::instance::InstanceSpec;
use jitsi_tests::jitsi_sim::{self, ComponentKind, JitsiSim};
use jitsi_tests::wait::wait_until;

const REGION: &str = "us-east-1";
const PATIENCE: Duration = Duration::from_secs(40);

/// One group under one scaler, with the rule of the README in seconds instead of minutes.
fn config(prometheus: &str, group: &str) -> String {
    format!(
        r#"
prometheus: {{url: "{prometheus}", timeout: 2s}}
fleets:
  - name: jibri
    component: jibri
    asg: {{regions: [{REGION}], names: [{group}]}}
    warmup: 2s
    policies:
      - name: pool
        # One group's samples for both: those of two are scraped at different moments.
        expr: label_replace(asg:jibri_available:sum{{asg="killed"}}, "asg", "{group}", "", "")
        measures: idle
        period: 1s
        scale_out: {{when: "< 2", periods: 5, add: 1, cooldown: 60s}}
"#
    )
}

async fn aws(endpoint: &str) -> Client {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(REGION)
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .load()
        .await;
    Client::new(&config)
}

/// A group of three instances in moto, each with a Jibri of the same ID in the simulator.
async fn group(client: &Client, jitsi: &JitsiSim, name: &str) -> anyhow::Result<Vec<String>> {
    client
        .create_auto_scaling_group()
        .auto_scaling_group_name(name)
        .launch_configuration_name("jibri")
        .min_size(1)
        .max_size(9)
        .desired_capacity(3)
        .availability_zones("us-east-1a")
        .send()
        .await?;
    let described = client.describe_auto_scaling_groups().auto_scaling_group_names(name).send().await?;
    let group = described.auto_scaling_groups().first().context("the group")?;
    let ids: Vec<String> =
        group.instances().iter().filter_map(|it| it.instance_id().map(str::to_owned)).collect();
    anyhow::ensure!(ids.len() == 3, "moto launched {ids:?}");
    for id in &ids {
        let spec = InstanceSpec {
            component: ComponentKind::Jibri,
            group: name.to_owned(),
            region: REGION.to_owned(),
            zone: format!("{REGION}a"),
            boot_seconds: 0.0,
        };
        jitsi.launch(id, spec).await?;
    }
    Ok(ids)
}

async fn desired(client: &Client, name: &str) -> anyhow::Result<i32> {
    let described = client.describe_auto_scaling_groups().auto_scaling_group_names(name).send().await?;
    let group = described.auto_scaling_groups().first().context("the group")?;
    group.desired_capacity().context("a desired capacity")
}

/// The grid points of scale-outs in the log of a scaler.
fn scale_outs(scaler: &Scaler) -> Vec<String> {
    scaler
        .process
        .output()
        .lines()
        .filter(|line| line.contains("action=scale_out"))
        .filter_map(|line| Some(line.split_once(" time=")?.1.split(' ').next()?.to_owned()))
        .collect()
}

fn decisions(scaler: &Scaler) -> usize {
    scaler.process.output().lines().filter(|line| line.contains(" action=")).count()
}

async fn start(
    name: &str,
    folder: &Path,
    prometheus: &str,
    environment: &ScalerEnvironment,
) -> anyhow::Result<Scaler> {
    let file = folder.join(format!("{name}.yml"));
    std::fs::write(&file, config(prometheus, name))?;
    Scaler::start(name, folder, &file, environment).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_a_window_it_acts_once_and_at_the_same_tick() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path();
    let moto = Moto::start(folder).await?;
    let client = aws(&moto.url).await;
    client
        .create_launch_configuration()
        .launch_configuration_name("jibri")
        .image_id("ami-12c6146b")
        .instance_type("t3.micro")
        .send()
        .await?;
    let jitsi = JitsiSim::start(jitsi_sim::Config::compressed()).await?;
    let killed_group = group(&client, &jitsi, "killed").await?;
    let spared_group = group(&client, &jitsi, "spared").await?;
    let exporter = Exporter::start(folder, &[]).await?;
    let config =
        prometheus_config(Duration::from_secs(1), &jitsi.control_url(), &exporter.address.to_string(), "");
    let prometheus = Prometheus::start(folder, &config).await?;
    wait_until(PATIENCE, async || {
        let seen = query(&prometheus.url, "asg:jibri_available:sum == 3", "asg").await;
        seen.is_ok_and(|seen| seen.len() == 2)
    })
    .await?;

    let environment = ScalerEnvironment { aws: moto.url.clone() };
    let killed = start("killed", folder, &prometheus.url, &environment).await?;
    let spared = start("spared", folder, &prometheus.url, &environment).await?;
    wait_until(PATIENCE, async || decisions(&killed) > 2 && decisions(&spared) > 2).await?;

    // From now on one of three is free, in both groups.
    for id in killed_group.iter().take(2).chain(spared_group.iter().take(2)) {
        jitsi.place_recording(id, 600.0, 5.0)?;
    }
    wait_until(PATIENCE, async || {
        let low = query(&prometheus.url, "asg:jibri_available:sum == 1", "asg").await;
        low.is_ok_and(|low| low.len() == 2)
    })
    .await?;
    killed.process.kill().await?;
    let killed = start("killed", folder, &prometheus.url, &environment).await?;

    wait_until(PATIENCE, async || !scale_outs(&killed).is_empty() && !scale_outs(&spared).is_empty()).await?;
    assert_eq!(scale_outs(&killed), scale_outs(&spared), "both act at the same tick");
    wait_until(PATIENCE, async || {
        desired(&client, "killed").await.ok() == Some(4) && desired(&client, "spared").await.ok() == Some(4)
    })
    .await?;

    // The scaler writes the tag after the call; the cooldown survives the process.
    wait_until(PATIENCE, async || killed.process.output().contains("effect=mark_scaled")).await?;
    killed.process.kill().await?;
    let killed = start("killed", folder, &prometheus.url, &environment).await?;
    let before = decisions(&killed);
    wait_until(PATIENCE, async || decisions(&killed) > before + 8).await?;
    let output = killed.process.output();
    let last = output.lines().rfind(|line| line.contains(" action=")).unwrap_or_default();
    assert!(last.contains("the cooldown of pool allows no scale-out until"), "it keeps the cooldown: {last}");
    assert_eq!(scale_outs(&killed).len(), 1, "it acts once:\n{output}");
    assert_eq!(desired(&client, "killed").await?, 4);
    assert_eq!(desired(&client, "spared").await?, 4);

    let described = client.describe_auto_scaling_groups().auto_scaling_group_names("killed").send().await?;
    let tags = described.auto_scaling_groups().first().context("the group")?.tags();
    let tag = tags.iter().find(|tag| tag.key() == Some("jitsi-scaler/scaled-out")).context("the tag")?;
    assert_eq!(tag.propagate_at_launch(), Some(false));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn check_online_understands_its_answers_and_changes_nothing() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path();
    let moto = Moto::start(folder).await?;
    let client = aws(&moto.url).await;
    client
        .create_launch_configuration()
        .launch_configuration_name("jibri")
        .image_id("ami-12c6146b")
        .instance_type("t3.micro")
        .send()
        .await?;
    let name = "checked";
    client
        .create_auto_scaling_group()
        .auto_scaling_group_name(name)
        .launch_configuration_name("jibri")
        .min_size(1)
        .max_size(9)
        .desired_capacity(1)
        .availability_zones("us-east-1a")
        .send()
        .await?;
    client
        .put_scaling_policy()
        .auto_scaling_group_name(name)
        .policy_name("cpu")
        .policy_type("SimpleScaling")
        .adjustment_type("ChangeInCapacity")
        .scaling_adjustment(1)
        .send()
        .await?;
    client
        .put_scheduled_update_group_action()
        .auto_scaling_group_name(name)
        .scheduled_action_name("night")
        .recurrence("0 22 * * *")
        .max_size(2)
        .send()
        .await?;
    client
        .put_lifecycle_hook()
        .auto_scaling_group_name(name)
        .lifecycle_hook_name("drain")
        .lifecycle_transition("autoscaling:EC2_INSTANCE_TERMINATING")
        .heartbeat_timeout(60)
        .send()
        .await?;
    client.suspend_processes().auto_scaling_group_name(name).scaling_processes("Launch").send().await?;

    let file = folder.join("checked.yml");
    std::fs::write(&file, config("http://127.0.0.1:9", name))?;
    let environment = ScalerEnvironment { aws: moto.url.clone() };
    let file = file.to_str().context("a path")?;
    let arguments = ["check", "--online", "--output", "json", "--config.file", file];
    let output = Scaler::output(&arguments, &environment).await?;
    let told = String::from_utf8(output.stdout)?;
    let report: serde_json::Value = serde_json::from_str(&told)?;
    let findings = report["findings"].as_array().context("findings")?;
    let text = |check: &str| {
        let found = findings.iter().find(|finding| finding["check"] == check && finding["asg"] == name);
        found.map(|finding| finding["text"].as_str().unwrap_or_default().to_owned())
    };
    for (check, words) in [
        ("scaling_policy", "\"cpu\" (SimpleScaling)"),
        ("scheduled_action", "\"night\" changes the group's capacity at \"0 22 * * *\""),
        ("hook_limit", "\"drain\" holds an instance for 100 minutes"),
        ("suspended_process", "Launch"),
        ("scale_in_protection", "new instances are not protected"),
    ] {
        assert!(text(check).is_some_and(|text| text.contains(words)), "{check}: {told}");
    }
    assert_eq!((output.status.code(), desired(&client, name).await?), (Some(1), 1));
    Ok(())
}
