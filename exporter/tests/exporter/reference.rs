//! METRICS.md equals the program's output.

use std::fs;
use std::path::Path;

use jitsi_exporter::reference::markdown;

const COMMAND: &str = "cargo run -p jitsi-exporter -- --print-metrics-reference > exporter/METRICS.md";

#[test]
fn the_reference_is_not_stale() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("METRICS.md");
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let made = markdown();
    let differs = made.lines().zip(committed.lines()).find(|(made, committed)| made != committed);
    let (made_line, committed_line) = differs.unwrap_or(("the end", "the end"));
    assert!(
        made == committed,
        "METRICS.md is stale: it has\n  {committed_line}\nwhere the program has\n  {made_line}\nmake it anew with: {COMMAND}"
    );
}

#[test]
fn every_row_of_the_reference_has_all_columns() {
    let mut columns = 0;
    for line in markdown().lines() {
        if !line.starts_with('|') {
            columns = 0;
        } else if columns == 0 {
            columns = line.matches('|').count();
        } else {
            assert_eq!(line.matches('|').count(), columns, "{line}");
        }
    }
}
