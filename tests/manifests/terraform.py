"""Checks Terraform modules without Terraform's registry, which a machine without Internet access cannot reach.

    terraform.py WHEEL MODULE...

WHEEL is the package cdktf-cdktf-provider-aws, whose classes describe every argument of the provider. The program checks that
arguments and blocks exist, that required ones are given, and that literals have the right type; that variables and locals
are declared and used, and calls of modules fit; and that groups are made as the scaler needs them. It also makes mistakes in
the modules, and fails if it does not find one.
"""

import ast
import pathlib
import re
import sys
import zipfile

import hcl2

META = {"count", "depends_on", "for_each", "lifecycle", "provider"}


def camel(name):
    return "".join(part.capitalize() for part in name.split("_"))


class Schema:
    """The arguments of blocks, from the classes of one file of the wheel."""

    def __init__(self, wheel, name, top):
        source = zipfile.ZipFile(wheel).read(f"cdktf_cdktf_provider_aws/{name}/__init__.py").decode()
        self.classes = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
        self.top = top

    def arguments(self, path):
        """The name of each argument of a block with its type, and the required ones."""
        node = self.classes[self.top + ("Config" if not path else "".join(camel(name) for name in path))]
        (init,) = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
        given = list(zip(init.args.kwonlyargs, init.args.kw_defaults))
        # The type of a block is one of these classes; other arguments are attributes.
        types = {arg.arg: ast.unparse(arg.annotation) for arg, _ in given}
        return types, {arg.arg for arg, default in given if default is None}

    def has(self, path):
        return self.top + "".join(camel(name) for name in path) in self.classes


