"""What an API server answers about leases, question by question: what it takes, what it refuses, and in which words.

The record in lease_api.json is what the stand-in of the tests (tests/src/lease_api.rs) is held to. In it VERSION-1 and UID-1
are the first version and the first uid that came up, and so on; what differs from day to day is left out.
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


# What is asked, in this order: each follows from what is there after those before.
QUESTIONS = [
    ("what is not there", "GET", OBJECT, None),
    ("a new one that names a version", "POST", COLLECTION, lease(version="7")),
    ("a new one", "POST", COLLECTION, lease()),
    ("a new one of a name that is taken", "POST", COLLECTION, lease()),
    ("what is there", "GET", OBJECT, None),
    ("a change of nothing", "PUT", OBJECT, lease(version="VERSION-1")),
    ("a change", "PUT", OBJECT, lease(changed(**LATER), version="VERSION-1", uid="UID-1")),
    ("a change of an old version", "PUT", OBJECT, lease(version="VERSION-1")),
    ("a change of no version", "PUT", OBJECT, lease()),
    ("a change of an empty version", "PUT", OBJECT, lease(version="")),
    ("a change of the version 0", "PUT", OBJECT, lease(version="0")),
    ("a change of what is no version", "PUT", OBJECT, lease(version="abc")),
    ("a change of another uid", "PUT", OBJECT, lease(version="VERSION-2", uid="another")),
    ("a change of another name", "PUT", OBJECT, lease(version="VERSION-2", name="other")),
    ("no duration", "PUT", OBJECT, lease(changed(leaseDurationSeconds=0), version="VERSION-2")),
    ("a negative duration", "PUT", OBJECT, lease(changed(leaseDurationSeconds=-1), version="VERSION-2")),
    ("a duration as a text", "PUT", OBJECT, lease(changed(leaseDurationSeconds="15"), version="VERSION-2")),
    ("half a second", "PUT", OBJECT, lease(changed(leaseDurationSeconds=1.5), version="VERSION-2")),
    ("negative transitions", "PUT", OBJECT, lease(changed(leaseTransitions=-1), version="VERSION-2")),
    ("a time of whole seconds", "PUT", OBJECT, lease(changed(renewTime="2026-09-21T14:13:23Z"), version="VERSION-2")),
    ("milliseconds", "PUT", OBJECT, lease(changed(renewTime="2026-09-21T14:13:23.500Z"), version="VERSION-2")),
    ("nanoseconds", "PUT", OBJECT, lease(changed(renewTime="2026-09-21T14:13:23.500000001Z"), version="VERSION-2")),
    ("no time", "PUT", OBJECT, lease(changed(renewTime="yesterday"), version="VERSION-2")),
    ("another zone", "PUT", OBJECT, lease(changed(renewTime="2026-09-21T14:13:23.500000+02:00"), version="VERSION-2")),
    ("nobody's", "PUT", OBJECT, lease(changed(holderIdentity=""), version="VERSION-3")),
    ("a field that nobody knows", "PUT", OBJECT, lease(changed(holder="x"), version="VERSION-4")),
    ("no fields", "PUT", OBJECT, lease({}, version="VERSION-5")),
    ("a label", "PUT", OBJECT, lease({}, version="VERSION-6", labels={"team": "video"})),
    ("its end", "DELETE", OBJECT, None),
    ("the end of what is not there", "DELETE", OBJECT, None),
    ("a change of what was deleted", "PUT", OBJECT, lease(version="VERSION-7", uid="UID-1")),
    ("what was deleted, and is still so", "GET", OBJECT, None),
    ("a change of a name that was another's", "PUT", OBJECT, lease(version="VERSION-7")),
    ("a change of the one before", "PUT", OBJECT, lease(version="VERSION-7", uid="UID-1")),
    ("its end too", "DELETE", OBJECT, None),
    ("a change, to make it", "PUT", OBJECT, lease()),
    ("the last end", "DELETE", OBJECT, None),
    ("a new one of elsewhere", "POST", COLLECTION, lease(namespace="elsewhere")),
    ("a new one without a name", "POST", COLLECTION, {"spec": SPEC}),
]


def record(ask):
    """The answers of `ask(method, path, body)`, which gives a status and an object."""
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
    """The record as a file, a line for each."""
    lines = ",\n".join(json.dumps(exchange) for exchange in exchanges)
    return f'{{"server": "{version}", "exchanges": [\n{lines}\n]}}\n'
