//! Writes the generated files for clusters: `alerts/kubernetes`, and `files` of both Helm charts.

use std::path::Path;

use anyhow::Context as _;
use jitsi_tests::manifests::{generated, left_over};

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let made = generated(&root)?;
    for file in left_over(&root, &made)? {
        std::fs::remove_file(root.join(&file))
            .with_context(|| format!("failed to remove {}", file.display()))?;
    }
    for (file, text) in made {
        let path = root.join(&file);
        // Through a link, the source would be written.
        if path.is_symlink() {
            std::fs::remove_file(&path).with_context(|| format!("failed to remove {}", file.display()))?;
        }
        std::fs::write(&path, text).with_context(|| format!("failed to write {}", file.display()))?;
    }
    Ok(())
}
