//! The guide lists every key of both configuration files, and no other. The known keys come from the programs' error about
//! an unknown key.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use jitsi_exporter::modules;
use jitsi_web::check_web_config;
use tempfile::TempDir;

const GUIDE: &str = include_str!("../../README.md");

/// Unlike every key, so that it does not look like a misspelt one.
const UNKNOWN: &str = "qqqqqqqqqqqqqqqqqqqqqq";

/// The keys in the guide's tables below the headings that begin with `kind`, as paths; and whether each is a section.
fn documented(kind: &str) -> BTreeMap<String, bool> {
    let mut found = BTreeMap::new();
    let mut section: Option<&str> = None;
    for line in GUIDE.lines() {
        if line.starts_with('#') {
            let title = line
                .trim_start_matches('#')
                .trim()
                .strip_prefix(kind)
                .map(|title| title.trim_matches([':', ' ']));
            section = title.map(|title| title.split('`').nth(1).unwrap_or_default());
            continue;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let key = cells.get(1).and_then(|cell| cell.strip_prefix('`')?.strip_suffix('`'));
        let (Some(section), Some(key), Some(type_)) = (section, key, cells.get(2)) else { continue };
        let path = child(section, key);
        assert!(cells.len() == 7, "{path} has not five cells: {line}");
        assert!(found.insert(path, type_.contains("section")).is_none(), "{line} stands there twice");
    }
    found
}

fn child(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// A file that has an unknown key in `section`, and nothing else.
fn probing(section: &str) -> String {
    let keys = section.split('.').filter(|key| !key.is_empty()).chain([UNKNOWN]);
    let lines = keys.enumerate().map(|(depth, key)| format!("{}{key}:", "  ".repeat(depth)));
    lines.collect::<Vec<_>>().join("\n") + " 1\n"
}

/// Every key below `section`, by `ask` for those of one.
fn discover(ask: &impl Fn(&str) -> Vec<String>, section: &str, found: &mut BTreeSet<String>) {
    for key in ask(section) {
        let path = child(section, &key);
        discover(ask, &path, found);
        found.insert(path);
    }
}

fn compare(documented: &BTreeMap<String, bool>, known: &BTreeSet<String>) {
    let paths: BTreeSet<String> = documented.keys().cloned().collect();
    let missing: Vec<_> = known.difference(&paths).collect();
    assert!(missing.is_empty(), "these keys are not in exporter/README.md: {missing:?}");
    let strange: Vec<_> = paths.difference(known).collect();
    assert!(strange.is_empty(), "exporter/README.md lists unknown keys: {strange:?}");
    for (path, is_section) in documented {
        let has_keys =
            known.iter().any(|other| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')));
        assert_eq!(has_keys, *is_section, "whether {path} is a section");
    }
}

#[test]
fn every_key_of_modules_is_in_the_guide() {
    let ask = |section: &str| {
        if section == "modules" {
            return vec!["NAME".to_owned()];
        }
        let (_, problems) = modules::parse(&probing(section), Path::new(""));
        let said = problems
            .iter()
            .find_map(|problem| problem.text.split_once(&format!("`{UNKNOWN}` here; known are ")));
        said.map_or_else(Vec::new, |(_, known)| known.split(", ").map(str::to_owned).collect())
    };
    let mut known = BTreeSet::new();
    discover(&ask, "", &mut known);
    // That name is the operator's.
    assert!(known.remove("modules.NAME"));
    compare(&documented("Modules"), &known);
}

#[test]
fn every_key_of_the_web_configuration_is_in_the_guide() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("web.yml");
    let ask = |section: &str| {
        fs::write(&file, probing(section)).expect("written");
        let error = check_web_config(&file).expect_err("an unknown key").to_string();
        let said = error.split_once(&format!("`{UNKNOWN}` here; known are "));
        said.map_or_else(Vec::new, |(_, known)| known.split(", ").map(str::to_owned).collect())
    };
    let mut known = BTreeSet::new();
    discover(&ask, "", &mut known);
    assert!(known.len() > 10, "{known:?}");
    compare(&documented("Web"), &known);
}
