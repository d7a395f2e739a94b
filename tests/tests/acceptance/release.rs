//! Properties of a release. `tests/run.sh` builds it before the tests.

use std::path::PathBuf;

/// Bytes in a megabyte.
const MEGABYTE: u64 = 1_000_000;

fn size(program: &str) -> u64 {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/release").join(program);
    let metadata = std::fs::metadata(&path);
    metadata.unwrap_or_else(|_| panic!("{} is not built; run tests/run.sh", path.display())).len()
}

#[test]
fn the_programs_are_small() {
    let (exporter, scaler) = (size("jitsi-exporter"), size("jitsi-scaler"));
    assert!(exporter < 10 * MEGABYTE, "jitsi-exporter has {exporter} bytes");
    // Charts and parallel searches of backtests are a megabyte of it.
    assert!(scaler < 22 * MEGABYTE, "jitsi-scaler has {scaler} bytes");
}
