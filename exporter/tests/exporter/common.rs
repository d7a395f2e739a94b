//! Shared by the tests: payloads, and a parser of expositions that is stricter than Prometheus'.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A payload of this project.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Payloads of real components, if they are available.
pub(crate) fn samples() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples");
    folder.is_dir().then_some(folder)
}

/// A parsed exposition.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    /// Value by series, written as `name{label="value",…}` with labels in the order written.
    pub(crate) series: BTreeMap<String, f64>,
    /// Type by family, under the name of its TYPE line.
    pub(crate) types: HashMap<String, String>,
}

impl Exposition {
    /// The value of a series, which must exist.
    pub(crate) fn value(&self, series: &str) -> f64 {
        *self.series.get(series).unwrap_or_else(|| panic!("no {series} in {:#?}", self.series))
    }

    /// All series of a name.
    pub(crate) fn of(&self, name: &str) -> Vec<(&str, f64)> {
        let named = |series: &str| {
            series == name || series.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'))
        };
        self.series
            .iter()
            .filter(|(series, _)| named(series))
            .map(|(series, value)| (series.as_str(), *value))
            .collect()
    }
}

/// Parses text 0.0.4 and panics on any violation.
pub(crate) fn text(exposition: &str) -> Exposition {
    read(exposition, false)
}

/// Parses OpenMetrics and panics on any violation.
pub(crate) fn openmetrics(exposition: &str) -> Exposition {
    let body = exposition.strip_suffix("# EOF\n").expect("OpenMetrics ends with # EOF");
    read(body, true)
}

fn read(exposition: &str, openmetrics: bool) -> Exposition {
    let mut read = Exposition::default();
    let mut helped = HashSet::new();
    let mut seen_families = HashSet::new();
    let mut family = String::new();
    assert!(exposition.is_empty() || exposition.ends_with('\n'), "the last line is partial");
    for line in exposition.lines() {
        assert_eq!(line, line.trim(), "blanks around {line:?}");
        assert!(!line.is_empty(), "an empty line");
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("HELP has a text");
            assert!(helped.insert(name.to_owned()), "HELP of {name} twice");
            assert!(help.ends_with('.'), "HELP of {name} is no sentence: {help}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("TYPE has a type");
            assert!(helped.contains(name), "{name} has no HELP before its TYPE");
            assert!(read.types.insert(name.to_owned(), kind.to_owned()).is_none(), "TYPE of {name} twice");
            assert!(seen_families.insert(name.to_owned()), "{name} stands in two places");
            let suffixed = name.ends_with("_total");
            assert!(
                suffixed == (kind == "counter" && !openmetrics) || is_of_another_exporter(name),
                "{name} is a {kind}"
            );
            name.clone_into(&mut family);
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (name, unit) = rest.split_once(' ').expect("UNIT has a unit");
            assert!(openmetrics, "text 0.0.4 has no UNIT");
            assert!(name == family && name.ends_with(&format!("_{unit}")), "{name} is not in {unit}");
        } else {
            let (series, value) = sample(line);
            let name = series.split('{').next().expect("a name");
            let kind = read.types.get(&family).unwrap_or_else(|| panic!("{line} has no TYPE"));
            let suffixes: &[&str] = match kind.as_str() {
                "counter" if openmetrics => &["_total"],
                "info" => &["_info"],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            let belongs = suffixes.iter().any(|suffix| name.strip_suffix(suffix) == Some(family.as_str()));
            assert!(belongs, "{name} stands under {family}, a {kind}");
            if kind == "counter" {
                assert!(value >= 0.0, "{line}");
            }
            assert!(read.series.insert(series.clone(), value).is_none(), "{series} twice");
        }
    }
    read
}

/// Whether the name is one of the systemli exporter.
pub(crate) fn is_of_another_exporter(name: &str) -> bool {
    (name.starts_with("jitsi_") && !name.starts_with("jitsi_exporter_")) || name.starts_with("total_ice_")
}

/// Splits a line into series and value.
fn sample(line: &str) -> (String, f64) {
    let name_end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value in {line:?}"));
    let (name, mut rest) = line.split_at(name_end);
    assert!(is_name(name), "{name:?} is no name");
    if let Some(labels) = rest.strip_prefix('{') {
        rest = labels;
        let mut names = HashSet::new();
        loop {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label in {line:?}"));
            assert!(is_name(label) && !label.contains(':'), "{label:?} is no label name");
            assert!(names.insert(label.to_owned()), "{label} twice in {line:?}");
            rest = &after[end_of_value(after)..];
            match rest.chars().next() {
                Some(',') => rest = &rest[1..],
                Some('}') => break,
                other => panic!("{other:?} after a label value in {line:?}"),
            }
        }
        rest = &rest[1..];
    }
    let series = &line[..line.len() - rest.len()];
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("no value in {line:?}"));
    (series.to_owned(), value.parse().unwrap_or_else(|_| panic!("{value:?} is no number")))
}

fn end_of_value(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => {
                assert!(matches!(c, '\\' | '"' | 'n'), "\\{c} is no escape");
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    panic!("a label value does not end: {text:?}")
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}
