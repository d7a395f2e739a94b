//! `asg-sim`: the Auto Scaling simulator on its own. The library module `asg_sim` describes it.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use jitsi_tests::asg_sim::{AsgSim, Config, GroupEntry};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use url::Url;

/// Simulates EC2 Auto Scaling: the query protocol at /, an admin API under /sim/v1/.
#[derive(Debug, Parser)]
#[command(name = "asg-sim", version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// The Jitsi simulator in which launched instances appear.
    #[arg(long, value_name = "URL")]
    jitsi_sim: Option<Url>,

    /// A JSON list of groups: {"region", "name", and the fields of the admin API's PUT of a group}.
    #[arg(long, value_name = "FILE")]
    groups: Option<PathBuf>,

    /// The seed of all IDs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();

    let groups = match &arguments.groups {
        None => Vec::new(),
        Some(file) => {
            let json = std::fs::read_to_string(file)
                .with_context(|| format!("failed to read the groups in {}", file.display()))?;
            GroupEntry::parse_list(&json)
                .with_context(|| format!("failed to understand the groups in {}", file.display()))?
        }
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let simulator = AsgSim::start(Config {
        listen: arguments.listen,
        jitsi_sim: arguments.jitsi_sim,
        seed: arguments.seed,
        groups,
        ..Config::default()
    })
    .await?;

    // The only line of standard output: the starting process waits for it.
    let mut out = io::stdout();
    writeln!(out, "asg-sim listening on {}", simulator.url())?;
    out.flush()?;

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    simulator.stop().await;
    Ok(())
}
