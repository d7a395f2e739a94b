//! Holds the layering: a module uses only modules of the layers before its own.

use std::fs;
use std::path::{Path, PathBuf};

/// From the lowest to the highest; within a layer modules do not know each other.
const LAYERS: &[&[&str]] = &[
    &["allow", "json", "promtext", "reason", "sample", "target"],
    &["distribution", "metric_row"],
    &["table"],
    &["native"],
    &["component"],
    &["modules"],
    &["client", "tls"],
    &["access", "instance"],
    &["config", "exposition", "landing", "scrape"],
    &["relay"],
    &["telemetry"],
    &["http", "reference"],
    &["cli"],
];

/// Modules that do no I/O and tell no time, and what would give it to them.
const PURE: &[&str] = &[
    "allow",
    "json",
    "promtext",
    "reason",
    "sample",
    "target",
    "distribution",
    "metric_row",
    "table",
    "native",
    "component",
    "modules",
    "config",
    "exposition",
    "landing",
    "reference",
];
const IMPURE: &[&str] = &[
    "tokio",
    "reqwest",
    "axum",
    "hyper",
    "tracing",
    "std::fs",
    "std::time::SystemTime",
    "Instant",
    "std::process",
    "std::env",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn layer(module: &str) -> usize {
    LAYERS.iter().position(|layer| layer.contains(&module)).unwrap_or_else(|| panic!("{module} has no layer"))
}

/// Every file below `folder` with the top module that it belongs to.
fn files(folder: &Path, top: Option<&str>, found: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        let module = top.unwrap_or(&name).to_owned();
        if path.is_dir() {
            files(&path, Some(&module), found);
        } else if !matches!(name.as_str(), "lib" | "main") {
            found.push((module, path));
        }
    }
}

fn modules() -> Vec<(String, PathBuf, String)> {
    let mut found = Vec::new();
    files(&source(), None, &mut found);
    let read = |path: &PathBuf| fs::read_to_string(path).expect("a source file");
    found.into_iter().map(|(module, path)| (module, path.clone(), read(&path))).collect()
}

/// The code without its tests, which may use what they like.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

#[test]
fn a_module_uses_only_lower_layers() {
    for (module, path, text) in modules() {
        for used in code(&text).split("crate::").skip(1) {
            let used: String = used.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            assert!(
                used == module || layer(&used) < layer(&module),
                "{} uses {used}, which is not in a layer before its own",
                path.display()
            );
        }
    }
}

#[test]
fn a_component_does_not_know_the_others() {
    for (_, path, text) in modules().into_iter().filter(|(module, _, _)| module == "component") {
        if path.ends_with("component/mod.rs") {
            continue;
        }
        assert!(!code(&text).contains("crate::component"), "{} uses another component", path.display());
        assert!(!code(&text).contains("super::super"), "{} reaches beyond its folder", path.display());
    }
}

#[test]
fn what_is_pure_has_no_means_to_be_otherwise() {
    for (module, path, text) in modules().into_iter().filter(|(module, _, _)| PURE.contains(&module.as_str()))
    {
        let used: Vec<&str> =
            code(&text).lines().filter(|line| line.trim_start().starts_with("use ")).collect();
        for name in IMPURE {
            assert!(
                !used.iter().any(|line| line.contains(name)),
                "{} ({module}) uses {name}",
                path.display()
            );
        }
    }
}

#[test]
fn every_module_is_in_lib_in_the_order_of_its_layer() {
    let lib = fs::read_to_string(source().join("lib.rs")).expect("lib.rs");
    let declared: Vec<usize> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ")?.strip_suffix(';'))
        .map(layer)
        .collect();
    assert_eq!(declared.len(), LAYERS.iter().map(|layer| layer.len()).sum::<usize>());
    assert!(declared.is_sorted(), "lib.rs lists modules from the lowest layer to the highest");
}
