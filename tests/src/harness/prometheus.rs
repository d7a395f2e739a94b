//! Real Prometheus and Alertmanager.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;

use super::process::{Process, free_port};
use super::tools::{root, tool};

/// The scrape configuration for the components of a Jitsi simulator through the exporter: the README's for EC2
/// discovery, with HTTP discovery instead. `{sd}` and `{exporter}` are placeholders.
pub const SCRAPE_CONFIGS: &str = include_str!("scrape_configs.yml");

/// A configuration that scrapes the targets of `control` through `exporter`, and evaluates, every `interval`.
#[must_use]
pub fn prometheus_config(interval: Duration, control: &str, exporter: &str, more: &str) -> String {
    let interval = format!("{}ms", interval.as_millis());
    let rules = root().join("alerts/rules");
    let scrape = SCRAPE_CONFIGS.replace("{control}", control).replace("{exporter}", exporter);
    format!(
        "global: {{scrape_interval: {interval}, scrape_timeout: {interval}, evaluation_interval: {interval}}}\n\
         rule_files: [\"{}/*.yml\"]\n{scrape}{more}",
        rules.display()
    )
}

/// A Prometheus server.
#[derive(Debug)]
pub struct Prometheus {
    /// The process.
    pub process: Process,
    /// Its address.
    pub url: String,
}

impl Prometheus {
    /// Starts a server with `config` and its data in `folder`; a server that was stopped before keeps its data.
    pub async fn start(folder: &Path, config: &str) -> anyhow::Result<Self> {
        Self::start_on(folder, config, free_port()?).await
    }

    /// As [`Prometheus::start`], with data that may be of any year.
    pub async fn start_with_history(folder: &Path, config: &str) -> anyhow::Result<Self> {
        Self::launch(folder, config, free_port()?, &["--storage.tsdb.retention.time=50y"]).await
    }

    /// As [`Prometheus::start`], on a given port.
    pub async fn start_on(folder: &Path, config: &str, port: u16) -> anyhow::Result<Self> {
        Self::launch(folder, config, port, &[]).await
    }

    async fn launch(folder: &Path, config: &str, port: u16, flags: &[&str]) -> anyhow::Result<Self> {
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, config)?;
        let mut command = Command::new(tool("prometheus")?);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("prometheus-data").display()))
            .args(flags)
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--web.enable-lifecycle")
            // In compressed time, new targets must not wait for the default of five seconds.
            .arg("--scrape.discovery-reload-interval=500ms")
            .arg("--log.level=warn");
        let mut process = Process::spawn("prometheus", &mut command, folder)?;
        let url = format!("http://127.0.0.1:{port}");
        process.wait_for_ok(&format!("{url}/-/ready")).await?;
        Ok(Self { process, url })
    }

    /// The port that it listens on.
    pub fn port(&self) -> anyhow::Result<u16> {
        let port = self.url.rsplit(':').next().context("an address with a port")?;
        Ok(port.parse()?)
    }
}

/// The values of an instant query, each with its label `label`.
pub async fn query(url: &str, expr: &str, label: &str) -> anyhow::Result<Vec<(String, f64)>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer: serde_json::Value =
        client.get(format!("{url}/api/v1/query")).query(&[("query", expr)]).send().await?.json().await?;
    let result = answer["data"]["result"].as_array().with_context(|| format!("no result in {answer}"))?;
    result
        .iter()
        .map(|series| {
            let name = series["metric"][label].as_str().unwrap_or_default().to_owned();
            let value = series["value"][1].as_str().context("a value")?.parse()?;
            Ok((name, value))
        })
        .collect()
}

/// Debian's Alertmanager reads its templates at a fixed path. If its package was only unpacked, this process gets them
/// there in its own mount namespace.
fn alertmanager() -> anyhow::Result<Command> {
    const TEMPLATES: &str = "usr/share/prometheus/alertmanager/default.tmpl";
    let program = tool("alertmanager")?;
    let unpacked = root().join("target/tools");
    if !program.starts_with(&unpacked) || Path::new("/").join(TEMPLATES).exists() {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg("mount --bind \"$0\" /usr/share && exec \"$@\"")
        .args([unpacked.join("usr/share"), program]);
    Ok(command)
}

/// An Alertmanager server.
#[derive(Debug)]
pub struct Alertmanager {
    /// The process.
    pub process: Process,
    /// Its address.
    pub url: String,
}

impl Alertmanager {
    /// Starts a server with `config`.
    pub async fn start(folder: &Path, config: &str) -> anyhow::Result<Self> {
        let port = free_port()?;
        let file = folder.join("alertmanager.yml");
        std::fs::write(&file, config)?;
        let mut command = alertmanager()?;
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", folder.join("alertmanager-data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=");
        let mut process = Process::spawn("alertmanager", &mut command, folder)?;
        let url = format!("http://127.0.0.1:{port}");
        process.wait_for_ok(&format!("{url}/-/ready")).await?;
        Ok(Self { process, url })
    }
}
