"""Checks that the Helm charts and the manifests for Kustomize install the same objects.

    twins.py CHART KUSTOMIZE...

Each argument is a file of objects; those of Kustomize belong together. Labels of the program and what selects by them are
left out, because a chart has the release's name in them, and so are values that both leave to Kubernetes.
"""

import json
import pathlib
import re
import sys

import yaml

from validate import Loader

OWN = re.compile(r"app\.kubernetes\.io/|helm\.sh/|checksum/")
# Names that only one of both has: a chart may be installed twice.
NAMES = {"jitsi-exporter-ec2": "jitsi-ec2", "jitsi-exporter-jicofo": "jitsi-jicofo"}


def simplified(value, key=None):
    if isinstance(value, dict):
        items = {name: simplified(item, name) for name, item in value.items() if not OWN.match(name)}
        # An expression about the release, beside labels.
        return {name: item for name, item in items.items() if item not in ({}, [], None)}
    if isinstance(value, list):
        items = [simplified(item) for item in value]
        items = [item for item in items if not (isinstance(item, dict) and OWN.match(str(item.get("key", ""))))]
        items = [item for item in items if item not in ({}, [])]
        # The order of these means nothing.
        return sorted(items, key=json.dumps) if key in ("args", "env", "volumes", "volumeMounts", "ports") else items
    return value


def pod(spec):
    for container in spec["containers"]:
        # Kubernetes' own default.
        if container.get("imagePullPolicy") == "IfNotPresent":
            del container["imagePullPolicy"]
        container["env"] = [one for one in container.get("env", []) if one["name"] != "POD_NAMESPACE"]
        container["args"] = [one.replace("$(POD_NAMESPACE)", "jitsi") for one in container.get("args", [])]
    for volume in spec.get("volumes", []):
        # The ConfigMap of Kustomize has a hash in its name, with which it makes new pods; a chart has an annotation.
        if "configMap" in volume:
            volume["configMap"]["name"] = "configuration"
    if spec["serviceAccountName"].endswith("-jvb"):
        spec["serviceAccountName"] = spec["serviceAccountName"].removesuffix("-jvb")


def objects(paths):
    found = {}
    for path in paths:
        for obj in yaml.load_all(pathlib.Path(path).read_text(), Loader):
            # The charts' own content, and the pod of `helm test`.
            if not obj or obj["kind"] in ("PrometheusRule", "ConfigMap", "Pod"):
                continue
            if obj["kind"] in ("Deployment", "DaemonSet"):
                pod(obj["spec"]["template"]["spec"])
            if obj["kind"] == "PodMonitor":
                # A chart cannot take the job's name from a label that has the release's.
                obj["spec"].pop("jobLabel", None)
                for endpoint in obj["spec"]["podMetricsEndpoints"]:
                    endpoint["relabelings"] = [one for one in endpoint["relabelings"] if one["targetLabel"] != "job"]
            if obj["kind"] == "ServiceMonitor":
                # Without it, the job has the name of the Service, which is that of the program here.
                obj["spec"].pop("jobLabel", None)
            name = NAMES.get(obj["metadata"]["name"], obj["metadata"]["name"])
            if obj["kind"] == "ServiceAccount" and name == "jitsi-exporter-jvb":
                continue
            obj["metadata"]["name"] = name
            obj["metadata"].pop("labels", None)
            found[obj["kind"], name] = simplified(obj)
    return found


def differences(ours, theirs, path=""):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            yield from differences(ours.get(key), theirs.get(key), f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for at, (one, other) in enumerate(zip(ours, theirs)):
            yield from differences(one, other, f"{path}[{at}]")
    elif ours != theirs:
        yield f"{path}: {json.dumps(ours)} in the chart, {json.dumps(theirs)} with Kustomize"


def main():
    chart, kustomize = objects(sys.argv[1:2]), objects(sys.argv[2:])
    assert len(chart) > 5, "there are no objects to compare"
    found = [difference for key in sorted({*chart, *kustomize})
             for difference in differences(chart.get(key), kustomize.get(key), " ".join(key))]
    for difference in found:
        print(f"twins: {difference}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
