"""Two replicas of the scaler's Deployment and their Lease: whatever happens to the one that leads, never do two act."""

import signal
import time

from installation import REPLICA, upgraded
from pods import Pod
from world import LEASE, NAMESPACE, running, say, seconds, until

DEFAULTS = (15.0, 10.0, 2.0)
SHORT = (3.0, 2.0, 0.5)
# What a busy computer may add, in seconds.
SLACK = 2.0


class Pair:
    def __init__(self, world):
        self.world = world
        self.one, self.two = Pod(world, f"{REPLICA}-one", 20066), Pod(world, f"{REPLICA}-two", 20067)

    def until(self, what, seconds, condition):
        return until(what, seconds, condition, lambda: f"{self.world.tenures()}\n{self.one.tail()}\n\n{self.two.tail()}")

    def other(self, pod):
        return self.two if pod is self.one else self.one

    def acts(self, pod, since):
        self.until(f"{pod.name} acts", 30, lambda: any(
            call["access_key"] == pod.name and call["time"] > since and call["action"] == "SetDesiredCapacity"
            for call in self.world.changes()))

    def taken(self, pod, limit):
        """Since when this one holds the Lease, when it knows that it leads, and has acted."""
        newest = self.until(f"{pod.name} takes over", limit, lambda: next(
            (held for held in self.world.tenures()[-1:] if held[1].startswith(f"{pod.name}_")), None))
        self.until(f"{pod.name} leads", limit, pod.leads)
        self.acts(pod, newest[0])
        self.one_at_a_time()
        return newest

    def written(self, since):
        """When the Lease was written for the first time after `since`, by what was accepted."""
        times = [seconds(event["requestReceivedTimestamp"]) for event in self.world.audited()
                 if event["verb"] != "get" and event["responseStatus"]["code"] in (200, 201)]
        return min((time for time in times if time > since), default=None)

    def one_at_a_time(self):
        """Every change was made by whoever held the Lease, and none was made twice."""
        held, changes = self.world.tenures(), self.world.changes()
        for call in changes:
            holder = next((holder for since, holder in reversed(held) if since <= call["time"]), "")
            assert holder.startswith(f"{call['access_key']}_"), f"{call} while {holder!r} held the Lease; {held}"
        wanted = [int(call["parameters"]["DesiredCapacity"]) for call in changes if call["action"] == "SetDesiredCapacity"]
        assert all(before < after for before, after in zip(wanted, wanted[1:])), wanted
        return len(wanted)


def flags(times):
    """The chart's value for these times."""
    names = ("lease-duration", "renew-deadline", "retry-period")
    texts = [f"--leader.{name}={int(time * 1000)}ms" for name, time in zip(names, times)]
    return "args={" + ",".join(texts) + "}"


def elections(world):
    pair = Pair(world)
    one, two = pair.one, pair.two
    # As the guide has it: the times are those of client-go.
    duration, deadline, retry = DEFAULTS
    began = time.time()
    one.start()
    held = pair.taken(one, 40)
    # No lease was there: one may have been deleted, and whoever led by it has stopped by then.
    assert world.changes()[0]["time"] - began >= duration, world.changes()[0]
    two.start()
    pair.until("the other one stands by", 20, lambda: two.follows(held[1]))
    first = world.changes()[0]["time"] - began
    say(f"the first acts {first:.1f} s after its start, for there was no Lease; the other stands by")
    struck = one.ended(signal.SIGKILL)
    took = pair.taken(two, 40)[0] - struck
    assert duration - retry - SLACK < took < duration + retry + SLACK, took
    times = f"{duration:.0f}, {deadline:.0f} and {retry:.0f} s"
    say(f"killed: the other one leads after {took:.1f} s, by the default times of {times}")

    # Everything else by shorter times, which an upgrade of the release brings.
    upgraded(world, "--set", flags(SHORT))
    duration, deadline, retry = SHORT
    one.start()
    pair.until("it stands by", 20, lambda: one.follows(two.leader()["holder"]))
    stopped = two.ended(signal.SIGTERM)
    took = pair.taken(one, 20)[0] - stopped
    two.start()
    pair.until("it stands by", 20, lambda: two.follows(one.leader()["holder"]))
    say(f"rolled out by helm upgrade: the new one leads {took:.1f} s after the old one was told to end")

    stopped = one.signal(signal.SIGSTOP)
    held = pair.taken(two, 20)
    one.signal(signal.SIGCONT)
    pair.until("it stands by", 20, lambda: one.follows(held[1]))
    assert held[0] - stopped < duration + retry + SLACK, held[0] - stopped
    say(f"stopped: the other one leads after {held[0] - stopped:.1f} s; when it goes on, it stands by")

    cut_off(pair)
    gone(pair)
    deleted(pair)
    rotated(pair)
    revoked(pair)
    forbidden(pair)

    for pod in (two, one):
        pod.ended(signal.SIGTERM)
    assert world.lease()["spec"]["holderIdentity"] == "", world.lease()
    # What stood here for nodes.
    world.run("kubectl", "-n", NAMESPACE, "delete", "secrets", "--selector=bound=token")
    verbs = sorted({event["verb"] for event in world.audited()})
    assert verbs == ["create", "get", "update"], verbs
    say(f"{pair.one_at_a_time()} changes at AWS, each by whoever held the Lease, none twice; asked of leases: {', '.join(verbs)}")


