"""Checks files of Kubernetes objects for mistakes that a cluster would reject or, worse, ignore. With several files it also
makes mistakes in the objects, and fails if it does not find one.

Unknown keys are errors, because the API server would drop them. It checks Kubernetes' own kinds against their schemas
(kubernetes-validate), those of prometheus-operator against models of its custom resource definitions (cloudcoil).
References between the objects of one file must be valid, too: they are installed together.
"""

import pathlib
import re
import sys

import cloudcoil.pydantic
import kubernetes_validate
import yaml

# Must precede the import of the models, which by default ignore unknown keys and accept Python's names for Kubernetes'.
cloudcoil.pydantic.BaseModel.model_config.update(extra="forbid", populate_by_name=False)
from cloudcoil.models.prometheus_operator import v1, v1alpha1  # noqa: E402

VERSION = "1.32"
OPERATOR = {"monitoring.coreos.com/v1": v1, "monitoring.coreos.com/v1alpha1": v1alpha1}


class Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a bare = is a string."""


Loader.add_constructor("tag:yaml.org,2002:value", Loader.construct_yaml_str)


def restricted(pod):
    """Checks a pod against Kubernetes' restricted profile, and requires a read-only root file system."""
    context = pod.get("securityContext", {})
    assert context.get("runAsNonRoot") is True, "it may run as root"
    assert context.get("seccompProfile") == {"type": "RuntimeDefault"}, "it has no seccomp profile"
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        assert own.get("allowPrivilegeEscalation") is False, "a container may gain privileges"
        assert own.get("readOnlyRootFilesystem") is True, "a container may write to its file system"
        assert own.get("capabilities") == {"drop": ["ALL"]}, "a container has capabilities"
        assert "limits" in container.get("resources", {}), "a container has no limits"


def check(obj):
    """Raises an error unless `obj` is valid."""
    api, kind = obj["apiVersion"], obj["kind"]
    if api in OPERATOR:
        getattr(OPERATOR[api], kind).model_validate(obj)
    else:
        kubernetes_validate.validate(obj, VERSION, strict=True)
    if kind == "Pod":
        restricted(obj["spec"])
    if kind in ("Deployment", "DaemonSet"):
        restricted(obj["spec"]["template"]["spec"])
        for container in obj["spec"]["template"]["spec"]["containers"]:
            for probe in ("livenessProbe", "readinessProbe"):
                assert "httpGet" in container.get(probe, {}), f"a process that hangs passes the {probe}"
    if kind == "PodDisruptionBudget":
        assert obj["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow", "pods that crash keep a node from being drained"
    if kind == "Deployment":
        assert obj["spec"].get("minReadySeconds"), "a pod that ends right after it was ready may replace a good one"


def selects(selector, labels):
    """Whether a selector, in either form of Kubernetes, matches these labels."""
    wanted = selector.get("matchLabels", selector if "matchExpressions" not in selector else {})
    return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())


# The default port of each module.
PORTS = {"jvb": 8080, "jicofo": 8888, "jibri": 2222}


def port_of(target, module):
    """The port that the exporter connects to, as exporter/src/target.rs reads it."""
    scheme, _, authority = target.rpartition("://")
    named = re.search(r":([0-9]+)$", authority)
    return int(named[1]) if named else {"http": 80, "https": 443}.get(scheme, PORTS[module])


