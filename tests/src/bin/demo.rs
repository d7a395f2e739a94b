//! The demo: one morning of load, compressed into a minute and a half. `tests/demo.sh` builds and starts it.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use jitsi_tests::jitsi_sim::load::{Load, Profile};
use jitsi_tests::jitsi_sim::settings::Lengths;
use jitsi_tests::jitsi_sim::{self, ComponentKind};
use jitsi_tests::stage::{Script, Stage};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, interval, sleep_until};

/// From the first arrival until the last conference has ended.
const MORNING: Duration = Duration::from_secs(75);
/// The time for the fleets to settle afterwards; then the demo ends in any case.
const REST: Duration = Duration::from_secs(30);
/// The interval of the lines about the load.
const PULSE: u64 = 5;

/// One morning of load on a small fleet: real exporter, Prometheus and scaler, simulated AWS and Jitsi
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Arguments {
    /// Seed of the morning
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Keep running at the end until SIGINT or SIGTERM
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let scratch = tempfile::tempdir()?;
    let mut out = std::io::stdout();
    let mut jitsi = jitsi_sim::Config { seed: arguments.seed, ..jitsi_sim::Config::compressed() };
    jitsi.settings.lengths = Lengths {
        conference_seconds: 14.0,
        recording_seconds: 7.0,
        upload_seconds: 2.0,
        recorded_share: 0.3,
    };
    let script = Script {
        groups: include_str!("../demo/groups.json"),
        scaler: include_str!("../demo/scaler.yml"),
        jitsi,
        seed: arguments.seed,
    };
    // The demo's processes must end with it, so it catches signals before it starts the first.
    let mut ending = Ending::listen()?;
    let stage = tokio::select! {
        stage = Stage::start(scratch.path(), script) => stage?,
        () = ending.asked() => return Ok(ExitCode::FAILURE),
    };
    writeln!(out, "demo: prometheus {}", stage.prometheus.url)?;
    writeln!(out, "demo: jitsi-exporter http://{}", stage.exporter.address)?;
    writeln!(out, "demo: jitsi-scaler http://{}  (what was decided: /api/v1/status)", stage.scaler.address)?;
    writeln!(out, "demo: the simulated AWS is at AWS_ENDPOINT_URL={}", stage.asg.url())?;
    writeln!(out, "demo: logs and configurations, until it ends, in {}", stage.folder.display())?;

    tokio::select! {
        shown = show(&stage, &mut out) => shown?,
        () = ending.asked() => {
            writeln!(out, "demo: ended early")?;
            return Ok(ExitCode::FAILURE);
        }
    }
    if arguments.keep {
        writeln!(out, "demo: staying up; end it with Ctrl-C")?;
        ending.asked().await;
    }
    let verdict = verdict(&stage);
    stage.scaler.process.stop().await?;
    let (line, fine) = verdict;
    writeln!(out, "{line}")?;
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The signals that end the demo: from Ctrl-C, a supervisor, or a closed terminal.
struct Ending {
    signals: [Signal; 3],
}

impl Ending {
    fn listen() -> std::io::Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Runs the morning, and prints a line for each decision except holds, and the load now and then.
async fn show(stage: &Stage, out: &mut impl std::io::Write) -> anyhow::Result<()> {
    let started = Instant::now();
    // Prometheus sees the first instances before the load starts.
    sleep_until(started + Duration::from_secs(6)).await;
    let morning = Profile::Morning { peak: 26.0, duration_seconds: MORNING.as_secs_f64() };
    stage.jitsi.set_load(&Load { profile: morning, ..Load::default() })?;

    let mut told = 0;
    let mut ticks = interval(Duration::from_secs(1));
    for second in 0.. {
        ticks.tick().await;
        let log = stage.scaler.process.output();
        for line in log.lines().skip(told).filter_map(decision) {
            writeln!(out, "{line}")?;
        }
        told = log.lines().count();
        if second % PULSE == 0 {
            writeln!(out, "  {:>3} s  {}", started.elapsed().as_secs(), pulse(stage))?;
        }
        let over = started.elapsed() > MORNING + Duration::from_secs(10);
        if (over && at_rest(stage)) || started.elapsed() > MORNING + REST {
            return Ok(());
        }
    }
    Ok(())
}

/// The sentence of a decision that changes something, or of the end of a drain.
fn decision(line: &str) -> Option<String> {
    let field = |name: &str| {
        let (_, rest) = line.split_once(&format!(" {name}="))?;
        match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').map(|(text, _)| text),
            None => rest.split(' ').next(),
        }
    };
    let changes = matches!(field("action"), Some("scale_out" | "scale_in"));
    let ends = matches!(field("effect"), Some("terminate" | "stop_drain"));
    if !changes && !ends && !line.contains("level=error") {
        return None;
    }
    let text = field("message").or_else(|| field("msg"))?;
    Some(format!("{} {}: {text}", field("fleet").unwrap_or("-"), field("asg").unwrap_or("-")))
}

fn pulse(stage: &Stage) -> String {
    let status = stage.jitsi.status();
    let count = |kind| status.instances.get(&kind).map_or(0, Vec::len);
    format!(
        "{} bridges, {} conferences, {} people; {} jibris, {} recordings; refused so far: {} conferences, {} recordings",
        count(ComponentKind::Jvb),
        status.conferences.active,
        status.participants.active,
        count(ComponentKind::Jibri),
        status.recordings.active,
        status.conferences.refused,
        status.recordings.refused,
    )
}

/// Whether the load has ended and both groups are small again.
fn at_rest(stage: &Stage) -> bool {
    let status = stage.jitsi.status();
    let small = stage.asg.groups().iter().all(|group| group.desired <= group.min + 1);
    status.conferences.active == 0 && status.recordings.active == 0 && small
}

/// The closing line, from the calls of AWS and their damage; and whether all is well.
fn verdict(stage: &Stage) -> (String, bool) {
    let calls = stage.asg.calls(true);
    let count =
        |action: &str| calls.iter().filter(|call| call.action == action && call.outcome == "ok").count();
    let (out, in_) = (count("SetDesiredCapacity"), count("TerminateInstanceInAutoScalingGroup"));
    let status = stage.jitsi.status();
    let (recordings, conferences) = (status.recordings.cut, status.conferences.cut);
    let line = format!(
        "demo: scaled out {out} times, scaled in {in_} times, recordings cut {recordings}, conferences cut {conferences}"
    );
    (line, out > 0 && in_ > 0 && recordings == 0 && conferences == 0)
}
