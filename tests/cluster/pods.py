"""The pods of the scaler's Deployment, instead of nodes: starts a container for each Pod of the API server."""

import base64
import json
import os
import signal
import socket
import threading
import time
import urllib.request

from installation import REPLICA
from world import API, AWS, NAMESPACE, running, start, until

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# A container: its own read-only root, its user, no privileges and no way to gain any.
CONTAINER = f"""
root=$1 program=$2 pod=$3 part=$4 config=$5 user=$6; shift 6
mount -t tmpfs -o mode=755 none "$root"
cd "$root"
mkdir -p usr lib lib64 etc/ssl dev {ACCOUNT[1:]} ".${{config%/*}}"
if [ -f "$pod/config/$part" ]; then touch ".$config"; else mkdir -p ".$config"; fi
for folder in usr lib lib64 etc/ssl; do mount --bind "/$folder" "$folder"; done
touch jitsi-scaler dev/urandom
mount --bind "$program" jitsi-scaler
mount --bind /dev/urandom dev/urandom
mount --bind "$pod/account" ".{ACCOUNT}"
mount --bind "$pod/config/$part" ".$config"
mount -o remount,ro "$root"
exec chroot . setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
  /jitsi-scaler "$@"
"""


class Wire:
    """The network between a pod and the API server. While it is cut, nothing arrives and nothing is refused; data sent
    meanwhile arrives when it is restored."""

    def __init__(self):
        self.whole = threading.Event()
        self.whole.set()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def cut(self):
        self.whole.clear()
        return time.time()

    def restore(self):
        self.whole.set()

    def accept(self):
        while True:
            near, _ = self.server.accept()
            threading.Thread(target=self.join, args=(near,), daemon=True).start()

    def join(self, near):
        self.whole.wait()
        try:
            far = socket.create_connection(("127.0.0.1", API))
        except OSError:
            near.close()
            return
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self.carry, args=(source, sink), daemon=True).start()

    def carry(self, source, sink):
        try:
            while data := source.recv(65536):
                self.whole.wait()
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Pod:
    """A replica. Its name is its AWS access key."""

    def __init__(self, world, name, port):
        self.world, self.name, self.port = world, name, port
        self.folder = world.folder / name
        for part in ("account", "config", "root"):
            (self.folder / part).mkdir(parents=True)
        self.folder.chmod(0o755)
        self.log = world.folder / f"{name}.log"
        self.tokens = 0
        self.wire = Wire()

    def start(self):
        """Creates a Pod from the Deployment's current template, and starts what the API server returns."""
        world, pods = self.world, f"/api/v1/namespaces/{NAMESPACE}/pods"
        if world.found(f"{pods}/{self.name}"):
            world.get(f"{pods}/{self.name}", {"gracePeriodSeconds": 0}, "DELETE")
        template = world.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{REPLICA}")["spec"]["template"]
        pod = world.get(pods, {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"],
                               "metadata": {"name": self.name, "labels": template["metadata"]["labels"]}})
        spec = pod["spec"]
        [container] = spec["containers"]
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        [config] = [volume for volume in spec["volumes"] if "configMap" in volume]
        [account] = [volume["name"] for volume in spec["volumes"] if "projected" in volume]
        assert mounts[account]["mountPath"] == ACCOUNT, mounts
        mount = mounts[config["name"]]
        self.files(config["configMap"]["name"])
        self.token()
        names = {"metadata.name": self.name, "metadata.namespace": NAMESPACE}
        environment = {entry["name"]: entry.get("value") or names[entry["valueFrom"]["fieldRef"]["fieldPath"]]
                       for entry in container["env"]}
        arguments = container["args"]
        for key, value in environment.items():
            arguments = [argument.replace(f"$({key})", value) for argument in arguments]
        user = spec["securityContext"]["runAsUser"]
        # From the node: the API server's address. From the cloud: the pod's identity. All pods share this host's network.
        environment |= {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.wire.port),
                        "PATH": os.environ["PATH"], "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": AWS,
                        "AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": self.name,
                        "AWS_SECRET_ACCESS_KEY": "test"}
        self.process = start(
            self.log, "unshare", "--mount", "--", "sh", "-ec", CONTAINER, "sh", self.folder / "root",
            world.programs / "jitsi-scaler", self.folder, mount.get("subPath", "."), mount["mountPath"], str(user),
            *arguments, f"--web.listen-address=127.0.0.1:{self.port}", env=environment)
        until(f"{self.name} is ready", 30, lambda: self.ask("/-/ready"), self.tail)

    def files(self, config):
        data = self.world.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/{config}")["data"]
        for key, text in data.items():
            (self.folder / "config" / key).write_text(text)
        (self.folder / "account/ca.crt").write_bytes((self.world.folder / "ca.pem").read_bytes())
        (self.folder / "account/namespace").write_text(NAMESPACE)

    def token(self):
        """Replaces the token of the account; the previous one is valid until revoked. Returns the ID of the new token."""
        self.tokens += 1
        secrets = f"/api/v1/namespaces/{NAMESPACE}/secrets"
        name = f"{self.name}-{self.tokens}"
        metadata = {"name": name, "labels": {"bound": "token"}}
        secret = self.world.get(secrets, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
        bound = {"apiVersion": "v1", "kind": "Secret", "name": name, "uid": secret["metadata"]["uid"]}
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                   "spec": {"boundObjectRef": bound, "expirationSeconds": 3607}}
        made = self.world.get(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/jitsi-scaler/token", request)
        written = self.folder / "account/token.new"
        written.write_text(made["status"]["token"])
        written.rename(self.folder / "account/token")
        self.secret = f"{secrets}/{name}"
        # The API server's ID of the token, as in its audit log.
        payload = made["status"]["token"].split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"]

    def revoke(self, secret):
        self.world.get(secret, method="DELETE")

    def ask(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return answer.read().decode() or "."

    def leader(self):
        return json.loads(self.ask("/api/v1/status"))["leader"]

    def leads(self):
        return self.leader()["leading"]

    def follows(self, holder):
        leader = self.leader()
        return not leader["leading"] and leader.get("holder") == holder

    def signal(self, which):
        os.kill(self.process.pid, which)
        return time.time()

    def ended(self, which):
        when = self.signal(which)
        self.process.wait(30)
        running.remove(self.process)
        return when

    def tail(self):
        return "\n".join(self.log.read_text().splitlines()[-15:])

    def logged(self, since, *texts):
        """Whether a line of the log after `since` characters contains all of these texts."""
        return any(all(text in line for text in texts) for line in self.log.read_text()[since:].splitlines())
