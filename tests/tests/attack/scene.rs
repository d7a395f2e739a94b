//! Both programs between a real Prometheus, simulated AWS and Jitsi, each of which can turn hostile; and the same programs
//! with users.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jitsi_tests::asg_sim::{self, AsgSim, Component, GroupEntry, GroupSpec};
use jitsi_tests::harness::{Exporter, Prometheus, Scaler, ScalerEnvironment, prometheus_config};
use jitsi_tests::jitsi_sim::{self, ComponentKind, InstanceSpec, JitsiSim};
use jitsi_tests::wait::wait_until;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::hostile::{Impostor, Treatment, Words};
use crate::load::{get, peer, post, send};
use crate::watch::{Watch, evaluated};

/// The time between evaluations.
pub(crate) const PERIOD: Duration = Duration::from_secs(5);
/// Between two scrapes.
const SCRAPES: Duration = Duration::from_secs(2);
/// Much longer than anything that is waited for takes.
const SOON: Duration = Duration::from_mins(1);
/// The bridge behind the exporter's relay.
const BRIDGE: &str = "i-relayed";
/// The files that the programs with users may have open: as few as `ulimit -n` is ever set to.
const FEW_FILES: u32 = 64;
/// The files that this process may have open: more than all clients of all attacks together.
const MANY_FILES: u32 = 8192;
/// The groups of the fleet that is selected by a tag.
pub(crate) const GROUPS: usize = 100;
/// The user's name and password, encoded.
pub(crate) const LOGIN: &str = "authorization: Basic YWRtaW46Y29ycmVjdCBob3JzZQ==\r\n";

const CONFIG: &str = r#"
prometheus: {url: "http://{prometheus}", timeout: 1s}
fleets:
  - name: prod
    component: jvb
    asg: {regions: [us-east-1], names: [prod]}
    warmup: 0s
    policies:
      - name: bridges
        expr: sum by (asg) (jvb_up)
        period: 5s
        scale_out: {when: ">= 100", periods: 2, add: 1, cooldown: 5m}
  - name: many
    component: jvb
    asg: {regions: [us-east-1], tags: {jitsi-fleet: many}}
    warmup: 0s
    policies:
      - name: bridges
        expr: sum by (asg) (jvb_up)
        period: 5s
        scale_out: {when: ">= 100", periods: 2, add: 1, cooldown: 5m}
"#;

/// Everything that runs.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) exporter: Exporter,
    pub(crate) scaler: Scaler,
    /// The same programs with a user, and with few files.
    pub(crate) guarded: (Exporter, Scaler),
    /// In front of Prometheus.
    pub(crate) metrics: Impostor,
    /// In front of AWS.
    pub(crate) aws: Impostor,
    /// A target that never answers.
    pub(crate) silent: Impostor,
    /// Targets that answer with what does harm.
    pub(crate) targets: Vec<Impostor>,
    pub(crate) watches: Watches,
    prometheus: Prometheus,
    asg: AsgSim,
    jitsi: JitsiSim,
    folder: TempDir,
}

/// The watches over the exporter and the scaler, and over those with a user.
#[derive(Debug)]
pub(crate) struct Watches {
    pub(crate) exporter: Watch,
    pub(crate) scaler: Watch,
    pub(crate) guarded_exporter: Watch,
    pub(crate) guarded_scaler: Watch,
}

fn groups() -> Result<Vec<GroupEntry>> {
    let spec = |component, desired, tags: Value| {
        let spec = GroupSpec {
            max: Some(6),
            desired: Some(desired),
            component,
            launch_seconds: Some(0.1),
            boot_seconds: Some(0.1),
            tags: serde_json::from_value(tags)?,
            ..GroupSpec::default()
        };
        serde_json::to_value(spec).map_err(anyhow::Error::from)
    };
    let named = |name: &str, mut entry: Value| {
        entry["region"] = json!("us-east-1");
        entry["name"] = json!(name);
        entry
    };
    let mut entries = vec![named("prod", spec(Some(Component::Jvb), 2, json!({}))?)];
    for number in 0..GROUPS {
        entries.push(named(&format!("group-{number}"), spec(None, 0, json!({"jitsi-fleet": "many"}))?));
    }
    GroupEntry::parse_list(&serde_json::to_string(&entries)?).context("the groups")
}

/// Limits the open files of this process, and so those of the programs that it starts from then on.
async fn limit_files(count: u32) -> Result<()> {
    let (own, limit) = (std::process::id().to_string(), format!("--nofile={count}:"));
    let status = Command::new("prlimit").args(["--pid", &own, &limit]).status().await?;
    ensure!(status.success(), "prlimit, of util-linux, cannot set the limit of open files to {count}");
    Ok(())
}

