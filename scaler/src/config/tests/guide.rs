//! The guide documents every key that the structs of `raw` have, and no other.

use std::collections::BTreeSet;
use std::path::Path;

use jitsi_web::document;

use super::parse;
use crate::config::raw::{RawConfig, RawTestFile};
use crate::config::test_file;

const GUIDE: &str = include_str!("../../../README.md");

/// A row of the guide's tables of keys.
struct Row {
    /// The path of keys.
    path: String,
    is_section: bool,
}

/// The rows below the headings that begin with `### ` and `title`, and name paths of sections or nothing more.
fn documented(title: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut sections: Vec<&str> = Vec::new();
    for line in GUIDE.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            let heading = heading.trim_start_matches('#').trim();
            let quoted: Vec<&str> = heading.split('`').skip(1).step_by(2).collect();
            let words = heading.split('`').next().unwrap_or_default().trim();
            sections = match (words == title, quoted.is_empty()) {
                (true, false) => quoted,
                (true, true) if !title.is_empty() => vec![""],
                // The top of a configuration.
                _ if title.is_empty() && heading == "The file" => vec![""],
                _ => Vec::new(),
            };
            continue;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let key = cells.get(1).and_then(|cell| cell.strip_prefix('`')?.strip_suffix('`'));
        let (Some(key), Some(kind)) = (key, cells.get(2)) else { continue };
        for section in &sections {
            let path = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
            assert!(cells.len() == 7, "{path} has not five cells: {line}");
            rows.push(Row { path, is_section: kind.contains("section") });
        }
    }
    rows
}

/// The block of the guide that begins with `# NAME`.
fn block(name: &str) -> &'static str {
    let start = format!("```yaml\n# {name}\n");
    let (_, rest) = GUIDE.split_once(&start).unwrap_or_else(|| panic!("the guide shows no {name}"));
    rest.split_once("```").expect("a closed block").0
}

fn compare(rows: &[Row], read: &BTreeSet<String>) {
    let paths: BTreeSet<String> = rows.iter().map(|row| row.path.clone()).collect();
    assert_eq!(paths.len(), rows.len(), "the guide has a key twice");
    let missing: Vec<_> = read.difference(&paths).collect();
    assert!(missing.is_empty(), "these keys are not in the tables of scaler/README.md: {missing:?}");
    let strange: Vec<_> = paths.difference(read).collect();
    assert!(
        strange.is_empty(),
        "scaler/README.md documents these keys, and no configuration has them: {strange:?}"
    );
    for row in rows.iter().filter(|row| row.is_section) {
        let below =
            |path: &&String| path.strip_prefix(&row.path).is_some_and(|rest| rest.starts_with(['.', '[']));
        assert!(
            read.iter().any(|path| below(&path)),
            "{} has no keys, and scaler/README.md calls it a section",
            row.path
        );
    }
}

#[test]
fn every_key_of_a_configuration_is_in_the_guide() {
    for name in ["reference.yml", "amp.yml"] {
        let config = parse(block(name)).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        assert!(config.warnings.is_empty(), "{name}: {:?}", config.warnings);
    }
    let rows = documented("");
    assert!(rows.len() > 80, "{} rows", rows.len());
    let mut keys = document::keys::<RawConfig>();
    // The other direction's verb is read only to refuse it.
    keys.retain(|key| match key.rsplit('.').next() {
        Some("add") => !key.contains(".scale_in."),
        Some("remove") => !key.contains(".scale_out."),
        _ => true,
    });
    compare(&rows, &keys);
}

#[test]
fn every_key_of_a_test_file_is_in_the_guide() {
    let text = block("scaler.test.yml").replace("config: scaler.yml", "config: 8x8.yml");
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/guide.test.yml");
    test_file::parse(&text, &beside).unwrap_or_else(|error| panic!("{error}"));
    let read = document::keys::<RawTestFile>();
    // The tables of a configuration document what `fleets` holds.
    let own = read.iter().filter(|path| !path.starts_with("fleets[]"));
    let own = own.map(|path| path.replace(".*.", ".POLICY.")).collect();
    let mut rows = documented("Test file");
    for row in &mut rows {
        row.is_section &= row.path != "fleets";
    }
    compare(&rows, &own);
}
