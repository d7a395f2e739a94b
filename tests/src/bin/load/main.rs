//! What `tests/bench.sh` measures on running programs: ratios from one run, memory, and counts. Nothing here fails
//! because a machine is slow or busy.

mod client;
mod figures;
mod memory;
mod nginx;
mod say;
mod scrape;
mod targets;
mod tick;

use std::time::Duration;

use clap::{Parser, Subcommand};

/// Measures jitsi-exporter and jitsi-scaler; tests/bench.sh builds and starts it
#[derive(Debug, Parser)]
#[command(name = "load", version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Scrapes per second of /probe beside those of the upstream itself
    Scrape {
        /// How often each is measured
        #[arg(long, default_value_t = 7)]
        rounds: usize,
        /// How long each is measured in a round
        #[arg(long, default_value_t = 2.0)]
        seconds: f64,
    },
    /// Resident memory of the exporter over many scrapes
    Memory {
        /// How many
        #[arg(long, default_value_t = 1_000_000)]
        scrapes: u64,
    },
    /// Memory and latency of the exporter with many targets
    Targets {
        /// How many
        #[arg(long, default_value_t = 5_000)]
        targets: u32,
        /// How often each is probed
        #[arg(long, default_value_t = 15.0)]
        interval: f64,
        /// For how long
        #[arg(long, default_value_t = 120.0)]
        seconds: f64,
    },
    /// One evaluation of many groups by the scaler
    Tick {
        /// How many fleets
        #[arg(long, default_value_t = 10)]
        fleets: u32,
        /// How many groups each has
        #[arg(long, default_value_t = 100)]
        groups: u32,
        /// How many evaluations are measured
        #[arg(long, default_value_t = 6)]
        ticks: usize,
        /// Let each fleet ask for the series of its own instances only
        #[arg(long)]
        narrow: bool,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    match Arguments::parse().what {
        What::Scrape { rounds, seconds } => {
            scrape::run(folder, rounds, Duration::try_from_secs_f64(seconds)?).await
        }
        What::Memory { scrapes } => memory::run(folder, scrapes).await,
        What::Targets { targets, interval, seconds } => {
            let [interval, length] = [interval, seconds].map(Duration::try_from_secs_f64);
            targets::run(folder, targets::Plan { targets, interval: interval?, length: length? }).await
        }
        What::Tick { fleets, groups, ticks, narrow } => {
            tick::run(folder, tick::Size { fleets, groups, ticks, narrow }).await
        }
    }
}
