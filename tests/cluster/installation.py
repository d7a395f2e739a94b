"""Installs manifests and charts by the commands of the guides, and checks what remains after their removal."""

import io
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tarfile

from world import LEASE, NAMESPACE, PROMETHEUS, say, until

CONFIG = f"""
prometheus: {{url: "{PROMETHEUS}", timeout: 2s}}
fleets:
  - name: wanting
    component: jvb
    asg: {{regions: [us-east-1], names: [prod]}}
    warmup: 0s
    policies:
      - name: constant
        expr: vector(1)
        period: 1s
        scale_out: {{when: ">= 1", periods: 1, add: 1, cooldown: 1s}}
"""
# How both programs are installed, by kustomize and by Helm.
GUIDE = "scaler/packaging/kubernetes/README.md"
# Kinds of prometheus-operator, with any content; tests/manifests.sh checks them against the schemas.
OPERATOR = {"v1": ["ServiceMonitor", "PodMonitor", "Probe", "PrometheusRule"],
            "v1alpha1": ["ScrapeConfig", "AlertmanagerConfig"]}
# All kinds that either way of installation creates in the namespace.
KINDS = "deployments,daemonsets,services,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies," \
    "poddisruptionbudgets,servicemonitors,podmonitors,probes,prometheusrules,scrapeconfigs,alertmanagerconfigs,leases"
REPLICA = "jitsi-scaler"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:jitsi-scaler"


def commands(guide, program):
    """The commands of a guide that call this program, with continued lines joined."""
    text = pathlib.Path(guide).read_text().replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in re.findall(rf"(?m)^    ({program} .*)$", text)]


