"""Checks a Bicep file without Azure and without its compiler, which no package registry of Python has.

    bicep.py FOLDER FILE

FOLDER has the wheels of Azure's management libraries, whose classes describe every property of a resource. The program
checks that properties exist and may be written, that required ones are given, that literals have the right type and are
among the known values, and that none is newer than the version of the API; that names are declared and used; and that the
set is made as the scaler needs it. It also makes mistakes in the file, and fails if it does not find one.
"""

import ast
import json
import pathlib
import re
import sys
import zipfile

from pycep import BicepParser

# Each type of resource, with its library and its class.
TYPES = {
    "Microsoft.Authorization/roleAssignments": ("authorization", "RoleAssignment"),
    "Microsoft.Authorization/roleDefinitions": ("authorization", "RoleDefinition"),
    "Microsoft.Compute/virtualMachineScaleSets": ("compute", "VirtualMachineScaleSet"),
    "Microsoft.ManagedIdentity/userAssignedIdentities": ("msi", "Identity"),
}
LITERALS = {"str": str, "bool": bool, "int": int}


class Library:
    """The classes and enumerations of one library."""

    def __init__(self, folder, name):
        (wheel,) = folder.glob(f"azure_mgmt_{name}-*.whl")
        self.classes, self.values = {}, {}
        for module, to in (("_models", self.classes), ("_enums", self.values)):
            source = zipfile.ZipFile(wheel).read(f"azure/mgmt/{name}/models/{module}.py").decode()
            to.update((node.name, node) for node in ast.parse(source).body if isinstance(node, ast.ClassDef))

    def known(self, name):
        """The values of an enumeration."""
        return {item.value.value.lower() for item in self.values[name].body if isinstance(item, ast.Assign)}

    def properties(self, name):
        """The properties of a class by their names in JSON: the type, whether each may be written, and since which version."""
        node = self.classes.get(name)
        if node is None:
            return {}
        found = {}
        for base in node.bases:
            found |= self.properties(ast.unparse(base))
        for item, text in zip(node.body, [*node.body[1:], None]):
            if not (isinstance(item, ast.AnnAssign) and isinstance(item.value, ast.Call)):
                continue
            given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in item.value.keywords
                     if keyword.arg in ("name", "visibility")}
            words = ast.unparse(text) if isinstance(text, ast.Expr) else ""
            since = re.search(r"Minimum\s+api-version: ([0-9-]{10})", words.replace("\\n", " "))
            kind = ast.unparse(item.annotation).replace("'", "").replace('"', "")
            found[given.get("name", item.target.id)] = (kind, "create" in given.get("visibility", []), since and since[1])
        return found


def bare(kind):
    """A type without `Optional`, and whether it had it."""
    inner = re.fullmatch(r"Optional\[(.*)\]", kind)
    return (inner[1], True) if inner else (kind, False)


def checked(value, kind, library, version, place):
    """The mistakes in a value. An expression may have any type, and the parser does not tell a name from a text."""
    kind, _ = bare(kind)
    if isinstance(value, dict) and set(value) <= {"operator", "function"}:
        return
    listed = re.fullmatch(r"list\[(.*)\]", kind)
    model = re.fullmatch(r"_models\.(\w+)", kind)
    enum = re.fullmatch(r"Union\[str, _models\.(\w+)\]", kind)
    if listed and isinstance(value, list):
        for item in value:
            yield from checked(item, listed[1], library, version, f"{place}[]")
    elif model and isinstance(value, dict):
        yield from body(value, model[1], library, version, place)
    elif enum and isinstance(value, str):
        if value.lower() not in library.known(enum[1]):
            yield f"{place} cannot be {value}"
    elif kind.startswith("dict[") and isinstance(value, dict):
        pass
    elif isinstance(value, str) and kind != "bool":
        # A name: of a parameter, a variable or a resource.
        pass
    elif type(value) is not LITERALS.get(kind):
        yield f"{place} cannot be {value}"


def body(value, name, library, version, place):
    properties = library.properties(name)
    for key, item in value.items():
        key = key.strip("'")
        if key not in properties:
            yield f"{place} has no property {key}"
            continue
        kind, may_be_written, since = properties[key]
        if not (may_be_written or (key == "name" and "." not in place)):
            yield f"{place}.{key} is read-only"
        if since and since > version:
            yield f"{place}.{key} needs version {since}"
        yield from checked(item, kind, library, version, f"{place}.{key}")
    required = {key for key, (kind, written, _) in properties.items() if written and not bare(kind)[1]}
    yield from (f"{place} lacks {key}" for key in sorted(required - {key.strip("'") for key in value}))