/// The programs with a user, in a folder of their own.
async fn start_guarded(
    folder: &Path,
    config: &Path,
    environment: &ScalerEnvironment,
) -> Result<(Exporter, Scaler)> {
    let at = folder.join("guarded");
    std::fs::create_dir(&at)?;
    let web = at.join("web.yml");
    let hash = bcrypt::hash("correct horse", 4).map_err(|error| anyhow::anyhow!("{error}"))?;
    std::fs::write(&web, format!("basic_auth_users: {{admin: \"{hash}\"}}\n"))?;
    let web = ["--web.config.file", web.to_str().context("a path")?];
    // Nothing listens there: a relay needs a component to be named.
    let flags = [&["--relay.enabled", "--jvb.url=http://127.0.0.1:9"], &web[..]].concat();
    let exporter = Exporter::start(&at, &flags).await?;
    Ok((exporter, Scaler::start_with("jitsi-scaler", &at, config, environment, &web).await?))
}

fn bridge() -> InstanceSpec {
    InstanceSpec {
        component: ComponentKind::Jvb,
        group: String::new(),
        region: "us-east-1".to_owned(),
        zone: "us-east-1a".to_owned(),
        boot_seconds: 0.0,
    }
}

impl Scene {
    /// Starts everything, and returns once the scaler has evaluated what Prometheus scraped.
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = folder.path();
        let metrics = Impostor::start(Treatment::Close).await?;
        let aws = Impostor::start(Treatment::Close).await?;
        let config = at.join("scaler.yml");
        std::fs::write(&config, CONFIG.replace("{prometheus}", &metrics.address.to_string()))?;
        let environment = ScalerEnvironment { aws: format!("http://{}", aws.address) };
        // While this process has few files open, so that the limit leaves room for the start.
        limit_files(FEW_FILES).await?;
        let guarded = start_guarded(at, &config, &environment).await;
        limit_files(MANY_FILES).await?;
        let guarded = guarded?;

        let jitsi = JitsiSim::start(jitsi_sim::Config::compressed()).await?;
        let asg = AsgSim::start(asg_sim::Config {
            jitsi_sim: Some(jitsi.control_url().parse()?),
            groups: groups()?,
            ..asg_sim::Config::default()
        })
        .await?;
        aws.turn(Treatment::Pass(asg.address()));
        let bridge = jitsi.launch(BRIDGE, bridge()).await?;
        let url = format!("--jvb.url=http://{bridge}:8080");
        let exporter = Exporter::start(at, &["--relay.enabled", &url]).await?;
        let scraped = prometheus_config(SCRAPES, &jitsi.control_url(), &exporter.address.to_string(), "");
        let prometheus = Prometheus::start(at, &scraped).await?;
        metrics.turn(Treatment::Pass(address(&prometheus.url)?));
        let scaler = Scaler::start("jitsi-scaler", at, &config, &environment).await?;

