//! `jitsi-sim`: serves simulated JVBs, Jicofos and Jibris until SIGTERM, SIGINT or a request to stop.
//!
//! It prints one line on standard output as soon as its control plane answers, and everything else on standard
//! error. The control plane launches instances.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use clap::Parser;
use jitsi_tests::jitsi_sim::{Config, JitsiSim, Lengths, Load, Profile, Settings, USAGE};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Simulates Jitsi components with their real HTTP interfaces, and the people who use them.
#[derive(Debug, Parser)]
#[command(name = "jitsi-sim", version, after_help = USAGE)]
struct Flags {
    /// Where the control plane listens.
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))]
    listen: SocketAddr,
    /// none, steady, morning, or a JSON file such as {"profile":{"morning":{"peak":20,"duration_seconds":90}}}.
    #[arg(long, default_value = "none", value_name = "NAME|FILE")]
    profile: String,
    /// Concurrent conferences on the plateau of --profile morning.
    #[arg(long, default_value_t = 20.0)]
    peak: f64,
    /// The rate of --profile steady.
    #[arg(long, default_value_t = 30.0)]
    conferences_per_minute: f64,
    /// How long the load of a named profile lasts; by default 90 for a morning, unlimited if steady.
    #[arg(long)]
    duration_seconds: Option<f64>,
    /// The seed of the load's course.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Mean length of a conference.
    #[arg(long, default_value_t = Lengths::default().conference_seconds)]
    conference_seconds: f64,
    /// Mean length of a recording.
    #[arg(long, default_value_t = Lengths::default().recording_seconds)]
    recording_seconds: f64,
    /// Mean length of an upload.
    #[arg(long, default_value_t = Lengths::default().upload_seconds)]
    upload_seconds: f64,
    /// Share of the conferences that are recorded.
    #[arg(long, default_value_t = Lengths::default().recorded_share)]
    recorded_share: f64,

    /// Participants at which a bridge's stress is 1.
    #[arg(long, default_value_t = Settings::default().participants_per_bridge)]
    participants_per_bridge: u32,
    /// Shorten all delays for tests in which a conference lasts seconds; single ones can be set by the flags below.
    #[arg(long)]
    compressed: bool,
    /// How often a bridge sends its state to Jicofo [default: 5; compressed: 0.15].
    #[arg(long)]
    presence_interval_seconds: Option<f64>,
    /// From the end of a bridge's last call in graceful shutdown to its exit [default: 60; compressed: 2].
    #[arg(long)]
    shutting_down_delay_seconds: Option<f64>,

    /// Port of the JVBs.
    #[arg(long, default_value_t = 8080)]
    jvb_port: u16,
    /// Port of the Jicofos.
    #[arg(long, default_value_t = 8888)]
    jicofo_port: u16,
    /// External port of the Jibris.
    #[arg(long, default_value_t = 2222)]
    jibri_port: u16,
    /// Internal port of the Jibris.
    #[arg(long, default_value_t = 3333)]
    jibri_internal_port: u16,
}

impl Flags {
    fn load(&self) -> anyhow::Result<Load> {
        let profile = match self.profile.as_str() {
            "none" => Profile::None,
            "steady" => Profile::Steady {
                conferences_per_minute: self.conferences_per_minute,
                duration_seconds: self.duration_seconds,
            },
            "morning" => {
                Profile::Morning { peak: self.peak, duration_seconds: self.duration_seconds.unwrap_or(90.0) }
            }
            file => return load_file(Path::new(file)),
        };
        Ok(Load { profile, ..Load::default() })
    }

    fn config(&self) -> anyhow::Result<Config> {
        let base = if self.compressed { Settings::compressed() } else { Settings::default() };
        let or = |flag, value: Option<f64>, default| value.map_or(Ok(default), |value| seconds(flag, value));
        let interval =
            or("--presence-interval-seconds", self.presence_interval_seconds, base.presence_interval)?;
        let settings = Settings {
            presence_interval: interval,
            shutting_down_delay: or(
                "--shutting-down-delay-seconds",
                self.shutting_down_delay_seconds,
                base.shutting_down_delay,
            )?,
            participants_per_bridge: self.participants_per_bridge,
            lengths: Lengths {
                conference_seconds: self.conference_seconds,
                recording_seconds: self.recording_seconds,
                upload_seconds: self.upload_seconds,
                recorded_share: self.recorded_share,
            },
            ..base
        };
        Ok(Config {
            listen: self.listen,
            jvb_port: self.jvb_port,
            jicofo_port: self.jicofo_port,
            jibri_port: self.jibri_port,
            jibri_internal_port: self.jibri_internal_port,
            settings,
            load: self.load()?,
            seed: self.seed,
        })
    }
}

fn load_file(file: &Path) -> anyhow::Result<Load> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("--profile {name} is neither none, steady or morning nor a file"))?;
    serde_json::from_str(&text).with_context(|| format!("cannot read the load in {name}"))
}

fn seconds(flag: &str, value: f64) -> anyhow::Result<Duration> {
    Duration::try_from_secs_f64(value).with_context(|| format!("{flag} must be a number of seconds"))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();

    // Before the line that it serves, so that a reader of the line can already end it cleanly.
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;

    let sim = JitsiSim::start(flags.config()?).await?;
    announce(&sim.control_url()).context("cannot write to standard output")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = sim.stopped() => {}
    }
    tracing::info!(totals = ?sim.status().recordings, "ending");
    Ok(())
}

fn announce(url: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "jitsi-sim listening on {url}")?;
    stdout.flush()
}
