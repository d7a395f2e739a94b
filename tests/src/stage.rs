//! The whole loop on one machine: simulated AWS and Jitsi, real exporter, Prometheus and scaler.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use crate::asg_sim::{self, AsgSim, GroupEntry};
use crate::harness::{Exporter, Prometheus, Scaler, ScalerEnvironment, prometheus_config};
use crate::jitsi_sim::{self, JitsiSim};

/// How often everything is scraped and evaluated where time is compressed.
pub const INTERVAL: Duration = Duration::from_secs(1);

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
        let prometheus_config =
            prometheus_config(INTERVAL, &jitsi.control_url(), &exporter.address.to_string(), "");
        let prometheus = Prometheus::start(folder, &prometheus_config).await?;
        let config = folder.join("scaler.yml");
        std::fs::write(&config, script.scaler.replace("{prometheus}", &prometheus.url))?;
        let environment = ScalerEnvironment { aws: asg.url() };
        let scaler = Scaler::start("jitsi-scaler", folder, &config, &environment).await?;
        Ok(Self { folder: folder.to_owned(), jitsi, asg, exporter, prometheus, scaler, prometheus_config })
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
