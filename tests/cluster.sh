#!/usr/bin/env bash
# Installs both programs in a Kubernetes that consists of a real API server and etcd, and has no nodes: by kustomize and by
# Helm, to the letter of the guides. Then two scalers run as the pods of that Deployment would, with the rights that the
# manifests give, and the one that leads is killed, stopped, cut off, and has its token and its rights taken
# (tests/cluster/cluster.py). It needs root, for the pods' own file systems, openssl, and Go, which builds the API server,
# helm, and kubectl where that is not in PATH. CI does not call it: the API server takes ten minutes to build, once.
#   tests/cluster.sh [--no-build]      --no-build: programs of target/debug as they are
#   RECORD=1 tests/cluster.sh          writes what the API server says of leases to tests/cluster/lease_api.json
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ "$(id -u)" = 0 ] || { echo "cluster: root is needed, for mounts" >&2; exit 1; }

if [ "${1:-}" != --no-build ]; then
  cargo build --locked -p jitsi-scaler --features jitsi-scaler/kubernetes
  cargo build --locked -p jitsi-tests --bin asg-sim
fi
tests/tools.sh prometheus etcd kubectl helm kube-apiserver
PATH="$PATH:$PWD/target/tools/usr/bin"
# Nothing but loopback: what is served here reaches nobody else, and has ports of its own.
exec unshare --net -- sh -c 'ip link set lo up && exec "$@"' sh python3 tests/cluster/cluster.py target/debug
