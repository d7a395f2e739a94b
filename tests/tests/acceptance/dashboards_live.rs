//! The dashboards on real Prometheus, after faults of every kind in a simulated fleet: every panel shows data, every
//! variable has values, every rule is evaluated.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jitsi_dashboards::{Values, all};
use jitsi_tests::asg_sim::{ErrorCode, Fault};
use jitsi_tests::harness::{Exporter, tool};
use jitsi_tests::jitsi_sim::settings::Lengths;
use jitsi_tests::jitsi_sim::{self, ComponentKind, Faults, InstanceSpec, InstanceStatus, Load, Profile};
use jitsi_tests::stage::{Script, Stage};
use jitsi_tests::wait::wait_until;
use serde_json::{Value, json};

use crate::dashboards::{documented, expressions, names, panels, root, substituted, text};

/// Much longer than any step takes on an idle computer.
const PATIENCE: Duration = Duration::from_mins(1);
const WEEK: i64 = 7 * 24 * 3600;

const GROUPS: &str = r#"[
  {"region": "us-east-1", "name": "prod-jvb", "component": "jvb", "min": 2, "max": 3, "desired": 2,
   "launch_seconds": 0.5, "boot_seconds": 0.5, "terminate_seconds": 0.5},
  {"region": "us-east-1", "name": "prod-jibri", "component": "jibri", "min": 2, "max": 3, "desired": 2,
   "launch_seconds": 0.5, "boot_seconds": 0.5, "terminate_seconds": 0.5,
   "tags": {"jitsi-scaler/scaled-in": "yesterday, I believe"}}
]"#;

const SCALER: &str = r#"
prometheus: {url: "{prometheus}", timeout: 2s}
fleets:
  - name: jvb
    component: jvb
    asg: {regions: [us-east-1], names: [prod-jvb]}
    warmup: 1s
    policies:
      - name: stress
        expr: asg:jvb_stress:avg
        measures: load
        period: 1s
        scale_out: {when: ">= 0.3", periods: 2, add: 1, cooldown: 1s}
        scale_in: {when: "<= 0.2", periods: 2, remove: 1, cooldown: 1s}
    drain: {via: "http://{private_ip}:8080", settle: 300ms}
  - name: jibri
    component: jibri
    asg: {regions: [us-east-1], names: [prod-jibri]}
    warmup: 1s
    policies:
      - name: pool
        expr: asg:jibri_available:sum
        measures: idle
        period: 1s
        scale_out: {when: "< 1", periods: 2, add: 1, cooldown: 1s}
        scale_in: {when: "> 2", periods: 2, remove: 1, cooldown: 1s}
    drain: {via: {health: "http://{private_ip}:2222", internal: "http://{private_ip}:3333"}, settle: 300ms}
"#;

/// A query to Prometheus.
struct Asked {
    client: reqwest::Client,
    url: String,
}

impl Asked {
    async fn get(&self, path: &str, form: &[(&str, &str)]) -> Result<Value> {
        let answer = self.client.get(format!("{}{path}", self.url)).query(form).send().await?;
        let answer: Value = answer.json().await?;
        ensure!(answer["status"] == "success", "{form:?}: {answer}");
        Ok(answer["data"].clone())
    }

    /// Whether the answer contains a number.
    async fn has_data(&self, expr: &str, instant: bool, (start, end): (f64, f64)) -> Result<bool> {
        let (start, end) = (start.to_string(), end.to_string());
        let data = if instant {
            self.get("/api/v1/query", &[("query", expr), ("time", &end)]).await?
        } else {
            let form = [("query", expr), ("start", &start), ("end", &end), ("step", "1")];
            self.get("/api/v1/query_range", &form).await?
        };
        let result = data["result"].as_array().context("a result")?;
        let points = result.iter().flat_map(|series| match series["values"].as_array() {
            Some(values) => values.clone(),
            None => vec![series["value"].clone()],
        });
        Ok(points.into_iter().any(|point| point[1].as_str().is_some_and(|value| value != "NaN")))
    }

    /// Whether there is something to choose from.
    async fn has_values(&self, values: &Values) -> Result<bool> {
        match values {
            Values::Label { label, of, .. } => {
                let path = format!("/api/v1/label/{label}/values");
                let values = self.get(&path, &[("match[]", &substituted(of))]).await?;
                Ok(values.as_array().is_some_and(|values| !values.is_empty()))
            }
            Values::Result { expr, .. } => {
                let data = self.get("/api/v1/query", &[("query", &substituted(expr))]).await?;
                Ok(data["result"].as_array().is_some_and(|values| !values.is_empty()))
            }
            Values::Text(_) => Ok(true),
        }
    }