def loose_ends(objects):
    """Invalid references between objects that are installed together."""
    found = []

    def of(*kinds):
        return [obj for obj in objects if obj["kind"] in kinds]

    workloads = of("Deployment", "DaemonSet", "Pod")
    if not workloads:
        return found
    pods = [workload["spec"].get("template", workload) for workload in workloads]
    ports = [[port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", [])] for pod in pods]

    def name(obj):
        return f"{obj['kind']} {obj['metadata']['name']}"

    def targets(selector, port):
        return any(selects(selector, pod["metadata"]["labels"]) and port in own for pod, own in zip(pods, ports))

    for workload, pod in zip(workloads, pods):
        if pod is not workload and not selects(workload["spec"]["selector"], pod["metadata"]["labels"]):
            found.append(f"{name(workload)} does not select its own pods")
        account = pod["spec"]["serviceAccountName"]
        if account not in ["default", *(obj["metadata"]["name"] for obj in of("ServiceAccount"))]:
            found.append(f"{name(workload)} wants the service account {account}")
        for volume in pod["spec"].get("volumes", []):
            wanted = volume.get("configMap", {}).get("name")
            if wanted and wanted not in [obj["metadata"]["name"] for obj in of("ConfigMap")]:
                found.append(f"{name(workload)} wants the ConfigMap {wanted}")
    for obj in of("Service"):
        if not all(targets(obj["spec"]["selector"], port["targetPort"]) for port in obj["spec"]["ports"]):
            found.append(f"{name(obj)} leads to no port of a pod")
    for obj in of("PodMonitor"):
        if not all(targets(obj["spec"]["selector"], end["port"]) for end in obj["spec"]["podMetricsEndpoints"]):
            found.append(f"{name(obj)} finds no port of a pod")
    for obj in of("PodDisruptionBudget", "NetworkPolicy"):
        selector = obj["spec"].get("selector") or obj["spec"]["podSelector"]
        if not any(selects(selector, pod["metadata"]["labels"]) for pod in pods):
            found.append(f"{name(obj)} selects no pod")
    for obj in of("ServiceMonitor"):
        for end in obj["spec"]["endpoints"]:
            if not any(
                selects(obj["spec"]["selector"], service["metadata"]["labels"])
                and end["port"] in [port["name"] for port in service["spec"]["ports"]]
                for service in of("Service")
            ):
                found.append(f"{name(obj)} finds no port of a service")
    accounts = [obj["metadata"]["name"] for obj in of("ServiceAccount")]
    for obj in of("RoleBinding"):
        if obj["roleRef"]["name"] not in [role["metadata"]["name"] for role in of("Role")]:
            found.append(f"{name(obj)} names no existing role")
        if any(subject["name"] not in accounts for subject in obj["subjects"]) and accounts:
            found.append(f"{name(obj)} names no existing account")
    # The Lease in the pods' flags, and the permissions for it.
    for workload, pod in zip(workloads, pods):
        for argument in [one for container in pod["spec"]["containers"] for one in container.get("args", [])]:
            lease = re.fullmatch(r"--leader\.lease=.*/(.+)", argument)
            if lease and lease[1] not in [
                known for role in of("Role") for rule in role["rules"] for known in rule.get("resourceNames", [])
            ]:
                found.append(f"{name(workload)} holds the Lease {lease[1]}, which no Role permits")
    # The addresses that Prometheus and Alertmanager connect to.
    services = [
        f"{obj['metadata']['name']}.{obj['metadata'].get('namespace')}.svc:{port['port']}"
        for obj in of("Service")
        for port in obj["spec"]["ports"]
    ]
    for obj in of("Probe", "ScrapeConfig", "AlertmanagerConfig"):
        for address in re.findall(r"[-a-z0-9]+\.[-a-z0-9]+\.svc:[0-9]+", yaml.dump(obj["spec"])):
            if address not in services:
                found.append(f"{name(obj)} connects to {address}, which is no service")
    # The exporter's targets, and the ports that its policy allows.
    for policy in of("NetworkPolicy"):
        open_ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule.get("ports", [])}
        for probe in of("Probe"):
            module = probe["spec"]["module"]
            for target in probe["spec"]["targets"]["staticConfig"]["static"]:
                if port_of(target, module) not in open_ports:
                    found.append(f"{name(policy)} blocks {target}, a target of {name(probe)}")
        if of("ScrapeConfig") and not set(PORTS.values()) <= open_ports:
            found.append(f"{name(policy)} blocks a module's port, which a ScrapeConfig needs")
    return found


# The checks must find each of these mistakes, made one at a time.
MISTAKES = [
    ("a misspelt key in a Deployment", "replicas:", "replica:"),
    ("a probe that only looks for an open port", "httpGet: {path: /-/healthy, port: http", "tcpSocket: {port: http"),
    ("a container that may write", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
    ("pods that replace others at once", "minReadySeconds: 10", "minReadySeconds: 0"),
    ("a budget that pods that crash block", "unhealthyPodEvictionPolicy: AlwaysAllow", "unhealthyPodEvictionPolicy: IfHealthyBudget"),
    ("a misspelt key in a NetworkPolicy", "podSelector:", "podSelectors:"),
    ("a misspelt key in a rule", "annotations:\n", "anotations:\n"),
    ("a misspelt key in a ServiceMonitor", "endpoints:", "endpoint:"),
    ("a misspelt key in a scrape configuration", "ec2SDConfigs:", "ec2SdConfigs:"),
    ("a number instead of a string", "metricsPath: /probe", "metricsPath: 7"),
    ("a misspelt key in an AlertmanagerConfig", "groupWait:", "group_wait:"),
    ("a service that leads nowhere", "targetPort: http", "targetPort: htpp"),
    ("a target behind a closed port", "jicofo.example.org:8888", "jicofo.example.org:8889"),
    ("TLS at a closed port", "https://jibri.example.org", "https://jibri.example.org:9443"),
    ("a probe through a missing service", "jitsi-exporter.jitsi.svc", "jitsi-exporter.jisti.svc"),
    ("a Lease without permissions", "--leader.lease=$(POD_NAMESPACE)/", "--leader.lease=$(POD_NAMESPACE)/the-"),
    ("a missing account", "serviceAccountName: jitsi-", "serviceAccountName: jisti-"),
]


def problems(objects):
    """The mistakes in each of these objects."""
    found = []
    for obj in objects:
        try:
            check(obj)
        except Exception as error:  # Each library has its own error types.
            found.append(f"{obj.get('kind')} {obj.get('metadata', {}).get('name')}: {error}")
    return found


class Stream:
    """The objects of one file, which are installed together."""

    def __init__(self, path):
        self.path = path
        parts = re.split(r"(?m)^---.*\n", pathlib.Path(path).read_text())
        self.parts = [(part, obj) for part in parts for obj in [yaml.load(part, Loader)] if obj is not None]
        assert self.parts, f"{path}: there are no objects"

    def problems(self):
        """The mistakes in the objects, and in their references to each other."""
        objects = [obj for _, obj in self.parts]
        return [f"{self.path}: {problem}" for problem in problems(objects) + loose_ends(objects)]

    def finds(self, right, wrong):
        """Whether the mistake is found in every object that can have it; None if no object can."""
        answers = []
        for at, (part, _) in enumerate(self.parts):
            if right in part and len(part) < 100_000:
                changed = yaml.load(part.replace(right, wrong), Loader)
                objects = [changed if at == other else obj for other, (_, obj) in enumerate(self.parts)]
                answers.append(bool(problems([changed]) or loose_ends(objects)))
        return all(answers) if answers else None


def main():
    streams = [Stream(path) for path in sys.argv[1:]]
    found = [problem for stream in streams for problem in stream.problems()]
    count = sum(len(stream.parts) for stream in streams)
    print(f"manifests: {count} objects, {len(found)} wrong")
    if len(streams) > 1 and not found:
        for what, right, wrong in MISTAKES:
            answers = [answer for stream in streams for answer in [stream.finds(right, wrong)] if answer is not None]
            assert answers, f"{what}: nothing to make a mistake in"
            if not all(answers):
                found.append(f"{what} was not found")
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
