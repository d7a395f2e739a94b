//! The dashboard files: they match the tables, and name only existing metrics, dashboards and variables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jitsi_dashboards::all;
use promql_parser::parser::{Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

/// Grafana's units in the panels; Grafana takes a misspelt one for a custom unit.
const UNITS: [&str; 12] = [
    "short",
    "none",
    "percentunit",
    "s",
    "bps",
    "pps",
    "cps",
    "mps",
    "reqps",
    "bytes",
    "decbytes",
    "bool_yes_no",
];

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
    let mut expr =
        expr.replace("$__rate_interval", "5s").replace("$__interval", "10s").replace("$__range", "2m");
    for variable in ["job", "instance", "fleet", "asg"] {
        expr = expr.replace(&format!("\"${variable}\""), "\".+\"");
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
    known.extend(["up", "ALERTS"].map(str::to_owned));
    known
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

#[test]
fn links_lead_to_dashboards_and_variables_that_exist() {
    let dashboards = all();
    for dashboard in &dashboards {
        for panel in panels(&dashboard.json()) {
            for link in panel["fieldConfig"]["defaults"]["links"].as_array().into_iter().flatten() {
                let url = text(link, "url");
                let (uid, rest) =
                    url.strip_prefix("/d/").and_then(|url| url.split_once('?')).expect("an address");
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
