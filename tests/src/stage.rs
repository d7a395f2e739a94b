//! The whole loop on one machine: simulated AWS and Jitsi, real exporter, Prometheus and scaler.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use crate::asg_sim::{self, AsgSim, GroupEntry};
use crate::harness::{Exporter, Prometheus, Scaler, ScalerEnvironment, prometheus_config};
use crate::jitsi_sim::{self, JitsiSim};

/// How often everything is scraped and evaluated where time is compressed.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The file that names the programs to be scraped themselves.
const PROGRAMS: &str = "programs.json";

/// Has Prometheus scrape these programs themselves, each under its job, and no others.
fn scrape(folder: &Path, programs: &[(&str, SocketAddr)]) -> anyhow::Result<()> {
    let target = |(job, address): &(&str, SocketAddr)| json!({"targets": [address], "labels": {"job": job}});
    let targets: Vec<_> = programs.iter().map(target).collect();
    // Prometheus looks whenever it likes, and shall not see half a file.
    let new = folder.join("programs.new");
    std::fs::write(&new, serde_json::to_string(&targets)?)?;
    std::fs::rename(new, folder.join(PROGRAMS))?;
    Ok(())
}

/// What a stage begins with.
#[derive(Debug)]
pub struct Script<'a> {
    /// The groups, as `asg-sim` reads them.
    pub groups: &'a str,
    /// The scaler's configuration; `{prometheus}` is filled in.
    pub scaler: &'a str,
    /// The Jitsi simulator.
    pub jitsi: jitsi_sim::Config,
    /// What the instance ids follow from.
    pub seed: u64,
}

/// Everything, running. Dropping it ends it.
#[derive(Debug)]
pub struct Stage {
    /// Folder with the logs and configurations.
    pub folder: PathBuf,
    /// Jitsi.
    pub jitsi: JitsiSim,
    /// AWS.
    pub asg: AsgSim,
    /// jitsi-exporter.
    pub exporter: Exporter,
    /// Prometheus.
    pub prometheus: Prometheus,
    /// jitsi-scaler.
    pub scaler: Scaler,
    prometheus_config: String,
}

impl Stage {
    /// Starts every part and returns when all of them are ready.
    pub async fn start(folder: &Path, script: Script<'_>) -> anyhow::Result<Self> {
        let jitsi = JitsiSim::start(script.jitsi).await.context("failed to start the Jitsi simulator")?;
        let groups = GroupEntry::parse_list(script.groups).context("failed to read the groups")?;
        let asg = AsgSim::start(asg_sim::Config {
            jitsi_sim: Some(jitsi.control_url().parse()?),
            seed: script.seed,
            groups,
            ..asg_sim::Config::default()
        })
        .await
        .context("failed to start the Auto Scaling simulator")?;
        let exporter = Exporter::start(folder, &[]).await?;
        // The programs' own metrics; the scaler's address is not known before Prometheus runs.
        let programs = format!(
            "  - job_name: programs\n    file_sd_configs: [{{files: [\"{}\"], refresh_interval: 1s}}]\n",
            folder.join(PROGRAMS).display()
        );
        let prometheus_config =
            prometheus_config(INTERVAL, &jitsi.control_url(), &exporter.address.to_string(), &programs);
        let prometheus = Prometheus::start(folder, &prometheus_config).await?;
        let config = folder.join("scaler.yml");
        std::fs::write(&config, script.scaler.replace("{prometheus}", &prometheus.url))?;
        let environment = ScalerEnvironment { aws: asg.url() };
        let scaler = Scaler::start("jitsi-scaler", folder, &config, &environment).await?;
        let own = [("jitsi-exporter", exporter.address), ("jitsi-scaler", scaler.address)];
        scrape(folder, &own)?;
        Ok(Self { folder: folder.to_owned(), jitsi, asg, exporter, prometheus, scaler, prometheus_config })
    }

    /// Has Prometheus scrape a further program itself, beside those of the stage.
    pub fn scrape_too(&self, job: &str, address: SocketAddr) -> anyhow::Result<()> {
        let own = [("jitsi-exporter", self.exporter.address), ("jitsi-scaler", self.scaler.address)];
        scrape(&self.folder, &[own.as_slice(), &[(job, address)]].concat())
    }

    /// Starts the scaler anew, after it was stopped or killed.
    pub async fn start_scaler(&self) -> anyhow::Result<Scaler> {
        let environment = ScalerEnvironment { aws: self.asg.url() };
        Scaler::start("jitsi-scaler", &self.folder, &self.folder.join("scaler.yml"), &environment).await
    }

    /// Stops Prometheus in an orderly way.
    pub async fn stop_prometheus(&mut self) -> anyhow::Result<()> {
        self.prometheus.process.terminate().await.map(drop)
    }

    /// Starts Prometheus anew at its old address with its old data, after it was stopped.
    pub async fn start_prometheus(&mut self) -> anyhow::Result<()> {
        let port = self.prometheus.port()?;
        self.prometheus = Prometheus::start_on(&self.folder, &self.prometheus_config, port).await?;
        Ok(())
    }
}
