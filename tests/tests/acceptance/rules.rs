//! The rule files: Prometheus' own checks, and the required parts of every alert; and the routes of the example.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result};
use jitsi_tests::harness::{Alertmanager, tool};
use jitsi_tests::wait::wait_until;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The default locations of the runbook, of Grafana and of the scaler's page.
const RUNBOOK: &str = "https://example.org/jitsi/RUNBOOK.md#";
const GRAFANA: &str = "https://example.org/grafana/d/";
const PAGE: &str = "https://example.org/scaler/";
/// User interfaces truncate longer names.
const LONGEST_NAME: usize = 40;
/// Much longer than Alertmanager takes to process alerts.
const SOON: Duration = Duration::from_secs(30);

fn alerts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../alerts")
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(alerts().join(folder)).expect("the folder");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    assert!(!files.is_empty());
    files.sort();
    files
}

fn run(program: &str, arguments: &[&str], files: &[PathBuf]) -> Output {
    let program = tool(program).expect("tests/tools.sh brings it");
    Command::new(program).args(arguments).args(files).output().expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

const CHECK: [&str; 4] = ["check", "rules", "--lint=all", "--lint-fatal"];

#[derive(Debug, Deserialize)]
struct RuleFile {
    groups: Vec<RuleGroup>,
}

#[derive(Debug, Deserialize)]
struct RuleGroup {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct TestFile {
    tests: Vec<TestGroup>,
}

#[derive(Debug, Deserialize)]
struct TestGroup {
    #[serde(default)]
    alert_rule_test: Vec<AlertTest>,
    #[serde(default)]
    promql_expr_test: Vec<ExprTest>,
}

#[derive(Debug, Deserialize)]
struct AlertTest {
    alertname: String,
    exp_alerts: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct ExprTest {
    expr: String,
}

fn parsed<T: DeserializeOwned>(folder: &str) -> Vec<T> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("a file");
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files(folder).iter().map(read).collect()
}

fn groups() -> Vec<RuleGroup> {
    parsed::<RuleFile>("rules").into_iter().flat_map(|file| file.groups).collect()
}

/// The expressions of all rules.
pub(crate) fn expressions() -> Vec<String> {
    groups().into_iter().flat_map(|group| group.rules).map(|rule| rule.expr).collect()
}

/// Every alerting rule with its name.
fn alerting() -> Vec<(String, Rule)> {
    let rules = groups().into_iter().flat_map(|group| group.rules);
    let found: Vec<_> = rules.filter_map(|rule| Some((rule.alert.clone()?, rule))).collect();
    assert!(!found.is_empty());
    found
}

#[test]
fn the_rules_are_clean() {
    let output = run("promtool", &CHECK, &files("rules"));
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn the_rules_give_what_their_tests_say() {
    let output = run("promtool", &["test", "rules"], &files("tests"));
    assert!(output.status.success(), "{}", said(&output));
}

#[test_case::test_case("expr: sum(jvb_up", "unclosed"; "an expression that does not parse")]
#[test_case::test_case("expr: jvb_up == 0\n        fro: 5m", "not found"; "a key that nobody knows")]
#[test_case::test_case("expr: jvb_up == 0\n        for: soon", "duration"; "a duration that is none")]
#[test_case::test_case("expr: jvb_up == 0\n        annotations: {description: '{{ $lables.asg }}'}", "lables"; "a template with a slip")]
#[test_case::test_case("expr: jvb_up == 0\n      - alert: Broken\n        expr: jvb_up == 0", "duplicate"; "the same rule twice")]
fn a_broken_rule_file_fails(rule: &str, told: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("broken.yml");
    let text = format!("groups:\n  - name: broken\n    rules:\n      - alert: Broken\n        {rule}\n");
    std::fs::write(&file, text).expect("written");
    let output = run("promtool", &CHECK, &[file]);
    assert!(!output.status.success(), "{}", said(&output));
    assert!(said(&output).to_lowercase().contains(told), "{}", said(&output));
}

#[test]
fn a_rule_that_says_something_else_fails_its_test() {
    let folder = tempfile::tempdir().expect("a folder");
    for path in [files("rules"), files("tests")].concat() {
        let text = std::fs::read_to_string(&path).expect("a file");
        let place = folder.path().join(path.parent().and_then(Path::file_name).expect("a folder"));
        std::fs::create_dir_all(&place).expect("made");
        let name = path.file_name().expect("a name");
        std::fs::write(place.join(name), text.replace("expr: jvb_healthy == 0", "expr: jvb_healthy == 1"))
            .expect("written");
    }
    let output = run("promtool", &["test", "rules"], &[folder.path().join("tests/jvb.yml")]);
    assert!(!output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("JvbUnhealthy"), "{}", said(&output));
}

#[test]
fn every_alert_is_tested_firing_and_silent() {
    let tests: Vec<AlertTest> = parsed::<TestFile>("tests")
        .into_iter()
        .flat_map(|file| file.tests)
        .flat_map(|t| t.alert_rule_test)
        .collect();
    for (name, _) in alerting() {
        let of_it = |fires: bool| {
            tests.iter().any(|test| test.alertname == name && test.exp_alerts.is_empty() != fires)
        };
        assert!(of_it(true), "no test under alerts/tests sees {name} fire");
        assert!(of_it(false), "no test under alerts/tests sees {name} stay silent");
    }
    let known: BTreeSet<String> = alerting().into_iter().map(|(name, _)| name).collect();
    for test in tests {
        assert!(known.contains(&test.alertname), "alerts/tests names {}, which is no alert", test.alertname);
    }
}

#[test]
fn every_recorded_series_is_tested() {
    let tests = parsed::<TestFile>("tests").into_iter().flat_map(|file| file.tests);
    let exprs: Vec<String> = tests.flat_map(|test| test.promql_expr_test).map(|test| test.expr).collect();
    for record in groups().into_iter().flat_map(|group| group.rules).filter_map(|rule| rule.record) {
        // The test of the final series covers an intermediate one.
        let step = record.starts_with("instance:jvb_serving");
        assert!(step || exprs.iter().any(|expr| expr.contains(&record)), "no test asks for {record}");
        assert_eq!(record.matches(':').count(), 2, "{record} is not level:metric:operations");
    }
}

#[test]
fn every_alert_tells_what_an_operator_needs() {
    let runbook = std::fs::read_to_string(alerts().join("RUNBOOK.md")).expect("the runbook");
    let mut sections: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut current = "";
    for line in runbook.lines() {
        match line.strip_prefix("### ") {
            Some(title) => {
                current = title;
                assert!(sections.insert(title, Vec::new()).is_none(), "the runbook has {title} twice");
            }
            None => sections.entry(current).or_default().push(line),
        }
    }
    let mut names = BTreeSet::new();
    for (name, rule) in alerting() {
        assert!(name.len() <= LONGEST_NAME, "{name} is too long");
        assert!(names.insert(name.clone()), "{name} is there twice");
        let severity = rule.labels.get("severity").map(String::as_str);
        assert!(matches!(severity, Some("critical" | "warning" | "info")), "{name}: {severity:?}");
        let annotation =
            |key: &str| rule.annotations.get(key).unwrap_or_else(|| panic!("{name} has no {key}"));
        let summary = annotation("summary");
        assert!(summary.starts_with(char::is_uppercase) && summary.ends_with('.'), "{name}: {summary}");
        assert!(!summary.contains("{{"), "the summary of {name} is not static");
        let description = annotation("description");
        assert!(description.contains("{{"), "{name} names nobody: {description}");
        assert!(description.contains(". First "), "{name} does not say what to do first: {description}");
        assert_leads_to_a_dashboard(&name, annotation("dashboard_url"));
        let page = rule.annotations.get("page_url");
        assert_eq!(page.is_some(), name.starts_with("JitsiScaler"), "{name}: {page:?}");
        assert!(page.is_none_or(|page| page.starts_with(PAGE)), "{name}: {page:?}");
        for value in page.iter().flat_map(|page| page.split("{{").skip(1)) {
            assert!(value.contains("| urlquery"), "{name}: {value} may contain anything");
        }
        assert_eq!(*annotation("runbook_url"), format!("{RUNBOOK}{}", name.to_lowercase()));
        let section =
            sections.get(name.as_str()).unwrap_or_else(|| panic!("the runbook lacks {name}")).join("\n");
        for part in ["- **Means:** ", "- **Look at:** ", "- **Do:** "] {
            assert!(section.contains(part), "the runbook's {name} lacks {part}");
        }
    }
    for title in sections.keys().filter(|title| !title.is_empty()) {
        assert!(names.contains(*title), "the runbook has {title}, which is no alert");
    }
}

/// The dashboard exists, and has the variables that the link sets.
fn assert_leads_to_a_dashboard(name: &str, url: &str) {
    let rest = url.strip_prefix(GRAFANA).unwrap_or_else(|| panic!("{name}: {url}"));
    let (uid, query) = rest.split_once('?').unwrap_or((rest, ""));
    let dashboards = jitsi_dashboards::all();
    let dashboard = dashboards.iter().find(|it| it.uid == uid).unwrap_or_else(|| panic!("{name}: no {uid}"));
    for (variable, value) in query.split('&').filter_map(|part| part.split_once('=')) {
        let variable = variable.strip_prefix("var-").unwrap_or_else(|| panic!("{name}: {variable}"));
        assert!(dashboard.variables.iter().any(|it| it.name == variable), "{name}: {uid} has no {variable}");
        assert!(value.ends_with("| urlquery }}"), "{name}: {value} may contain anything");
    }
}

/// Prometheus extrapolates an increase over its window: "2.001 sessions". A ratio has as many digits as it likes.
#[test]
fn an_alert_says_whole_numbers() {
    for (name, rule) in alerting() {
        let description = &rule.annotations["description"];
        let expr = rule.expr.replace(char::is_whitespace, "");
        let fractional = ["increase(", "rate(", "/", "avg", "_ratio"].iter().any(|it| expr.contains(it));
        let said =
            description.contains("{{ $value }}") || description.contains("$value | humanizePercentage");
        let rounded = expr.starts_with("round(") || expr.contains("(round(") || !fractional;
        assert!(!said || rounded, "{name} says a number of its expression as it is: {}", rule.expr);
        for humanized in ["| humanize }}", "| humanizeDuration }}"] {
            assert!(!description.contains(humanized), "{name}: {humanized} gives 13.05 and 15m 0s");
        }
    }
    // And what the tests of the rules expect, in which the windows begin and end between scrapes.
    for test in parsed::<TestFile>("tests").into_iter().flat_map(|file| file.tests) {
        for alert in test.alert_rule_test.iter().flat_map(|test| &test.exp_alerts) {
            let description = alert["exp_annotations"]["description"].as_str().expect("a description");
            // A stress has hundredths.
            let words = description.split(' ').map(|word| word.trim_end_matches(['.', ',', ';', ':', '%']));
            let fraction = words.filter(|word| word.contains('.')).find(|word| word.parse::<f64>().is_ok());
            assert!(fraction.is_none() || description.contains("stress"), "{description}");
        }
    }
}

#[test]
fn groups_of_rules_are_small_and_unique() {
    let mut names = BTreeSet::new();
    for group in groups() {
        assert!(group.rules.len() <= 20, "{} has {} rules", group.name, group.rules.len());
        assert!(names.insert(group.name.clone()), "{} is there twice", group.name);
    }
}

#[test]
fn the_example_of_alertmanager_is_valid_and_routes_by_what_an_alert_is() {
    let file = alerts().join("alertmanager.yml");
    let checked = run("amtool", &["check-config"], std::slice::from_ref(&file));
    assert!(checked.status.success(), "{}", said(&checked));
    let config = format!("--config.file={}", file.display());
    for (labels, receivers) in [
        (vec!["alertname=JvbDown", "severity=warning"], "mail"),
        (vec!["alertname=JvbVersionsMixed", "severity=info"], "mail"),
        (vec!["alertname=JicofoDown", "severity=critical"], "pager"),
        (vec!["alertname=JibriPoolEmpty", "severity=critical", "wakes=scaler"], "scaler,pager"),
    ] {
        let routed = run("amtool", &[&["config", "routes", "test", &config], &*labels].concat(), &[]);
        assert_eq!(String::from_utf8_lossy(&routed.stdout).trim(), receivers, "{labels:?}");
    }
}

/// Alerts of the rules as Prometheus would send them, with further labels.
fn sent(alerts: &[(&str, &[(&str, &str)])]) -> Value {
    let severities: BTreeMap<String, String> =
        alerting().into_iter().map(|(name, rule)| (name, rule.labels["severity"].clone())).collect();
    let one = |(name, labels): &(&str, &[(&str, &str)])| {
        let severity = severities.get(*name).unwrap_or_else(|| panic!("{name} is no alert"));
        let mut all: BTreeMap<&str, &str> = labels.iter().copied().collect();
        all.extend([("alertname", *name), ("severity", severity)]);
        json!({ "labels": all })
    };
    alerts.iter().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_silent_while_its_cause_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = std::fs::read_to_string(alerts().join("alertmanager.yml"))?;
    let alertmanager = Alertmanager::start(folder.path(), &config).await?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}/api/v2/alerts", alertmanager.url);
    let group = |asg| [("asg", asg), ("region", "r"), ("fleet", "f")];
    let (struck, other) = (group("struck"), group("other"));
    let scaler = |asg, namespace, instance| {
        [("asg", asg), ("namespace", namespace), ("job", "s"), ("instance", instance), ("fleet", "f")]
    };
    let (denied, elsewhere) = (scaler("denied", "a", "1"), scaler("elsewhere", "b", "2"));
    let call = [&denied[..], &[("call", "SetDesiredCapacity")]].concat();
    let blind = scaler("blind", "c", "3");
    let describe = [&blind[..], &[("call", "DescribeAutoScalingGroups")]].concat();
    let body = sent(&[
        ("JvbNoneServes", &struck),
        ("JvbDown", &struck),
        ("JvbDown", &other),
        ("JitsiScalerOutOfCapacity", &struck),
        ("JitsiScalerAtMaximum", &struck),
        ("JitsiScalerAtMaximum", &other),
        ("JibriRecordingsRefused", &[("shard", "1")]),
        ("JibriSessionsFailed", &[("shard", "1"), ("type", "recording")]),
        ("JibriSessionsFailed", &[("shard", "2"), ("type", "recording")]),
        ("JitsiScalerPrometheusFailing", &[("fleet", "f")]),
        ("JitsiScalerPolicyUnknown", &struck),
        ("JitsiScalerPolicyUnknown", &elsewhere),
        ("JitsiScalerAwsDenied", &call),
        ("JitsiScalerStepsFailing", &denied),
        ("JitsiScalerFleetEmpty", &denied),
        ("JitsiScalerStepsFailing", &elsewhere),
        ("JitsiScalerFleetEmpty", &elsewhere),
        ("JitsiScalerAwsDenied", &describe),
        ("JitsiScalerFleetEmpty", &blind),
    ]);
    client.post(&url).json(&body).send().await?.error_for_status()?;

    let suppressed = || async {
        let alerts: Vec<Value> = client.get(&url).send().await?.json().await?;
        let inhibited =
            |alert: &&Value| alert["status"]["inhibitedBy"].as_array().is_some_and(|by| !by.is_empty());
        let name = |alert: &Value| {
            let label = |key: &str| alert["labels"][key].as_str().map(str::to_owned);
            Some((label("alertname")?, label("asg").or_else(|| label("shard"))?))
        };
        let found: Option<BTreeSet<_>> = alerts.iter().filter(inhibited).map(name).collect();
        Result::<_>::Ok((alerts.len(), found.context("an alert without a name")?))
    };
    let expected: BTreeSet<_> = [
        ("JibriSessionsFailed", "1"),
        ("JitsiScalerAtMaximum", "struck"),
        ("JitsiScalerPolicyUnknown", "struck"),
        ("JitsiScalerFleetEmpty", "blind"),
        ("JitsiScalerStepsFailing", "denied"),
        ("JvbDown", "struck"),
    ]
    .map(|(name, of)| (name.to_owned(), of.to_owned()))
    .into();
    let mut last = None;
    let waited = wait_until(SOON, async || {
        last = suppressed().await.ok();
        last.as_ref().is_some_and(|(count, found)| *count == 19 && *found == expected)
    })
    .await;
    assert!(waited.is_ok(), "{last:?}");
    Ok(())
}
