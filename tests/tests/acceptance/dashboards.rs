//! The dashboard files: they match the tables, and name only existing metrics, dashboards and variables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jitsi_dashboards::{LEAST_GRAFANA, Values, all};
use promql_parser::parser::{Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

use crate::dashboards_left_out::LEFT_OUT;

/// Grafana's units in the panels; Grafana takes a misspelt one for a custom unit.
const UNITS: [&str; 11] =
    ["short", "none", "percentunit", "s", "bps", "pps", "cps", "mps", "reqps", "bytes", "decbytes"];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The panels with content, including those of collapsed rows.
pub(crate) fn panels(dashboard: &Value) -> Vec<&Value> {
    let list = |value: &'_ Value| value["panels"].as_array().map(Vec::as_slice).unwrap_or_default().len();
    let top = dashboard["panels"].as_array().expect("panels");
    let within =
        top.iter().filter(|panel| list(panel) > 0).flat_map(|row| row["panels"].as_array().expect("panels"));
    top.iter().chain(within).filter(|panel| panel["type"] != "row").collect()
}

pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The expressions of a dashboard and its annotations, each with its place.
pub(crate) fn expressions(dashboard: &Value) -> Vec<(String, String, bool)> {
    let title = text(dashboard, "title");
    let of_panel = |panel: &Value| -> Vec<_> {
        let targets = panel["targets"].as_array().expect("targets");
        let place = format!("{title}: {}", text(panel, "title"));
        targets.iter().map(|it| (place.clone(), text(it, "expr").to_owned(), it["instant"] == true)).collect()
    };
    let annotations = dashboard["annotations"]["list"].as_array().expect("annotations");
    let mut found: Vec<_> = panels(dashboard).into_iter().flat_map(of_panel).collect();
    found.extend(
        annotations
            .iter()
            .map(|it| (format!("{title}: {}", text(it, "name")), text(it, "expr").to_owned(), false)),
    );
    found
}

/// The expression with all values selected, and the intervals of a fleet that is scraped every second.
pub(crate) fn substituted(expr: &str) -> String {
    interpolated(expr, &[], ["5s", "10s", "2m"])
}

/// The expression with `chosen` values of variables, all values of the others, and `$__rate_interval`, `$__interval` and
/// `$__range`, as Grafana sends it.
pub(crate) fn interpolated(expr: &str, chosen: &[(&str, &str)], intervals: [&str; 3]) -> String {
    let mut expr = expr.to_owned();
    for (name, value) in ["$__rate_interval", "$__interval", "$__range"].iter().zip(intervals) {
        expr = expr.replace(name, value);
    }
    for (name, value) in chosen {
        expr = expr.replace(&format!("\"${name}\""), &format!("\"{value}\""));
        expr = expr.replace(&format!("${{{name}:raw}}"), value);
    }
    for variable in all().iter().flat_map(|dashboard| &dashboard.variables) {
        let name = variable.name;
        expr = match variable.values {
            Values::Label { optional, .. } => {
                expr.replace(&format!("\"${name}\""), if optional { "\".*\"" } else { "\".+\"" })
            }
            Values::Result { .. } => expr.replace(&format!("${{{name}:raw}}"), "policy=~\".+\""),
            Values::Text(default) => expr.replace(&format!("${name}"), default),
        };
    }
    assert!(!expr.contains('$'), "no variable is left: {expr}");
    expr
}

#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn see(&mut self, selector: &VectorSelector) {
        self.0.extend(selector.name.clone());
    }
}

impl ExprVisitor for Names {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        match expr {
            Expr::VectorSelector(selector) => self.see(selector),
            Expr::MatrixSelector(range) => self.see(&range.vs),
            _ => {}
        }
        Ok(true)
    }
}

/// The metrics that an expression names explicitly.
pub(crate) fn names(expr: &str) -> BTreeSet<String> {
    let parsed = promql_parser::parser::parse(expr).unwrap_or_else(|error| panic!("{expr}: {error}"));
    let mut names = Names::default();
    let Ok(_) = walk_expr(&mut names, &parsed);
    names.0
}

/// The metrics of jitsi-exporter's reference, including the parts of histograms, and the recorded series.
pub(crate) fn documented() -> BTreeSet<String> {
    let reference = std::fs::read_to_string(root().join("exporter/METRICS.md")).expect("the reference");
    let mut known = BTreeSet::new();
    for line in reference.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (name, rest) = line.split_once('`').expect("a closed name");
        known.insert(name.to_owned());
        if rest.starts_with(" | histogram") {
            known.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}")));
        }
    }
    let rules = std::fs::read_to_string(root().join("alerts/rules/recording.yml")).expect("the rules");
    known.extend(rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).map(str::to_owned));
    known.extend(["up", "ALERTS", "ALERTS_FOR_STATE"].map(str::to_owned));
    known.extend(of_the_scaler());
    known
}

