//! The shape of the house: layers, the one TLS stack, the top level.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The modules of the scaler, lowest layer first. One may use those above it in this list; those in one line are
/// strangers to each other.
const SCALER: &[&[&str]] = &[
    &["units"],
    &["decide"],
    &["config"],
    &["access", "import", "telemetry"],
    &["leader"],
    &["observe", "cloud", "jitsi"],
    &["report", "summary"],
    &["control", "online", "policy_test"],
    &["http", "cli", "network"],
    &["service"],
];

fn layer(module: &str) -> Option<usize> {
    SCALER.iter().position(|layer| layer.contains(&module))
}

#[test]
fn a_module_of_the_scaler_imports_only_from_lower_layers() {
    let source = root().join("scaler/src");
    for path in sources(&source) {
        let relative = path.strip_prefix(&source).expect("below the sources");
        let first = relative.components().next().expect("a name").as_os_str().to_string_lossy();
        let module = first.trim_end_matches(".rs");
        if module == "lib" || module == "main" {
            continue;
        }
        let own = layer(module).unwrap_or_else(|| panic!("{module} has no layer; give it one in this test"));
        let text = std::fs::read_to_string(&path).expect("a source file");
        for (number, line) in text.lines().enumerate() {
            for (_, rest) in line.match_indices("crate::").map(|(at, name)| line.split_at(at + name.len())) {
                let used: String =
                    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let Some(theirs) = layer(&used) else { continue };
                assert!(
                    used == module || theirs < own,
                    "{}:{}: {module} uses {used}, which is not below it",
                    relative.display(),
                    number + 1
                );
            }
        }
    }
}

#[test]
fn there_is_one_tls_stack() {
    // The lock file names more: what optional features of others would bring.
    let output = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--all-features",
            "--locked",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout);
    let packages: BTreeSet<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    let named = |name: &str| packages.iter().filter(|it| it.split(' ').next() == Some(name)).count();
    for foreign in ["openssl-sys", "native-tls", "ring", "s2n-tls", "boring-sys", "mbedtls"] {
        assert_eq!(named(foreign), 0, "{foreign} is in the tree");
    }
    for single in ["rustls", "hyper", "aws-lc-rs"] {
        assert_eq!(named(single), 1, "{single} is in the tree {} times", named(single));
    }
}

#[test]
fn the_top_level_holds_what_the_design_names() {
    let output = std::process::Command::new("git")
        .args(["ls-tree", "--name-only", "HEAD"])
        .current_dir(root())
        .output();
    // An unpacked archive has no git, and nothing to be wrong here.
    let Ok(output) = output else { return };
    let known: BTreeSet<&str> = [
        "Cargo.toml",
        "Cargo.lock",
        "LICENSE",
        "README.md",
        "exporter",
        "scaler",
        "grafana",
        "alerts",
        "tests",
    ]
    .into();
    for name in String::from_utf8_lossy(&output.stdout).lines() {
        assert!(name.starts_with('.') || known.contains(name), "{name} does not belong at the top level");
    }
}
