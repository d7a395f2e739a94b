"""Two replicas of the scaler's Deployment and their Lease: whatever happens to the leader, two replicas never act at once."""

import signal
import time

from installation import REPLICA, upgraded
from pods import Pod
from world import LEASE, NAMESPACE, running, say, seconds, until

DEFAULTS = (15.0, 10.0, 2.0)
SHORT = (3.0, 2.0, 0.5)
# The tolerance for a busy computer, in seconds.
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
        """Waits until the pod holds the Lease, knows that it leads, and has acted; returns its tenure."""
        newest = self.until(f"{pod.name} takes over", limit, lambda: next(
            (held for held in self.world.tenures()[-1:] if held[1].startswith(f"{pod.name}_")), None))
        self.until(f"{pod.name} leads", limit, pod.leads)
        self.acts(pod, newest[0])
        self.one_at_a_time()
        return newest

    def written(self, since):
        """The time of the first accepted write of the Lease after `since`, or None."""
        times = [seconds(event["requestReceivedTimestamp"]) for event in self.world.audited()
                 if event["verb"] != "get" and event["responseStatus"]["code"] in (200, 201)]
        return min((time for time in times if time > since), default=None)

    def one_at_a_time(self):
        """Checks that the holder of the Lease made every change, and none twice; returns the number of scale-outs."""
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
    # The guide's defaults, which are client-go's.
    duration, deadline, retry = DEFAULTS
    began = time.time()
    one.start()
    held = pair.taken(one, 40)
    # Without a lease the first replica waits: one may have been deleted, and its holder must have stopped by then.
    assert world.changes()[0]["time"] - began >= duration, world.changes()[0]
    two.start()
    pair.until("the other one stands by", 20, lambda: two.follows(held[1]))
    first = world.changes()[0]["time"] - began
    say(f"the first acts {first:.1f} s after its start, because there was no Lease; the other stands by")
    struck = one.ended(signal.SIGKILL)
    took = pair.taken(two, 40)[0] - struck
    assert duration - retry - SLACK < took < duration + retry + SLACK, took
    times = f"{duration:.0f}, {deadline:.0f} and {retry:.0f} s"
    say(f"killed: the other one leads after {took:.1f} s, by the default times of {times}")

    # The rest uses shorter times, set by an upgrade of the release.
    upgraded(world, "--set", flags(SHORT))
    duration, deadline, retry = SHORT
    one.start()
    pair.until("it stands by", 20, lambda: one.follows(two.leader()["holder"]))
    stopped = two.ended(signal.SIGTERM)
    took = pair.taken(one, 20)[0] - stopped
    two.start()
    pair.until("it stands by", 20, lambda: two.follows(one.leader()["holder"]))
    say(f"rolled out by helm upgrade: the new one leads {took:.1f} s after SIGTERM to the old one")

    stopped = one.signal(signal.SIGSTOP)
    held = pair.taken(two, 20)
    one.signal(signal.SIGCONT)
    pair.until("it stands by", 20, lambda: one.follows(held[1]))
    assert held[0] - stopped < duration + retry + SLACK, held[0] - stopped
    say(f"stopped: the other one leads after {held[0] - stopped:.1f} s; when it continues, it stands by")

    cut_off(pair)
    gone(pair)
    deleted(pair)
    rotated(pair)
    revoked(pair)
    forbidden(pair)

    for pod in (two, one):
        pod.ended(signal.SIGTERM)
    assert world.lease()["spec"]["holderIdentity"] == "", world.lease()
    # The tokens that nodes would remove.
    world.run("kubectl", "-n", NAMESPACE, "delete", "secrets", "--selector=bound=token")
    verbs = sorted({event["verb"] for event in world.audited()})
    assert verbs == ["create", "get", "update"], verbs
    say(f"{pair.one_at_a_time()} changes at AWS, each by the holder of the Lease, none twice; "
        f"requests for leases: {', '.join(verbs)}")


def leading(pair):
    """The leader and the other pod."""
    pod = pair.until("a pod leads", 30, lambda: next((pod for pod in (pair.one, pair.two) if pod.leads()), None))
    return pod, pair.other(pod)


