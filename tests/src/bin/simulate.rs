//! `simulate`: fleets for days in virtual time, with faults, on the scaler's real control loop. The library module
//! `simulation` describes it.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use jitsi_tests::simulation::{Check, Options, Provider, Recorded, STRETCH, run};

/// Simulates days of two fleets, each of two groups, and counts what may never happen.
#[derive(Debug, Parser)]
#[command(name = "simulate", version)]
struct Arguments {
    /// The number of days
    #[arg(long, default_value_t = 100)]
    days: u32,

    /// Whose rules hold
    #[arg(long, value_enum, default_value_t = Provider::Aws)]
    cloud: Provider,

    /// The seed; the same seed gives the same run
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Whether faults happen and others interfere
    #[arg(long, value_enum, default_value_t = Switch::On)]
    faults: Switch,

    /// Make a group of bridges large: 300 instances, most of which drain at once, and kills every few minutes
    #[arg(long)]
    large: bool,
    /// The number of scalers; with one, a second runs now and then, as a fault
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    scalers: u8,

    /// Remove a protection: victim-check, second-look, final-request, unknown-is-not-zero, heartbeat, hook-when-empty,
    /// ill-share, protect-busy, drain-limit, settle, pause, refresh, ambiguous, unreadable or weighted
    #[arg(long, value_name = "CHECK")]
    without: Option<Check>,

    /// Begin with this day, to repeat the run from then on; stretches have four days, and start afresh
    #[arg(long, default_value_t = 1, value_name = "DAY")]
    from: u32,

    /// Run this configuration, in one stretch, and record it into the folder of --record
    #[arg(long, value_name = "FILE", requires = "record")]
    config: Option<PathBuf>,

    /// Record what Prometheus would have, a file of OpenMetrics for each day, and the decisions
    #[arg(long, value_name = "FOLDER", requires = "config")]
    record: Option<PathBuf>,

    /// End with the first stretch of days with a violation
    #[arg(long)]
    first: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Switch {
    On,
    Off,
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let recorded = match arguments.config.zip(arguments.record) {
        Some((config, folder)) => {
            std::fs::create_dir_all(&folder)?;
            Some(Recorded { config: std::fs::read_to_string(config)?, folder })
        }
        None => None,
    };
    let outcome = run(&Options {
        days: arguments.days,
        cloud: arguments.cloud,
        seed: arguments.seed,
        faults: matches!(arguments.faults, Switch::On),
        large: arguments.large,
        scalers: arguments.scalers,
        without: arguments.without,
        first_stretch: (arguments.from.max(1) - 1) / STRETCH,
        first_only: arguments.first,
        recorded,
    });
    let mut out = io::stdout();
    if let Some(timeline) = &outcome.timeline {
        writeln!(out, "{timeline}")?;
    }
    for violation in &outcome.violations {
        writeln!(out, "{violation}")?;
    }
    writeln!(out, "{}fingerprint {:016x}", outcome.figures, outcome.fingerprint)?;
    writeln!(out, "{outcome}")?;
    Ok(if outcome.tally.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
