#!/usr/bin/env bash
# Runs every test of the project. Gets missing tools (Prometheus, Alertmanager, moto, Chromium) without changing the system,
# builds, and runs unit, integration and end-to-end tests. Further arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v make > /dev/null || { echo "make is missing, which builds the scaler's allocator (Debian: make)" >&2; exit 1; }
command -v cargo > /dev/null || { echo "cargo is missing: install Rust (https://rustup.rs)" >&2; exit 1; }
tests/tools.sh prometheus alertmanager moto chromium
tests/manifests.sh

# The end-to-end tests start release builds of the programs, with the features of the container image. Both commands name the
# feature, so that nothing is built twice.
cargo build --quiet --locked --workspace --features jitsi-scaler/azure,jitsi-scaler/kubernetes --bins
cargo build --quiet --locked --release -p jitsi-exporter -p jitsi-scaler
cargo test --locked --workspace --features jitsi-scaler/azure,jitsi-scaler/kubernetes "$@"
