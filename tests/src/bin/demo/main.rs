//! The demo: one morning of load, compressed into a minute and a half. `tests/demo.sh` builds and starts it.

mod closing;
mod history;
mod picture;
mod record;

use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use jitsi_tests::jitsi_sim::load::{Load, Profile};
use jitsi_tests::jitsi_sim::settings::Lengths;
use jitsi_tests::jitsi_sim::{self, ComponentKind};
use jitsi_tests::stage::{Script, Stage};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, interval, sleep_until};

use crate::closing::Steps;
use crate::picture::Canvas;
use crate::record::Sample;

/// From the first arrival until the last conference has ended.
const MORNING: Duration = Duration::from_secs(75);
/// The time for the fleets to settle afterwards; then the demo ends in any case.
const REST: Duration = Duration::from_secs(30);
/// The interval of the lines about the load, in seconds.
const PULSE: usize = 5;

const SCALER: &str = include_str!("../../demo/scaler.yml");

/// The minimum of both groups.
const MINIMUM: u32 = 2;
/// How the configuration selects both groups, on AWS and on Azure. Azure enforces no bounds, so the configuration has them.
const PLACES: [(&str, &str); 2] = [
    (
        "asg: {regions: [us-east-1], names: [prod-jvb]}",
        "vmss: {subscription: '{subscription}', endpoint: '{azure}', resource_group: jitsi, names: [prod-jvb]}\n    \
         capacity: {min: 2, max: 12}",
    ),
    (
        "asg: {regions: [us-east-1], tags: {jitsi-fleet: jibri}}",
        "vmss: {subscription: '{subscription}', endpoint: '{azure}', resource_group: jitsi, tags: {jitsi-fleet: jibri}}\n    \
         capacity: {min: 2, max: 12}",
    ),
];

