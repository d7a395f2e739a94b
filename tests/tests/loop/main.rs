//! The scaler end to end: real Prometheus, real exporter, simulated AWS and Jitsi, periods of a second.

mod bad_calls;
mod bad_data;
mod bridges;
mod browser;
mod clouds;
mod commands;
mod hands;
mod hooks;
mod jibris;
mod lease;
mod online;
mod orders;
mod page;
mod relay;
mod service;
mod shards;
mod upkeep;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jitsi_tests::asg_sim::{Call, Component, GroupSpec, GroupView, Lifecycle};
use jitsi_tests::harness::{Scaler, ScalerEnvironment};
use jitsi_tests::jitsi_sim::{self, InstanceStatus};
use jitsi_tests::stage::{Script, Stage};
use jitsi_tests::wait::wait_until;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const REGION: &str = "us-east-1";
/// The label of the only group.
pub(crate) const GROUP: &str = "prod";
/// Much longer than anything here takes on an idle computer.
pub(crate) const SOON: Duration = Duration::from_mins(1);
/// The length of the log's end that a failure shows.
const SHOWN: usize = 20;

/// The password of every user.
pub(crate) const PASSWORD: &str = "secret";

/// A fleet that always wants one more instance: it acts once, and then cools down.
pub(crate) const WANTING: &str = r#"
prometheus: {url: "{prometheus}", timeout: 2s}
fleets:
  - name: wanting
    component: jvb
    asg: {regions: [us-east-1], names: [prod]}
    warmup: 0s
    policies:
      - name: constant
        expr: vector(1)
        period: 1s
        scale_out: {when: ">= 1", periods: 2, add: 1, cooldown: 5m}
"#;

/// A group whose instances launch and terminate at once.
pub(crate) fn group(component: Component, min: u32, desired: u32, max: u32) -> GroupSpec {
    GroupSpec {
        min,
        max: Some(max),
        desired: Some(desired),
        component: Some(component),
        launch_seconds: Some(0.1),
        boot_seconds: Some(0.1),
        terminate_seconds: Some(0.1),
        ..GroupSpec::default()
    }
}

/// A stage with the operations of the tests.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    _folder: TempDir,
}

impl Scene {
    pub(crate) async fn start(groups: &[(&str, GroupSpec)], scaler: &str) -> Result<Self> {
        let entries: Vec<Value> = groups
            .iter()
            .map(|(name, spec)| {
                let mut entry = serde_json::to_value(spec)?;
                entry["region"] = json!(REGION);
                entry["name"] = json!(name);
                Ok(entry)
            })
            .collect::<Result<_>>()?;
        let folder = tempfile::tempdir()?;
        let groups = serde_json::to_string(&entries)?;
        let mut jitsi = jitsi_sim::Config::compressed();
        // As with the real minute, an evaluation falls between the end of a bridge's work and the end of its process.
        jitsi.settings.shutting_down_delay = Duration::from_secs(20);
        let script = Script { groups: &groups, scaler, jitsi, seed: 1 };
        Ok(Self { stage: Stage::start(folder.path(), script).await?, _folder: folder })
    }

    /// The instances of a group, once so many of them serve and report to Prometheus.
    pub(crate) async fn serving(&self, group: &str, count: usize) -> Result<Vec<String>> {
        self.until("the first instances serve", async || {
            let up = format!("{{__name__=~\"jvb_up|jibri_up\",asg=\"{group}\"}} == 1");
            let reporting = jitsi_tests::harness::query(&self.stage.prometheus.url, &up, "instance_id").await;
            reporting.is_ok_and(|reporting| reporting.len() == count)
        })
        .await;
        Ok(self.group(group)?.instances.into_iter().map(|instance| instance.id).collect())
    }

    /// Changes the bounds like an operator, and keeps the rest. This removes tags, as the operator has none.
    pub(crate) fn set_bounds(&self, name: &str, min: u32, max: u32) -> Result<()> {
        let GroupView { component, desired, .. } = self.group(name)?;
        let component = component.context("a component")?;
        self.stage.asg.put_group(REGION, name, &group(component, min, desired, max))?;
        Ok(())
    }

    pub(crate) fn group(&self, name: &str) -> Result<GroupView> {
        self.stage.asg.group(REGION, name).with_context(|| format!("there is no group {name}"))
    }

    pub(crate) fn desired(&self, name: &str) -> u32 {
        self.group(name).map_or(0, |group| group.desired)
    }

    /// The draining instances, by the tags of the group.
    pub(crate) fn drains(&self, name: &str) -> Vec<String> {
        let tags = self.group(name).map_or_else(|_| Vec::new(), |group| group.tags.into_keys().collect());
        tags.iter().filter_map(|key| Some(key.strip_prefix("jitsi-scaler/drain/")?.to_owned())).collect()
    }

    /// The instance of the first drain, once its tag exists.
    pub(crate) async fn first_drain(&self, name: &str) -> Result<String> {
        self.until("a drain begins", async || !self.drains(name).is_empty()).await;
        self.drains(name).pop().context("a drain")
    }

