#!/usr/bin/env bash
# Every test of the project in one command. Gets what is missing (Prometheus, Alertmanager, moto, Chromium) without
# changing the system, builds, and runs unit, integration and end-to-end tests. Further arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v cargo > /dev/null || { echo "cargo is missing: install Rust (https://rustup.rs)" >&2; exit 1; }
tests/tools.sh prometheus alertmanager moto chromium
tests/manifests.sh

# The end-to-end tests start the programs as processes, in the form that is released; the scaler as its container image
# has it, with leases. Both commands name the feature, so that nothing is built twice.
cargo build --quiet --locked --workspace --features jitsi-scaler/kubernetes --bins
cargo build --quiet --locked --release -p jitsi-exporter -p jitsi-scaler
cargo test --locked --workspace --features jitsi-scaler/kubernetes "$@"
