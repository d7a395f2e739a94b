//! Writes `alerts/kubernetes/*.yaml` from `alerts/rules/*.yml`.

use std::path::Path;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let alerts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alerts");
    for (name, text) in jitsi_tests::manifests::prometheus_rules(&alerts)? {
        let file = alerts.join("kubernetes").join(name);
        std::fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))?;
    }
    Ok(())
}
