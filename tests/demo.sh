#!/usr/bin/env bash
# One morning of load on a small fleet, in a minute and a half: real jitsi-exporter, Prometheus and jitsi-scaler, simulated
# cloud and Jitsi. Gets Prometheus if it is missing, and builds; the first time that takes minutes.
#   tests/demo.sh [--seed N] [--cloud aws|azure] [--keep] [--plain]
#     --seed N   another morning (default 1)
#     --cloud C  the cloud of the fleet: aws (default) or azure
#     --keep     leave everything running at the end, until Ctrl-C
#     --plain    print lines instead of a picture, as where the output is no terminal
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
usage() { sed -n '2,/^set /{s/^# \{0,1\}//p}' tests/demo.sh; }
arguments=("$@")
azure=
# A mistake must not become known only after the build.
while [ $# -gt 0 ]; do
  case $1 in
    --keep | --plain | --seed=?* | --cloud=aws) shift ;;
    --cloud=azure) azure=1; shift ;;
    --cloud) [ "${2-}" != azure ] || azure=1; shift "$(($# > 1 ? 2 : 1))" ;;
    --seed) shift "$(($# > 1 ? 2 : 1))" ;;
    -h | --help) usage; exit ;;
    *) usage >&2; echo "demo.sh: there is no option $1" >&2; exit 2 ;;
  esac
done
command -v cargo > /dev/null || { echo "cargo is missing: install Rust (https://rustup.rs)" >&2; exit 1; }
tests/tools.sh prometheus
[ -x target/demo/demo ] || echo "building, which takes minutes the first time" >&2
# Shows progress on a terminal.
quiet=--quiet
[ ! -t 2 ] || quiet=
# One command, so that all three share their crates. Release builds share nothing with it: they are optimised.
# shellcheck disable=SC2086 # An empty value must not become an argument.
cargo build --profile demo $quiet --locked --no-default-features ${azure:+--features jitsi-scaler/azure} --bin jitsi-exporter --bin jitsi-scaler --bin demo
exec target/demo/demo --record target/demo/morning "${arguments[@]}"