def definitions():
    objects = []
    for version, kinds in OPERATOR.items():
        for kind in kinds:
            plural = f"{kind.lower()}s"
            schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
            objects.append({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": f"{plural}.monitoring.coreos.com"},
                "spec": {"group": "monitoring.coreos.com", "scope": "Namespaced",
                         "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                         "versions": [{"name": version, "served": True, "storage": True, "schema": schema}]}})
    return {"apiVersion": "v1", "kind": "List", "items": objects}


def there(world):
    """The names of the installed objects, including those in Prometheus' namespace."""
    listed = [name for namespace in (NAMESPACE, "monitoring")
              for name in world.run("kubectl", "-n", namespace, "get", KINDS, "-o", "name").stdout.split()]
    # Excludes objects of Kubernetes itself, and Helm's records of its releases.
    return sorted(name for name in listed if "jitsi" in name and "sh.helm" not in name)


def may(world, verb, resource, name="", namespace=NAMESPACE, group="", account=ACCOUNT):
    attributes = {"verb": verb, "resource": resource, "name": name, "namespace": namespace, "group": group}
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{account.split(':')[2]}", "system:authenticated"]
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
              "spec": {"user": account, "groups": groups, "resourceAttributes": attributes}}
    return world.get("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]


def least(world):
    """Checks that the scaler has only the permissions for its Lease that it needs; returns their number."""
    coordination = "coordination.k8s.io"
    # The API server applies roles and bindings with a short delay.
    until("the account has permissions", 10, lambda: may(world, "get", "leases", LEASE, group=coordination))
    allowed = {(verb, name, namespace)
               for verb in ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
               for name in (LEASE, "another") for namespace in (NAMESPACE, "default")
               if may(world, verb, "leases", name, namespace, coordination)}
    # Kubernetes cannot restrict `create` to one name.
    wanted = {("get", LEASE, NAMESPACE), ("update", LEASE, NAMESPACE), ("create", LEASE, NAMESPACE),
              ("create", "another", NAMESPACE)}
    assert allowed == wanted, f"leases: {sorted(allowed ^ wanted)}"
    for resource in ("secrets", "configmaps", "pods", "nodes", "serviceaccounts", "events", "endpoints"):
        for verb in ("get", "list", "create", "update", "delete"):
            assert not may(world, verb, resource), f"it may {verb} {resource}"
    return len(allowed)


def watched(world):
    """Checks that the objects of the guide of alerts let kube-prometheus' Prometheus discover the pods."""
    text = pathlib.Path("alerts/README.md").read_text()
    for name in ("prometheus-in-jitsi.yml", "allow-jitsi-scaler.yml"):
        [block] = re.findall(rf"(?ms)^```yaml\n# {name}\n(.*?)^```$", text)
        world.run("kubectl", "apply", "-f", "-", text=block)
    account = "system:serviceaccount:monitoring:prometheus-k8s"
    for resource, group in (("services", ""), ("endpoints", ""), ("pods", ""), ("endpointslices", "discovery.k8s.io")):
        until(f"Prometheus may watch {resource}", 10, lambda resource=resource, group=group: all(
            may(world, verb, resource, group=group, account=account) for verb in ("get", "list", "watch")))
    assert not may(world, "get", "secrets", account=account)
    world.run("kubectl", "-n", NAMESPACE, "delete", "role,rolebinding", "prometheus-k8s")
    world.run("kubectl", "-n", "monitoring", "delete", "networkpolicy", "prometheus-from-jitsi-scaler")


def installed_by_hand(world):
    world.run("kubectl", "apply", "-f", "-", text=json.dumps(definitions()))

    def known(version):
        group = world.found(f"/apis/monitoring.coreos.com/{version}") or {"resources": []}
        return {resource["kind"] for resource in group["resources"]}

    until("the operator's kinds are known", 30,
          lambda: all(set(kinds) <= known(version) for version, kinds in OPERATOR.items()))
    # kube-prometheus would have created it.
    world.run("kubectl", "create", "namespace", "monitoring")
    # The commands of the guide in order, without those that need nodes.
    steps = [step for step in commands(GUIDE, "kubectl") if not {"exec", "port-forward"}.intersection(step)]
    assert len(steps) >= 5, steps
    former = previous()
    for step in steps:
        if former and step[1] == "apply":
            # What an operator has installed before; what the new manifests change must be changeable.
            world.run(*step[:-1], f"{archived(world, former)}/{step[-1]}")
        world.run(*step)
    made = there(world)
    # Applying the same files again must change nothing.
    for step in steps:
        if step[1] == "apply":
            world.run(*step)
    assert there(world) == made, there(world)
    watched(world)
    rights = least(world)
    world.run("kubectl", "apply", "--dry-run=server", "-k", "exporter/packaging/kubernetes/daemonset")
    for right, wrong in (("replicas:", "replica:"), ("readOnlyRootFilesystem:", "readOnlyRootFileSystem:")):
        objects = world.run("kubectl", "kustomize", "scaler/packaging/kubernetes").stdout
        assert right in objects
        objects = objects.replace(right, wrong)
        refused = world.run("kubectl", "apply", "--dry-run=server", "-f", "-", text=objects, check=False)
        assert refused.returncode and "unknown field" in refused.stderr, f"{wrong} {refused.stdout}{refused.stderr}"
    for step in reversed(steps):
        if step[1] == "apply":
            world.run("kubectl", "delete", "-k", step[-1])
            if former:
                # ConfigMaps of former content have other names.
                world.run("kubectl", "delete", "--ignore-not-found", "-k", f"{archived(world, former)}/{step[-1]}")
    assert there(world) == [], there(world)
    say(f"by kustomize: {len(made)} objects{f', upgraded from {former}' if former else ''}, all of them deleted again; the scaler's account has {rights} permissions "
        "for leases and no others")


def archived(world, revision="HEAD"):
    """The manifests and charts of a revision, as a tool that fetches an archive has them: without links."""
    folder = world.folder / f"archive-{revision.replace('/', '-')}"
    if folder.exists():
        return folder
    folder.mkdir()
    paths = ["exporter/packaging/kubernetes", "scaler/packaging/kubernetes", "alerts/kubernetes", "grafana"]
    archive = subprocess.run(["git", "archive", revision, *paths], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, [member for member in tar if not member.issym()], filter="data")
    return folder


def previous():
    """The last release, a tag, or the revision PREVIOUS."""
    found = subprocess.run(["git", "describe", "--tags", "--match", "v*", "--abbrev=0"], capture_output=True, text=True)
    return os.environ.get("PREVIOUS") or found.stdout.strip()


def upgraded_from(world, revision):
    """Installs the charts of a former release, which the following steps upgrade; returns the identity of their Lease."""
    folder = archived(world, revision)
    for component in ("exporter", "scaler"):
        steps = commands(f"{component}/packaging/kubernetes/chart/README.md", "helm")
        world.run(*[part.replace("config=scaler.yml", f"config={world.folder / 'scaler.yml'}")
                    .replace(f"{component}/packaging", f"{folder}/{component}/packaging") for part in steps[0]])
    # The Lease of its pods, which an upgrade must leave alone.
    world.lease_api("POST", "leases", {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": LEASE},
                                       "spec": {"holderIdentity": "former"}})
    return world.lease()["metadata"]["uid"]


def installed_by_helm(world):
    # Kubernetes rejects pods that violate the restricted profile here.
    world.run("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    config = world.folder / "scaler.yml"
    config.write_text(CONFIG)
    found = []
    former = previous()
    lease = upgraded_from(world, former) if former else None
    charts = archived(world)
    for step in commands(GUIDE, "helm"):
        world.run(*step, "--dry-run=server")
    for component in ("exporter", "scaler"):
        steps = commands(f"{component}/packaging/kubernetes/chart/README.md", "helm")
        # From an archive without links, as Flux makes, so that links would be missed.
        install = [part.replace("config=scaler.yml", f"config={config}")
                   .replace(f"{component}/packaging", f"{charts}/{component}/packaging") for part in steps[0]]
        assert install[:3] == ["helm", "upgrade", "--install"], install
        world.run(*install)
        deployment = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/jitsi-{component}"
        before = world.get(deployment)
        # Again, and with the guide's upgrade command: without changes, nothing must be rolled out.
        world.run(*install)
        upgrade = [step for step in steps if step[:2] == ["helm", "upgrade"] and "--install" not in step]
        assert upgrade, f"{component}: the guide has no upgrade command"
        world.run(*upgrade[0])
        assert world.get(deployment)["metadata"]["generation"] == before["metadata"]["generation"], "it was rolled out again"
        history = world.run("helm", "history", f"jitsi-{component}", "-n", NAMESPACE, "-o", "json").stdout
        found.append(history.count('"revision"'))
    assert found == ([4, 4] if former else [3, 3]), found
    for folder, pattern in (("alerts/rules", r"prometheusrule.*"), ("grafana/dashboards", r"configmap/.*-dashboard")):
        made = [name for name in there(world) if re.fullmatch(pattern, name)]
        assert len(made) == len(list(pathlib.Path(folder).iterdir())), f"{folder}: {made}"
    if former:
        assert world.lease()["metadata"]["uid"] == lease, "the upgrade touched the Lease"
        world.run("kubectl", "-n", NAMESPACE, "delete", "lease", LEASE)
        say(f"upgraded from {former}: the Deployments, the configuration and the Lease are kept")
    # The pod of `helm test`, which needs a node to run; the API server says whether it would admit it.
    hooks = world.run("helm", "get", "hooks", "jitsi-scaler", "-n", NAMESPACE).stdout
    assert "kind: Pod" in hooks, hooks
    admitted = world.run("kubectl", "apply", "--dry-run=server", "-f", "-", text=hooks)
    assert "created" in admitted.stdout and "would violate" not in admitted.stderr, admitted
    least(world)
    say(f"by Helm: {len(there(world))} objects, installed and upgraded twice by the commands of the guides")


def upgraded(world, *values):
    world.run("helm", "upgrade", REPLICA, "scaler/packaging/kubernetes/chart", "--namespace", NAMESPACE,
              "--reset-then-reuse-values", *values)


def removed(world):
    for component in ("exporter", "scaler"):
        steps = commands(f"{component}/packaging/kubernetes/chart/README.md", "helm")
        uninstall = [step for step in steps if step[1] == "uninstall"]
        assert uninstall, f"{component}: the guide has no uninstall command"
        world.run(*uninstall[0])
    assert there(world) == [f"lease.coordination.k8s.io/{LEASE}"], there(world)
    last = [step for step in commands("scaler/packaging/kubernetes/chart/README.md", "kubectl") if "delete" in step]
    assert last, "the guide has no command that deletes the Lease"
    world.run(*last[0])
    assert there(world) == [], there(world)
    say("uninstalled: only the Lease remained, which the guide's command deleted")
    sys.stdout.flush()
