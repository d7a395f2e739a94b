//! The rules of the house: layers, no circles, files and functions of a readable length, one TLS stack, the top level.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

mod imports;

/// The folders with Rust code.
const CODE: [&str; 4] = ["exporter", "scaler", "grafana", "tests"];
/// Folders in which files may use each other in a circle. A simulated world holds its parts, and the file of each part
/// says how it acts on the world; splitting data from behaviour would tear apart what belongs together.
const WORLDS: [&str; 2] = ["tests/src/simulation/", "tests/src/jitsi_sim/"];
/// The most lines of a file.
const FILE: usize = 600;
/// The most lines of a function, from `fn` to its closing brace.
const FUNCTION: usize = 80;
/// Begins the comment, within three lines above `fn`, that says why a function is longer than [`FUNCTION`].
const REASON: &str = "// long: ";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file of Rust below `folder`.
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

/// Every file of Rust in the repository: its path from the top, and its text.
pub(crate) fn code() -> Vec<(String, String)> {
    let files = CODE.into_iter().flat_map(|folder| sources(&root().join(folder)));
    files
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a source file");
            (path.strip_prefix(root()).expect("below the top").display().to_string(), text)
        })
        .collect()
}

/// The modules of the scaler, lowest layer first. A module may use those above it in this list, and none in its own
/// line.
const SCALER: &[&[&str]] = &[
    &["units", "shards"],
    &["decide"],
    &["config"],
    &["access", "import", "telemetry"],
    &["leader"],
    &["observe", "cloud", "jitsi"],
    &["report", "summary"],
    &["backtest"],
    &["control", "online", "policy_test", "remote"],
    &["http", "cli", "network"],
    &["service", "backtest_command", "release"],
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
fn files_of_a_crate_import_each_other_in_no_circle() {
    let mut crates: Vec<PathBuf> = CODE.into_iter().map(|folder| root().join(folder)).collect();
    let mut circles = Vec::new();
    while let Some(folder) = crates.pop() {
        let is_crate = ["lib.rs", "main.rs"].iter().any(|name| folder.join(name).is_file());
        if is_crate {
            circles.extend(imports::Crate::read(&folder, sources(&folder)).circles());
        }
        let children =
            std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        // Below a crate's root only `bin` holds further crates.
        crates.extend(children.filter(|path| path.is_dir() && (!is_crate || path.ends_with("bin"))));
    }
    let top = format!("{}/", root().display());
    let circles: Vec<String> = circles
        .into_iter()
        .map(|circle| circle.replace(&top, ""))
        .filter(|circle| {
            !WORLDS.iter().any(|world| circle.lines().all(|line| line.trim_start().starts_with(world)))
        })
        .collect();
    assert!(circles.is_empty(), "files that use each other in a circle:\n{}", circles.join("\n\n"));
}

#[test]
fn no_file_is_too_long_to_read() {
    let long: Vec<String> = code()
        .into_iter()
        .map(|(path, text)| (text.lines().count(), path))
        .filter(|(lines, _)| *lines > FILE)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "more than {FILE} lines; split by what each part owns:\n{}", long.join("\n"));
}

#[test]
fn no_function_is_long_without_a_reason() {
    let mut long = Vec::new();
    for (path, text) in code() {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
            let indent = &line[..line.len() - line.trim_start().len()];
            // Formatted code ends a body with a brace at the indentation of its `fn`, and a declaration with `;`.
            let closing = [format!("{indent}}}"), format!("{indent}) ")];
            let end = lines[at..].iter().position(|line| {
                *line == closing[0]
                    || (line.starts_with(indent)
                        && line.ends_with(';')
                        && (line.starts_with(&closing[1]) || begins_function(line)))
            });
            let length = end.map_or(1, |end| end + 1);
            let reasoned =
                lines[at.saturating_sub(3)..at].iter().any(|above| above.trim_start().starts_with(REASON));
            if length > FUNCTION && !reasoned {
                long.push(format!("{path}:{}: {length} lines", at + 1));
            }
        }
    }
    assert!(
        long.is_empty(),
        "more than {FUNCTION} lines; split, or say why above in a comment that begins `{REASON}`:\n{}",
        long.join("\n")
    );
}

/// Whether a function begins in this line of formatted code.
fn begins_function(line: &str) -> bool {
    let words = line.trim_start().split(' ').take_while(|word| {
        matches!(*word, "fn" | "pub" | "pub(super)" | "pub(crate)" | "const" | "async" | "extern")
    });
    words.last() == Some("fn")
}

#[test]
fn configuration_files_have_one_reader_of_yaml() {
    // Tests read YAML of others, such as charts and rules; that is no configuration of the programs.
    let own = |path: &str| path.starts_with("exporter/web/src/document/") || path.contains("tests/");
    let others: Vec<String> = code()
        .into_iter()
        .filter(|(path, text)| !own(path) && text.contains("serde_saphyr"))
        .map(|(path, _)| path)
        .collect();
    assert!(others.is_empty(), "read YAML by jitsi_web::document, not in {}", others.join(", "));
}

#[test]
fn there_is_one_tls_stack() {
    // The lock file names more packages, for optional features of dependencies.
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
    // An unpacked archive has no git, and nothing to check.
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

#[test]
fn every_mutation_of_the_table_fits_the_code() {
    let mutations = jitsi_tests::mutations::table(&root()).unwrap_or_else(|error| panic!("{error}"));
    assert!(mutations.len() > 100, "{} mutations", mutations.len());
}