def leading(pair):
    """Whoever leads, and the other one."""
    pod = pair.until("somebody leads", 30, lambda: next((pod for pod in (pair.one, pair.two) if pod.leads()), None))
    return pod, pair.other(pod)


def cut_off(pair):
    """One that cannot reach the API server has stopped before the other one begins, and what it sent last changes nothing."""
    duration, _, retry = SHORT
    pod, other = leading(pair)
    struck = pod.wire.cut()
    pair.until("it stops", 20, lambda: not pod.leads())
    stopped = time.time() - struck
    assert not other.leads()
    held = pair.taken(other, 20)
    assert held[0] - struck < duration + retry + SLACK, held[0] - struck
    pod.wire.mend()
    pair.until("it stands by", 20, lambda: pod.follows(held[1]))
    say(f"cut off from the API server: it leads no more after {stopped:.1f} s, the other one after {held[0] - struck:.1f} s")


def gone(pair):
    """Without the API server nobody acts; when it is back, one does."""
    world, deadline = pair.world, SHORT[1]
    leader, other = leading(pair)
    world.server.kill()
    world.server.wait()
    running.remove(world.server)
    struck = time.time()
    pair.until("nobody leads", 20, lambda: not leader.leads())
    stopped = time.time() - struck
    ready = leader.ask("/-/ready") and other.ask("/-/ready")
    world.api_server()
    back = time.time()
    renewed = pair.until("the Lease is written again", 30, lambda: pair.written(struck))
    late = [call for call in world.changes() if struck + deadline < call["time"] < renewed]
    assert ready and not late, late
    pod, _ = leading(pair)
    pair.acts(pod, back)
    took = time.time() - back
    pair.one_at_a_time()
    say(f"the API server is killed: nobody leads after {stopped:.1f} s, both stay ready; "
        f"one acts {took:.1f} s after it is back")


def deleted(pair):
    world, duration = pair.world, SHORT[0]
    pod, other = leading(pair)
    uid, struck = world.lease()["metadata"]["uid"], time.time()
    world.run("kubectl", "-n", NAMESPACE, "delete", "lease", LEASE)
    pair.until("there is a Lease", 20, lambda: (world.lease() or {"metadata": {"uid": uid}})["metadata"]["uid"] != uid)
    made = pair.until("somebody leads by it", 20, lambda: next((
        held for held in world.tenures()[-1:] if held[0] > struck and time.time() > held[0]), None))
    pod, other = (pair.one, pair.two) if made[1].startswith(f"{pair.one.name}_") else (pair.two, pair.one)
    pair.until("it leads", 20, pod.leads)
    pair.acts(pod, made[0])
    assert made[0] - struck >= duration
    pair.one_at_a_time()
    say(f"the Lease is deleted: one makes another, and acts by it {made[0] - struck:.1f} s later")


def rotated(pair):
    """A token that is replaced before it ends, as nodes do it, is seen by nobody else."""
    world = pair.world
    pod, _ = leading(pair)
    before, old, began = len(world.tenures()), pod.secret, time.time()
    identity = f"JTI={pod.token()}"

    def used():
        return any(identity in event["user"].get("extra", {}).get("authentication.kubernetes.io/credential-id", [])
                   for event in world.audited())

    pair.until("the new token is used", 90, used)
    took = time.time() - began
    pod.revoke(old)
    # Longer than the API server remembers that a token was good.
    renewed = time.time() + 12
    pair.until("it renews the Lease", 30, lambda: seconds(world.lease()["spec"]["renewTime"]) > renewed)
    assert len(world.tenures()) == before and pod.leads(), world.tenures()
    say(f"a new token: used {took:.0f} s after it was there, without a change of leaders")


def revoked(pair):
    """A token that is not good any more: it is told, the other one leads, and the next one is found."""
    world = pair.world
    pod, other = leading(pair)
    since, struck = len(pod.log.read_text()), time.time()
    pod.revoke(pod.secret)
    held = pair.taken(other, 40)
    pair.until("it is told", 20, lambda: pod.told(since, "Unauthorized", "token of the service account"))
    began = time.time()
    pod.token()
    pair.until("it stands by", 90, lambda: pod.follows(held[1]))
    say(f"a token is revoked: the log says so and what to do, the other one leads after {held[0] - struck:.1f} s; "
        f"a new token is found {time.time() - began:.0f} s after it is there")


def forbidden(pair):
    """Rights that are taken: it is told, and nobody acts until an upgrade of the release brings them back."""
    world = pair.world
    pod, other = leading(pair)
    since, struck = len(pod.log.read_text()), time.time()
    world.run("kubectl", "-n", NAMESPACE, "delete", "rolebinding", f"{REPLICA}-leader")
    pair.until("nobody leads", 20, lambda: not pod.leads() and not other.leads())
    took = time.time() - struck
    pair.until("it is told", 20, lambda: pod.told(since, "forbidden", "allow get, create and update of leases"))
    refused = pod.ask("/metrics")
    assert 'jitsi_scaler_lease_failures_total{reason="refused"}' in refused, refused
    quiet = time.time()
    upgraded(world)
    back = pair.until("the Lease is written again", 30, lambda: pair.written(quiet))
    late = [call for call in world.changes() if quiet < call["time"] < back]
    assert not late, late
    pod, _ = leading(pair)
    pair.acts(pod, back)
    pair.one_at_a_time()
    say(f"the RoleBinding is deleted: nobody acts after {took:.1f} s, the log names the remedy; helm upgrade brings it back")
