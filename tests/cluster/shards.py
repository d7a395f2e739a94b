"""Three replicas of the scaler's Deployment share eight shards: each group is acted on by one of them at a time, whoever
dies, joins or stops."""

import hashlib
import json
import signal
import time

from installation import REPLICA, may, upgraded
from leaders import SHORT, SLACK, flags
from pods import Pod
from world import FLEETS, LEASE, NAMESPACE, say, until

SHARDS = 8
POLICY = {"name": "constant", "expr": "vector(1)", "period": "1s",
          "scale_out": {"when": ">= 1", "periods": 1, "add": 1, "cooldown": "1s"}}


def lease_of(fleet):
    """The lease of a fleet's shard, by the rule of the guide."""
    return f"{LEASE}-{int.from_bytes(hashlib.sha256(fleet.encode()).digest()[:8], 'big') % SHARDS}"


def led(pod):
    return [shard["shard"] for shard in pod.leader()["shards"] if shard["leading"]]


def one_at_a_time(world):
    """Checks that whoever changed a group held the lease of its shard; returns the number of changes."""
    held = {f"{LEASE}-{shard}": world.tenures(f"{LEASE}-{shard}") for shard in range(SHARDS)}
    changes = [call for call in world.changes() if call["group"] in FLEETS]
    for call in changes:
        tenures = held[lease_of(call["group"])]
        holder = next((holder for since, holder in reversed(tenures) if since <= call["time"]), "")
        assert holder.startswith(f"{call['access_key']}_"), f"{call} while {holder!r} held the lease; {tenures}"
    return len(changes)


def moved(world, shards, pod, since):
    """The seconds from `since` until each of these shards had another holder than the pod."""
    return [next(at for at, holder in world.tenures(f"{LEASE}-{shard}")
                 if at > since and holder and not holder.startswith(f"{pod.name}_")) - since for shard in shards]


def shared(world):
    config = world.folder / "shards.yml"
    fleets = [{"name": name, "component": "jvb", "asg": {"regions": ["us-east-1"], "names": [name]}, "warmup": "0s",
               "policies": [POLICY]} for name in FLEETS]
    config.write_text(json.dumps({"prometheus": {"url": "http://127.0.0.1:19090", "timeout": "2s"}, "fleets": fleets}))
    upgraded(world, "--set", f"leader.shards={SHARDS}", "--set-file", f"config={config}", "--set", flags(SHORT))
    until("the account may hold the lease of each shard", 10, lambda: all(
        may(world, verb, "leases", f"{LEASE}-{shard}", group="coordination.k8s.io")
        for verb in ("get", "update") for shard in range(SHARDS)))
    duration, _, retry = SHORT
    one, two, three, four = (Pod(world, f"{REPLICA}-{name}", port)
                             for name, port in (("s1", 20071), ("s2", 20072), ("s3", 20073), ("s4", 20074)))

    def spread(pods, counts):
        until(f"the pods lead {counts} shards", 60, lambda: sorted(len(led(pod)) for pod in pods) == counts,
              lambda: "\n\n".join(pod.tail() for pod in pods))
        since = time.time()
        until("every group is changed", 60, lambda: {
            call["group"] for call in world.changes() if call["time"] > since} >= set(FLEETS))

    for pod in (one, two, three):
        pod.start()
    spread((one, two, three), [2, 3, 3])
    shards = led(one)
    struck = one.ended(signal.SIGKILL)
    spread((two, three), [4, 4])
    killed = max(moved(world, shards, one, struck))
    assert killed < duration + retry + SLACK, killed
    four.start()
    spread((two, three, four), [2, 3, 3])
    shards = led(two)
    struck = two.ended(signal.SIGTERM)
    spread((three, four), [4, 4])
    stopped = max(moved(world, shards, two, struck))
    assert stopped < retry + SLACK, stopped
    for pod in (three, four):
        pod.ended(signal.SIGTERM)
    count = one_at_a_time(world)
    for shard in range(SHARDS):
        world.run("kubectl", "-n", NAMESPACE, "delete", "lease", f"{LEASE}-{shard}")
    world.run("kubectl", "-n", NAMESPACE, "delete", "secrets", "--selector=bound=token")
    say(f"three replicas share {SHARDS} shards: those of one that is killed move within {killed:.1f} s, of one that is "
        f"stopped within {stopped:.1f} s; {count} changes at AWS, each by the holder of the shard's lease")
