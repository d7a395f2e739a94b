//! METRICS.md as a table for tests.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// A row of METRICS.md.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    /// The title above its table.
    pub(crate) chapter: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Empty for the names of another exporter.
    pub(crate) meaning: String,
    /// The JSON keys.
    pub(crate) keys: Vec<String>,
}

/// All of them.
pub(crate) fn metrics() -> Result<Vec<Metric>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../exporter/METRICS.md");
    let text = std::fs::read_to_string(path)?;
    let (mut chapter, mut columns) = (String::new(), Vec::new());
    let mut metrics = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut chapter);
        }
        let Some(row) = line.strip_prefix("| ").and_then(|row| row.strip_suffix('|')) else { continue };
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if cells[0] == "metric" {
            columns = cells;
            continue;
        }
        ensure!(cells.len() == columns.len(), "{line}");
        let cell = |title: &str| {
            let at = columns.iter().position(|column| *column == title);
            at.map_or("", |at| cells[at])
        };
        let plain = |text: &str| text.trim_matches('`').to_owned();
        metrics.push(Metric {
            chapter: chapter.clone(),
            name: plain(cell("metric")),
            kind: cell("type").to_owned(),
            meaning: cell("meaning").to_owned(),
            keys: cell("JSON").split("<br>").map(plain).filter(|key| !key.is_empty()).collect(),
        });
    }
    metrics.first().context("METRICS.md has tables")?;
    Ok(metrics)
}
