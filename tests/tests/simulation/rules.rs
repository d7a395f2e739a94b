//! The rules of five operators on the same simulated month: the table of scaler/BACKTEST.md.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use jitsi_tests::harness::program;
use jitsi_tests::simulation::{Options, Provider, Recorded, run};
use serde_json::Value;

/// By whose conditions capacity is short.
const YARDSTICK: &str = "
prometheus: {url: 'http://127.0.0.1:9090'}
fleets:
  - name: jvb
    component: jvb
    asg: {regions: [us-east-1], tags: {jitsi-fleet: jvb}}
    policies: [{name: stress, expr: asg:jvb_stress:avg, measures: load, scale_out: {when: '>= 0.8', periods: 1, add: 1}}]
  - name: jibri
    component: jibri
    asg: {regions: [us-east-1], tags: {jitsi-fleet: jibri}}
    policies: [{name: free, expr: asg:jibri_available:sum, measures: idle, scale_out: {when: '< 1', periods: 1, add: 1}}]
";

/// People that a bridge bears at a stress of 1, and bytes that each of them receives in a minute: 1.6 Mbit/s.
const BEARABLE: f64 = 200.0;
const BYTES: f64 = 12e6;

/// What a rule reads: the name of its series, that of the recorded one, and how one becomes the other.
type Reads = (&'static str, &'static str, fn(f64) -> f64);

const SAME: fn(f64) -> f64 = |value| value;
const RULES: [(&str, &[Reads]); 6] = [
    ("8x8", &[("network-out", "stress", |stress| stress * BEARABLE * BYTES), ("pool", "free", SAME)]),
    // A bridge at a stress of 1 fills its network card.
    ("airwalk", &[("network", "stress", SAME), ("cpu", "stress", |stress| stress * 0.9)]),
    ("jitsi-autoscaler", &[("stress", "stress", SAME)]),
    (
        "meetrix",
        &[
            ("users", "stress", |stress| stress * BEARABLE),
            ("network-out", "stress", |stress| stress * BEARABLE * BYTES),
            ("demand", "busy", |busy| busy + 3.0),
        ],
    ),
    ("startup", &[("available", "free", SAME), ("forecast", "busy", |busy| busy + 3.0)]),
    ("telzee", &[("free", "free", SAME)]),
];

/// The recorded history with the series that a rule and the yardstick read.
fn converted(history: &str, reads: &[Reads]) -> Result<String> {
    let mut csv = "time,asg,series,value\n".to_owned();
    for line in history.lines().skip(1) {
        let [time, asg, series, value] = line.split(',').collect::<Vec<_>>()[..] else { continue };
        if ["instances", "stress", "free"].contains(&series) {
            writeln!(csv, "{line}")?;
        }
        for (name, _, convert) in reads.iter().filter(|(name, from, _)| *from == series && *name != series) {
            writeln!(csv, "{time},{asg},{name},{}", convert(value.parse()?))?;
        }
    }
    Ok(csv)
}

/// `cargo test -p jitsi-tests --test simulation -- --ignored rules --nocapture` prints the table.
#[test]
#[ignore = "it takes some minutes and only prints what the guide quotes"]
fn the_rules_of_five_operators_on_one_month() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = include_str!("policies/a.yml").replace("{prometheus}", "http://prometheus.invalid:9090");
    let outcome = run(&Options {
        days: 30,
        cloud: Provider::Aws,
        seed: 1,
        faults: false,
        large: false,
        scalers: 1,
        without: None,
        first_stretch: 0,
        first_only: true,
        recorded: Some(Recorded { config, folder: folder.path().to_owned() }),
    });
    ensure!(!outcome.tally.has_cuts(), "{outcome}");
    let history = std::fs::read_to_string(folder.path().join("history.csv"))?;
    let yardstick = folder.path().join("yardstick.yml");
    std::fs::write(&yardstick, YARDSTICK)?;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scaler/examples");

    let mut table =
        "| rule | of | instance-hours | minutes short | longest shortage | scale-outs | scale-ins |\n\
                     |---|---|---|---|---|---|---|\n"
            .to_owned();
    for (name, reads) in RULES {
        let (csv, rule) = (folder.path().join("history-of-it.csv"), folder.path().join("rule.yml"));
        std::fs::write(&csv, converted(&history, reads)?)?;
        let text = std::fs::read_to_string(examples.join(format!("{name}.yml")))?;
        std::fs::write(&rule, text.replace("eu-west-1", "us-east-1"))?;
        let mut command = Command::new(program("jitsi-scaler")?);
        command.args(["backtest", "--output", "json", "--config.file"]).arg(&yardstick);
        command.arg("--against").arg(&rule).arg("--history").arg(&csv);
        let output = command.output()?;
        ensure!(!output.stdout.is_empty(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout)?;
        let groups = report["against"].as_array().context("groups")?;
        for (fleet, what) in [("jvb", "bridges"), ("jibri", "Jibris")] {
            let of_fleet: Vec<&Value> = groups.iter().filter(|group| group["fleet"] == fleet).collect();
            let figures = |name: &str| -> Vec<f64> {
                of_fleet.iter().filter_map(|group| group["simulated"][name].as_f64()).collect()
            };
            let sum = |name: &str| figures(name).iter().sum::<f64>();
            if of_fleet.is_empty() {
                continue;
            }
            ensure!(of_fleet.len() == 2, "{name}: {} groups", of_fleet.len());
            writeln!(
                table,
                "| {name} | {what} | {:.0} | {:.0} | {:.0} min | {} | {} |",
                sum("instance_hours"),
                sum("minutes_short"),
                figures("longest_short_minutes").into_iter().fold(0.0, f64::max),
                sum("scale_outs"),
                sum("scale_ins")
            )?;
        }
    }
    std::io::stderr().write_all(table.as_bytes())?;
    Ok(())
}
