//! `vmss-sim`: the simulator of scale sets on its own. The library module `vmss_sim` describes it.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use jitsi_tests::vmss_sim::{Config, SUBSCRIPTION, SetEntry, VmssSim};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use url::Url;

/// Simulates Virtual Machine Scale Sets: Azure Resource Manager at /, token endpoints, an admin API under /sim/v1/.
#[derive(Debug, Parser)]
#[command(name = "vmss-sim", version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// The Jitsi simulator in which launched instances appear.
    #[arg(long, value_name = "URL")]
    jitsi_sim: Option<Url>,

    /// A JSON list of sets: {"group", "name", and the fields of the admin API's PUT of a set}.
    #[arg(long, value_name = "FILE")]
    sets: Option<PathBuf>,

    /// How old reads are, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    lag: f64,

    /// How much faster than Azure's the buckets of throttling fill; 0 for no throttling.
    #[arg(long, value_name = "FACTOR", default_value_t = 0.0)]
    throttling: f64,

    /// The seed of all IDs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();

    let sets = match &arguments.sets {
        None => Vec::new(),
        Some(file) => {
            let json = std::fs::read_to_string(file)
                .with_context(|| format!("failed to read the sets in {}", file.display()))?;
            SetEntry::parse_list(&json)
                .with_context(|| format!("failed to understand the sets in {}", file.display()))?
        }
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let simulator = VmssSim::start(Config {
        listen: arguments.listen,
        jitsi_sim: arguments.jitsi_sim,
        seed: arguments.seed,
        sets,
        lag: Duration::try_from_secs_f64(arguments.lag).context("failed to understand --lag")?,
        throttling: arguments.throttling,
        ..Config::default()
    })
    .await?;

    // The only line of standard output: the starting process waits for it.
    let mut out = io::stdout();
    writeln!(out, "vmss-sim listening on {}, subscription {SUBSCRIPTION}", simulator.url())?;
    out.flush()?;

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    simulator.stop().await;
    Ok(())
}
