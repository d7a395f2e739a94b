"""The API server with etcd, simulated AWS and Prometheus: starting, querying and stopping them."""

import datetime
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

API, ETCD, PEER = 16443, 12379, 12380
AWS, PROMETHEUS = "http://127.0.0.1:18001", "http://127.0.0.1:19090"
NAMESPACE, LEASE = "jitsi", "jitsi-scaler"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}"
GROUP = {"min": 1, "max": 5000, "desired": 1, "component": "jvb", "launch_seconds": 0, "boot_seconds": 0,
         "terminate_seconds": 0}
# Groups for fleets of their own, which are spread over shards.
FLEETS = [f"fleet-{number}" for number in range(12)]
running = []


def say(text):
    print(f"cluster: {text}", flush=True)


def until(what, seconds, condition, look=lambda: ""):
    """Waits until `condition` returns a true value, and returns it."""
    end = time.monotonic() + seconds
    while True:
        try:
            answer = condition()
        except OSError:
            answer = None
        if answer:
            return answer
        if time.monotonic() > end:
            sys.exit(f"cluster: {what}: not within {seconds} s\n{look()}")
        time.sleep(0.05)


def start(log, *command, **options):
    with open(log, "a") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **options)
    running.append(process)
    return process


def stop_all():
    for process in reversed(running):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def ask(url, body=None, method=None, context=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        return json.load(answer)


def seconds(text):
    """Converts a time of Kubernetes to Unix seconds."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class World:
    def __init__(self, programs):
        self.programs = programs
        self.folder = programs.parent / "cluster"
        self.records = os.environ.get("RECORD") == "1"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.environment = os.environ | {"KUBECONFIG": str(self.folder / "kubeconfig"), "HOME": str(self.folder)}

    def run(self, *command, text=None, check=True):
        done = subprocess.run([str(part) for part in command], input=text, capture_output=True, text=True,
                              env=self.environment)
        if check and done.returncode:
            sys.exit(f"cluster: {' '.join(map(str, command))}: {done.stdout}{done.stderr}")
        return done

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def signed(self, name, subject, *extension):
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        (self.folder / "ext").write_text("\n".join(extension))
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-days", "2", "-extfile", "ext", "-out", f"{name}.pem")

    def start(self):
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem",
                     "-subj", "/CN=Cluster", "-addext", "keyUsage=critical,keyCertSign")
        self.signed("api", "/CN=kube-apiserver", "subjectAltName=IP:127.0.0.1")
        self.signed("admin", "/O=system:masters/CN=admin")
        self.openssl("genrsa", "-out", "accounts.key", "2048")
        self.openssl("rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pub")
        self.context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        self.context.load_cert_chain(self.folder / "admin.pem", self.folder / "admin.key")
        (self.folder / "kubeconfig").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "cluster",
            "clusters": [{"name": "cluster", "cluster": {"server": f"https://127.0.0.1:{API}",
                                                         "certificate-authority": str(self.folder / "ca.pem")}}],
            "users": [{"name": "admin", "user": {"client-certificate": str(self.folder / "admin.pem"),
                                                 "client-key": str(self.folder / "admin.key")}}],
            "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": "admin"}}]}))
        (self.folder / "audit.yml").write_text(json.dumps({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
            "rules": [{"level": "RequestResponse", "namespaces": [NAMESPACE],
                       "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]}, {"level": "None"}]}))
        start(self.folder / "etcd.log", "etcd", f"--data-dir={self.folder}/etcd",
              f"--listen-client-urls=http://127.0.0.1:{ETCD}", f"--advertise-client-urls=http://127.0.0.1:{ETCD}",
              f"--listen-peer-urls=http://127.0.0.1:{PEER}", f"--initial-advertise-peer-urls=http://127.0.0.1:{PEER}",
              f"--initial-cluster=default=http://127.0.0.1:{PEER}")
        self.api_server()
        (self.folder / "groups.json").write_text(json.dumps([
            {"region": "us-east-1", "name": name, **GROUP} for name in ("prod", *FLEETS)]))
        start(self.folder / "asg-sim.log", self.programs / "asg-sim", f"--listen={AWS[7:]}",
              f"--groups={self.folder}/groups.json")
        (self.folder / "prometheus.yml").write_text("global: {scrape_interval: 1s}\n")
        start(self.folder / "prometheus.log", "prometheus", f"--config.file={self.folder}/prometheus.yml",
              f"--web.listen-address={PROMETHEUS[7:]}", f"--storage.tsdb.path={self.folder}/tsdb")
        until("simulated AWS answers", 20, lambda: ask(f"{AWS}/sim/v1/groups"))
        until("Prometheus answers", 20, lambda: ask(f"{PROMETHEUS}/api/v1/query?query=1"))

    def api_server(self):
        """Starts the API server, with accounts, permissions and admission as in any cluster; returns the seconds it took."""
        began = time.monotonic()
        self.server = start(
            self.folder / "kube-apiserver.log", "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{ETCD}",
            "--bind-address=127.0.0.1", f"--secure-port={API}", f"--tls-cert-file={self.folder}/api.pem",
            f"--tls-private-key-file={self.folder}/api.key", f"--client-ca-file={self.folder}/ca.pem",
            f"--service-account-key-file={self.folder}/accounts.pub",
            f"--service-account-signing-key-file={self.folder}/accounts.key",
            "--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=RBAC",
            # It publishes no address, but requires this flag.
            "--advertise-address=192.0.2.1", "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24",
            f"--audit-policy-file={self.folder}/audit.yml", f"--audit-log-path={self.folder}/audit.log")

        def ready():
            assert self.server.poll() is None, f"it ended; see {self.folder}/kube-apiserver.log"
            request = urllib.request.Request(f"https://127.0.0.1:{API}/readyz")
            with urllib.request.urlopen(request, timeout=10, context=self.context) as answer:
                return answer.status == 200

        until("the API server is ready", 120, ready)
        return time.monotonic() - began

    def get(self, path, body=None, method=None):
        return ask(f"https://127.0.0.1:{API}{path}", body, method, self.context)

    def found(self, path):
        """The object at `path`, or None."""
        try:
            return self.get(path)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None

    def lease_api(self, method, path, body):
        """Sends a request about leases; returns status and object."""
        try:
            request = urllib.request.Request(f"https://127.0.0.1:{API}{LEASES}/{path}", method=method,
                                             data=None if body is None else json.dumps(body).encode(),
                                             headers={"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=10, context=self.context) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def audited(self):
        """The service accounts' requests for the Lease, from the API server's audit log."""
        events = []
        for line in (self.folder / "audit.log").read_text().splitlines():
            try:
                event = json.loads(line)
            except ValueError:  # The line is incomplete: it is being written, or the server was killed.
                continue
            if event["user"].get("username", "").startswith("system:serviceaccount:"):
                events.append(event)
        return events

    def tenures(self, lease=LEASE):
        """The holders of a Lease with the start of their terms, oldest first. A new Lease starts after its duration."""
        held = []
        for event in self.audited():
            if event.get("responseObject", {}).get("metadata", {}).get("name") != lease:
                continue
            spec = event.get("responseObject", {}).get("spec")
            if spec is None or event["verb"] not in ("create", "update") or event["responseStatus"]["code"] > 201:
                continue
            holder = spec.get("holderIdentity", "")
            # The time of the request; the write took effect between this and the answer.
            since = seconds(event["requestReceivedTimestamp"])
            anew = event["responseStatus"]["code"] == 201 and held
            if not held or held[-1][1] != holder or anew:
                held.append((since + (spec["leaseDurationSeconds"] if anew else 0), holder))
        return held

    def changes(self):
        return ask(f"{AWS}/sim/v1/calls?mutating=true")

    def lease(self):
        return self.found(f"{LEASES}/leases/{LEASE}")