        let watch = |process: &jitsi_tests::harness::Process, address, headers, evaluates| {
            Watch::start(process.id().context("it runs")?, address, headers, evaluates)
        };
        let watches = Watches {
            exporter: watch(&exporter.process, exporter.address, "", false)?,
            scaler: watch(&scaler.process, scaler.address, "", true)?,
            guarded_exporter: watch(&guarded.0.process, guarded.0.address, LOGIN, false)?,
            guarded_scaler: watch(&guarded.1.process, guarded.1.address, LOGIN, true)?,
        };
        let mut targets = Vec::new();
        for words in hostile_statistics()? {
            let target = Impostor::start(Treatment::Close).await?;
            target.say(words);
            targets.push(target);
        }
        let silent = Impostor::start(Treatment::Silent).await?;
        let scene = Self {
            exporter,
            scaler,
            guarded,
            metrics,
            aws,
            silent,
            targets,
            watches,
            prometheus,
            asg,
            jitsi,
            folder,
        };
        scene.works().await?;
        Ok(scene)
    }

    /// Prometheus and AWS are themselves again.
    pub(crate) fn turn_honest(&self) -> Result<()> {
        self.metrics.turn(Treatment::Pass(address(&self.prometheus.url)?));
        self.aws.turn(Treatment::Pass(self.asg.address()));
        Ok(())
    }

    /// A scrape, a notification and an evaluation work as if nothing had been. Waits for what needs some time.
    pub(crate) async fn works(&self) -> Result<()> {
        self.turn_honest()?;
        let (exporter, scaler) = (self.exporter.address, self.scaler.address);
        let scraped = async || {
            let answer = send(peer(0), exporter, &get("/metrics", "")).await;
            answer.outcome == "200" && answer.body().contains("\njvb_up 1\n")
        };
        wait_until(SOON, scraped).await.context("a scrape of the exporter")?;
        let known = async || {
            let answer = send(peer(0), scaler, &get("/api/v1/status", "")).await;
            let status: Value = serde_json::from_str(&unchunked(answer.body())).unwrap_or_default();
            let groups = status["groups"].as_array().cloned().unwrap_or_default();
            let newest = groups
                .iter()
                .find(|group| group["asg"] == "prod")
                .and_then(|group| group["windows"]["bridges"].as_array()?.last()?["value"].as_f64());
            newest.is_some_and(|bridges| (bridges - 2.0).abs() < 0.1)
        };
        wait_until(SOON, known).await.context("an evaluation with its datapoint")?;
        let woken = async || {
            let body = notification("prod", &format!("{:?}", std::time::UNIX_EPOCH.elapsed()));
            let answer = send(peer(0), scaler, &post("/api/v1/alertmanager", "", body.as_bytes())).await;
            answer.body().contains("\"woken\"")
        };
        wait_until(SOON, woken).await.context("a notification that wakes an evaluation")?;
        self.evaluates_again().await?;
        let instances: Vec<_> = self.jitsi.status().instances.into_values().flatten().collect();
        let bridge = instances.iter().find(|it| it.id == BRIDGE).context("the bridge behind the relay")?;
        ensure!(bridge.state == "running", "the bridge behind the relay is {}", bridge.state);
        Ok(())
    }

    /// Turns Prometheus and AWS honest, and waits until both scalers have evaluated: what is late counts for the attack.
    pub(crate) async fn evaluates_again(&self) -> Result<()> {
        self.turn_honest()?;
        for (scaler, headers) in [(&self.scaler, ""), (&self.guarded.1, LOGIN)] {
            let newest =
                async || evaluated(send(peer(0), scaler.address, &get("/metrics", headers)).await.body());
            let before = newest().await;
            wait_until(SOON, async || newest().await > before).await.context("an evaluation")?;
        }
        Ok(())
    }

    /// How many calls of the scaler with few files to AWS and Prometheus had no usable answer.
    pub(crate) async fn unanswered(&self) -> f64 {
        let answer = send(peer(0), self.guarded.1.address, &get("/metrics", LOGIN)).await;
        let calls = ["jitsi_scaler_cloud_calls_total{", "jitsi_scaler_prometheus_queries_total{"];
        let lines = answer.body().lines().filter(|line| calls.iter().any(|call| line.starts_with(call)));
        let failed = lines.filter(|line| !line.contains("outcome=\"ok\""));
        failed.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// The bytes that both programs have logged.
    pub(crate) fn logged(&self) -> usize {
        self.exporter.process.output().len() + self.scaler.process.output().len()
    }

    /// Ends the scaler while AWS answers slowly and clients hold connections; returns how long that took.
    pub(crate) async fn stop_scaler(self) -> Result<Duration> {
        let Self { scaler, aws, watches, folder: _folder, .. } = self;
        drop(watches);
        aws.say(Words::slow("text/xml", ""));
        let start = tokio::time::Instant::now();
        scaler.process.signal("TERM").await?;
        let (status, log) = scaler.process.finished(SOON).await?;
        ensure!(status.success(), "{status}: {log}");
        Ok(start.elapsed())
    }
}

fn address(url: &str) -> Result<SocketAddr> {
    Ok(url.trim_start_matches("http://").parse()?)
}

/// The data of a body that came in chunks.
fn unchunked(body: &str) -> String {
    let is_size =
        |line: &&str| !line.is_empty() && line.len() < 9 && line.bytes().all(|b| b.is_ascii_hexdigit());
    body.split("\r\n").filter(|line| !is_size(line)).collect()
}

/// A notification of one alert.
pub(crate) fn notification(asg: &str, since: &str) -> String {
    let alert = json!({"status": "firing", "labels": {"alertname": "A", "asg": asg}, "startsAt": since});
    json!({"version": "4", "alerts": [alert]}).to_string()
}

/// Statistics that do harm.
fn hostile_statistics() -> Result<Vec<Words>> {
    const JSON: &str = "application/json";
    let mut samples = String::new();
    for number in 0..60_000 {
        writeln!(samples, "jitsi_jvb_bridge_endpoints{{jvb=\"{number:0100}\"}} {number}")?;
    }
    let values: String = (0..90_000).map(|number| format!("\"key{number}\":{number},")).collect();
    Ok(vec![
        Words::bomb(JSON, "{\"conferences\":1,")?,
        Words::endless(JSON, "{\"conferences\":1,", "\"a\":1,"),
        Words::endless(JSON, "", " "),
        Words::whole(JSON, &"[".repeat(1 << 20)),
        Words::whole(JSON, &"{\"a\":".repeat(1 << 18)),
        Words::whole(JSON, &format!("{{{values}\"current_timestamp\":\"\"}}")),
        Words::whole(JSON, &format!("{{\"current_timestamp\":\"{}\"}}", "x".repeat(7 << 20))),
        Words::whole("text/plain", &samples),
        Words::raw([b"HTTP/1.1 200 OK\r\n\r\n{\"a\":\"".as_slice(), &[0xff, 0xfe, 0xc0], b"\"}"].concat()),
        Words::raw(
            b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/\r\ncontent-length: 0\r\n\r\n",
        ),
        Words::raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}"),
        Words::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n{}"),
        Words::raw(b"\x16\x03\x01 this is no HTTP\r\n\r\n"),
        Words::raw(format!("HTTP/1.1 200 OK\r\n{}", "x-a: b\r\n".repeat(100_000))),
        Words::slow(JSON, "{"),
    ])
}