    async fn now(&self) -> Result<f64> {
        let data = self.get("/api/v1/query", &[("query", "time()")]).await?;
        Ok(data["result"][1].as_str().context("a time")?.parse()?)
    }

    /// Waits until the expression yields a result.
    async fn until(&self, expr: &str) -> Result<()> {
        wait_until(PATIENCE, async || {
            let now = self.now().await.unwrap_or_default();
            self.has_data(expr, true, (now, now)).await.unwrap_or_default()
        })
        .await
        .with_context(|| format!("{expr} gives nothing"))
    }
}

/// The load of the same hours a week ago, as Prometheus would have recorded it.
fn remember_last_week(folder: &Path) -> Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one clock of this test, before there is a server to ask"
    )]
    let now = jiff::Timestamp::now().as_second();
    let mut history = String::new();
    for (name, asg, value) in [
        ("asg:jvb_load:sum", "prod-jvb", 1.5),
        ("asg:jvb_participants:sum", "prod-jvb", 70.0),
        ("asg:jibri_busy:sum", "prod-jibri", 2.0),
    ] {
        history.push_str(&format!("# TYPE {name} gauge\n"));
        for minute in -30..90 {
            history.push_str(&format!("{name}{{asg=\"{asg}\"}} {value} {}\n", now - WEEK + minute * 60));
        }
    }
    let file = folder.join("last-week.txt");
    std::fs::write(&file, history + "# EOF\n")?;
    let output = Command::new(tool("promtool")?)
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([file, folder.join("prometheus-data")])
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn instances(stage: &Stage, kind: ComponentKind) -> Vec<InstanceStatus> {
    stage.jitsi.status().instances.remove(&kind).unwrap_or_default()
}