/// The scaler's own metrics, including the parts of histograms. A program does not show those without samples, so this
/// reads the table of the source.
fn of_the_scaler() -> BTreeSet<String> {
    let source = std::fs::read_to_string(root().join("scaler/src/telemetry/metrics.rs")).expect("the source");
    let (_, table) = source.split_once("\nmetrics! {\n").expect("the table");
    let (table, _) = table.split_once("\n}\n").expect("its end");
    let mut found = BTreeSet::new();
    for (name, of) in table.lines().filter_map(|line| line.strip_prefix("        ")?.split_once(": ")) {
        let name = format!("jitsi_scaler_{name}");
        if of.starts_with("Durations") || of.starts_with("Histogram") {
            found.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}")));
        } else if of.contains("Counter") {
            found.insert(format!("{name}_total"));
        } else if ["Gauge", "Real", "Passing"].iter().any(|kind| of.contains(kind)) {
            found.insert(name);
        }
    }
    assert!(found.len() > 30, "{found:?}");
    found
}

#[test]
fn the_files_are_those_of_the_tables() {
    let folder = root().join("grafana/dashboards");
    let mut expected = BTreeSet::new();
    for dashboard in all() {
        let file = format!("{}.json", dashboard.uid);
        let written = std::fs::read_to_string(folder.join(&file)).expect("the file of the dashboard");
        let made = serde_json::to_string_pretty(&dashboard.json()).expect("JSON") + "\n";
        assert!(written == made, "{file} is old: cargo run -p jitsi-dashboards");
        expected.insert(file);
    }
    let entries = std::fs::read_dir(folder).expect("the folder");
    let there: BTreeSet<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(there, expected);
}

#[test]
fn every_panel_says_what_it_shows_and_has_a_place_of_its_own() {
    let mut uids = BTreeSet::new();
    for dashboard in all() {
        let json = dashboard.json();
        assert!(uids.insert(dashboard.uid), "{} is there twice", dashboard.uid);
        assert!(!text(&json, "description").is_empty(), "{}", dashboard.uid);
        let mut ids = BTreeSet::new();
        let mut cells = BTreeSet::new();
        for row in json["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] == "row") {
            assert!(ids.insert(row["id"].as_u64()), "{row}");
        }
        for panel in panels(&json) {
            let title = text(panel, "title");
            let place = format!("{}: {title}", dashboard.title);
            assert!(!title.is_empty() && text(panel, "description").ends_with('.'), "{place}");
            let unit = text(&panel["fieldConfig"]["defaults"], "unit");
            assert!(UNITS.contains(&unit), "{place}: {unit:?}");
            assert!(ids.insert(panel["id"].as_u64()), "{place}: id {}", panel["id"]);
            assert!(!panel["targets"].as_array().expect("targets").is_empty(), "{place} asks for nothing");
            let at = |key: &str| panel["gridPos"][key].as_u64().expect("a place");
            assert!(at("x") + at("w") <= 24, "{place} sticks out");
            for cell in
                (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)))
            {
                assert!(cells.insert(cell), "{place} lies on another");
            }
        }
    }
}

/// The links of series and of columns.
fn links(panel: &Value) -> Vec<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = list(&panel["fieldConfig"]["defaults"]["links"]);
    for properties in list(&panel["fieldConfig"]["overrides"]).iter().flat_map(|it| list(&it["properties"])) {
        if properties["id"] == "links" {
            found.extend(list(&properties["value"]));
        }
    }
    found
}

