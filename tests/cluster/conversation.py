"""An API server's answers about leases, question by question: what it accepts, what it rejects, and with which text.

A test compares the stand-in of the tests (tests/src/lease_api.rs) with the record in lease_api.json. In it VERSION-1 and
UID-1 are the first version and the first uid that occurred, and so on; it omits values that differ between runs.
"""

import json

NAME = "conversation"
TIME = "2026-09-21T14:13:20.500000Z"
SPEC = {"holderIdentity": "a", "leaseDurationSeconds": 15, "acquireTime": TIME, "renewTime": TIME, "leaseTransitions": 0}
LATER = {"renewTime": "2026-09-21T14:13:22.500000Z"}
COLLECTION, OBJECT = "leases", f"leases/{NAME}"


def lease(spec=None, **metadata):
    metadata = {"name": NAME} | {{"version": "resourceVersion"}.get(key, key): value for key, value in metadata.items()}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata,
            "spec": SPEC if spec is None else spec}


def changed(**fields):
    return {key: value for key, value in (SPEC | fields).items() if value is not None}


# The requests, in this order: each depends on the state after the previous ones.
QUESTIONS = [
    ("a missing lease", "GET", OBJECT, None),
    ("a new lease with a version", "POST", COLLECTION, lease(version="7")),
    ("a new lease", "POST", COLLECTION, lease()),
    ("a new lease with a name in use", "POST", COLLECTION, lease()),
    ("an existing lease", "GET", OBJECT, None),
    ("an empty change", "PUT", OBJECT, lease(version="VERSION-1")),
    ("a change", "PUT", OBJECT, lease(changed(**LATER), version="VERSION-1", uid="UID-1")),
    ("a change of an old version", "PUT", OBJECT, lease(version="VERSION-1")),
    ("a change without a version", "PUT", OBJECT, lease()),
    ("a change with an empty version", "PUT", OBJECT, lease(version="")),
    ("a change with version 0", "PUT", OBJECT, lease(version="0")),
    ("a change with an invalid version", "PUT", OBJECT, lease(version="abc")),
    ("a change with another uid", "PUT", OBJECT, lease(version="VERSION-2", uid="another")),
    ("a change with another name", "PUT", OBJECT, lease(version="VERSION-2", name="other")),
    ("no duration", "PUT", OBJECT, lease(changed(leaseDurationSeconds=0), version="VERSION-2")),
    ("a negative duration", "PUT", OBJECT, lease(changed(leaseDurationSeconds=-1), version="VERSION-2")),
    ("a duration as text", "PUT", OBJECT, lease(changed(leaseDurationSeconds="15"), version="VERSION-2")),
    ("half a second", "PUT", OBJECT, lease(changed(leaseDurationSeconds=1.5), version="VERSION-2")),
    ("negative transitions", "PUT", OBJECT, lease(changed(leaseTransitions=-1), version="VERSION-2")),
    ("a time of whole seconds", "PUT", OBJECT, lease(changed(renewTime="2026-09-21T14:13:23Z"), version="VERSION-2")),
    ("milliseconds", "PUT", OBJECT, lease(changed(renewTime="2026-09-21T14:13:23.500Z"), version="VERSION-2")),
    ("nanoseconds", "PUT", OBJECT, lease(changed(renewTime="2026-09-21T14:13:23.500000001Z"), version="VERSION-2")),
    ("an invalid time", "PUT", OBJECT, lease(changed(renewTime="yesterday"), version="VERSION-2")),
    ("another zone", "PUT", OBJECT, lease(changed(renewTime="2026-09-21T14:13:23.500000+02:00"), version="VERSION-2")),
    ("an empty holder", "PUT", OBJECT, lease(changed(holderIdentity=""), version="VERSION-3")),
    ("an unknown field", "PUT", OBJECT, lease(changed(holder="x"), version="VERSION-4")),
    ("no fields", "PUT", OBJECT, lease({}, version="VERSION-5")),
    ("a label", "PUT", OBJECT, lease({}, version="VERSION-6", labels={"team": "video"})),
    ("its deletion", "DELETE", OBJECT, None),
    ("the deletion of a missing lease", "DELETE", OBJECT, None),
    ("a change of a deleted lease", "PUT", OBJECT, lease(version="VERSION-7", uid="UID-1")),
    ("the deleted lease, still missing", "GET", OBJECT, None),
    ("a change of a name used before", "PUT", OBJECT, lease(version="VERSION-7")),
    ("a change of the previous lease", "PUT", OBJECT, lease(version="VERSION-7", uid="UID-1")),
    ("its deletion, too", "DELETE", OBJECT, None),
    ("a change that creates it", "PUT", OBJECT, lease()),
    ("the last deletion", "DELETE", OBJECT, None),
    ("a new lease in another namespace", "POST", COLLECTION, lease(namespace="elsewhere")),
    ("a new lease without a name", "POST", COLLECTION, {"spec": SPEC}),
]


def record(ask):
    """The answers of `ask(method, path, body)`, which returns a status and an object."""
    versions, uids, exchanges = {}, {}, []

    def named(known, prefix, real):
        return known.setdefault(real, f"{prefix}-{len(known) + 1}")

    def real(known, name):
        return next((real for real, given in known.items() if given == name), name)

    for what, method, path, body in QUESTIONS:
        sent = json.loads(json.dumps(body))
        for key, known in (("resourceVersion", versions), ("uid", uids)):
            if sent and key in sent.get("metadata", {}):
                sent["metadata"][key] = real(known, sent["metadata"][key])
        status, answer = ask(method, path, sent)
        metadata = answer.get("metadata", {})
        for volatile in ("managedFields", "creationTimestamp"):
            metadata.pop(volatile, None)
        if "resourceVersion" in metadata:
            metadata["resourceVersion"] = named(versions, "VERSION", metadata["resourceVersion"])
        if "uid" in metadata:
            named(uids, "UID", metadata["uid"])
        text = json.dumps(answer)
        for uid, name in uids.items():
            text = text.replace(uid, name)
        exchanges.append({"what": what, "method": method, "path": path, "body": body, "status": status,
                          "answer": json.loads(text)})
    return exchanges


def written(version, exchanges):
    """The text of the record, one line per exchange."""
    lines = ",\n".join(json.dumps(exchange) for exchange in exchanges)
    return f'{{"server": "{version}", "exchanges": [\n{lines}\n]}}\n'
