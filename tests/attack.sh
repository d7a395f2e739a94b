#!/usr/bin/env bash
# Attacks both built programs on loopback, in two minutes, and fails if they stop or slow down. It needs a machine without other
# work.
#   tests/attack.sh [--release] [--minutes N]     --release: build and attack release builds, with their stricter bounds
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
usage() { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }

profile=()
while [ $# -gt 0 ]; do
  case $1 in
    --release) profile=(--release); shift ;;
    --minutes) [ $# -ge 2 ] || usage; export ATTACK_MINUTES=$2; shift 2 ;;
    *) usage ;;
  esac
done
tests/tools.sh prometheus
cargo build --quiet --locked "${profile[@]}" --workspace --features jitsi-scaler/kubernetes --bins
cargo test --quiet --locked "${profile[@]}" --workspace --features jitsi-scaler/kubernetes --test attack -- --ignored --nocapture
