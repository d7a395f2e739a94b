"""Installs both programs in Kubernetes with a real API server and etcd and without nodes, and runs two scalers with a Lease.

    cluster.py PROGRAMS

PROGRAMS is the folder with jitsi-scaler (feature kubernetes) and asg-sim; etcd, kube-apiserver, kubectl, helm and prometheus
come from PATH. tests/cluster.sh calls this as root, in a network with only loopback.

It installs the manifests and the charts unchanged, with the permissions that they grant. Instead of nodes, this program
starts each replica according to its Pod in the API: arguments, environment, user, a read-only root, the ConfigMap and a
token of the service account, which the scaler finds as in any pod. The API server's audit log records who held the Lease
when; simulated AWS records who called it when.
"""

import pathlib
import sys

# Leave no files beside the sources.
sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import conversation  # noqa: E402
from installation import installed_by_hand, installed_by_helm, removed  # noqa: E402
from leaders import elections  # noqa: E402
from shards import shared  # noqa: E402
from world import World, say, stop_all  # noqa: E402

RECORD = pathlib.Path(__file__).with_name("lease_api.json")


def conversed(world):
    """Compares the API server's answers about leases with the record that the stand-in of the other tests follows."""
    exchanges = conversation.record(lambda method, path, body: world.lease_api(method, path, body))
    version = world.get("/version")["gitVersion"]
    text = conversation.written(version, exchanges)
    if world.records:
        RECORD.write_text(text)
    known = RECORD.read_text()
    if conversation.written(version, exchanges).split("\n", 1)[1] != known.split("\n", 1)[1]:
        (world.folder / RECORD.name).write_text(text)
        sys.exit(f"cluster: {version} answers differ from {RECORD}; see {world.folder / RECORD.name}, or set RECORD=1")
    say(f"{version} answers {len(exchanges)} questions about leases as the stand-in does")


def main():
    programs = pathlib.Path(sys.argv[1]).resolve()
    try:
        world = World(programs)
        world.start()
        installed_by_hand(world)
        conversed(world)
        installed_by_helm(world)
        elections(world)
        shared(world)
        removed(world)
    finally:
        stop_all()


main()