def expressions(text):
    """What a file says without comments, the texts of its literals and the declarations, as names are looked for there."""
    text = re.sub(r"(?m)//.*$", "", text)
    text = re.sub(r"'([^']*)'", lambda found: " ".join(re.findall(r"\$\{([^}]*)\}", found[1])), text)
    text = re.sub(r"(?m)^@.*$", "", text)
    return re.sub(r"(?m)^(param|var|resource|output) \w+ *\w* *=?", "", text)


def problems(text, folder, libraries):
    found = BicepParser().parse(text=text)
    resources = found.get("resources", {})
    inputs = {**found.get("parameters", {}), **found.get("variables", {})}
    for name, resource in resources.items():
        if resource["type"] not in TYPES:
            yield f"{resource['type']} is no resource that this check knows"
            continue
        library, model = TYPES[resource["type"]]
        yield from body(resource["config"], model, libraries[library], resource["api_version"], name)
        if resource["type"].endswith("/virtualMachineScaleSets"):
            yield from careful(resource["config"], name)
    plain = expressions(text)
    used = set(re.findall(r"(?<![\w.])([A-Za-z_]\w*)\b(?!\s*[:(])", plain))
    yield from (f"{name} is not declared" for name in sorted(used - {*inputs, *resources, "true", "false", "null"}))
    yield from (f"{name} is not used" for name in sorted(set(inputs) - used))
    for name, path in re.findall(r"\b(\w+)\.([\w.]+)", plain):
        if name in resources:
            library, model = TYPES[resources[name]["type"]]
            for part in path.split("."):
                kind = libraries[library].properties(model).get(part, ("",))[0]
                if not kind:
                    yield f"{name}.{path} does not exist"
                    break
                model = bare(kind)[0].removeprefix("_models.")
    for name, variable in found.get("variables", {}).items():
        loaded = variable["value"].get("function", {}) if isinstance(variable["value"], dict) else {}
        if loaded.get("type") == "load_json_content":
            given = loaded["parameters"]
            if given["json_path"] not in json.loads((folder / given["file_path"]).read_text()):
                yield f"{name}: {given['file_path']} has no {given['json_path']}"


def careful(config, place):
    """What the scaler needs of a set, as the guide says."""
    properties = config["properties"]
    if not any("jitsi-fleet" in key for key in config.get("tags", {})):
        yield f"{place} has no tag by which a fleet finds it"
    if properties.get("overprovision") is not False:
        yield f"{place} overprovisions"
    if properties.get("upgradePolicy") != {"mode": "Manual"}:
        yield f"{place} upgrades by itself"
    if properties.get("singlePlacementGroup") is not False:
        yield f"{place} cannot grow beyond 100 instances"
    if "priority" in properties.get("virtualMachineProfile", {}):
        yield f"{place} may have Spot instances"


# The check must find each of these mistakes, made one at a time.
MISTAKES = [
    ("a misspelt property", "overprovision:", "overProvisioning:"),
    ("a misspelt property far down", "keyData:", "keydata:"),
    ("a property that is only read", "    orchestrationMode: 'Uniform'", "    orchestrationMode: 'Uniform'\n    uniqueId: 'a'"),
    ("a property that is missing", "    principalId: identity.properties.principalId\n", ""),
    ("a value that is unknown", "'Uniform'", "'Uniforn'"),
    ("a text for a truth", "disablePasswordAuthentication: true", "disablePasswordAuthentication: 'yes'"),
    ("a number for a text", "computerNamePrefix: 'jvb-1-'", "computerNamePrefix: 1"),
    ("a property that is newer than the version", "  zones: ['1']", "  zones: ['1']\n  placement: { zonePlacementPolicy: 'Any' }"),
    ("a type that does not exist", "Compute/virtualMachineScaleSets", "Compute/scaleSets"),
    ("a name that is not declared", "keyData: sshKey", "keyData: sshkey"),
    ("a parameter that is not used", "param capacity int = 2", "param capacity int = 2\nparam zone string = '1'"),
    ("an output that does not exist", "identity.properties.clientId", "identity.properties.client"),
    ("rights that are not in the file", "'Actions'", "'actions'"),
    ("a set that no fleet finds", "'jitsi-fleet': 'jvb'", "'fleet': 'jvb'"),
    ("a set that overprovisions", "overprovision: false", "overprovision: true"),
    ("a set that upgrades", "mode: 'Manual'", "mode: 'Automatic'"),
]


def main():
    wheels, path = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    libraries = {name: Library(wheels, name) for name in {library for library, _ in TYPES.values()}}
    text = path.read_text()

    def found_in(text):
        return list(problems(text, path.parent, libraries))

    found = found_in(text)
    for what, right, wrong in MISTAKES if not found else []:
        assert right in text, f"{what}: nothing to change"
        if not found_in(text.replace(right, wrong)):
            found.append(f"{what} was not found")
    for problem in found:
        print(f"bicep: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
