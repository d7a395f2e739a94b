//! Every family arrives in Prometheus with its type and its help.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::reference::{Metric, metrics};
use super::{COMPONENTS, Scene};

/// Type and help by Prometheus' name of the family.
type Metadata = BTreeMap<String, (String, String)>;

/// Prometheus' metadata of the families of one target.
async fn metadata(scene: &Scene, target: &str) -> Result<Metadata> {
    let listed = scene.api("targets/metadata", &[("match_target", target)]).await?;
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let listed = listed.as_array().with_context(|| format!("no metadata of {target}"))?;
    Ok(listed.iter().map(|it| (text(it, "metric"), (text(it, "type"), text(it, "help")))).collect())
}

/// The names of the series of a job.
async fn names(scene: &Scene, job: &str) -> Result<BTreeSet<String>> {
    let selector = format!("{{job=\"{job}\"}}");
    let series = scene.api("series", &[("match[]", &selector)]).await?;
    let series = series.as_array().context("series")?;
    Ok(series.iter().filter_map(|it| it["__name__"].as_str()).map(str::to_owned).collect())
}

/// The mistakes in a metric as it arrived.
fn judge(metric: &Metric, metadata: &Metadata, names: &BTreeSet<String>) -> Option<String> {
    let Metric { name, kind, meaning, .. } = metric;
    // Prometheus speaks OpenMetrics, where these suffixes are not part of a family's name, and the last type is what
    // the older format calls untyped.
    let (family, expected) = match kind.as_str() {
        "counter" => (name.strip_suffix("_total").unwrap_or(name), "counter"),
        // The build information is a gauge in both formats, as in other programs.
        "gauge" if name.ends_with("_info") && !metadata.contains_key(name) => {
            (name.strip_suffix("_info").unwrap_or(name), "info")
        }
        "untyped" => (name.as_str(), "unknown"),
        other => (name.as_str(), other),
    };
    let Some((found, help)) = metadata.get(family) else {
        return Some(format!("{name}: no metadata of {family}"));
    };
    // Some counters of another exporter lack the suffix, and are no counters in OpenMetrics.
    let is_bare = kind == "counter" && !name.ends_with("_total");
    if found != expected && !(is_bare && found == "unknown") {
        return Some(format!("{name}: is a {found}, not a {expected}"));
    }
    if help.is_empty() || !help.starts_with(meaning.trim_end_matches('.')) {
        return Some(format!("{name}: has the help {help:?}, not {meaning:?}"));
    }
    let series = if kind == "histogram" { format!("{name}_bucket") } else { name.clone() };
    (!names.contains(&series)).then(|| format!("{name}: has no series"))
}

/// Every path to a value in a body: `queues.x`, …
fn keys(body: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    for (key, value) in body.as_object().into_iter().flatten() {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        keys(value, &key, found);
        if !value.is_null() && !value.as_array().is_some_and(Vec::is_empty) {
            found.insert(key);
        }
    }
}

#[tokio::test]
async fn every_family_arrives_with_type_and_help() -> Result<()> {
    let scene = Scene::start().await?;
    let reference = metrics()?;
    let own = metadata(&scene, "{job=\"sidecar\"}").await?;
    let own_names = names(&scene, "sidecar").await?;

    // Every metric of the exporter is in the reference, and arrives.
    let exposed = scene.page("/metrics").await?;
    let types = exposed.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut wrong = Vec::new();
    let mut told = 0;
    for (name, kind) in types {
        told += 1;
        match reference.iter().find(|metric| metric.name == name) {
            None => wrong.push(format!("{name}: is not in METRICS.md")),
            Some(metric) if metric.kind != kind => wrong.push(format!("{name}: is a {kind}")),
            // Two of the exporter's own metrics have no series before an event.
            Some(metric) if exposed.lines().any(|line| line.starts_with(name)) => {
                wrong.extend(judge(metric, &own, &own_names));
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(told > 200, "only {told} families");

    // The metric of every reported key arrives in both ways.
    let probed_names = names(&scene, "jitsi-files").await?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let routes = [
        ("Jitsi Videobridge", 8080, "/colibri/stats"),
        ("Jicofo", 8888, "/stats"),
        ("Jibri", 2222, "/jibri/api/v1.0/health"),
    ];
    for (((component, address), (chapter, port, path)), least) in
        COMPONENTS.iter().zip(&scene.addresses).zip(routes).zip([60, 30, 2])
    {
        let body: Value = client.get(format!("http://{address}:{port}{path}")).send().await?.json().await?;
        let mut present = BTreeSet::new();
        keys(&body, "", &mut present);
        let selector = format!("{{job=\"jitsi-files\",module=\"{}\"}}", component.as_str());
        let probed = metadata(&scene, &selector).await?;
        let mut expected = 0;
        for metric in reference.iter().filter(|metric| metric.chapter == chapter) {
            // `false` for shutting down and an empty queue are values, too; the table has no row without a value.
            // A hard failure means something only while the health check fails, and this Jicofo is well.
            let is_meant = metric.name != "jicofo_health_hard_failure";
            if is_meant && metric.keys.iter().any(|key| present.contains(key)) {
                expected += 1;
                wrong.extend(judge(metric, &own, &own_names));
                wrong.extend(judge(metric, &probed, &probed_names));
            }
        }
        assert!(expected >= least, "only {expected} metrics of {chapter}: {present:?}");
    }
    for metric in reference.iter().filter(|metric| metric.chapter == "Probes") {
        let probed = metadata(&scene, "{job=\"jitsi-files\",module=\"jibri\"}").await?;
        wrong.extend(judge(metric, &probed, &probed_names));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // And under the address that dashboards query.
    let all = scene.api("metadata", &[]).await?;
    assert_eq!(all["jvb_stress_ratio"][0]["type"], "gauge", "{}", all["jvb_stress_ratio"]);
    assert_eq!(all["jvb_bytes_sent"][0]["type"], "counter", "{}", all["jvb_bytes_sent"]);
    Ok(())
}
