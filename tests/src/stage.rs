//! The whole loop on one machine: simulated AWS or Azure and Jitsi, real exporter, Prometheus and scaler.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use crate::asg_sim::{self, AsgSim, GroupEntry};
use crate::harness::{Exporter, Prometheus, Scaler, ScalerEnvironment, prometheus_config};
use crate::jitsi_sim::{self, JitsiSim};
use crate::vmss_sim::{self, SUBSCRIPTION, SetEntry, VmssSim};

/// The interval of scrapes and evaluations in compressed time.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The file that lists the programs whose own metrics are scraped.
const PROGRAMS: &str = "programs.json";

/// Lets Prometheus scrape the own metrics of these programs only, each under its job.
fn scrape(folder: &Path, programs: &[(&str, SocketAddr)]) -> anyhow::Result<()> {
    let target = |(job, address): &(&str, SocketAddr)| json!({"targets": [address], "labels": {"job": job}});
    let targets: Vec<_> = programs.iter().map(target).collect();
    // Prometheus may read at any time, and must not see half a file.
    let new = folder.join("programs.new");
    std::fs::write(&new, serde_json::to_string(&targets)?)?;
    std::fs::rename(new, folder.join(PROGRAMS))?;
    Ok(())
}

/// Starts the scaler, which reaches both clouds. In Azure it has the identity of the instance that it runs on.
async fn start_scaler(folder: &Path, asg: &AsgSim, vmss: Option<&VmssSim>) -> anyhow::Result<Scaler> {
    let environment = ScalerEnvironment { aws: asg.url() };
    let identity = vmss.map(VmssSim::identity_url);
    let variables: Vec<_> = identity
        .iter()
        .flat_map(|url| [("IDENTITY_ENDPOINT", url.as_str()), ("IDENTITY_HEADER", "simulated")])
        .collect();
    let config = folder.join("scaler.yml");
    Scaler::start_as("jitsi-scaler", folder, &config, &environment, &[], &variables).await
}

/// The initial state of a stage.
#[derive(Debug)]
pub struct Script<'a> {
    /// The groups, in the format of `asg-sim`.
    pub groups: &'a str,
    /// The scaler's configuration; `{prometheus}` is a placeholder.
    pub scaler: &'a str,
    /// The Jitsi simulator.
    pub jitsi: jitsi_sim::Config,
    /// The seed of instance IDs.
    pub seed: u64,
}

/// A running stage. Dropping it ends it.
#[derive(Debug)]
pub struct Stage {
    /// The folder of logs and configurations.
    pub folder: PathBuf,
    /// Jitsi.
    pub jitsi: JitsiSim,
    /// AWS.
    pub asg: AsgSim,
    /// Azure, if there is such a cloud.
    pub vmss: Option<VmssSim>,
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
        Self::start_with(folder, script, None).await
    }

    /// As [`Stage::start`], with these sets of Azure beside the groups, in the format of `vmss-sim`. The placeholders
    /// `{azure}` and `{subscription}` of the configuration stand for the cloud that has them.
    pub async fn start_with(folder: &Path, script: Script<'_>, sets: Option<&str>) -> anyhow::Result<Self> {
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
        let vmss = match sets {
            None => None,
            Some(sets) => Some(
                VmssSim::start(vmss_sim::Config {
                    jitsi_sim: Some(jitsi.control_url().parse()?),
                    seed: script.seed,
                    sets: SetEntry::parse_list(sets).context("failed to read the sets")?,
                    ..vmss_sim::Config::default()
                })
                .await
                .context("failed to start the simulator of scale sets")?,
            ),
        };
        let exporter = Exporter::start(folder, &[]).await?;
        // The programs' own metrics; the scaler's address is unknown before Prometheus runs.
        let programs = format!(
            "  - job_name: programs\n    file_sd_configs: [{{files: [\"{}\"], refresh_interval: 1s}}]\n",
            folder.join(PROGRAMS).display()
        );
        let prometheus_config =
            prometheus_config(INTERVAL, &jitsi.control_url(), &exporter.address.to_string(), &programs);
        let prometheus = Prometheus::start(folder, &prometheus_config).await?;
        let config = folder.join("scaler.yml");
        let azure = vmss.as_ref().map(VmssSim::url).unwrap_or_default();
        let text = script.scaler.replace("{prometheus}", &prometheus.url);
        let text = text.replace("{azure}", &azure).replace("{subscription}", SUBSCRIPTION);
        std::fs::write(&config, text)?;
        let scaler = start_scaler(folder, &asg, vmss.as_ref()).await?;
        let own = [("jitsi-exporter", exporter.address), ("jitsi-scaler", scaler.address)];
        scrape(folder, &own)?;
        let folder = folder.to_owned();
        Ok(Self { folder, jitsi, asg, vmss, exporter, prometheus, scaler, prometheus_config })
    }

    /// Lets Prometheus scrape the own metrics of a further program.
    pub fn scrape_too(&self, job: &str, address: SocketAddr) -> anyhow::Result<()> {
        let own = [("jitsi-exporter", self.exporter.address), ("jitsi-scaler", self.scaler.address)];
        scrape(&self.folder, &[own.as_slice(), &[(job, address)]].concat())
    }

    /// Restarts the scaler after it was stopped or killed.
    pub async fn start_scaler(&self) -> anyhow::Result<Scaler> {
        start_scaler(&self.folder, &self.asg, self.vmss.as_ref()).await
    }

    /// The name of each group of both clouds, how many instances it asks for, and how many it has.
    #[must_use]
    pub fn sizes(&self) -> Vec<(String, u32, usize)> {
        let groups = self.asg.groups().into_iter().map(|it| (it.name, it.desired, it.instances.len()));
        let sets = self.vmss.iter().flat_map(VmssSim::sets);
        groups.chain(sets.map(|it| (it.name, it.capacity, it.instances.len()))).collect()
    }

    /// Stops Prometheus cleanly.
    pub async fn stop_prometheus(&mut self) -> anyhow::Result<()> {
        self.prometheus.process.terminate().await.map(drop)
    }

    /// Restarts Prometheus at its old address with its old data, after it was stopped.
    pub async fn start_prometheus(&mut self) -> anyhow::Result<()> {
        let port = self.prometheus.port()?;
        self.prometheus = Prometheus::start_on(&self.folder, &self.prometheus_config, port).await?;
        Ok(())
    }
}
