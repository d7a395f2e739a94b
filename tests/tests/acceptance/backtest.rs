//! The command `backtest`: its guide, its refusals and its exit codes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use jitsi_tests::harness::program;
use test_case::test_case;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs the scaler where the example of the guide is.
fn scaler(arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(program("jitsi-scaler")?);
    command.args(arguments).current_dir(root().join("scaler/examples/backtest"));
    Ok(command.output()?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The guide with the output of each of its commands as it is now.
fn renewed(guide: &str) -> Result<String> {
    let mut renewed = String::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        renewed.push_str(line);
        renewed.push('\n');
        let Some(command) = line.strip_prefix("$ jitsi-scaler ") else { continue };
        let arguments: Vec<String> = command.split_whitespace().map(|word| word.replace('\'', "")).collect();
        let output = scaler(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
        ensure!(output.status.success(), "{command}: {}", text(&output.stderr));
        renewed.push_str(&text(&output.stdout));
        renewed.push_str("```\n");
        lines.find(|line| *line == "```").context("the end of a block")?;
    }
    Ok(renewed)
}

/// `WRITE_GUIDES=1` renews the outputs.
#[test]
fn the_guide_shows_what_its_commands_print() -> Result<()> {
    let path = root().join("scaler/BACKTEST.md");
    let guide = std::fs::read_to_string(&path)?;
    let now = renewed(&guide)?;
    if std::env::var_os("WRITE_GUIDES").is_some() {
        std::fs::write(&path, now)?;
        return Ok(());
    }
    ensure!(
        guide == now,
        "scaler/BACKTEST.md is not what its commands print; run this test with WRITE_GUIDES=1"
    );
    Ok(())
}

/// What the service would refuse is refused with the same words.
#[test]
fn a_wrong_configuration_is_refused_as_by_check() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let wrong = std::fs::read_to_string(root().join("scaler/examples/backtest/scaler.yml"))?
        .replace("periods: 3", "periods: three")
        .replace("warmup: 2m", "warmupp: 2m");
    let path = folder.path().join("scaler.yml");
    std::fs::write(&path, wrong)?;
    let path = path.display().to_string();
    let of = |command: &str, more: &[&str]| scaler(&[&[command, "--config.file", &path], more].concat());
    let (check, backtest) = (of("check", &[])?, of("backtest", &["--history", "week.csv"])?);
    assert_eq!(text(&check.stderr), text(&backtest.stderr));
    assert_eq!((check.status.code(), backtest.status.code()), (Some(2), Some(2)));
    assert!(text(&check.stderr).contains("warmup"), "{}", text(&check.stderr));
    Ok(())
}

#[test_case(&["--history", "nowhere.csv"], 2, "failed to read nowhere.csv"; "a file that is not there")]
#[test_case(&["--history", "week.csv", "--tune", "jvb.stres.scale_out.when=0.5,0.6"], 2, "there is no `stres`; did you mean `stress`?"; "a policy misspelt")]
#[test_case(&["--history", "week.csv", "--tune", "jvb.stress.scale_out.wen=0.5,0.6"], 2, "there is no key `wen` here; did you mean `when`?"; "a key misspelt")]
#[test_case(&["--history", "week.csv", "--tune", "jvb.stress.expr=a,b"], 2, "it changes what is read from Prometheus"; "another series")]
#[test_case(&["--history", "week.csv", "--fleet", "jibri"], 2, "failed to find the fleet jibri; there are jvb"; "a fleet that is not there")]
#[test_case(&["--history", "week.csv", "--group", "other"], 1, "failed to replay group other: neither the configuration nor its series name it"; "a group that is not there")]
#[test_case(&["--history", "week.csv", "--from", "2026-09-29T00:00:00Z"], 2, "the beginning is not before the end"; "a time after the end")]
#[test_case(&["--history", "week.csv", "--from", "2026-09-30T00:00:00Z", "--to", "2026-10-01T00:00:00Z"], 1, "how many instances served is not known at any moment"; "a time without history")]
fn what_cannot_be_answered_says_why(arguments: &[&str], code: i32, expected: &str) -> Result<()> {
    let output = scaler(&[&["backtest", "--config.file", "scaler.yml"], arguments].concat())?;
    assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    Ok(())
}

/// The names of the contract: nothing of it is renamed.
#[test]
fn the_json_has_its_stable_names() -> Result<()> {
    let arguments =
        ["backtest", "--config.file", "scaler.yml", "--history", "week.csv", "--against", "careful.yml"];
    let tune = ["--tune", "jvb.stress.scale_out.when=0.5,0.6", "--output", "json"];
    let output = scaler(&[arguments.as_slice(), tune.as_slice()].concat())?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let figures = [
        "instance_hours",
        "cost",
        "minutes_short",
        "longest_short_minutes",
        "minutes_without_free",
        "minutes_at_maximum",
        "scale_outs",
        "scale_ins",
        "drains",
        "shortest_reversal_seconds",
        "last_capacity",
    ];
    for side in ["groups", "against"] {
        let group = &report[side][0];
        for key in ["fleet", "asg", "region"] {
            ensure!(group[key].is_string(), "{side}: {key}");
        }
        for figure in figures {
            ensure!(
                group["had"].get(figure).is_some() && group["simulated"].get(figure).is_some(),
                "{figure}"
            );
        }
        for key in ["missing_ratio", "extrapolated_ratio", "open_loop"] {
            ensure!(group["trust"].get(key).is_some(), "{key}");
        }
        for (list, keys) in [
            ("decisions", ["time", "action", "from", "to", "why"].as_slice()),
            ("capacity", ["time", "had", "simulated", "wanted"].as_slice()),
        ] {
            ensure!(keys.iter().all(|key| group[list][0].get(key).is_some()), "{list}: {}", group[list][0]);
        }
    }
    ensure!(report["from"].is_string() && report["to"].is_string(), "the span");
    let point = &report["front"][0];
    ensure!(
        ["set", "instance_hours", "minutes_short", "present"].iter().all(|key| point.get(key).is_some()),
        "{point}"
    );
    ensure!(report.get("recommended").is_some(), "recommended");
    Ok(())
}

/// A page that stands alone: no script, nothing from elsewhere, and small.
#[test]
fn the_page_needs_nothing_else() -> Result<()> {
    let output = scaler(&[
        "backtest",
        "--config.file",
        "scaler.yml",
        "--history",
        "week.csv",
        "--against",
        "careful.yml",
        "--output",
        "html",
    ])?;
    let page = text(&output.stdout);
    for foreign in ["<script", "src=", "@import", "url(", "style=\""] {
        ensure!(!page.contains(foreign), "{foreign}");
    }
    ensure!(page.contains("careful.yml takes"), "the answer comes first");
    ensure!(page.matches("<svg").count() == 2, "a chart of the capacity and one of the policy");
    // 2 MB for 20 groups of 30 days, whose charts have as many points.
    ensure!(page.len() < 100_000, "{} bytes", page.len());
    Ok(())
}
