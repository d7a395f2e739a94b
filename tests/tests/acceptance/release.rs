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
    assert!(exporter < 11 * MEGABYTE, "jitsi-exporter has {exporter} bytes");
    // Charts and parallel searches are a megabyte of it, and the allocator half of one.
    assert!(scaler < 24 * MEGABYTE, "jitsi-scaler has {scaler} bytes");
}