#[test]
fn links_lead_to_dashboards_and_variables_that_exist() {
    let dashboards = all();
    let mut count = 0;
    for dashboard in &dashboards {
        for link in panels(&dashboard.json()).into_iter().flat_map(links) {
            let url = text(&link, "url");
            // A group leads to its component.
            let component = "${__data.fields.component}";
            let of: &[&str] = if url.contains(component) { &["jvb", "jibri"] } else { &[""] };
            for url in of.iter().map(|of| url.replace(component, of)) {
                count += 1;
                let Some(rest) = url.strip_prefix("/d/") else {
                    assert!(["${page}/", "http://${__data."].iter().any(|it| url.starts_with(it)), "{url}");
                    continue;
                };
                let (uid, rest) = rest.split_once('?').expect("variables");
                let to =
                    dashboards.iter().find(|it| it.uid == uid).unwrap_or_else(|| panic!("{url}: no {uid}"));
                let variables = rest.split('&').filter_map(|part| part.strip_prefix("var-")?.split_once('='));
                for (variable, _) in variables.filter(|(name, _)| *name != "datasource") {
                    assert!(
                        to.variables.iter().any(|it| it.name == variable),
                        "{url}: {uid} has no {variable}"
                    );
                }
            }
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn a_column_has_one_link_to_each_place_and_every_heading_is_a_word() {
    for dashboard in all() {
        let json = dashboard.json();
        for panel in panels(&json).into_iter().filter(|panel| panel["type"] == "table") {
            let place = format!("{}: {}", dashboard.title, text(panel, "title"));
            for it in panel["fieldConfig"]["overrides"].as_array().expect("overrides") {
                let links =
                    it["properties"].as_array().into_iter().flatten().filter(|it| it["id"] == "links");
                let count = links.filter_map(|it| it["value"].as_array()).map(Vec::len).sum::<usize>();
                assert!(count <= 2, "{place}: {count} links");
            }
            let organize = &panel["transformations"][1]["options"];
            let renamed = organize["renameByName"].as_object().expect("headings");
            for heading in renamed.values() {
                let heading = heading.as_str().expect("a heading");
                assert!(heading.starts_with(char::is_uppercase), "{place}: {heading}");
            }
            // Each label of the columns has a heading, in its place; a label without one would show by its own name.
            for target in panel["targets"].as_array().expect("targets") {
                for label in grouped(text(target, "expr")) {
                    assert!(renamed.contains_key(&label), "{place} shows the label {label}");
                }
            }
        }
    }
}

/// The labels by which the outermost aggregations of an expression group.
fn grouped(expr: &str) -> Vec<String> {
    let outermost = expr.split_once(" by (").filter(|(before, _)| !before.contains('{'));
    let labels = outermost.and_then(|(_, rest)| rest.split_once(')')).map_or("", |(labels, _)| labels);
    labels.split(',').map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()).collect()
}

#[test]
fn every_expression_parses_and_names_what_is_documented() {
    let known = documented();
    for dashboard in all() {
        for (place, expr, _) in expressions(&dashboard.json()) {
            // Another test compares the metrics of the scaler and the web server with the running programs.
            let own = |name: &String| {
                ["jvb_", "jicofo_", "jibri_"].iter().any(|prefix| name.starts_with(prefix))
                    || name.contains(':')
            };
            for name in names(&substituted(&expr)).iter().filter(|name| own(name)) {
                assert!(known.contains(name), "{place}: there is no {name}");
            }
        }
    }
}

/// Everything that the dashboards use of Grafana, with the version that brought it; what is older than 8.0 has that.
const SINCE: [(&str, &str); 12] = [
    ("schemaVersion 39", "10.3"),
    ("panel heatmap", "9.1"),
    ("panel stat", "8.0"),
    ("panel state-timeline", "8.0"),
    ("panel table", "8.0"),
    ("panel timeseries", "8.0"),
    ("transformation merge", "8.0"),
    ("transformation organize", "8.0"),
    ("mapping special", "8.0"),
    ("mapping value", "8.0"),
    ("cell color-background", "9.4"),
    ("cell gauge", "9.4"),
];

/// Options of panels and of fields that version 10.3 knows, by its published schema.
const OPTIONS: [&str; 54] = [
    "calculate",
    "cellGap",
    "cellHeight",
    "color",
    "colorMode",
    "exemplars",
    "filterValues",
    "frameIndex",
    "graphMode",
    "justifyMode",
    "legend",
    "mergeValues",
    "orientation",
    "reduceOptions",
    "rowHeight",
    "showHeader",
    "showValue",
    "sortBy",
    "textMode",
    "tooltip",
    "yAxis",
    "unit",
    "links",
    "noValue",
    "decimals",
    "max",
    "min",
    "custom",
    "mappings",
    "thresholds",
    "custom.drawStyle",
    "custom.fillOpacity",
    "custom.lineWidth",
    "custom.showPoints",
    "custom.spanNulls",
    "custom.stacking",
    "custom.axisSoftMax",
    "custom.lineStyle",
    "custom.cellOptions",
    "custom.minWidth",
    "legend.displayMode",
    "legend.placement",
    "legend.showLegend",
    "legend.calcs",
    "legend.show",
    "tooltip.mode",
    "tooltip.sort",
    "tooltip.show",
    "color.mode",
    "color.scheme",
    "color.fill",
    "color.exponent",
    "color.reverse",
    "color.steps",
];

fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().expect("a number")).collect()
}

