"""Reads Kubernetes objects from standard input and fails at what a cluster would refuse or, worse, ignore.

Keys that no schema knows are errors: the API server would drop them. Kubernetes' own kinds are checked against its schemas
(kubernetes-validate), those of prometheus-operator against models made of its custom resource definitions (cloudcoil).
"""

import sys

import cloudcoil.pydantic
import kubernetes_validate
import yaml

# Before the models are made of it: by default they let unknown keys pass, and take Python's names for Kubernetes'.
cloudcoil.pydantic.BaseModel.model_config.update(extra="forbid", populate_by_name=False)
from cloudcoil.models.prometheus_operator import v1, v1alpha1  # noqa: E402

VERSION = "1.32"
OPERATOR = {"monitoring.coreos.com/v1": v1, "monitoring.coreos.com/v1alpha1": v1alpha1}


class Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a bare = is a text."""


Loader.add_constructor("tag:yaml.org,2002:value", Loader.construct_yaml_str)


def restricted(pod):
    """What Kubernetes' restricted profile asks of a pod, and a root file system that nobody writes to."""
    context = pod.get("securityContext", {})
    assert context.get("runAsNonRoot") is True, "it may run as root"
    assert context.get("seccompProfile") == {"type": "RuntimeDefault"}, "it has no seccomp profile"
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        assert own.get("allowPrivilegeEscalation") is False, "a container may gain privileges"
        assert own.get("readOnlyRootFilesystem") is True, "a container may write to its file system"
        assert own.get("capabilities") == {"drop": ["ALL"]}, "a container has capabilities"
        for probe in ("livenessProbe", "readinessProbe"):
            assert probe in container, f"a container has no {probe}"
        assert "limits" in container.get("resources", {}), "a container has no limits"


def check(obj):
    """Fails unless `obj` is valid."""
    api, kind = obj["apiVersion"], obj["kind"]
    if api in OPERATOR:
        getattr(OPERATOR[api], kind).model_validate(obj)
    else:
        kubernetes_validate.validate(obj, VERSION, strict=True)
    if kind in ("Deployment", "DaemonSet"):
        restricted(obj["spec"]["template"]["spec"])


# Each is made in the objects, one at a time, and must be found.
MISTAKES = [
    ("a slip in a Deployment", "replicas:", "replica:"),
    ("a container that may write", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
    ("a slip in a NetworkPolicy", "podSelector:", "podSelectors:"),
    ("a slip in a rule", "annotations:\n", "anotations:\n"),
    ("a slip in a ServiceMonitor", "endpoints:", "endpoint:"),
    ("a slip in a scrape configuration", "ec2SDConfigs:", "ec2SdConfigs:"),
    ("a number where a text belongs", "metricsPath: /probe", "metricsPath: 7"),
    ("a slip in an AlertmanagerConfig", "groupWait:", "group_wait:"),
]


def problems(text):
    """What is wrong with each object of a stream."""
    found, count = [], 0
    for obj in yaml.load_all(text, Loader):
        if obj is None:
            continue
        count += 1
        try:
            check(obj)
        except Exception as error:  # Each library has errors of its own; all of them mean the same.
            found.append(f"{obj.get('kind')} {obj.get('metadata', {}).get('name')}: {error}")
    assert count, "there are no objects"
    return found, count


def main():
    text = sys.stdin.read()
    found, count = problems(text)
    print(f"manifests: {count} objects, {len(found)} wrong")
    for what, right, wrong in MISTAKES:
        assert right in text, f"{what}: nothing to make a mistake in"
        # Only the objects with the mistake: the others are as before.
        changed = "\n---\n".join(
            part.replace(right, wrong) for part in text.split("\n---\n") if right in part and len(part) < 100_000
        )
        if not problems(changed)[0]:
            found.append(f"{what} was not found")
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
