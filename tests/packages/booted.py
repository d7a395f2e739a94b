"""Runs the units of both packages on a booted Debian, under its systemd, with all their restrictions.

    booted.py ROOT SIMULATORS PROMETHEUS

ROOT is a Debian with systemd and both packages, SIMULATORS the folder with jitsi-sim and asg-sim, PROMETHEUS its binary. The
root is booted by systemd-nspawn, in a network with only loopback, beside simulated AWS and Jitsi and a real Prometheus. The
installed programs scrape and drain a bridge; TLS keys, passwords and AWS credentials are in files that only the services'
groups may read. Then the units are reloaded, killed and stopped.

tests/packages.sh calls this within `unshare --net`.
"""

import base64
import json
import os
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.request

root, simulators, prometheus = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
logs = root.parent / "booted"
logs.mkdir(exist_ok=True)
PASSWORD = "correct horse"
# The guide's path, in the only folder that the unit may write to.
DECISIONS = "/var/log/jitsi-scaler/decisions.jsonl"
JITSI, AWS, PROMETHEUS = "http://127.0.0.1:18000", "http://127.0.0.1:18001", "http://127.0.0.1:19090"
GROUP = {"min": 2, "max": 2, "desired": 2, "component": "jvb", "launch_seconds": 0, "boot_seconds": 0,
         "terminate_seconds": 0}
running = []


def say(text):
    print(f"packages: {text}", flush=True)


def until(what, seconds, condition):
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
            sys.exit(f"packages: {what}: not within {seconds} s; see {logs}")
        time.sleep(0.1)


def start(name, *command):
    log = open(logs / f"{name}.log", "w")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    running.append(process)
    return process