#[test]
fn nothing_is_newer_than_the_least_grafana() {
    let least = version(LEAST_GRAFANA);
    let readme = std::fs::read_to_string(root().join("grafana/README.md")).expect("the guide");
    assert!(
        readme.contains(&format!("Grafana {LEAST_GRAFANA} or newer")),
        "the guide states another version"
    );
    let known = |feature: String, place: &str| {
        let since = SINCE.iter().find(|(name, _)| **name == feature);
        let (_, since) = since.unwrap_or_else(|| panic!("{place} uses {feature}: since which version?"));
        assert!(version(since) <= least, "{place} uses {feature}, which {since} brought");
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for dashboard in all() {
        let json = dashboard.json();
        known(format!("schemaVersion {}", json["schemaVersion"]), dashboard.uid);
        for panel in panels(&json) {
            let place = format!("{}: {}", dashboard.title, text(panel, "title"));
            known(format!("panel {}", text(panel, "type")), &place);
            for it in list(&panel["transformations"]) {
                known(format!("transformation {}", text(&it, "id")), &place);
            }
            let defaults = &panel["fieldConfig"]["defaults"];
            let overrides = list(&panel["fieldConfig"]["overrides"]);
            let properties: Vec<_> = overrides.iter().flat_map(|it| list(&it["properties"])).collect();
            let mappings =
                properties.iter().filter(|it| it["id"] == "mappings").flat_map(|it| list(&it["value"]));
            for it in list(&defaults["mappings"]).into_iter().chain(mappings) {
                known(format!("mapping {}", text(&it, "type")), &place);
            }
            for it in properties.iter().filter(|it| it["id"] == "custom.cellOptions") {
                known(format!("cell {}", text(&it["value"], "type")), &place);
            }
            let mut used: BTreeSet<String> = properties.iter().map(|it| text(it, "id").to_owned()).collect();
            for (of, value) in [("", &panel["options"]), ("", defaults)] {
                for (key, inside) in value.as_object().expect("options") {
                    used.insert(format!("{of}{key}"));
                    if ["custom", "legend", "tooltip", "color"].contains(&key.as_str()) {
                        used.extend(
                            inside.as_object().into_iter().flatten().map(|(it, _)| format!("{key}.{it}")),
                        );
                    }
                }
            }
            for option in used {
                assert!(
                    OPTIONS.contains(&option.as_str()),
                    "{place} sets {option}, which is not known of 10.3"
                );
            }
        }
    }
}

/// Otherwise a choice on one dashboard empties another: `job` of a bridge is no `job` of an exporter.
#[test]
fn a_variable_means_the_same_on_every_dashboard() {
    let mut seen: std::collections::BTreeMap<&str, String> = std::collections::BTreeMap::new();
    for dashboard in all() {
        for variable in &dashboard.variables {
            let values = format!("{:?}", variable.values);
            let before = seen.entry(variable.name).or_insert_with(|| values.clone());
            assert_eq!(*before, values, "{} of {}", variable.name, dashboard.uid);
            assert!(!["job", "instance"].contains(&variable.name), "{}", dashboard.uid);
        }
        // "All" stands for the values in the list, unless a label may be missing; then the metric is of one component.
        for variable in dashboard.json()["templating"]["list"].as_array().expect("variables") {
            let all = variable["allValue"].as_str();
            let component = ["jvb_asg", "jibri_asg"].contains(&text(variable, "name"));
            assert_eq!(all, component.then_some(".*"), "{}: {}", dashboard.uid, variable["name"]);
        }
    }
}

#[test]
fn what_is_unknown_is_neither_zero_nor_another_programs() {
    for dashboard in all() {
        let json = dashboard.json();
        for panel in panels(&json) {
            let place = format!("{}: {}", dashboard.title, text(panel, "title"));
            if panel["type"] == "stat" {
                assert_eq!(text(&panel["fieldConfig"]["defaults"], "noValue"), "unknown", "{place}");
                assert_eq!(
                    panel["options"]["reduceOptions"]["calcs"],
                    serde_json::json!(["last"]),
                    "{place}"
                );
            }
            for expr in panel["targets"].as_array().expect("targets").iter().map(|it| text(it, "expr")) {
                assert!(!expr.contains("vector(0)") && !expr.contains("vector(1)"), "{place}: {expr}");
                // A process is told from the others of the same Prometheus by its build_info.
                let process = names(&substituted(expr)).iter().any(|name| name.starts_with("process_"));
                assert!(!process || expr.contains("_build_info{"), "{place}: {expr}");
            }
        }
    }
}

/// `increase` extrapolates, and a window of one interval holds a single scrape: one event would be 1.33, or nothing.
#[test]
fn what_is_counted_is_counted_exactly() {
    for dashboard in all() {
        for (place, expr, _) in expressions(&dashboard.json()) {
            for window in ["[$__interval]", "[$__range]", "[1m]"] {
                for (before, _) in expr.match_indices(window) {
                    let function = expr[..before].rsplit_once('(').expect("a function").0;
                    let counts = ["resets", "round(increase"].iter().any(|it| function.ends_with(it));
                    assert!(counts && expr.contains("last_over_time("), "{place}: {expr}");
                }
            }
        }
    }
}

#[test]
fn every_metric_is_shown_or_left_out_for_a_reason() {
    let mut read = BTreeSet::new();
    for dashboard in all() {
        for (_, expr, _) in expressions(&dashboard.json()) {
            read.extend(names(&substituted(&expr)));
        }
    }
    read.extend(crate::rules::expressions().iter().flat_map(|expr| names(expr)));
    let left_out: BTreeSet<&str> = LEFT_OUT.iter().flat_map(|(_, names)| *names).copied().collect();
    assert_eq!(
        left_out.len(),
        LEFT_OUT.iter().map(|(_, names)| names.len()).sum::<usize>(),
        "one is there twice"
    );
    let ours = |name: &&String| {
        ["jvb_", "jicofo_", "jibri_", "jitsi_exporter_", "jitsi_scaler_"]
            .iter()
            .any(|it| name.starts_with(it))
    };
    let all = documented();
    // The buckets of a histogram stand for all of it.
    let part = |name: &str| {
        ["_sum", "_count"].iter().any(|it| name.ends_with(it)) && {
            all.contains(&name.replace("_sum", "_bucket").replace("_count", "_bucket"))
        }
    };
    let whole = |name: &str| all.contains(&format!("{name}_bucket"));
    let unread: Vec<&String> =
        all.iter().filter(ours).filter(|name| !read.contains(*name) && !part(name) && !whole(name)).collect();
    let missing: Vec<_> = unread.iter().filter(|name| !left_out.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "neither shown nor left out: {missing:#?}");
    let needless: Vec<_> = left_out.iter().filter(|name| !unread.iter().any(|it| it == *name)).collect();
    assert!(needless.is_empty(), "left out, but shown or unknown: {needless:?}");
    assert!(LEFT_OUT.iter().all(|(reason, _)| reason.ends_with('.')));
}

#[test]
fn the_overview_begins_with_a_verdict_in_colour() {
    let json = all()[0].json();
    let top = json["panels"].as_array().expect("panels");
    let rows: Vec<&str> =
        top.iter().filter(|panel| panel["type"] == "row").map(|row| text(row, "title")).take(5).collect();
    assert_eq!(rows, ["Is all well?", "Capacity", "Why", "What the scaler does", "Alerts"]);
    let verdict: Vec<_> = top.iter().skip(1).take_while(|panel| panel["type"] == "stat").collect();
    assert_eq!(verdict.len(), 8);
    for panel in verdict {
        assert_eq!(panel["options"]["colorMode"], "background", "{}", panel["title"]);
        assert_eq!(panel["gridPos"]["y"], 1, "{}", panel["title"]);
    }
    assert!(all().len() <= 6);
}

/// A share of lost packets is never near 100 %, and half an instance does not exist.
#[test]
fn axes_fit_what_they_show() {
    for dashboard in all() {
        for panel in panels(&dashboard.json()).into_iter().filter(|panel| panel["type"] == "timeseries") {
            let place = format!("{}: {}", dashboard.title, text(panel, "title"));
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(!text(panel, "title").contains("lost") || defaults["max"].is_null(), "{place}");
            assert_eq!(panel["options"]["legend"]["placement"], "right", "{place}");
            let bars = defaults["custom"]["drawStyle"] == "bars";
            assert!(!bars || defaults["decimals"] == 0, "{place}");
            // Many instances are a table; lines of instances are bounded.
            for target in panel["targets"].as_array().expect("targets") {
                let (expr, legend) = (text(target, "expr"), text(target, "legendFormat"));
                let bounded = expr.contains("topk(") || !expr.contains("jvb_") && !expr.contains("jibri_");
                assert!(!legend.contains("{{instance}}") || bounded || expr.contains("jicofo_"), "{place}");
            }
        }
    }
}
