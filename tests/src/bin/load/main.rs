//! The measurements of `tests/bench.sh` on running programs: ratios from one run, memory, and counts. A slow or busy
//! machine fails nothing.

mod client;
mod figures;
mod memory;
mod metrics;
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
    /// Scrapes per second of /probe, compared with the upstream itself
    Scrape {
        /// The number of rounds
        #[arg(long, default_value_t = 7)]
        rounds: usize,
        /// The length of each measurement in a round
        #[arg(long, default_value_t = 2.0)]
        seconds: f64,
    },
    /// Processor time of /metrics with one target, and of a start
    Metrics {
        /// The number of scrapes
        #[arg(long, default_value_t = 20_000)]
        scrapes: u64,
    },
    /// Resident memory of the exporter over many scrapes
    Memory {
        /// Their number
        #[arg(long, default_value_t = 1_000_000)]
        scrapes: u64,
    },
    /// Memory and latency of the exporter with many targets
    Targets {
        /// Their number
        #[arg(long, default_value_t = 5_000)]
        targets: u32,
        /// The interval of the probes
        #[arg(long, default_value_t = 15.0)]
        interval: f64,
        /// The length of the measurement
        #[arg(long, default_value_t = 120.0)]
        seconds: f64,
    },
    /// One evaluation of many groups by the scaler
    Tick {
        /// The number of fleets
        #[arg(long, default_value_t = 10)]
        fleets: u32,
        /// The number of groups per fleet
        #[arg(long, default_value_t = 100)]
        groups: u32,
        /// The number of measured evaluations
        #[arg(long, default_value_t = 6)]
        ticks: usize,
        /// Let each fleet select only the series of its own instances
        #[arg(long)]
        narrow: bool,
    },
    /// As `tick`, with 1, 100, 1,000 and 10,000 groups, and what each group more costs
    Growth {
        /// The number of measured evaluations
        #[arg(long, default_value_t = 6)]
        ticks: usize,
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
        What::Metrics { scrapes } => metrics::run(folder, scrapes).await,
        What::Memory { scrapes } => memory::run(folder, scrapes).await,
        What::Targets { targets, interval, seconds } => {
            let [interval, length] = [interval, seconds].map(Duration::try_from_secs_f64);
            targets::run(folder, targets::Plan { targets, interval: interval?, length: length? }).await
        }
        What::Tick { fleets, groups, ticks, narrow } => {
            tick::run(folder, tick::Size { fleets, groups, ticks, narrow }).await.map(drop)
        }
        What::Growth { ticks } => tick::grow(folder, ticks).await,
    }
}