/// A morning in half a minute: participants arrive, a bridge fails and another sends garbage, recordings are refused,
/// AWS throttles, the participants leave. Components that are down at the end stay down.
async fn trouble(stage: &mut Stage, asked: &Asked) -> Result<()> {
    let jicofo = InstanceSpec {
        component: ComponentKind::Jicofo,
        group: "jicofo".into(),
        region: "us-east-1".into(),
        zone: "us-east-1a".into(),
        boot_seconds: 0.0,
    };
    stage.jitsi.launch("i-jicofo", jicofo).await?;
    asked
        .until("count(jvb_up == 1) == 2 and count(jibri_up == 1) == 2 and count(jicofo_up == 1) == 1")
        .await?;

    // On one host an exporter runs beside its bridge, with its relay.
    let bridge = instances(stage, ComponentKind::Jvb).first().context("a bridge")?.clone();
    let url = format!("http://{}:8080", bridge.private_ip);
    let beside =
        Exporter::start(&stage.folder.join("beside"), &["--relay.enabled", &format!("--jvb.url={url}")])
            .await?;
    stage.scrape_too("jitsi-exporter", beside.address)?;
    asked
        .client
        .get(format!("http://{}/relay/jvb/colibri/stats", beside.address))
        .send()
        .await?
        .error_for_status()?;

    stage.jitsi.set_load(&Load {
        profile: Profile::Steady { conferences_per_minute: 120.0, duration_seconds: None },
        ..Load::default()
    })?;
    asked.until(r#"jitsi_scaler_decisions_total{fleet="jvb", action="scale_out"} > 0"#).await?;
    asked.until(r#"jitsi_scaler_group_blocked{fleet="jvb", reason="maximum"} == 1"#).await?;
    asked.until(r#"jicofo_jibri_failures_total{type="recording"} > 0"#).await?;

    // A bridge of a future version, with one new statistic and one of another type.
    let bridges = instances(stage, ComponentKind::Jvb);
    let [strange, silent, ..] = bridges.as_slice() else {
        anyhow::bail!("two bridges at least: {bridges:?}")
    };
    let url = format!("http://{}:8080/colibri/stats", strange.private_ip);
    let mut body: Value =
        asked.client.get(url).header("Accept", "application/json").send().await?.json().await?;
    body["threads"] = json!("many");
    body["novel_statistic"] = json!(7);
    let faults = Faults { body: Some(body.to_string()), ..Faults::default() };
    stage.jitsi.set_faults(&strange.id, faults).await?;
    stage.jitsi.set_faults(&silent.id, Faults { refuse: true, ..Faults::default() }).await?;
    asked.until(r#"jitsi_exporter_unusable_values_total{key="threads"} > 0 and on () jvb_unknown{key="novel_statistic"} == 7"#).await?;
    asked.until("jvb_up == 0").await?;

    let action = Some("DescribeAutoScalingGroups".to_owned());
    let slow =
        Fault { action, error: Some(ErrorCode::Throttling), delay_seconds: Some(1.2), ..Fault::default() };
    stage.asg.add_fault(slow)?;
    asked.until(r#"jitsi_scaler_unseen_total{what="groups"} > 0"#).await?;
    asked.until("jitsi_scaler_evaluations_missed_total > 0").await?;
    stage.asg.clear_faults();

    for bridge in [strange, silent] {
        stage.jitsi.set_faults(&bridge.id, Faults::default()).await?;
    }
    stage.jitsi.set_load(&Load::default())?;
    asked.until(r#"jitsi_scaler_decisions_total{fleet="jvb", action="scale_in"} > 0"#).await?;
    asked.until(r#"jitsi_scaler_effects_total{effect="terminate", outcome="done"} > 0"#).await?;
    // Jicofo has heard of the shutdown of each bridge that the scaler ended.
    asked.until("max(jicofo_bridges_lost_total) == 0").await?;
    let jibri = instances(stage, ComponentKind::Jibri).first().context("a Jibri")?.clone();
    stage.jitsi.set_faults(&jibri.id, Faults { refuse: true, ..Faults::default() }).await?;
    asked.until(r#"ALERTS{alertname="JibriDown", alertstate="pending"}"#).await?;
    drop(beside);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_shows_something_of_a_morning_with_trouble() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("beside"))?;
    remember_last_week(folder.path())?;
    let mut jitsi = jitsi_sim::Config::compressed();
    jitsi.settings.lengths =
        Lengths { conference_seconds: 4.0, recording_seconds: 4.0, upload_seconds: 1.0, recorded_share: 0.9 };
    let mut stage =
        Stage::start(folder.path(), Script { groups: GROUPS, scaler: SCALER, jitsi, seed: 1 }).await?;
    let asked =
        Asked { client: reqwest::Client::builder().no_proxy().build()?, url: stage.prometheus.url.clone() };
    let start = asked.now().await?;
    trouble(&mut stage, &asked).await?;
    let run = (start, asked.now().await?);

    let mut wrong = Vec::new();
    let there = asked.get("/api/v1/label/__name__/values", &[]).await?;
    let there: BTreeSet<String> = serde_json::from_value(there)?;
    let known: BTreeSet<String> = documented().union(&there).cloned().collect();
    for dashboard in all() {
        let json = dashboard.json();
        let with_text = panels(&json).into_iter().filter(|panel| {
            let nothing = text(&panel["fieldConfig"]["defaults"], "noValue");
            // The simulated Jibris have no metrics of their own.
            nothing != "unknown" || text(panel, "title") == "Errors"
        });
        let titles = with_text.map(|panel| text(panel, "title")).chain(["Would have scaled (dry run)"]);
        let may_be_empty: BTreeSet<String> =
            titles.map(|title| format!("{}: {title}", dashboard.title)).collect();
        for (place, expr, instant) in expressions(&json) {
            let expr = substituted(&expr);
            wrong.extend(names(&expr).difference(&known).map(|name| format!("{place}: there is no {name}")));
            match asked.has_data(&expr, instant, run).await {
                Ok(true) => {}
                // A text in place of the panel says that there may be nothing.
                Ok(false) if may_be_empty.contains(&place) => {}
                Ok(false) => wrong.push(format!("{place} is empty: {expr}")),
                Err(error) => wrong.push(format!("{place}: {error}")),
            }
        }
        for variable in &dashboard.variables {
            if !asked.has_values(&variable.values).await? {
                wrong.push(format!("{}: {} has no values", dashboard.title, variable.name));
            }
        }
    }
    let rules = asked.get("/api/v1/rules", &[]).await?;
    for rule in rules["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|group| group["rules"].as_array())
        .flatten()
    {
        let name = text(rule, "name");
        if rule["health"] != "ok" {
            wrong.push(format!("{name} is {}: {}", rule["health"], rule["lastError"]));
        }
        let named = names(text(rule, "query"));
        wrong.extend(named.difference(&known).map(|metric| format!("{name}: there is no {metric}")));
    }
    assert!(
        wrong.is_empty(),
        "{}\nthe scaler said\n{}",
        wrong.join("\n"),
        tail(&stage.scaler.process.output())
    );
    assert!(root().join("grafana/provisioning/dashboards").is_dir());
    Ok(())
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().rev().take(15).collect();
    lines.into_iter().rev().map(|line| format!("{line}\n")).collect()
}
