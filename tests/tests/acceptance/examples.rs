//! The example configurations are valid, and pass their tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use jitsi_tests::harness::program;

fn examples(ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scaler/examples");
    let entries =
        std::fs::read_dir(folder).expect("the examples").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn scaler(arguments: &[&str], files: &[PathBuf]) -> String {
    let mut command = Command::new(program("jitsi-scaler").expect("built"));
    let output = command.args(arguments).args(files).output().expect("it runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn every_example_has_tests_that_pass() {
    let tests = examples(".test.yml");
    let said = scaler(&["test"], &tests);
    assert!(said.ends_with(" passed, 0 failed\n"), "{said}");
    for path in examples(".yml").into_iter().filter(|path| !tests.contains(path)) {
        assert!(tests.contains(&path.with_extension("test.yml")), "{} has no tests", path.display());
        scaler(&["check", "--config.file"], &[path]);
    }
}
