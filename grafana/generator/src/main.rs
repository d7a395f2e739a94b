//! Writes `grafana/dashboards/*.json` from the tables of `jitsi_dashboards`.

use std::path::Path;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards");
    for dashboard in jitsi_dashboards::all() {
        let file = folder.join(format!("{}.json", dashboard.uid));
        let text = serde_json::to_string_pretty(&dashboard.json())? + "\n";
        std::fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))?;
    }
    Ok(())
}
