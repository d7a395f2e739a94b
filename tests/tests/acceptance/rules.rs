//! The rule files, by Prometheus' own tool.

use std::path::{Path, PathBuf};
use std::process::Command;

use jitsi_tests::harness::tool;

fn alerts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../alerts")
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(alerts().join(folder)).expect("the folder");
    let files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    assert!(!files.is_empty());
    files
}

fn promtool(arguments: &[&str], files: Vec<PathBuf>) {
    let promtool = tool("promtool").expect("promtool comes with prometheus");
    let output = Command::new(promtool).args(arguments).args(files).output().expect("promtool runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_rules_are_clean() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], files("rules"));
}

#[test]
fn the_rules_give_what_their_tests_say() {
    promtool(&["test", "rules"], files("tests"));
}
