#!/usr/bin/env bash
# Lists and checks the components of the programs. The workflows call it: its tools take as long to build as the programs.
#   tests/supply.sh deny           licences, sources, bans and advisories, by tests/deny.toml        (cargo install cargo-deny)
#   tests/supply.sh sbom FILE…     components of programs built by tests/release.sh, as CycloneDX in target/sbom
#                                                                                          (cargo install cargo-auditable)
#   tests/supply.sh reproducible   builds the exporter in two folders, and compares the bytes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
say() { printf 'supply: %s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }
need() { command -v "$1" > /dev/null || fail "$1 is missing: cargo install --locked $1"; }

deny() {
  need cargo-deny
  cargo deny --all-features --locked --config tests/deny.toml check licenses bans sources
  # Separate, because only this check needs more than the registry.
  cargo deny --all-features --locked --config tests/deny.toml check advisories ||
    fail "advisories: some were found, or their database could not be fetched from GitHub"
}

sbom() {
  mkdir -p target/sbom
  for program in "$@"; do
    bill="target/sbom/${program##*/}.cdx.json"
    python3 tests/supply/sbom.py "$program" > "$bill"
    say "$bill: $(grep -c '"purl"' "$bill") third-party packages"
  done
}

reproducible() {
  work="$PWD/target/reproducible"
  rm -rf "$work"
  # The same source for both, even if a commit happens meanwhile.
  JITSI_BUILD_REVISION=$(git rev-parse --short=12 HEAD)
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
  export JITSI_BUILD_REVISION SOURCE_DATE_EPOCH
  for folder in one another-folder; do
    mkdir -p "$work/$folder"
    git archive "$JITSI_BUILD_REVISION" | tar -x -C "$work/$folder"
    "$work/$folder/tests/release.sh" jitsi-exporter
    sha256sum "$work/$folder/target/release/jitsi-exporter"
  done
  cmp "$work"/{one,another-folder}/target/release/jitsi-exporter || fail "the same source gives different bytes"
  say "the same source gives the same bytes in two folders"
  rm -rf "$work"
}

case ${1:-} in
  deny | sbom | reproducible) "$@" ;;
  *) fail "expected deny, sbom FILE… or reproducible" ;;
esac