def cut_off(pair):
    """A leader without the API server stops before the other one starts, and its last request changes nothing."""
    duration, _, retry = SHORT
    pod, other = leading(pair)
    struck = pod.wire.cut()
    pair.until("it stops", 20, lambda: not pod.leads())
    stopped = time.time() - struck
    assert not other.leads()
    held = pair.taken(other, 20)
    assert held[0] - struck < duration + retry + SLACK, held[0] - struck
    pod.wire.restore()
    pair.until("it stands by", 20, lambda: pod.follows(held[1]))
    say(f"cut off from the API server: it stops leading after {stopped:.1f} s, "
        f"the other one leads after {held[0] - struck:.1f} s")


def gone(pair):
    """Without the API server no pod acts; when it is back, one does."""
    world, deadline = pair.world, SHORT[1]
    leader, other = leading(pair)
    world.server.kill()
    world.server.wait()
    running.remove(world.server)
    struck = time.time()
    pair.until("no pod leads", 20, lambda: not leader.leads())
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
    say(f"the API server is killed: no pod leads after {stopped:.1f} s, both stay ready; "
        f"one acts {took:.1f} s after it is back")


def deleted(pair):
    world, duration = pair.world, SHORT[0]
    pod, other = leading(pair)
    uid, struck = world.lease()["metadata"]["uid"], time.time()
    world.run("kubectl", "-n", NAMESPACE, "delete", "lease", LEASE)
    pair.until("there is a Lease", 20, lambda: (world.lease() or {"metadata": {"uid": uid}})["metadata"]["uid"] != uid)
    made = pair.until("a pod leads by it", 20, lambda: next((
        held for held in world.tenures()[-1:] if held[0] > struck and time.time() > held[0]), None))
    pod, other = (pair.one, pair.two) if made[1].startswith(f"{pair.one.name}_") else (pair.two, pair.one)
    pair.until("it leads", 20, pod.leads)
    pair.acts(pod, made[0])
    assert made[0] - struck >= duration
    pair.one_at_a_time()
    say(f"the Lease is deleted: a pod creates another, and acts by it {made[0] - struck:.1f} s later")


def rotated(pair):
    """Replacing a token before it expires, as nodes do, does not change the leader."""
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
    # Longer than the API server caches a valid token.
    renewed = time.time() + 12
    pair.until("it renews the Lease", 30, lambda: seconds(world.lease()["spec"]["renewTime"]) > renewed)
    assert len(world.tenures()) == before and pod.leads(), world.tenures()
    say(f"a new token: used after {took:.0f} s, without a change of leaders")


def revoked(pair):
    """A revoked token: the log reports it, the other pod leads, and the pod finds its next token."""
    world = pair.world
    pod, other = leading(pair)
    since, struck = len(pod.log.read_text()), time.time()
    pod.revoke(pod.secret)
    held = pair.taken(other, 40)
    pair.until("the log reports it", 20, lambda: pod.logged(since, "Unauthorized", "token of the service account"))
    began = time.time()
    pod.token()
    pair.until("it stands by", 90, lambda: pod.follows(held[1]))
    say(f"a token is revoked: the log says so and what to do, the other one leads after {held[0] - struck:.1f} s; "
        f"the pod finds a new token after {time.time() - began:.0f} s")


def forbidden(pair):
    """Revoked permissions: the log reports it, and no pod acts until an upgrade of the release restores them."""
    world = pair.world
    pod, other = leading(pair)
    since, struck = len(pod.log.read_text()), time.time()
    world.run("kubectl", "-n", NAMESPACE, "delete", "rolebinding", f"{REPLICA}-leader")
    pair.until("no pod leads", 20, lambda: not pod.leads() and not other.leads())
    took = time.time() - struck
    pair.until("the log reports it", 20, lambda: pod.logged(since, "forbidden", "allow get, create and update of leases"))
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
    say(f"the RoleBinding is deleted: no pod acts after {took:.1f} s, the log names the remedy; helm upgrade restores it")
