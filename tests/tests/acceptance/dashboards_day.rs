//! A scripted day with known truth on real Prometheus, at three scrape intervals: each number on the panels is the known
//! one, and in an outage each says unknown.
//!
//! Owns the way in which Grafana asks: variables, intervals, the last point of a course. `dashboards_script` has the day.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use jitsi_dashboards::{Dashboard, Values, all};
use jitsi_tests::harness::{Prometheus, tool};
use serde_json::Value;

use crate::dashboards::{interpolated, panels, text};
use crate::dashboards_script::{
    ANNOTATED, BARS, BEGIN, DARK, DECIDED_IN_GAP, ELSEWHERE, GAP, KNOWN, LINES, NOW, ONLY_BRIDGES, POLICIES,
    exposition,
};

/// The time that the dashboards show.
const RANGE: i64 = 4 * 3600;

/// The real Prometheus with the day as it was scraped.
struct Day {
    _folder: tempfile::TempDir,
    prometheus: Prometheus,
    client: reqwest::Client,
    /// The scrape interval in seconds.
    scrape: i64,
}

/// The values of variables, by name.
type Chosen = BTreeMap<&'static str, String>;

impl Day {
    async fn start(scrape: i64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fill(folder.path(), &exposition(scrape))?;
        let prometheus = Prometheus::start(folder.path(), "global: {}\n").await?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { _folder: folder, prometheus, client, scrape })
    }

    async fn ask(&self, path: &str, form: &[(&str, &str)]) -> Result<Value> {
        let url = format!("{}/api/v1/{path}", self.prometheus.url);
        let answer: Value = self.client.get(url).query(form).send().await?.json().await?;
        ensure!(answer["status"] == "success", "{form:?}: {answer}");
        Ok(answer["data"].clone())
    }

    /// What "All" stands for in each variable, one after the other as they depend on each other, unless it is chosen.
    async fn choices(&self, dashboard: &Dashboard, fixed: &[(&'static str, &str)]) -> Result<Chosen> {
        let mut chosen: Chosen = fixed.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        for variable in &dashboard.variables {
            let Values::Label { label, of, optional: false } = variable.values else { continue };
            if chosen.contains_key(variable.name) {
                continue;
            }
            let of = self.filled(of, &chosen, 60);
            let (start, end) = ((NOW - RANGE).to_string(), NOW.to_string());
            let form = [("match[]", of.as_str()), ("start", &start), ("end", &end)];
            let values: Vec<String> =
                serde_json::from_value(self.ask(&format!("label/{label}/values"), &form).await?)?;
            chosen.insert(variable.name, values.join("|"));
        }
        Ok(chosen)
    }

    fn filled(&self, expr: &str, chosen: &Chosen, interval: i64) -> String {
        let chosen: Vec<_> = chosen.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let intervals = [4 * self.scrape, interval, RANGE].map(|seconds| format!("{seconds}s"));
        interpolated(expr, &chosen, [&intervals[0], &intervals[1], &intervals[2]])
    }

    /// The number that a stat shows at `at`; `None` if it says unknown.
    async fn stat(&self, panel: &Value, chosen: &Chosen, at: i64) -> Result<Option<f64>> {
        let target = &panel["targets"][0];
        let expr = self.filled(text(target, "expr"), chosen, 60);
        let last = if target["instant"] == true {
            let data = self.ask("query", &[("query", &expr), ("time", &at.to_string())]).await?;
            let result = data["result"].as_array().context("a result")?.clone();
            ensure!(result.len() <= 1, "{expr}: {} numbers in one panel", result.len());
            result.first().map(|series| series["value"].clone())
        } else {
            let result = self.range(&expr, at - RANGE, at, 60).await?;
            // A filler without labels and the course may be one series or two.
            ensure!(result.len() <= 1, "{expr}: {} numbers in one panel", result.len());
            result.first().and_then(|series| series["values"].as_array()?.last().cloned())
        };
        let Some(last) = last else { return Ok(None) };
        let value: f64 = last[1].as_str().context("a value")?.parse()?;
        Ok((!value.is_nan()).then_some(value))
    }

    async fn range(&self, expr: &str, start: i64, end: i64, step: i64) -> Result<Vec<Value>> {
        let (start, end, step) = (start.to_string(), end.to_string(), step.to_string());
        let form = [("query", expr), ("start", &start), ("end", &end), ("step", &step)];
        let data = self.ask("query_range", &form).await?;
        data["result"].as_array().cloned().context("a result")
    }

    /// The bars of an expression over the whole day, as (labels, second of the day, count), those of 0 left out.
    async fn bars(&self, expr: &str, chosen: &Chosen, step: i64) -> Result<Vec<(String, i64, f64)>> {
        let expr = self.filled(expr, chosen, step);
        let mut found = Vec::new();
        for series in self.range(&expr, BEGIN + step, BEGIN + DARK, step).await? {
            let labels = series["metric"].as_object().context("labels")?;
            let labels: Vec<_> =
                ["asg", "action", "le", "type"].iter().filter_map(|it| labels.get(*it)?.as_str()).collect();
            for point in series["values"].as_array().context("points")? {
                let value: f64 = point[1].as_str().context("a value")?.parse()?;
                let at = point[0].as_i64().context("a time")? - BEGIN;
                if value != 0.0 {
                    found.push((labels.join(" "), at, value));
                }
            }
        }
        Ok(found)
    }
}

/// Writes the samples into the storage of a Prometheus that does not run.
fn fill(folder: &Path, samples: &str) -> Result<()> {
    let file = folder.join("day.txt");
    std::fs::write(&file, samples)?;
    let output = Command::new(tool("promtool")?)
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([file, folder.join("prometheus-data")])
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn stats(json: &Value) -> Vec<&Value> {
    panels(json).into_iter().filter(|panel| panel["type"] == "stat").collect()
}

#[test_case::test_case(15)]
#[test_case::test_case(30)]
#[test_case::test_case(60)]
#[tokio::test(flavor = "multi_thread")]
async fn each_number_is_the_known_one_and_in_an_outage_unknown(scrape: i64) -> Result<()> {
    let day = Day::start(scrape).await?;
    let (mut wrong, mut known) = (Vec::new(), 0);
    for dashboard in all() {
        let chosen = day.choices(&dashboard, &[]).await?;
        let json = dashboard.json();
        for panel in stats(&json) {
            let title = text(panel, "title");
            let place = format!("{}: {title}", dashboard.uid);
            let expected = KNOWN.iter().find(|(uid, of, _)| (*uid, *of) == (dashboard.uid, title));
            let Some((.., expected)) = expected else {
                wrong.push(format!("{place}: the script does not know its number"));
                continue;
            };
            known += 1;
            let shown = day.stat(panel, &chosen, NOW).await?;
            // Half a percent is one minute of the hours of instances, and less than any count.
            if shown.is_none_or(|shown| (shown - expected).abs() > 1e-9 + 0.005 * expected.abs()) {
                wrong.push(format!("{place}: {shown:?} instead of {expected}"));
            }
            // Twelve minutes after the last scrape.
            if let Some(shown) = day.stat(panel, &chosen, BEGIN + DARK + 720).await? {
                wrong.push(format!("{place}: {shown} in the outage"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(known, KNOWN.len(), "the script knows numbers that no panel shows");
    Ok(())
}

#[test_case::test_case(15)]
#[test_case::test_case(30)]
#[test_case::test_case(60)]
#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_one_bar_and_one_annotation(scrape: i64) -> Result<()> {
    let day = Day::start(scrape).await?;
    for (uid, title, target, events) in BARS {
        let dashboards = all();
        let dashboard = dashboards.iter().find(|it| it.uid == *uid).context("a dashboard")?;
        let json = dashboard.json();
        let found = panels(&json).into_iter().find(|panel| text(panel, "title") == *title);
        let panel = found.with_context(|| format!("no panel {title}"))?;
        let expr = text(&panel["targets"][*target], "expr");
        let chosen = day.choices(dashboard, &[]).await?;
        for step in [60, 300] {
            let bars = day.bars(expr, &chosen, step).await?;
            assert_shown(&format!("{title} at {scrape} s in bars of {step} s"), &bars, events, scrape, step);
        }
    }
    let json = all()[0].json();
    for (name, events) in ANNOTATED {
        let list = json["annotations"]["list"].as_array().context("annotations")?;
        let of_it = list.iter().find(|it| text(it, "name") == *name).context("an annotation")?;
        let marks = day.bars(text(of_it, "expr"), &Chosen::new(), 60).await?;
        assert_shown(&format!("{name} at {scrape} s"), &marks, events, scrape, 60);
    }
    Ok(())
}

/// Each event is in the first bar that ends after a scrape has seen it, and nothing else is in any bar.
fn assert_shown(what: &str, bars: &[(String, i64, f64)], events: &[(&str, i64)], scrape: i64, step: i64) {
    let mut expected: BTreeMap<(String, i64), f64> = BTreeMap::new();
    for (labels, minute) in events {
        let happened = minute * 60;
        // What happened while nothing was scraped is seen at the end of the gap.
        let looked = if GAP.contains(&happened) { GAP.end } else { happened };
        let seen = crate::dashboards_script::first_scrape(looked, scrape);
        let bar = (seen + step - 1).div_euclid(step) * step;
        *expected.entry(((*labels).to_owned(), bar)).or_default() += 1.0;
    }
    let shown: BTreeMap<(String, i64), f64> =
        bars.iter().map(|(labels, at, value)| ((labels.clone(), *at), *value)).collect();
    assert_eq!(shown, expected, "{what}");
    assert!(GAP.contains(&(DECIDED_IN_GAP * 60)));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_series_has_the_known_value() -> Result<()> {
    let day = Day::start(15).await?;
    let dashboards = all();
    for (uid, title, target, expected) in LINES {
        let dashboard = dashboards.iter().find(|it| it.uid == *uid).context("a dashboard")?;
        let json = dashboard.json();
        let found = panels(&json).into_iter().find(|panel| text(panel, "title") == *title);
        let panel = found.with_context(|| format!("no panel {title}"))?;
        let chosen = day.choices(dashboard, &[]).await?;
        let expr = day.filled(text(&panel["targets"][*target], "expr"), &chosen, 60);
        let mut values = Vec::new();
        for series in day.range(&expr, NOW, NOW, 60).await? {
            values.push(series["values"][0][1].as_str().context("a value")?.parse::<f64>()?);
        }
        values.sort_by(f64::total_cmp);
        assert_eq!(values, *expected, "{uid}: {title} {target}");
    }
    Ok(())
}

/// Whatever policies are called: the variable of the panel is a list of matchers.
#[tokio::test(flavor = "multi_thread")]
async fn each_policy_is_drawn_alone_against_its_thresholds() -> Result<()> {
    let day = Day::start(15).await?;
    let dashboards = all();
    let overview = dashboards.iter().find(|it| it.uid == "jitsi-overview").context("the overview")?;
    let mut chosen = day.choices(overview, &[]).await?;
    let policy = overview.variables.iter().find(|it| it.name == "policy").context("the variable")?;
    let Values::Result { expr, .. } = policy.values else { anyhow::bail!("{policy:?}") };
    let form = [("query", day.filled(expr, &chosen, 60)), ("time", NOW.to_string())];
    let form: Vec<_> = form.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let data = day.ask("query", &form).await?;
    let json = overview.json();
    let panel = panels(&json).into_iter().find(|panel| panel["repeat"] == "policy").context("the panel")?;
    let mut drawn = Vec::new();
    for series in data["result"].as_array().context("a result")? {
        // The regular expression of the variable takes all labels but the last, which is the text.
        let mut labels: BTreeMap<String, String> = serde_json::from_value(series["metric"].clone())?;
        let (last, name) = labels.pop_last().context("labels")?;
        ensure!(last == "zz", "{last} is the last label");
        let matchers: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        chosen.insert("policy", matchers.join(","));
        let mut values = Vec::new();
        for target in panel["targets"].as_array().context("targets")? {
            let expr = day.filled(text(target, "expr"), &chosen, 60);
            let result = day.range(&expr, NOW, NOW, 60).await?;
            ensure!(result.len() == 1, "{expr}: {} lines", result.len());
            values.push(result[0]["values"][0][1].as_str().context("a value")?.parse::<f64>()?);
        }
        drawn.push((name, values));
    }
    let mut expected: Vec<_> =
        POLICIES.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect();
    let (name, [_, out, back]) = POLICIES[0];
    expected.insert(1, (name.to_owned(), vec![ELSEWHERE, out, back]));
    drawn.sort_by(|a, b| a.partial_cmp(b).expect("no NaN"));
    assert_eq!(drawn, expected);
    Ok(())
}

/// A choice of one fleet leaves nothing of another one.
#[tokio::test(flavor = "multi_thread")]
async fn one_fleet_is_shown_alone() -> Result<()> {
    let day = Day::start(15).await?;
    let dashboards = all();
    let overview = dashboards.iter().find(|it| it.uid == "jitsi-overview").context("the overview")?;
    let json = overview.json();
    let chosen = day.choices(overview, &[("fleet", "jvb")]).await?;
    for (title, expected) in ONLY_BRIDGES {
        let panel =
            stats(&json).into_iter().find(|panel| text(panel, "title") == *title).context("a stat")?;
        assert_eq!(day.stat(panel, &chosen, NOW).await?, *expected, "{title}");
    }
    for (title, legend) in [("Headroom", "asg"), ("Instances that answer, by zone", "asg")] {
        let panel =
            panels(&json).into_iter().find(|panel| text(panel, "title") == title).context("a graph")?;
        let expr = day.filled(text(&panel["targets"][0], "expr"), &chosen, 60);
        let groups: Vec<_> = day
            .range(&expr, NOW - 600, NOW, 60)
            .await?
            .iter()
            .map(|series| text(&series["metric"], legend).to_owned())
            .collect();
        assert_eq!(groups, ["prod-jvb"], "{title}");
    }
    Ok(())
}
