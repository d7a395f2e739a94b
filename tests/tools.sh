#!/usr/bin/env bash
# Gets the third-party programs that the demo and the tests run, without changing the system. It uses programs in PATH, and
# fetches the rest with the distribution's and Python's own clients into target/tools.
#   tests/tools.sh [prometheus] [alertmanager] [moto] [chromium]     (without arguments these four)
#                  [nginx]     for the benchmark
#                  [helm] [kustomize] [etcd] [kube-apiserver] [kubectl] [actionlint]     for manifests, charts and workflows
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools="$PWD/target/tools"
mkdir -p "$tools"

# One at a time: two test runs may share a checkout.
exec 9> "$tools/.lock"
command -v flock > /dev/null && flock 9

say() { printf '%s\n' "$*" >&2; }

# apt ARGUMENTS…: apt-get with its own lists and archives, because the system's may be missing or old, and must not change.
# If a package has been superseded since the lists were fetched, it retries once with new lists.
apt() {
  local apt="$tools/apt"
  local options=(-q -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt" -o APT::Sandbox::User= -o Debug::NoLocking=1)
  mkdir -p "$apt/lists/partial" "$apt/archives/partial"
  update() {
    apt-get "${options[@]}" update > "$apt/update.log" 2>&1 || { cat "$apt/update.log" >&2; exit 1; }
    touch "$apt/updated"
  }
  [ -e "$apt/updated" ] || update
  (cd "$apt/archives" && apt-get "${options[@]}" "$@" > "$apt/download.log" 2>&1) && return
  update
  (cd "$apt/archives" && apt-get "${options[@]}" "$@" > "$apt/download.log" 2>&1) ||
    { cat "$apt/download.log" >&2; exit 1; }
}

# packaged WHAT HINT: fails with a hint for WHAT unless packages of this distribution can be fetched.
packaged() {
  if command -v apt-get > /dev/null && command -v dpkg-deb > /dev/null; then return; fi
  say "$1 is missing: install it so that it is in PATH${2:+ ($2)}"
  exit 1
}

# package NAME BINARY: NAME's binary from PATH, from an earlier run, or from the distribution's package.
package() {
  local name=$1 binary=$2
  if command -v "$binary" > /dev/null; then return; fi
  if [ -x "$tools/usr/bin/$binary" ] || [ -x "$tools/usr/sbin/$binary" ]; then return; fi
  packaged "$binary" "Prometheus: https://prometheus.io/docs/prometheus/latest/installation/"
  say "fetching the package $name into target/tools"
  apt download "$name"
  dpkg-deb -x "$tools/apt/archives/${name}"_*.deb "$tools"
}

# Chromium and its driver, which must have the same version, with the libraries and fonts that the system lacks; about
# 130 MB. They have their own folder, and wrappers start them there.
chromium() {
  if command -v chromium > /dev/null && command -v chromedriver > /dev/null; then return; fi
  if [ -x "$tools/usr/bin/chromedriver" ]; then return; fi
  packaged "chromium or chromedriver"
  say "fetching the packages chromium and chromium-driver into target/tools"
  local archives="$tools/apt/archives/chromium" browser="$tools/browser"
  rm -rf "$archives" "$browser"
  mkdir -p "$archives/partial" "$browser" "$tools/usr/bin"
  apt install --download-only --no-install-recommends --yes -o "Dir::Cache::archives=$archives" \
    chromium chromium-driver fontconfig-config fonts-dejavu-core
  local package
  for package in "$archives"/*.deb; do dpkg-deb -x "$package" "$browser"; done
  rm -rf "$archives"
  cat > "$browser/fonts.conf" << 'END'
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir>/usr/share/fonts</dir>
  <dir prefix="relative">usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
END
  local program
  for program in lib/chromium/chromium bin/chromedriver; do
    [ -x "$browser/usr/$program" ] || continue
    cat > "$tools/usr/bin/${program##*/}" << END
#!/bin/sh
# Written by tests/tools.sh.
browser=\$(cd "\$(dirname "\$0")/../../browser" && pwd)
for folder in "\$browser"/lib/*-linux-gnu "\$browser"/usr/lib/*-linux-gnu "\$browser"/usr/lib/*-linux-gnu/pulseaudio; do
  export LD_LIBRARY_PATH="\$folder\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
done
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_FILE="\$browser/fonts.conf"
exec "\$browser/usr/$program" "\$@"
END
    chmod +x "$tools/usr/bin/${program##*/}"
  done
}

moto() {
  if [ -x "$tools/venv/bin/moto_server" ]; then return; fi
  command -v python3 > /dev/null || { say "python3 is missing: install it with its venv module"; exit 1; }
  say "installing moto into target/tools/venv"
  python3 -m venv "$tools/venv" || { say "install python3-venv"; exit 1; }
  "$tools/venv/bin/pip" install --quiet 'moto[server,autoscaling,ec2]>=5.1,<6' >&2
}

# built NAME COMMAND…: builds NAME with Go into target/tools, once.
built() {
  local name=$1
  shift
  if command -v "$name" > /dev/null || [ -x "$tools/usr/bin/$name" ]; then return; fi
  command -v go > /dev/null || { say "$name is missing: install it, or Go, which builds it"; exit 1; }
  say "building $name into target/tools"
  mkdir -p "$tools/usr/bin"
  GOBIN="$tools/usr/bin" GOFLAGS=-mod=mod "$@" > "$tools/$name.log" 2>&1 || { cat "$tools/$name.log" >&2; exit 1; }
}

# A program of Kubernetes itself. Its module expects its libraries in neighbouring folders; the versions of their published
# modules follow its version.
kubernetes() {
  local version=1.34.2 folder="$tools/kubernetes" mod
  mkdir -p "$folder" && cd "$folder" && rm -f go.mod || return
  mod=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  [ -f "$mod" ] || return
  sed -e 's,^module .*,module kubernetes,' -e "s,=> \./staging/src/\(.*\),=> \1 v0.${version#1.}," "$mod" > go.mod
  echo "require k8s.io/kubernetes v$version" >> go.mod
  local stamp=k8s.io/component-base/version
  CGO_ENABLED=0 go build -trimpath -o "$tools/usr/bin/$1" -ldflags="-s -w -X $stamp.gitVersion=v$version
    -X $stamp.gitMajor=1 -X $stamp.gitMinor=${version:2:2}" "k8s.io/kubernetes/cmd/$1"
}

for want in "${@:-prometheus alertmanager moto chromium}"; do
  for one in $want; do
    case $one in
      prometheus) package prometheus prometheus ;;
      alertmanager) command -v alertmanager > /dev/null || package prometheus-alertmanager prometheus-alertmanager ;;
      moto) moto ;;
      chromium) chromium ;;
      nginx) package nginx nginx ;;
      etcd) package etcd-server etcd ;;
      helm) built helm go install -ldflags='-s -w' helm.sh/helm/v3/cmd/helm@v3.19.5 ;;
      actionlint) built actionlint go install -ldflags='-s -w' github.com/rhysd/actionlint/cmd/actionlint@v1.7.7 ;;
      kustomize) built kustomize go install -ldflags='-s -w' sigs.k8s.io/kustomize/kustomize/v5@v5.5.0 ;;
      kube-apiserver | kubectl) (built "$one" kubernetes "$one") ;;
      *) say "tests/tools.sh: unknown tool $one; its first lines list the tools"; exit 2 ;;
    esac
  done
done