    /// Waits until the group has the capacity and no tags of drains.
    pub(crate) async fn settled(&self, name: &str, desired: u32) {
        self.until("the drain is over", async || {
            let cleared = self.performed().last().is_some_and(|effect| effect == "clear_drain");
            cleared && self.desired(name) == desired && self.drains(name).is_empty()
        })
        .await;
    }

    /// The lifecycle state of an instance at AWS; `None` once it is gone.
    pub(crate) fn lifecycle(&self, name: &str, id: &str) -> Option<Lifecycle> {
        let group = self.group(name).ok()?;
        group.instances.into_iter().find(|instance| instance.id == id).map(|instance| instance.state)
    }

    /// Kills the scaler, and starts another.
    pub(crate) async fn restart_scaler(&mut self) -> Result<()> {
        self.stage.scaler.process.cut_off().await?;
        self.stage.scaler = self.stage.start_scaler().await?;
        Ok(())
    }

    /// Ends the scaler, and starts another, which has users. Its log is a new one.
    pub(crate) async fn guard(&mut self, users: &[&str], flags: &[&str]) -> Result<()> {
        self.stage.scaler.process.terminate().await?;
        let hash = bcrypt::hash(PASSWORD, 4).expect("a hash");
        let users: serde_json::Map<_, _> =
            users.iter().map(|user| ((*user).to_owned(), json!(hash))).collect();
        std::fs::write(self.web(), serde_json::to_string(&json!({"basic_auth_users": users}))?)?;
        self.start_guarded(flags).await
    }

    /// Starts a scaler that has users, after the previous one has ended.
    pub(crate) async fn start_guarded(&mut self, flags: &[&str]) -> Result<()> {
        let (folder, web) = (self.stage.folder.clone(), self.web().display().to_string());
        let environment = ScalerEnvironment { aws: self.stage.asg.url() };
        let flags = [&["--web.config.file", &web], flags].concat();
        let config = folder.join("scaler.yml");
        self.stage.scaler = Scaler::start_with("guarded", &folder, &config, &environment, &flags).await?;
        Ok(())
    }

    fn web(&self) -> PathBuf {
        self.stage.folder.join("web.yml")
    }

    /// Whether the scaler reports this reason as a block of its groups.
    pub(crate) async fn is_blocked(&self, reason: &str) -> bool {
        let label = format!("reason=\"{reason}\"");
        self.metric("jitsi_scaler_group_blocked", &[&label]).await > 0.5
    }

    /// The Jitsi simulator's state of an instance, while it exists.
    pub(crate) fn component(&self, id: &str) -> Option<InstanceStatus> {
        self.stage.jitsi.status().instances.into_values().flatten().find(|instance| instance.id == id)
    }

    pub(crate) fn state(&self, id: &str) -> String {
        self.component(id).map_or_else(|| "gone".to_owned(), |instance| instance.state)
    }

    /// The calls of one action that changed something, answered or not.
    pub(crate) fn applied(&self, action: &str) -> Vec<Call> {
        let calls = self.stage.asg.calls(true);
        calls.into_iter().filter(|call| call.action == action && call.applied).collect()
    }

    pub(crate) fn log(&self) -> String {
        self.stage.scaler.process.output()
    }

    /// The performed steps, in order.
    pub(crate) fn performed(&self) -> Vec<String> {
        let log = self.log();
        let done = log.lines().filter(|line| line.contains("level=info") && line.contains("dry_run=false"));
        done.filter_map(|line| field(line, "effect")).map(str::to_owned).collect()
    }

    /// The sum of the scaler's samples with this name and these labels, written as in the exposition.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let url = format!("http://{}/metrics", self.stage.scaler.address);
        let answer = match reqwest::get(url).await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        };
        answer
            .lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label)))
            .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Waits until this many evaluations have ended; one may be in progress.
    pub(crate) async fn evaluations(&self, count: u32) {
        let name = "jitsi_scaler_evaluation_duration_seconds_count";
        let last = self.metric(name, &[]).await + f64::from(count);
        self.until("the loop goes on", async || self.metric(name, &[]).await >= last).await;
    }

    /// Waits for a condition; if it does not come true, the error shows the log.
    pub(crate) async fn until(&self, what: &str, condition: impl AsyncFnMut() -> bool) {
        if let Err(error) = wait_until(SOON, condition).await {
            panic!("{what}: {error}; the log ends with\n{}", self.tail());
        }
    }

    /// The end of the scaler's log.
    pub(crate) fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().rev().take(SHOWN).collect();
        lines.into_iter().rev().map(|line| format!("{line}\n")).collect()
    }

    pub(crate) async fn until_logged(&self, text: &str) {
        self.until(text, async || self.log().contains(text)).await;
    }
}

/// A field of a logfmt line, if its value needs no quotes.
pub(crate) fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!(" {name}="))?;
    rest.split(' ').next()
}
