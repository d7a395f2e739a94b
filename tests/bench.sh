#!/usr/bin/env bash
# Measures speed and memory. Prints ratios, counts and memory of one run beside the goals. A slow machine fails nothing, and
# figures of different machines are not comparable. On two idle cores it takes half an hour after the release build.
#   tests/bench.sh [PART]... [--rounds N] [--scrapes N] [--seconds N]
# Parts (default: all):
#   scrape    /probe over eight targets, as a share of the rate of its upstream (nginx)    --rounds, default 7
#   metrics   /metrics with one target, and a start: processor time
#   memory    resident memory of the exporter over many scrapes                            --scrapes, default 1000000
#   targets   5,000 targets probed every 15 s: memory and latency                          --seconds, default 120
#   tick      one evaluation of 1,000 groups in 10 fleets, each of which reads the instances of all, as by default
#   growth    one evaluation of 1, 100, 1,000 and 10,000 groups, each fleet with instances of its own
#   pure      without sockets: a body of a hundred keys to exposition, and decisions per second
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

parts=() rounds=7 scrapes=1000000 seconds=120
while [ $# -gt 0 ]; do
  case $1 in
    scrape | metrics | memory | targets | tick | growth | pure) parts+=("$1") ;;
    --rounds) rounds=${2:?--rounds needs a number}; shift ;;
    --scrapes) scrapes=${2:?--scrapes needs a number}; shift ;;
    --seconds) seconds=${2:?--seconds needs a number}; shift ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) echo "tests/bench.sh: unknown argument $1; see --help" >&2; exit 2 ;;
  esac
  shift
done
[ ${#parts[@]} -gt 0 ] || parts=(scrape metrics memory targets tick growth pure)
command -v cargo > /dev/null || { echo "cargo is missing: install Rust (https://rustup.rs)" >&2; exit 1; }

runs=
for part in "${parts[@]}"; do
  case $part in
    scrape | metrics | memory | targets) tests/tools.sh nginx; runs=yes ;;
    tick | growth) tests/tools.sh prometheus; runs=yes ;;
  esac
done
if [ -n "$runs" ]; then
  # Builds the programs as installed, without the features that the tests enable in the same libraries.
  cargo build --release --quiet --locked -p jitsi-exporter -p jitsi-scaler --bins
  cargo build --release --quiet --locked -p jitsi-tests --bin load
fi
# Thousands of targets need thousands of sockets.
ulimit -n "$(ulimit -Hn)"

# The load generator runs in its own process group with all its children (nginx, Prometheus, the programs), so that nothing
# remains when this script ends.
group=
end_group() {
  [ -z "$group" ] || kill -- "-$group" 2> /dev/null || true
  group=
}
trap end_group EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
load() {
  set -m
  target/release/load "$@" &
  group=$!
  set +m
  local code=0
  wait "$group" || code=$?
  end_group
  return "$code"
}

echo "bench: $(nproc) cores, load before: $(cut -d ' ' -f 1-3 /proc/loadavg)"
for part in "${parts[@]}"; do
  case $part in
    scrape) load scrape --rounds "$rounds" ;;
    metrics) load metrics ;;
    memory) load memory --scrapes "$scrapes" ;;
    targets) load targets --seconds "$seconds" ;;
    tick) load tick ;;
    growth) load growth ;;
    pure)
      echo "pure: the goal is 15 µs for body_to_exposition, and a handful of allocations per family (its items)"
      cargo bench --quiet --locked -p jitsi-exporter --bench exposition
      echo "pure: the goal is a million items a second in hold"
      cargo bench --quiet --locked -p jitsi-scaler --bench decide
      ;;
  esac
done
echo "bench: load after: $(cut -d ' ' -f 1-3 /proc/loadavg)"
