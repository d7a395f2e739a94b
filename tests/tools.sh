#!/usr/bin/env bash
# Gets the programs of others that the demo and the tests run, without changing the system: what is in PATH is used,
# the rest is fetched with the distribution's and Python's own clients and unpacked under target/tools.
#   tests/tools.sh [prometheus] [alertmanager] [moto] [nginx]     (without arguments what the tests need: all but nginx)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools="$PWD/target/tools"
mkdir -p "$tools"

# One at a time: two test runs may share a checkout.
exec 9> "$tools/.lock"
command -v flock > /dev/null && flock 9

say() { printf '%s\n' "$*" >&2; }

# package NAME BINARY: NAME's binary from PATH, from an earlier run, or from the distribution's package.
package() {
  local name=$1 binary=$2
  if command -v "$binary" > /dev/null; then return; fi
  if [ -x "$tools/usr/bin/$binary" ] || [ -x "$tools/usr/sbin/$binary" ]; then return; fi
  if ! command -v apt-get > /dev/null || ! command -v dpkg-deb > /dev/null; then
    say "$binary is missing: install it so that it is in PATH (Prometheus: https://prometheus.io/docs/prometheus/latest/installation/)"
    exit 1
  fi
  say "fetching the package $name into target/tools"
  local apt="$tools/apt"
  mkdir -p "$apt/lists/partial" "$apt/archives/partial"
  # Lists of our own: the system's may be missing or old, and are not ours to renew.
  local options=(-q -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt" -o APT::Sandbox::User=)
  if [ ! -e "$apt/updated" ]; then
    apt-get "${options[@]}" update > "$apt/update.log" 2>&1 || { cat "$apt/update.log" >&2; exit 1; }
    touch "$apt/updated"
  fi
  (cd "$apt/archives" && apt-get "${options[@]}" download "$name" > "$apt/download.log" 2>&1) ||
    { cat "$apt/download.log" >&2; exit 1; }
  dpkg-deb -x "$apt/archives/${name}"_*.deb "$tools"
}

moto() {
  if [ -x "$tools/venv/bin/moto_server" ]; then return; fi
  command -v python3 > /dev/null || { say "python3 is missing: install it with its venv module"; exit 1; }
  say "installing moto into target/tools/venv"
  python3 -m venv "$tools/venv" || { say "install python3-venv"; exit 1; }
  "$tools/venv/bin/pip" install --quiet 'moto[server,autoscaling,ec2]>=5.1,<6' >&2
}

for want in "${@:-prometheus alertmanager moto}"; do
  for one in $want; do
    case $one in
      prometheus) package prometheus prometheus ;;
      alertmanager) command -v alertmanager > /dev/null || package prometheus-alertmanager prometheus-alertmanager ;;
      moto) moto ;;
      nginx) package nginx nginx ;;
      *) say "tests/tools.sh knows prometheus, alertmanager, moto and nginx, not $one"; exit 2 ;;
    esac
  done
done
