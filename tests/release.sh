#!/usr/bin/env bash
# Builds the programs as they are given away: with the list of what they are made of inside, if cargo-auditable is there to
# put it in, and so that the same source and compilers give the same bytes in whatever folder they are built
# (tests/supply.sh looks whether they do). Below target/release, or below target/TRIPLE/release:
#   tests/release.sh [--target TRIPLE] [jitsi-exporter] [jitsi-scaler]
# FEATURES=jitsi-scaler/kubernetes adds what the container's has, the Lease; only where the scaler is among them.
# The static ones: --target x86_64-unknown-linux-musl, after `rustup target add` of it and with musl-gcc (Debian: musl-tools).
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

# Paths of this machine, which panics and errors of C would name: the compilers write others in their place.
registry="${CARGO_HOME:-$HOME/.cargo}"
unit=$'\x1f'
export CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$PWD=/src${unit}--remap-path-prefix=$registry=/cargo"
export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$PWD=/src -ffile-prefix-map=$registry=/cargo"
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2> /dev/null || echo 0)}"
export SOURCE_DATE_EPOCH
# Also where the build itself does not find it, in a working tree whose repository lies elsewhere.
JITSI_BUILD_REVISION="${JITSI_BUILD_REVISION:-$(git rev-parse --short=12 HEAD 2> /dev/null || echo unknown)}"
export JITSI_BUILD_REVISION

build=(cargo build)
if command -v cargo-auditable > /dev/null; then
  build=(cargo auditable build)
else
  echo "release: without cargo-auditable (cargo install cargo-auditable): nothing inside says what the programs are made of" >&2
fi
"${build[@]}" --release --locked "${options[@]}" "${programs[@]/#/--package=}"