/// One morning of load on a small fleet: real exporter, Prometheus and scaler, simulated cloud and Jitsi
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Arguments {
    /// Seed of the morning
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// The cloud of the fleet
    #[arg(long, value_enum, default_value_t = Cloud::Aws)]
    cloud: Cloud,

    /// Keep running at the end until SIGINT or SIGTERM
    #[arg(long)]
    keep: bool,

    /// Print lines instead of a picture, as where the output is no terminal
    #[arg(long)]
    plain: bool,

    /// Write the morning for `jitsi-scaler backtest` into this folder
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Cloud {
    Aws,
    Azure,
}

impl Cloud {
    fn name(self) -> &'static str {
        match self {
            Self::Aws => "AWS",
            Self::Azure => "Azure",
        }
    }

    /// The groups of AWS, the sets of Azure, and the configuration.
    fn scene(self) -> (&'static str, Option<&'static str>, String) {
        match self {
            Self::Aws => (include_str!("../../demo/groups.json"), None, SCALER.to_owned()),
            Self::Azure => {
                let config =
                    PLACES.iter().fold(SCALER.to_owned(), |text, (aws, azure)| text.replace(aws, azure));
                ("[]", Some(include_str!("../../demo/sets.json")), config)
            }
        }
    }
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
    let (groups, sets, scaler) = arguments.cloud.scene();
    let script = Script { groups, scaler: &scaler, jitsi, seed: arguments.seed };
    // The demo's processes must end with it, so it catches signals before it starts the first.
    let mut ending = Ending::listen()?;
    let stage = tokio::select! {
        stage = Stage::start_with(scratch.path(), script, sets) => stage?,
        () = ending.asked() => return Ok(ExitCode::FAILURE),
    };
    introduce(&stage, arguments.cloud, &mut out)?;
    let canvas = width().filter(|_| !arguments.plain).map(|width| (Canvas::default(), width));
    let samples = tokio::select! {
        shown = show(&stage, canvas, &mut out) => shown?,
        () = ending.asked() => {
            writeln!(out, "demo: ended early")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let (lines, fine) = closing::words(&samples, &stage.jitsi.status(), steps(&stage));
    writeln!(out, "\n{}", lines.join("\n"))?;
    if let Some(folder) = &arguments.record {
        history::write(folder, &stage.prometheus.url, SCALER, samples.len()).await?;
        suggest(folder, &mut out)?;
    }
    if arguments.keep {
        writeln!(out, "demo: staying up; end it with Ctrl-C")?;
        ending.asked().await;
    }
    stage.scaler.process.stop().await?;
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What runs, and where to look at it.
fn introduce(stage: &Stage, cloud: Cloud, out: &mut impl Write) -> std::io::Result<()> {
    let endpoint = match &stage.vmss {
        Some(azure) => format!("Azure Resource Manager at {}", azure.url()),
        None => format!("AWS at AWS_ENDPOINT_URL={}", stage.asg.url()),
    };
    writeln!(
        out,
        "One morning in a minute and a half: real jitsi-exporter, Prometheus and jitsi-scaler; simulated {} and Jitsi.\n\
         Look at it while it runs:\n  \
           jitsi-scaler    http://{}/    what it does, and why\n  \
           jitsi-exporter  http://{}/\n  \
           Prometheus      {}/\n  \
           logs and configurations in {}; {endpoint}\n",
        cloud.name(),
        stage.scaler.address,
        stage.exporter.address,
        stage.prometheus.url,
        stage.folder.display(),
    )
}

/// What to try next, with the morning that `folder` has.
fn suggest(folder: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let programs = std::env::current_exe()?;
    let here = std::env::current_dir()?;
    let program = programs.with_file_name("jitsi-scaler");
    let program = program.strip_prefix(&here).unwrap_or(&program);
    writeln!(
        out,
        "\nHow many free Jibris would have sufficed, and at what price? This replays the morning, a minute for a second:\n  \
           {} backtest --config.file {folder}/scaler.yml --history {folder}/history.csv \\\n    \
             --fleet jibri --tune 'jibri.pool.scale_out.when=2..4/1' --tune 'jibri.pool.scale_in.when=3..6/1'\n\
         Next: \"Your own fleet\" in README.md.",
        program.display(),
        folder = folder.display(),
    )?;
    Ok(())
}

/// The columns of the terminal, if the output is one that the picture fits into.
fn width() -> Option<usize> {
    let (width, height) = terminal_size::terminal_size().filter(|_| std::io::stdout().is_terminal())?;
    let (columns, rows) = picture::SIZE;
    let width = usize::from(width.0);
    (width >= columns && usize::from(height.0) > rows).then_some(width)
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

/// Runs the morning on `canvas`, or prints a line for each decision except holds, and the load now and then.
/// Returns a sample for each second.
async fn show(
    stage: &Stage,
    mut canvas: Option<(Canvas, usize)>,
    out: &mut impl Write,
) -> anyhow::Result<Vec<Sample>> {
    let started = Instant::now();
    // Prometheus sees the first instances before the load starts.
    sleep_until(started + Duration::from_secs(6)).await;
    let morning = Profile::Morning { peak: 26.0, duration_seconds: MORNING.as_secs_f64() };
    stage.jitsi.set_load(&Load { profile: morning, ..Load::default() })?;

    let (mut samples, mut decisions) = (Vec::new(), Vec::new());
    let mut read = 0;
    let mut ticks = interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        samples.push(Sample::of(stage));
        let log = stage.scaler.process.output();
        let second = started.elapsed().as_secs();
        let new = log.lines().skip(read).filter_map(decision).map(|text| (second, text));
        let shown = decisions.len();
        decisions.extend(new);
        read = log.lines().count();
        match &mut canvas {
            Some((canvas, width)) => canvas.draw(out, &picture::lines(&samples, &decisions, *width))?,
            None => {
                for (_, text) in &decisions[shown..] {
                    writeln!(out, "{text}")?;
                }
                if samples.len() % PULSE == 1 {
                    writeln!(out, "  {second:>3} s  {}", pulse(stage))?;
                }
            }
        }
        let over = started.elapsed() > MORNING + Duration::from_secs(10);
        if (over && at_rest(stage)) || started.elapsed() > MORNING + REST {
            return Ok(samples);
        }
    }
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
    Some(format!("{}: {text}", field("asg").or_else(|| field("fleet")).unwrap_or("-")))
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
    let small = stage.sizes().iter().all(|(_, asked, _)| *asked <= MINIMUM + 1);
    status.conferences.active == 0 && status.recordings.active == 0 && small
}

/// The steps that the cloud took.
fn steps(stage: &Stage) -> Steps {
    if let Some(azure) = &stage.vmss {
        let calls = azure.calls(true);
        let count = |action: &str| calls.iter().filter(|call| call.action == action && call.applied).count();
        return Steps { out: count("UpdateSet"), in_: count("DeleteInstances") };
    }
    let calls = stage.asg.calls(true);
    let count =
        |action: &str| calls.iter().filter(|call| call.action == action && call.outcome == "ok").count();
    Steps { out: count("SetDesiredCapacity"), in_: count("TerminateInstanceInAutoScalingGroup") }
}
