//! Objects of prometheus-operator, generated from the rule files.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};

/// The PrometheusRule of each file of `alerts/rules`, by the name of its file in `alerts/kubernetes`.
pub fn prometheus_rules(alerts: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut manifests = BTreeMap::new();
    for entry in std::fs::read_dir(alerts.join("rules")).context("failed to list alerts/rules")? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).context("a rule file without a name")?;
        let text = std::fs::read_to_string(&path)?;
        manifests.insert(format!("{stem}.yaml"), prometheus_rule(stem, &text)?);
    }
    ensure!(!manifests.is_empty(), "alerts/rules is empty");
    Ok(manifests)
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
