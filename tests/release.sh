#!/usr/bin/env bash
# Builds the release programs, with an embedded list of their components if cargo-auditable is installed. The same source
# and compilers give the same bytes in any folder (tests/supply.sh checks this). The programs are in target/release, or in
# target/TRIPLE/release:
#   tests/release.sh [--target TRIPLE] [jitsi-exporter] [jitsi-scaler]
# FEATURES=jitsi-scaler/azure,jitsi-scaler/kubernetes adds Azure and the Lease, as in the container image; only for builds that include the scaler.
# Static programs: --target x86_64-unknown-linux-musl, after `rustup target add` of it, with musl-gcc (Debian: musl-tools).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
options=()
if [ "${1:-}" = --target ]; then
  options=(--target "$2")
  shift 2
fi
[ -z "${FEATURES:-}" ] || options+=(--features "$FEATURES")
programs=("$@")
[ $# -gt 0 ] || programs=(jitsi-exporter jitsi-scaler)

# Replaces paths of this machine, which panics and errors of C would contain.
registry="${CARGO_HOME:-$HOME/.cargo}"
unit=$'\x1f'
export CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$PWD=/src${unit}--remap-path-prefix=$registry=/cargo"
export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$PWD=/src -ffile-prefix-map=$registry=/cargo"
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2> /dev/null || echo 0)}"
export SOURCE_DATE_EPOCH
# The build does not find the revision by itself in a working tree whose repository is elsewhere.
JITSI_BUILD_REVISION="${JITSI_BUILD_REVISION:-$(git rev-parse --short=12 HEAD 2> /dev/null || echo unknown)}"
export JITSI_BUILD_REVISION

build=(cargo build)
if command -v cargo-auditable > /dev/null; then
  build=(cargo auditable build)
else
  echo "release: without cargo-auditable (cargo install cargo-auditable): the programs contain no list of components" >&2
fi
"${build[@]}" --release --locked "${options[@]}" "${programs[@]/#/--package=}"