def plain(value):
    """A value without the quotes and comments of the parser."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value


def is_block(value):
    return isinstance(value, list) and value and all(isinstance(item, dict) and "__is_block__" in item for item in value)


def fits(value, kind):
    """Whether a literal has the type of an argument; an expression may have any."""
    if isinstance(value, str) and "${" in value:
        return True
    if "builtins.bool" in kind and isinstance(value, bool):
        return True
    if isinstance(value, bool):
        return False
    if "Number" in kind and (isinstance(value, (int, float)) or re.fullmatch(r'"?[0-9.]+"?', str(value))):
        return True
    if isinstance(value, list):
        return "Sequence" in kind
    return "builtins.str" in kind and "Sequence" not in kind and "Mapping" not in kind and isinstance(value, str)


def checked(body, schema, place, path=()):
    """The mistakes in a block."""
    types, required = schema.arguments(path)
    blocks = {key: value for key, value in body.items() if is_block(value) and key not in (*META, "dynamic")}
    for dynamic in body.get("dynamic", []):
        for name, block in dynamic.items():
            if not name.startswith("__"):
                blocks[name.strip('"')] = block["content"]
    attributes = {key: value for key, value in body.items()
                  if key != "dynamic" and not is_block(value) and not key.startswith("__")}
    for name in sorted(required - set(blocks) - set(attributes)):
        yield f"{place} lacks {name}"
    for name, value in attributes.items():
        if not path and name in META:
            continue
        if name not in types or schema.has((*path, name)):
            yield f"{place} has no argument {name}"
        elif not fits(value, types[name]):
            yield f"{place}.{name} cannot be {value}"
    for name, items in blocks.items():
        if not schema.has((*path, name)):
            yield f"{place} has no block {name}"
            continue
        for item in items:
            yield from checked(item, schema, f"{place}.{name}", (*path, name))


class Module:
    def __init__(self, folder, texts=None):
        self.folder = folder
        self.texts = texts or {path.name: path.read_text() for path in sorted(folder.glob("*.tf"))}
        assert self.texts, f"{folder} has no module"
        self.blocks = {}
        for text in self.texts.values():
            for kind, found in hcl2.loads(text).items():
                if not kind.startswith("__"):
                    self.blocks.setdefault(kind, []).extend(found)

    def of(self, kind):
        """The blocks of a kind by their names."""
        return {name.strip('"'): body for block in self.blocks.get(kind, []) for name, body in block.items()
                if not name.startswith("__")}

    def resources(self):
        return [(kind.strip('"'), name.strip('"'), body) for block in self.blocks.get("resource", [])
                for kind, named in block.items() if not kind.startswith("__")
                for name, body in named.items() if not name.startswith("__")]

    def problems(self, schemas, modules):
        for kind, name, body in self.resources():
            if kind not in schemas:
                yield f"{kind} is no resource that this check knows"
                continue
            yield from checked(body, schemas[kind], f"{kind}.{name}")
            if kind == "aws_autoscaling_group":
                yield from careful(plain(body), f"{kind}.{name}")
        for name, body in self.of("provider").items():
            yield from checked(body, schemas["provider"], f"provider.{name}")
            prefixes = [prefix for block in plain(body).get("ignore_tags", []) for prefix in block.get("key_prefixes", [])]
            if "jitsi-scaler/" not in prefixes:
                yield f"{self.folder.name}: the provider would remove the scaler's tags"
        text = re.sub(r"(?m)#.*$", "", "\n".join(self.texts.values()))
        declared = {"var": set(self.of("variable")), "local": set(self.of("locals"))}
        for kind, names in declared.items():
            used = set(re.findall(rf"\b{kind}\.(\w+)", text))
            yield from (f"{self.folder.name}: {kind}.{name} is not declared" for name in sorted(used - names))
            yield from (f"{self.folder.name}: {kind}.{name} is not used" for name in sorted(names - used))
        for name, body in self.of("module").items():
            called = next((one for one in modules if one.folder == (self.folder / plain(body["source"])).resolve()), None)
            if called is None:
                yield f"module.{name} is at no known place"
                continue
            variables = called.of("variable")
            given = {key for key in body if not key.startswith("__")} - META - {"source", "version"}
            wanted = {key for key, variable in variables.items() if "default" not in variable}
            yield from (f"module.{name} has no variable {key}" for key in sorted(given - set(variables)))
            yield from (f"module.{name} lacks {key}" for key in sorted(wanted - given))


def careful(group, place):
    """What the scaler needs of a group, as in groups.yml."""
    hooks = group.get("initial_lifecycle_hook", [])
    preferences = [one for refresh in group.get("instance_refresh", []) for one in refresh.get("preferences", [])]
    if "desired_capacity" not in [name for block in group.get("lifecycle", []) for name in block.get("ignore_changes", [])]:
        yield f"{place}: an apply would set the scaler's capacity back"
    if "desired_capacity" in group:
        yield f"{place} has a capacity, which is the scaler's"
    if not any(hook.get("lifecycle_transition") == "autoscaling:EC2_INSTANCE_TERMINATING" for hook in hooks):
        yield f"{place} has no terminating hook"
    if group.get("protect_from_scale_in") is not True:
        yield f"{place} does not protect instances from scale-in"
    if group.get("suspended_processes") != ["AZRebalance"]:
        yield f"{place} does not suspend AZRebalance"
    if [one.get("scale_in_protected_instances") for one in preferences] != ["Refresh"]:
        yield f"{place}: a refresh would wait for protected instances, and fail"


# The checks must find each of these mistakes, made one at a time.
MISTAKES = [
    ("a misspelt argument", "protect_from_scale_in ", "protect_from_scalein "),
    ("a misspelt argument of a block", "heartbeat_timeout    =", "heartbeat_time_out   ="),
    ("a misspelt block", "instance_refresh {", "instance_refreshes {"),
    ("an argument that is missing", "max_size            = each.value.max\n", ""),
    ("a word for a number", "min_healthy_percentage       = 100", 'min_healthy_percentage       = "all"'),
    ("an undeclared variable", "var.heartbeat_timeout", "var.heart_beat_timeout"),
    ("a variable that is not used", 'variable "tags"', 'variable "more_tags"'),
    ("a module without its groups", "  groups = {", "  group = {"),
    ("tags that the provider removes", '"jitsi-scaler/"', '"jitsi/"'),
    ("a capacity that is set back", "[desired_capacity]", "[min_size]"),
    ("a group that AWS balances", '["AZRebalance"]', "[]"),
    ("a refresh that waits", '"Refresh"', '"Wait"'),
    ("a hook for launches", "EC2_INSTANCE_TERMINATING", "EC2_INSTANCE_LAUNCHING"),
]


def main():
    wheel, folders = sys.argv[1], [pathlib.Path(folder).resolve() for folder in sys.argv[2:]]
    schemas = {"aws_autoscaling_group": Schema(wheel, "autoscaling_group", "AutoscalingGroup"),
               "provider": Schema(wheel, "provider", "AwsProvider")}
    modules = [Module(folder) for folder in folders]

    def problems(modules):
        return [problem for module in modules for problem in module.problems(schemas, modules)]

    found = problems(modules)
    for what, right, wrong in MISTAKES if not found else []:
        changed = [Module(module.folder, {name: text.replace(right, wrong) for name, text in module.texts.items()})
                   for module in modules]
        assert any(right in text for module in modules for text in module.texts.values()), f"{what}: nothing to change"
        if not problems(changed):
            found.append(f"{what} was not found")
    for problem in found:
        print(f"terraform: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
