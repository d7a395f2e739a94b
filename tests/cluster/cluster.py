"""Both programs installed in a Kubernetes of a real API server and etcd, without nodes, and two scalers and their Lease in it.

    cluster.py PROGRAMS

PROGRAMS is the folder with jitsi-scaler (feature kubernetes) and asg-sim; etcd, kube-apiserver, kubectl, helm and prometheus
are taken from PATH. tests/cluster.sh calls this, as root and in a network that has nothing but loopback.

What is installed are the manifests and the charts as they are, with the rights that they give. In place of nodes, each
replica is started here as its Pod in the API says: arguments, environment, user, a root that nobody may write to, the
ConfigMap and a token of the service account, which the scaler finds as in any pod. The API server's own audit log tells who
held the Lease when, simulated AWS who called it when.
"""

import pathlib
import sys

# Nothing is left beside the sources.
sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import conversation  # noqa: E402
from installation import installed_by_hand, installed_by_helm, removed  # noqa: E402
from leaders import elections  # noqa: E402
from world import World, say, stop_all  # noqa: E402

RECORD = pathlib.Path(__file__).with_name("lease_api.json")


def conversed(world):
    """What it answers about leases is what the stand-in of the other tests is held to."""
    exchanges = conversation.record(lambda method, path, body: world.lease_api(method, path, body))
    version = world.get("/version")["gitVersion"]
    text = conversation.written(version, exchanges)
    if world.records:
        RECORD.write_text(text)
    known = RECORD.read_text()
    if conversation.written(version, exchanges).split("\n", 1)[1] != known.split("\n", 1)[1]:
        (world.folder / RECORD.name).write_text(text)
        sys.exit(f"cluster: {version} answers otherwise than {RECORD} says; see {world.folder / RECORD.name}, or RECORD=1")
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
        removed(world)
    finally:
        stop_all()


main()
