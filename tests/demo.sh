#!/usr/bin/env bash
# The demo: gets Prometheus if it is missing, builds, and runs one morning of load.
#   tests/demo.sh [--seed N] [--keep]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v cargo > /dev/null || { echo "cargo is missing: install Rust (https://rustup.rs)" >&2; exit 1; }
tests/tools.sh prometheus
[ -x target/release/demo ] || echo "building in release mode: some minutes the first time" >&2
# Shows progress on a terminal.
quiet=--quiet
[ ! -t 2 ] || quiet=
# shellcheck disable=SC2086 # An empty value must not become an argument.
cargo build --release $quiet --locked --bin jitsi-exporter --bin jitsi-scaler --bin demo
exec target/release/demo "$@"
