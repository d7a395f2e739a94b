#!/usr/bin/env bash
# Takes out each protection of the scaler in turn (tests/mutations), in a copy of the workspace under target/mutations, and
# shows which unit test finds that, or else whether two simulated days do. It fails if neither finds one that nothing
# explains. A mutation costs some ten seconds; the first run builds the dependencies once more (4 GB).
#   tests/mutations.sh [NAME]...          only those whose names begin so
#   tests/mutations.sh --simulation       without unit tests: the simulation has to find each that is marked for it
#   tests/mutations.sh --list             the table; --help names further options
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v cargo > /dev/null || { echo "cargo is missing: install Rust (https://rustup.rs)" >&2; exit 1; }
cargo run --quiet --locked -p jitsi-tests --bin mutations -- "$@"
