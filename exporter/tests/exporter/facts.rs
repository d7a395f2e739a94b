//! Compares the tables with the documented keys of every version, if that documentation is available. The lists in `tables`
//! and `compat` are part of this project.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use jitsi_exporter::component::Component::{self, Jibri, Jicofo, Jvb};
use jitsi_exporter::sample::Kind;

fn facts(name: &str) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/facts");
    fs::read_to_string(folder.join(name)).ok()
}

/// The cells of a table's lines, of which the first begins with `start`.
fn cells<'t>(text: &'t str, start: &'t str) -> impl Iterator<Item = Vec<&'t str>> {
    let cells = |line: &'t str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    text.lines().filter(move |line| line.starts_with(&format!("| {start}"))).map(cells)
}

fn keys(component: Component) -> HashSet<&'static str> {
    component.table().rows().map(|row| row.key).collect()
}

#[test]
fn every_key_of_a_bridge_has_a_row_and_its_native_name() {
    let Some(text) = facts("jvb.md") else { return };
    let rows: Vec<_> = cells(&text, "`").filter(|cells| cells.len() == 8).collect();
    assert!(rows.len() > 110, "{} keys", rows.len());
    for cells in rows {
        let key = cells[0].trim_matches('`');
        let row = Jvb.table().rows().find(|row| row.key == key);
        let row = row.unwrap_or_else(|| panic!("no row for {key}"));
        let written = cells[7].split([' ', '{', '(']).next().and_then(|name| name.strip_prefix("jitsi_jvb_"));
        assert_eq!(row.native.map(|native| native.name), written, "{key}");
        assert!(!row.versions.is_empty(), "{key} has no versions");
        assert_eq!(
            row.versions.contains("gone"),
            !cells[5].is_empty() && key != "total_conferences",
            "{key}"
        );
        // A cumulative value is a counter here, whatever its name is there.
        if cells[3] == "counter" {
            assert_eq!(row.kind, Kind::Counter, "{key}");
        }
    }
}

#[test]
fn every_key_of_jicofo_has_a_row() {
    let Some(text) = facts("jicofo.md") else { return };
    let known = keys(Jicofo);
    let mut seen = 0;
    let statistics = text.split("## /stats keys").nth(1).and_then(|text| text.split("### ").next());
    for cells in statistics
        .expect("the table")
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>())
    {
        if matches!(cells[0], "path" | "-") {
            continue;
        }
        for key in spelled_out(cells[0]) {
            assert!(known.contains(&*key), "no row for {key}, from {}", cells[0]);
            seen += 1;
        }
    }
    assert!(seen > 65, "{seen} keys");
}

/// The keys of a cell such as `bs.{a, b}` or `a.b, .c`.
fn spelled_out(cell: &str) -> Vec<String> {
    let cell = cell.split(" and (since").next().unwrap_or(cell).replace("bs.", "bridge_selector.");
    let cell = cell.replace("<id>", "*").replace("<action>", "*");
    let mut keys = vec![String::new()];
    let mut rest = cell.as_str();
    // Each brace multiplies the text in front of it.
    while let Some((before, after)) = rest.split_once('{') {
        let (choices, after) = after.split_once('}').expect("a brace ends");
        let all = choices.split(',').map(|choice| if choice == ".." { "total_recv" } else { choice.trim() });
        keys = all.flat_map(|choice| keys.iter().map(move |key| format!("{key}{before}{choice}"))).collect();
        rest = after;
    }
    let mut found: Vec<String> = Vec::new();
    for key in keys.into_iter().map(|key| key + rest) {
        let mut object = String::new();
        for part in key.split(',').map(str::trim) {
            let full = if part.starts_with('.') { format!("{object}{part}") } else { part.to_owned() };
            object = full.rsplit_once('.').map_or(String::new(), |(object, _)| object.to_owned());
            found.push(full.split(' ').next().unwrap_or_default().to_owned());
        }
    }
    found
}

#[test]
fn every_native_metric_that_is_named_is_taken() {
    let Some(text) = facts("jibri.md") else { return };
    let line = text.lines().find_map(|line| line.strip_prefix("Counters: ")).expect("the counters");
    let counters = line.split('.').next().expect("a sentence");
    let taken: HashSet<&str> = natives(Jibri).collect();
    for name in counters.split(',').map(|name| name.split_whitespace().next().expect("a name")) {
        assert!(taken.contains(name), "{name} is not taken");
    }
}

#[test]
fn only_metrics_that_the_statistics_of_jicofo_lack_are_used() {
    let taken: HashSet<&str> = natives(Jicofo).collect();
    let listed = "
        jibri_no_instance_failures_total bridge_endpoints bridge_failing_ice bridge_restart_requests_total
        bridge_endpoints_moved_total load_redistributor_endpoints_moved_total conference_requests_total
        conference_requests_new_total conferences_seconds endpoint_seconds xmpp_disconnects_total
        ice_restarts_requested_total ice_restarts_relayed_total ice_restarts_not_needed_total
        ice_restarts_failed_total bridge_selection_rate_limited_total";
    assert_eq!(taken, listed.split_whitespace().collect());
}

#[test]
fn wrong_metrics_of_a_fresh_jibri_are_not_used() {
    assert!(natives(Jibri).all(|name| name != "healthy" && name != "recording"));
}

fn natives(component: Component) -> impl Iterator<Item = &'static str> {
    let table = component.table();
    (0..table.families().len())
        .flat_map(|family| table.rows_of(family))
        .filter_map(|row| Some(row.native?.name))
}

#[test]
fn names_of_the_json_form_are_those_of_one_metric() {
    for component in Component::ALL {
        let names: HashSet<&str> = natives(component).collect();
        for name in &names {
            for suffix in ["_total", "_info"] {
                let longer = format!("{name}{suffix}");
                assert!(!names.contains(&*longer), "{component}: {name} may be {longer} in JSON");
            }
        }
    }
}

#[test]
fn the_list_of_the_systemli_exporter_is_whole() {
    let Some(text) = facts("exporters.md") else { return };
    let mut written = HashSet::new();
    for cells in cells(&text, "jitsi_").chain(cells(&text, "total_ice_")) {
        let (name, label) = cells[0].split_once('{').unwrap_or((cells[0], "-"));
        let kind = cells[1].replace("MISSING-TYPE", "gauge");
        let key = cells[2].trim_end_matches("[i]");
        written.insert(format!("{name} {kind} {} {key}", label.trim_end_matches('}')));
    }
    let listed: HashSet<String> = crate::compat::SYSTEMLI.lines().map(ToOwned::to_owned).collect();
    assert_eq!(listed, written);
}
