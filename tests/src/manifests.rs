//! Files for clusters that are generated from rules, dashboards and the example of a configuration: objects of
//! prometheus-operator, and the copies in the Helm charts. The charts have copies because tools that fetch a chart as an
//! archive, such as Flux, leave out links; the chart would then render without its content.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

/// The folders, from the root of the repository, whose files are all generated, apart from `kustomization.yaml`.
const FOLDERS: [&str; 6] = [
    "alerts/kubernetes",
    "exporter/packaging/kubernetes/chart/files/dashboards",
    "exporter/packaging/kubernetes/chart/files/rules",
    "scaler/packaging/kubernetes/chart/files",
    "scaler/packaging/kubernetes/chart/files/dashboards",
    "scaler/packaging/kubernetes/chart/files/rules",
];

/// The text of each generated file, by its path from `root`, the root of the repository.
/// Fails if a source cannot be read, or has no rules.
pub fn generated(root: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let mut made = BTreeMap::new();
    let rules = texts(root, "alerts/rules")?;
    for (name, text) in &rules {
        let stem = name.strip_suffix(".yml").with_context(|| format!("{name} in alerts/rules is no .yml"))?;
        let object = prometheus_rule(stem, text)?;
        made.insert(Path::new("alerts/kubernetes").join(format!("{stem}.yaml")), object);
    }
    let example = "scaler/packaging/kubernetes/scaler.yml";
    let text =
        std::fs::read_to_string(root.join(example)).with_context(|| format!("failed to read {example}"))?;
    made.insert(chart("scaler").join("scaler.yml"), text);
    for (kind, files) in [("rules", rules), ("dashboards", texts(root, "grafana/dashboards")?)] {
        for (name, text) in files {
            // The scaler's chart has what is about the scaler; Jitsi can be monitored without one.
            let component = if name.contains("scaler") { "scaler" } else { "exporter" };
            made.insert(chart(component).join(kind).join(name), text);
        }
    }
    Ok(made)
}

/// The files that `root` has and [`generated`] does not make any more, from `root`.
/// Fails if a folder of generated files cannot be read.
pub fn left_over(root: &Path, made: &BTreeMap<PathBuf, String>) -> anyhow::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for folder in FOLDERS {
        for name in names(root, folder)? {
            let file = Path::new(folder).join(&name);
            if name != "kustomization.yaml" && !root.join(&file).is_dir() && !made.contains_key(&file) {
                found.insert(file);
            }
        }
    }
    Ok(found)
}

fn chart(component: &str) -> PathBuf {
    Path::new(component).join("packaging/kubernetes/chart/files")
}

fn names(root: &Path, folder: &str) -> anyhow::Result<Vec<String>> {
    let entries = std::fs::read_dir(root.join(folder)).with_context(|| format!("failed to list {folder}"))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn texts(root: &Path, folder: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for name in names(root, folder)? {
        let text = std::fs::read_to_string(root.join(folder).join(&name))
            .with_context(|| format!("failed to read {folder}/{name}"))?;
        texts.insert(name, text);
    }
    ensure!(!texts.is_empty(), "{folder} is empty");
    Ok(texts)
}

/// A rule file with its comments, indented, is the `spec` of its object.
fn prometheus_rule(stem: &str, rules: &str) -> anyhow::Result<String> {
    ensure!(rules.lines().any(|line| line == "groups:"), "{stem}.yml has no groups");
    let indent = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
    let spec: String = rules.lines().map(indent).collect();
    Ok(format!(
        "# Made of alerts/rules/{stem}.yml by `cargo run -p jitsi-tests --bin manifests`; change that.\n\
         apiVersion: monitoring.coreos.com/v1\n\
         kind: PrometheusRule\n\
         metadata:\n  name: jitsi-{stem}\n  labels: {{app.kubernetes.io/part-of: jitsi}}\n\
         spec:\n{spec}"
    ))
}
