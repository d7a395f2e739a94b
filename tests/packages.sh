#!/usr/bin/env bash
# Builds the packages of both programs, and installs, upgrades, removes and purges them in a separate root: a minimal Debian
# that debootstrap creates in target/packages. There it starts the programs as a user with no rights except the group of
# their files. Then it boots that Debian, and runs both units under its systemd with simulated AWS and Jitsi
# (tests/packages/booted.py). It needs root, debootstrap and cargo-deb; systemd-nspawn (Debian: systemd-container) to boot;
# and cargo-generate-rpm and rpm for RPM packages. The nightly workflow calls it.
#   tests/packages.sh [--no-build]      --no-build: packages the programs that are in target/release
# It upgrades from the files of the last release, a tag v…, or of the revision PREVIOUS; without either, from its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ "$(id -u)" = 0 ] || { echo "packages: root is needed, for chroot" >&2; exit 1; }
for tool in debootstrap cargo-deb; do
  command -v $tool > /dev/null || { echo "packages: $tool is missing (Debian: debootstrap; cargo install cargo-deb)" >&2; exit 1; }
done
out="$PWD/target/packages"
root="$out/root"
mkdir -p "$out"
say() { printf 'packages: %s\n' "$*"; }
fail() { printf 'packages: %s\n' "$*" >&2; exit 1; }
within() { chroot "$root" env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

if [ "${1:-}" != --no-build ]; then
  FEATURES=jitsi-scaler/azure tests/release.sh
  cargo build --locked -p jitsi-tests --bin jitsi-sim --bin asg-sim
fi
# Files in packages have the time of the commit, so that the same source gives the same package.
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
if [ ! -e "$out/bookworm.tar" ]; then
  say "making a minimal Debian"
  rm -rf "$out/fresh"
  debootstrap --variant=minbase --include=ca-certificates,logrotate,systemd,systemd-sysv bookworm "$out/fresh" \
    > "$out/debootstrap.log"
  tar -C "$out/fresh" -cf "$out/bookworm.tar" .
  rm -rf "$out/fresh"
fi
fresh() {
  rm -rf "$root"
  mkdir -p "$root"
  tar -C "$root" -xf "$out/bookworm.tar"
}

previous=${PREVIOUS:-$(git describe --tags --match 'v*' --abbrev=0 2> /dev/null || true)}
former=.
if [ -n "$previous" ]; then
  former="$out/previous"
  rm -rf "$former"
  mkdir -p "$former"
  git archive "$previous" | tar -x -C "$former"
  # Its files with the present programs, which need no second build.
  ln -s "$PWD/target" "$former/target"
  say "upgrades are from $previous"
fi

serving=
trap '[ -z "$serving" ] || kill "$serving" 2> /dev/null || true' EXIT

# answers PROGRAM PORT COMMAND…: runs the command as the user nobody, with the group of the program's files, until healthy.
answers() {
  local name=$1 port=$2
  shift 2
  local group
  group=$(within getent group "$name-files" | cut -d: -f3)
  chroot --userspec=65534:65534 --groups="$group" "$root" "$@" 2> "$out/$name.log" &
  serving=$!
  for _ in $(seq 100); do
    if curl --silent --fail "http://127.0.0.1:$port/-/healthy" > /dev/null; then
      kill "$serving"
      wait "$serving" || fail "$name did not end well: $(cat "$out/$name.log")"
      serving=
      return
    fi
    kill -0 "$serving" 2> /dev/null || fail "$name ended: $(cat "$out/$name.log")"
    sleep 0.1
  done
  fail "$name does not answer: $(cat "$out/$name.log")"
}

# configured PROGRAM: does what an operator does after the installation, with files that only the group can read.
configured() {
  printf 'http_server_config: {}\n' > "$root/etc/$1/web.yml"
  chmod 640 "$root/etc/$1/web.yml"
  [ "$(stat -c %G "$root/etc/$1/web.yml")" != root ] || fail "a new file in /etc/$1 is not of the service's group"
  if [ "$1" = jitsi-scaler ]; then
    install -m 640 scaler/packaging/kubernetes/scaler.yml "$root/etc/$1/scaler.yml"
    chgrp --reference="$root/etc/$1" "$root/etc/$1/scaler.yml"
  fi
}

runs() {
  local port=$((20000 + RANDOM % 20000))
  local flags=("--web.listen-address=127.0.0.1:$port" "--web.config.file=/etc/$1/web.yml")
  if [ "$1" = jitsi-exporter ]; then answers "$1" "$port" /usr/bin/jitsi-exporter "${flags[@]}"
  else answers "$1" "$port" /usr/bin/env AWS_REGION=us-east-1 /usr/bin/jitsi-scaler run "${flags[@]}"; fi
}

# conffiles PROGRAM: the files that an upgrade keeps.
conffiles() {
  echo "/etc/default/$1"
  [ "$1" = jitsi-exporter ] || echo "/etc/logrotate.d/$1"
}

# A link in the root may be absolute, and then dangles outside the chroot.
there() { [ -e "$1" ] || [ -L "$1" ]; }
has() { for file in "$@"; do there "$root$file" || fail "$file is missing"; done; }
lacks() { for file in "$@"; do ! there "$root$file" || fail "$file is left over"; done; }

fresh
for component in exporter scaler; do
  name="jitsi-$component"
  rm -f "$out/$name"*.deb
  (cd "$former" && cargo deb --quiet --fast --no-build --package "$name" --deb-version 0.1.0-1 \
    --output "$out/$name-old.deb" > "$out/deb.log")
  cargo deb --quiet --fast --no-build --package "$name" --deb-version 0.1.1-1 --output "$out/$name-new.deb" > "$out/deb.log"
  [ "$(dpkg-deb --ctrl-tarfile "$out/$name-old.deb" | tar -xO ./conffiles | sort)" = "$(conffiles "$name")" ] ||
    fail "$name.deb: wrong configuration files"
  cp "$out/$name"-*.deb "$root/"

  within dpkg --install "/$name-old.deb" > "$out/dpkg.log" 2>&1 || fail "$(cat "$out/dpkg.log")"
  has "/usr/bin/$name" "/etc/default/$name" "/usr/share/man/man1/$name.1.gz" \
    "/usr/share/bash-completion/completions/$name" "/etc/systemd/system/multi-user.target.wants/$name.service"
  [ "$(stat -c %a "$root/etc/$name")" = 2750 ] || fail "/etc/$name is open to others"
  configured "$name"
  runs "$name"
  say "$name.deb: installed, enabled, runs without privileges on files of its group"

  echo '# by the operator' >> "$root/etc/default/$name"
  chmod 2755 "$root/etc/$name"
  cp "$root/etc/$name"/*.yml "$out"
  # As an unattended upgrade does it.
  within dpkg --force-confdef --force-confold --install "/$name-new.deb" > "$out/dpkg.log" 2>&1 || fail "$(cat "$out/dpkg.log")"
  grep -q 'by the operator' "$root/etc/default/$name" || fail "the upgrade overwrote /etc/default/$name"
  [ "$(stat -c %a "$root/etc/$name")" = 2755 ] || fail "the upgrade changed the mode of /etc/$name"
  for file in "$root/etc/$name"/*.yml; do cmp "$file" "$out/${file##*/}" || fail "the upgrade changed $file"; done
  [ "$name" = jitsi-exporter ] || ! grep -q systemctl "$root/etc/logrotate.d/$name" || fail "the rotation still reloads"
  [ "$(within dpkg-query -Wf '${Version}' "$name")" = 0.1.1-1 ] || fail "it is not upgraded"
  runs "$name"
  say "$name.deb: upgraded, files of the operator kept"

  within dpkg --remove "$name" > "$out/dpkg.log" 2>&1 || fail "$(cat "$out/dpkg.log")"
  has "/etc/default/$name" "/etc/$name/web.yml"
  lacks "/usr/bin/$name"
  rm -f "$root/etc/$name"/*
  # systemd creates these for the scaler's logs.
  mkdir -p "$root/var/log/private/jitsi-scaler"
  touch "$root/var/log/private/jitsi-scaler/decisions.jsonl"
  ln -sfn private/jitsi-scaler "$root/var/log/jitsi-scaler"
  within dpkg --purge "$name" > "$out/dpkg.log" 2>&1 || fail "$(cat "$out/dpkg.log")"
  lacks "/etc/default/$name" "/etc/$name" "/etc/systemd/system/multi-user.target.wants/$name.service"
  [ "$name" = jitsi-exporter ] || lacks /etc/logrotate.d/jitsi-scaler /var/log/jitsi-scaler /var/log/private/jitsi-scaler
  say "$name.deb: removed and purged; only its group remains"
done

if command -v systemd-nspawn > /dev/null; then
  tests/tools.sh prometheus
  prometheus=$(command -v prometheus || echo target/tools/usr/bin/prometheus)
  fresh
  cp "$out"/jitsi-*-new.deb "$root/"
  within sh -c 'dpkg --install /jitsi-*-new.deb' > "$out/dpkg.log" 2>&1 || fail "$(cat "$out/dpkg.log")"
  # Only loopback: the simulators use the ports of the real components, and must not reach other hosts.
  unshare --net -- sh -c 'ip link set lo up && exec "$@"' sh \
    python3 tests/packages/booted.py "$root" target/debug "$prometheus"
else
  say "systemd-nspawn is missing (Debian: systemd-container): skipping the units"
fi

if ! command -v rpm > /dev/null || ! command -v cargo-generate-rpm > /dev/null; then
  say "rpm or cargo-generate-rpm is missing: skipping RPM packages"
  exit
fi
# The scripts are those of RPM, but the root is Debian's, so the requirements of the packages are not checked.
fresh
packages() { rpm --root "$root" --dbpath /var/lib/rpm --nodeps "$@"; }
for component in exporter scaler; do
  name="jitsi-$component"
  (cd "$former" && cargo generate-rpm --package "$component" --set-metadata 'version = "0.1.0"' --output "$out/$name-0.1.0.rpm")
  cargo generate-rpm --package "$component" --set-metadata 'version = "0.1.1"' --output "$out/$name-0.1.1.rpm"
  [ "$(rpm -qp --configfiles "$out/$name-0.1.0.rpm" | sort)" = "$(conffiles "$name")" ] ||
    fail "$name.rpm: wrong configuration files"
  packages --install "$out/$name-0.1.0.rpm"
  has "/usr/bin/$name" "/etc/default/$name" "/usr/lib/systemd/system/$name.service" "/usr/share/man/man1/$name.1"
  configured "$name"
  runs "$name"
  [ "$(stat -c %a "$root/etc/$name")" = 2750 ] || fail "/etc/$name is open to others"
  echo '# by the operator' >> "$root/etc/default/$name"
  chmod 2755 "$root/etc/$name"
  packages --upgrade "$out/$name-0.1.1.rpm"
  grep -q 'by the operator' "$root/etc/default/$name" || fail "the upgrade overwrote /etc/default/$name"
  [ "$(stat -c %a "$root/etc/$name")" = 2755 ] || fail "the upgrade changed the mode of /etc/$name"
  runs "$name"
  packages --erase "$name"
  lacks "/usr/bin/$name" "/usr/lib/systemd/system/$name.service"
  say "$name.rpm: installed, upgraded and removed"
done
