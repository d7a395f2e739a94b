//! The reference of all metrics, as Markdown, from the tables that make them.

use std::fmt::Write as _;
use std::time::Duration;

use jitsi_web::describe_metrics;
use jitsi_web::exposition::Format;

use crate::component::Component;
use crate::exposition;
use crate::promtext::lines;
use crate::row::{Read, Row};
use crate::sample::{Family, Kind};
use crate::table::{Reading, Table};
use crate::telemetry::Telemetry;

const HEAD: &str = "\
# Metrics of jitsi-exporter

Made by `jitsi-exporter --print-metrics-reference`; a test compares it with the program.

- A statistic that a component does not report has no sample; nothing is 0 for want of a value.
- *JSON* is the key in the component's statistics, *native* the name in its own `/metrics`, where that
  can stand in for the statistics of a bridge that has them switched off, or has what they lack
  (`--scrape.native`). A unit that differs there is converted.
- *Versions* are those of the component that have the JSON key, as far as they are known; without an
  end it is still there.
- Every metric of a component has the label `target` too where `/metrics` covers more than one of its
  kind.
- Types and names are those of the text format 0.0.4. In OpenMetrics a counter's family is named
  without `_total`, and `_info` makes a type of its own.
";

/// All of it.
#[must_use]
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    for component in Component::ALL {
        let title = match component {
            Component::Jvb => "Jitsi Videobridge",
            Component::Jicofo => "Jicofo",
            Component::Jibri => "Jibri",
        };
        let path = component.stats_path();
        add(&mut text, format_args!("\n## {title}\n\nJSON of `{path}`."));
        text.push_str("\n| metric | type | unit | labels | meaning | JSON | native | versions |\n");
        text.push_str("|---|---|---|---|---|---|---|---|\n");
        for family in exposition::own_families(component) {
            add(&mut text, format_args!("{} {} | | | |", head(&family, ""), family.help));
        }
        families(&mut text, component, component.table());
    }
    own(&mut text);
    for (component, table) in Component::ALL.into_iter().filter_map(|it| Some((it, it.compat_table()?))) {
        text.push_str(
            "\n## Names of the systemli exporter\n\nWith `--compat.systemli`, beside the others. Values are in the units of the JSON.\n",
        );
        text.push_str("\n| metric | type | labels | the same here | JSON |\n|---|---|---|---|---|\n");
        for (at, family) in table.families().iter().enumerate() {
            for row in table.rows_of(at) {
                let (name, kind, labels, key) = (family.name, kind(family.kind), labels(row), row.key);
                let ours = component.table().rows().find(|ours| ours.key == key).map_or("", |ours| ours.name);
                add(&mut text, format_args!("| `{name}` | {kind} | {labels} | `{ours}` | `{key}` |"));
            }
        }
    }
    text
}

fn families(text: &mut String, component: Component, table: &Table) {
    for (at, family) in table.families().iter().enumerate() {
        let rows: Vec<&Row> = table.rows_of(at).collect();
        let Some(first) = rows.first() else {
            add(text, format_args!("{} {} | | | |", head(family, "`key`"), family.help));
            continue;
        };
        let prefix = component.native_prefix();
        let keys = rows.iter().filter(|row| !row.key.is_empty());
        let keys: Vec<String> = keys.map(|row| format!("`{}`", row.key)).collect();
        let natives = rows.iter().filter_map(|row| row.native);
        let natives = list(natives.map(|native| format!("`{prefix}{}`", native.name)));
        let mut versions: Vec<&str> = rows.iter().map(|row| row.versions).collect();
        if versions.iter().all(|version| *version == first.versions) {
            versions.truncate(1);
        }
        // Keys and their versions stand side by side.
        let (keys, versions) = (keys.join("<br>"), versions.join("<br>"));
        let (head, help) = (head(family, &labels(first)), first.help);
        add(text, format_args!("{head} {help} | {keys} | {natives} | {versions} |"));
    }
}

/// The first columns.
fn head(family: &Family, labels: &str) -> String {
    let unit = family.unit.map_or("", crate::sample::Unit::as_str);
    format!("| `{}` | {} | {unit} | {labels} |", family.name, kind(family.kind))
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge | Kind::Info => "gauge",
        Kind::Histogram => "histogram",
        Kind::Unknown => "untyped",
    }
}

fn labels(row: &Row) -> String {
    let read = match row.read {
        Read::Text(label) | Read::State(label, _) | Read::Slots(label) => Some(label),
        Read::Sizes => Some("le"),
        _ => None,
    };
    let labels = [row.label, row.fixed.map(|(label, _)| label), read];
    list(labels.into_iter().flatten().map(|label| format!("`{label}`")))
}

/// Each but once, where several rows say the same.
fn list(items: impl Iterator<Item = String>) -> String {
    let mut once: Vec<String> = Vec::new();
    for item in items {
        if !once.contains(&item) {
            once.push(item);
        }
    }
    once.join(", ")
}

/// What the exporter says of itself and of a probe, as it says it.
fn own(text: &mut String) {
    let mut telemetry = Telemetry::new(Component::ALL);
    describe_metrics(telemetry.registry(), "jitsi_exporter");
    // There are no samples of this one before the first.
    let reading = Reading { unusable: vec![""], ..Reading::default() };
    telemetry.scraped(Component::Jvb, "", Ok(&reading));
    telemetry.relays(Component::Jvb);
    let probe = exposition::probe(true, Duration::ZERO, Format::Text004);
    for (title, exposed) in [
        ("The exporter itself\n\nOn `/metrics` only.", telemetry.encode(Format::Text004)),
        ("Probes\n\nIn the answers of `/probe` only.", probe),
    ] {
        add(text, format_args!("\n## {title}\n\n| metric | type | labels | meaning |\n|---|---|---|---|"));
        let (mut help, mut kind) = ("", None);
        for line in exposed.lines() {
            if let Some(described) = line.strip_prefix("# HELP ") {
                help = described.split_once(' ').map_or("", |(_, help)| help);
            } else if let Some(typed) = line.strip_prefix("# TYPE ") {
                kind = typed.split_once(' ');
            } else if let (Some((name, kind)), Some(sample)) = (kind.take(), lines(line).next()) {
                let labels = list(sample.labels.names().map(|label| format!("`{label}`")));
                add(text, format_args!("| `{name}` | {kind} | {labels} | {help} |"));
            }
        }
    }
}

fn add(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes every write");
}
