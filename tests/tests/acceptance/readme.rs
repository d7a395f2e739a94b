//! The configurations that the README shows are valid.

use std::path::Path;
use std::process::Command;

use jitsi_tests::harness::{program, tool};

/// The block of the README that begins with `# NAME`.
fn block(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(path).expect("the README");
    let start = format!("```yaml\n# {name}\n");
    let (_, rest) = readme.split_once(&start).unwrap_or_else(|| panic!("the README shows no {name}"));
    rest.split_once("```").expect("a closed block").0.to_owned()
}

fn accepted(mut command: Command) {
    let output = command.output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test_case::test_case("scaler.yml"; "the first one")]
#[test_case::test_case("reference.yml"; "the one with every key")]
fn the_scaler_takes_its_configuration(name: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(name);
    std::fs::write(&file, block(name)).expect("written");
    let mut command = Command::new(program("jitsi-scaler").expect("built"));
    command.args(["check", "--config.file"]).arg(&file);
    accepted(command);
}

#[test]
fn prometheus_takes_its_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("prometheus.yml");
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alerts/rules/recording.yml");
    let text =
        block("prometheus.yml").replace("/etc/prometheus/rules/recording.yml", &rules.display().to_string());
    std::fs::write(&file, text).expect("written");
    let mut command = Command::new(tool("promtool").expect("promtool comes with prometheus"));
    command.args(["check", "config"]).arg(&file);
    accepted(command);
}
