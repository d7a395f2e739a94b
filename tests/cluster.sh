#!/usr/bin/env bash
# Installs both programs in Kubernetes with a real API server and etcd and without nodes: by kustomize and by Helm, exactly
# as in the guides. Then two scalers run like the pods of that Deployment, with the permissions of the manifests; the script
# kills, stops and cuts off the leader, and revokes its token and its permissions (tests/cluster/cluster.py). It needs root
# for the pods' file systems, openssl, and Go, which builds the API server, helm, and kubectl if it is not in PATH. The nightly
# workflow calls it: the first build of the API server takes ten minutes.
#   tests/cluster.sh [--no-build]      --no-build: uses the programs that are in target/debug
#   PREVIOUS=REVISION tests/cluster.sh  upgrades from the charts of this revision, instead of those of the last tag v…
#   RECORD=1 tests/cluster.sh          records the API server's answers about leases in tests/cluster/lease_api.json
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ "$(id -u)" = 0 ] || { echo "cluster: root is needed, for mounts" >&2; exit 1; }

if [ "${1:-}" != --no-build ]; then
  cargo build --locked -p jitsi-scaler --features jitsi-scaler/kubernetes
  cargo build --locked -p jitsi-tests --bin asg-sim
fi
tests/tools.sh prometheus etcd kubectl helm kube-apiserver
PATH="$PATH:$PWD/target/tools/usr/bin"
# Only loopback: the servers must not reach other hosts, and have their own ports.
exec unshare --net -- sh -c 'ip link set lo up && exec "$@"' sh python3 tests/cluster/cluster.py target/debug
