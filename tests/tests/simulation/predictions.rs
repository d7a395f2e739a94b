//! What a backtest says, held against what happened.
//!
//! A day is simulated under one policy and recorded. A backtest of that policy has to find the decisions that were made, and
//! a backtest of another policy what the same day, simulated under that one, came to.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use jitsi_tests::harness::{Prometheus, Scaler, ScalerEnvironment, tool};
use jitsi_tests::simulation::{Made, Options, Provider, Recorded, run};
use serde_json::Value;
use test_case::test_case;
use tokio::process::Command;

const A: &str = include_str!("policies/a.yml");
const B: &str = include_str!("policies/b.yml");
/// The day that is simulated.
const SPAN: [&str; 4] = ["--from", "2026-09-21T06:00:00Z", "--to", "2026-09-22T06:00:00Z"];
const PERIOD: i64 = 60;

/// A day that was recorded.
struct Day {
    folder: PathBuf,
    prometheus: Prometheus,
    decisions: Vec<Made>,
}

impl Day {
    /// Simulates a day under a policy, and has a real Prometheus serve what was recorded.
    async fn record(folder: PathBuf, seed: u64, policy: &'static str) -> Result<Self> {
        let taped = folder.join("recording");
        std::fs::create_dir_all(&taped)?;
        let config = policy.replace("{prometheus}", "http://prometheus.invalid:9090");
        let options = Options {
            days: 1,
            cloud: Provider::Aws,
            seed,
            faults: false,
            large: false,
            scalers: 1,
            without: None,
            first_stretch: 0,
            first_only: true,
            recorded: Some(Recorded { config, folder: taped.clone() }),
        };
        let outcome = tokio::task::spawn_blocking(move || run(&options)).await?;
        ensure!(!outcome.tally.has_cuts(), "{outcome}");
        for entry in std::fs::read_dir(&taped)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "om") {
                let mut command = Command::new(tool("promtool")?);
                command.args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"]);
                command.arg(&path).arg(folder.join("prometheus-data"));
                let made = command.output().await?;
                ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            }
        }
        let decisions = serde_json::from_slice(&std::fs::read(taped.join("decisions.json"))?)?;
        let prometheus = Prometheus::start_with_history(&folder, "global: {}\n").await?;
        Ok(Self { folder, prometheus, decisions })
    }

    /// The report of a backtest of a policy on this day, by group.
    async fn backtest(&self, policy: &str) -> Result<Vec<Value>> {
        let config = self.folder.join("backtest.yml");
        std::fs::write(&config, policy.replace("{prometheus}", &self.prometheus.url))?;
        let config = config.display().to_string();
        let flags =
            [&["backtest", "--output", "json", "--config.file", config.as_str()], SPAN.as_slice()].concat();
        let nowhere = ScalerEnvironment { aws: "http://127.0.0.1:1".to_owned() };
        let output = Scaler::output(&flags, &nowhere).await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout)?;
        Ok(report["groups"].as_array().context("groups")?.clone())
    }
}

fn figure(group: &Value, side: &str, name: &str) -> Result<f64> {
    group[side][name].as_f64().with_context(|| format!("no {name} of {side}"))
}

/// How many decisions of a group were made, were found, and were found within a period.
fn found(group: &Value, made: &[Made]) -> Result<(usize, usize, usize)> {
    let made: Vec<_> = made.iter().filter(|made| group["asg"] == made.asg.as_str()).collect();
    let decisions = group["decisions"].as_array().context("decisions")?;
    let mut open: Vec<(i64, &Value)> = decisions
        .iter()
        .map(|decision| {
            let at: jiff::Timestamp = decision["time"].as_str().context("a time")?.parse()?;
            Ok((at.as_second(), decision))
        })
        .collect::<Result<_>>()?;
    let (mut all, mut near) = (0, 0);
    for made in &made {
        let is_it = |(at, decision): &(i64, &Value)| {
            decision["action"] == made.action.as_str()
                && decision["to"] == made.to
                && (at - made.time).abs() <= 10 * PERIOD
        };
        if let Some(place) = open.iter().position(is_it) {
            let (at, _) = open.remove(place);
            all += 1;
            near += usize::from((at - made.time).abs() <= PERIOD);
        }
    }
    Ok((made.len().max(decisions.len()), all, near))
}

#[test_case(1; "seed 1")]
#[test_case(2; "seed 2")]
#[test_case(3; "seed 3")]
#[test_case(4; "seed 4")]
#[test_case(5; "seed 5")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backtest_says_what_happens(seed: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let day = |name: &str, policy| Day::record(Path::join(folder.path(), name), seed, policy);
    let (under_a, under_b) = tokio::try_join!(day("a", A), day("b", B))?;
    let mut table = String::new();
    let (mut made, mut near) = (0, 0);

    // The same policy: its decisions, and what they cost.
    for group in under_a.backtest(A).await? {
        let (count, all, within) = found(&group, &under_a.decisions)?;
        let (had, simulated) =
            (figure(&group, "had", "instance_hours")?, figure(&group, "simulated", "instance_hours")?);
        let error = (simulated / had - 1.0) * 100.0;
        writeln!(
            table,
            "A on A  {:<8} decisions {count}, found {all}, within a period {within}; instance-hours {had:.1}, {error:+.1} %",
            group["asg"].as_str().unwrap_or_default()
        )?;
        made += count;
        near += within;
        ensure!(error.abs() <= 2.0, "{table}");
    }
    ensure!(made > 50 && near * 100 >= made * 85, "{near} of {made} decisions within a period\n{table}");

    // Another policy: what it came to, by fleet, and for how long capacity was short, by group.
    let (predicted, came) = (under_a.backtest(B).await?, under_b.backtest(B).await?);
    for fleet in ["jvb", "jibri"] {
        let hours = |groups: &[Value], side| -> Result<f64> {
            groups
                .iter()
                .filter(|group| group["fleet"] == fleet)
                .map(|group| figure(group, side, "instance_hours"))
                .sum()
        };
        let (live, simulated) = (hours(&came, "had")?, hours(&predicted, "simulated")?);
        let error = (simulated / live - 1.0) * 100.0;
        writeln!(table, "B on A  {fleet:<8} instance-hours {live:.1}, {error:+.1} %")?;
        ensure!(error.abs() <= 10.0, "{table}");
    }
    for (live, simulated) in came.iter().zip(&predicted) {
        let name = live["asg"].as_str().unwrap_or_default();
        let (short, said) =
            (figure(live, "had", "minutes_short")?, figure(simulated, "simulated", "minutes_short")?);
        writeln!(table, "B on A  {name:<8} minutes short {short:.0}, said {said:.0}")?;
        ensure!((said - short).abs() <= 10.0_f64.max(short * 0.2), "{table}");
    }
    // The guide quotes it.
    std::io::stderr().write_all(format!("seed {seed}\n{table}").as_bytes())?;
    for day in [under_a, under_b] {
        day.prometheus.process.stop().await?;
    }
    Ok(())
}