def ask(url, body=None, method=None, context=None, password=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    if password:
        token = base64.b64encode(f"scaler:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        return answer.read().decode()


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def write(path, text):
    """Writes a file as an operator does: readable only by its owner and the folder's group."""
    file = root / path.lstrip("/")
    file.write_text(text)
    file.chmod(0o640)
    os.chown(file, 0, file.parent.stat().st_gid)


def authority(address):
    """Creates an authority, and a certificate of it for this address."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-keyout", logs / "ca.key", "-out", logs / "ca.pem", "-subj", "/CN=Packages",
        "-addext", "keyUsage=critical,keyCertSign")
    run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", logs / "tls.key", "-out", logs / "tls.csr", "-subj", "/CN=bridge")
    (logs / "ext").write_text(f"subjectAltName=IP:{address}\n")
    run("openssl", "x509", "-req", "-in", logs / "tls.csr", "-CA", logs / "ca.pem", "-CAkey", logs / "ca.key", "-days", "2",
        "-CAcreateserial", "-extfile", logs / "ext", "-out", logs / "tls.pem")
    return [(logs / name).read_text() for name in ("ca.pem", "tls.pem", "tls.key")]


def configure(address):
    ca, certificate, key = authority(address)
    bcrypt = run("perl", "-e", "print crypt($ARGV[0], '$2b$10$abcdefghijklmnopqrstuu')", PASSWORD)
    write("/etc/jitsi-exporter/tls.pem", certificate)
    write("/etc/jitsi-exporter/tls.key", key)
    write("/etc/jitsi-exporter/web.yml", "tls_server_config: {cert_file: tls.pem, key_file: tls.key}\n"
          f"basic_auth_users: {{scaler: {bcrypt}}}\n")
    (root / "etc/default/jitsi-exporter").write_text(
        f'ARGS="--jvb.url=http://{address}:8080 --relay.enabled --web.config.file=/etc/jitsi-exporter/web.yml"\n')
    write("/etc/jitsi-scaler/relay-password", f"{PASSWORD}\n")
    write("/etc/jitsi-scaler/relay-ca.pem", ca)
    write("/etc/jitsi-scaler/aws-credentials", "[default]\naws_access_key_id = test\naws_secret_access_key = test\n")
    (root / "etc/default/jitsi-scaler").write_text(
        f'ARGS="--web.listen-address=127.0.0.1:10066 --decision-log={DECISIONS}"\nAWS_REGION=us-east-1\n'
        f"AWS_ENDPOINT_URL={AWS}\nAWS_EC2_METADATA_DISABLED=true\n"
        "AWS_SHARED_CREDENTIALS_FILE=/etc/jitsi-scaler/aws-credentials\n")
    write("/etc/jitsi-scaler/scaler.yml", f"""
prometheus: {{url: "{PROMETHEUS}", timeout: 2s}}
fleets:
  - name: jvb
    component: jvb
    asg: {{names: [prod]}}
    warmup: 0s
    policies:
      - name: participants
        expr: sum by (asg) (jvb_participants)
        period: 1s
        scale_out: {{when: ">= 1000", periods: 2, add: 1, cooldown: 5m}}
        scale_in: {{when: "<= 100", periods: 2, remove: 1, cooldown: 1s}}
    drain:
      via: "https://{{private_ip}}:10065/relay/jvb"
      basic_auth: {{username: scaler, password_file: /etc/jitsi-scaler/relay-password}}
      tls: {{ca_file: /etc/jitsi-scaler/relay-ca.pem}}
""")
    (logs / "password").write_text(PASSWORD)
    (logs / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
scrape_configs:
  - job_name: jitsi
    metrics_path: /probe
    scheme: https
    basic_auth: {{username: scaler, password_file: password}}
    tls_config: {{ca_file: ca.pem}}
    http_sd_configs: [{{url: "{JITSI}/sim/v1/sd", refresh_interval: 1s}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__meta_ec2_tag_jitsi_component], target_label: __param_module}}
      - {{source_labels: [__meta_ec2_tag_aws_autoscaling_groupName], target_label: asg}}
      - {{source_labels: [__meta_ec2_instance_id], target_label: instance_id}}
      - {{source_labels: [__meta_ec2_private_ip], target_label: private_ip}}
      - {{target_label: __address__, replacement: "{address}:10065"}}
""")


class Machine:
    """The booted root."""

    def __init__(self):
        self.process = start("console", "systemd-nspawn", "--boot", "--quiet", f"--directory={root}", "--register=no",
                             "--keep-unit", "--machine=jitsi-packages", "--console=pipe")
        self.leader = until("the machine boots", 60, self.init)

    def init(self):
        """The machine's first process; systemd-nspawn may have another child before it."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for child in children.read_text().split():
            if re.search(r"(?m)^Name:\tsystemd$(?s:.*)^NSpid:\t\d+\t1$", pathlib.Path(f"/proc/{child}/status").read_text()):
                return child
        return None

    def within(self, *command, check=True):
        entered = ["nsenter", "--target", self.leader, "--mount", "--pid", "--uts", "--ipc", "--root", "--wd", *command]
        return subprocess.run(entered, check=check, capture_output=True, text=True).stdout.strip()

    def state(self, unit):
        return self.within("systemctl", "is-active", unit, check=False)

    def show(self, unit, key):
        return self.within("systemctl", "show", "--value", f"--property={key}", unit)

    def journal(self, unit):
        return self.within("journalctl", f"--unit={unit}", "--output=cat")

    def status(self, unit):
        """The kernel's status of the unit's process, seen from the host."""
        inner = self.show(unit, "MainPID")
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            except OSError:
                continue
            ids = fields.get("NSpid", "").split()
            if len(ids) > 1 and ids[1] == inner and fields["Name"].startswith("jitsi"):
                return fields
        return None


def restricted(machine, unit):
    fields = until(f"{unit} has a process", 10, lambda: machine.status(unit))
    wanted = {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
    found = {key: fields[key].strip() for key in wanted}
    assert found == wanted, f"{unit}: {found}"
    user = int(fields["Uid"].split()[0])
    # The range of systemd's dynamic users.
    assert 61184 <= user <= 65519, f"{unit} runs as {user}"
    say(f"{unit}: user {user}, no capabilities, no new privileges, {fields['Seccomp_filters'].strip()} system call filters, "
        f"{int(fields['VmHWM'].split()[0]) / 1000:.1f} MB at most")


def rotated(machine):
    """Checks that the scaler writes the decision log, and that the package's logrotate file rotates it without applying a
    configuration that is being edited."""
    def lines(path):
        return machine.within("cat", path, check=False).splitlines()

    decisions = until("decisions are in their log", 20, lambda: lines(DECISIONS))
    actions = {json.loads(line)["action"] for line in decisions}
    assert "scale_in" in actions, actions
    edited = root / "etc/jitsi-scaler/scaler.yml"
    whole = edited.read_text()
    edited.write_text("prometheus: {url:\n")
    before = machine.journal("jitsi-scaler").count("reload")
    machine.within("logrotate", "--force", "/etc/logrotate.d/jitsi-scaler")
    assert lines(f"{DECISIONS}.1")[: len(decisions)] == decisions
    # Somebody raises the desired capacity, so that a decision differs from the one before.
    ask(f"{AWS}/sim/v1/regions/us-east-1/groups/prod", GROUP | {"min": 1}, "PUT")
    after = until("the next decision is in a new file", 20, lambda: lines(DECISIONS))
    assert machine.within("stat", "--format=%a", DECISIONS) == "600"
    assert machine.journal("jitsi-scaler").count("reload") == before, "the rotation reloaded"
    edited.write_text(whole)
    say(f"the decision log has {len(decisions)} lines, and {len(after)} after its rotation, which reloads nothing")


def main():
    (logs / "groups.json").write_text(json.dumps([{"region": "us-east-1", "name": "prod", **GROUP}]))
    start("jitsi-sim", simulators / "jitsi-sim", f"--listen={JITSI[7:]}")
    until("jitsi-sim answers", 20, lambda: ask(f"{JITSI}/sim/v1/status"))
    start("asg-sim", simulators / "asg-sim", f"--listen={AWS[7:]}", f"--jitsi-sim={JITSI}", f"--groups={logs}/groups.json")

    def instances():
        found = json.loads(ask(f"{JITSI}/sim/v1/sd"))
        return [(one["labels"]["__meta_ec2_instance_id"], one["labels"]["__meta_ec2_private_ip"]) for one in found]

    (leaving, address), (staying, _) = until("two bridges run", 20, lambda: len(instances()) == 2 and instances())
    configure(address)
    start("prometheus", prometheus, f"--config.file={logs}/prometheus.yml", f"--web.listen-address={PROMETHEUS[7:]}",
          f"--storage.tsdb.path={logs}/tsdb")
    # The other bridge is busy and stays.
    ask(f"{JITSI}/sim/v1/instances/{staying}/conferences", {"participants": 5, "seconds": 3600})

    began = time.monotonic()
    machine = Machine()
    for unit in ("jitsi-exporter", "jitsi-scaler"):
        until(f"{unit} says that it is ready", 60, lambda: machine.state(unit) == "active")
    say(f"booted in {time.monotonic() - began:.1f} s: both units are enabled, and have said that they are ready")
    for unit in ("jitsi-exporter", "jitsi-scaler"):
        restricted(machine, unit)

    context = ssl.create_default_context(cafile=logs / "ca.pem")

    def metrics():
        return ask(f"https://{address}:10065/metrics", context=context, password=PASSWORD)

    until("the bridge is scraped", 20, lambda: re.search(r"(?m)^jvb_up(\{.*\})? 1$", metrics()))
    say("the bridge beside the exporter is scraped")

    ask(f"{AWS}/sim/v1/regions/us-east-1/groups/prod", GROUP | {"min": 1}, "PUT")
    until("the bridge is drained and gone", 60, lambda: [one for one, _ in instances()] == [staying])
    page = metrics()
    for request in ("drain_enable", "shutdown"):
        counted = f'jitsi_exporter_relay_requests_total{{component="jvb",request="{request}",outcome="ok"}} 1'
        assert counted in page, f"the relay has not passed on {request}: {page}"

    def settled():
        group = json.loads(ask(f"{AWS}/sim/v1/groups"))[0]
        drains = [tag for tag in group["tags"] if tag.startswith("jitsi-scaler/drain/")]
        return (group["desired"], [one["id"] for one in group["instances"]], drains) == (1, [staying], [])

    until("the group has one instance less, and the drain's tag is gone", 30, settled)
    assert json.loads(ask(f"{JITSI}/sim/v1/status"))["conferences"]["cut"] == 0
    say("the bridge is drained through the relay and terminated; no conference was cut")

    for unit in ("jitsi-exporter", "jitsi-scaler"):
        before = machine.show(unit, "MainPID")
        machine.within("systemctl", "reload", unit)
        until(f"{unit} reads its files again", 10, lambda: "message=reloaded" in machine.journal(unit))
        assert machine.show(unit, "MainPID") == before and machine.state(unit) == "active", f"{unit} ended at a reload"
        machine.within("systemctl", "kill", "--signal=KILL", unit)
        until(f"{unit} is back", 30, lambda: machine.show(unit, "MainPID") not in ("0", before)
              and machine.state(unit) == "active")
        if unit == "jitsi-scaler":
            rotated(machine)
        machine.within("systemctl", "stop", unit)
        assert machine.show(unit, "Result") == "success", machine.journal(unit)
        say(f"{unit}: reloaded, killed and back, stopped in good order")
    # The journal would show anything that the restrictions forbid.
    journal = machine.journal("jitsi-*")
    (logs / "journal.log").write_text(journal)
    assert "Operation not permitted" not in journal and "denied" not in journal, journal
    # systemd's signal for power-off.
    os.kill(int(machine.leader), signal.SIGRTMIN + 4)
    machine.process.wait(60)


try:
    main()
finally:
    for process in reversed(running):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
