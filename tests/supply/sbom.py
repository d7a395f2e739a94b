"""Prints the bill of materials that cargo-auditable embedded in a program, as CycloneDX 1.5.

    sbom.py BINARY

The list is in the section .dep-v0, as JSON compressed by zlib. It names each package that was compiled into the program or
ran to build it, with its version and source; and some that were not, from disabled features of dependencies (such as HTTP/3
of reqwest). This program omits packages that `cargo tree` does not list with the features of the program; a feature counts
as enabled if the list has a package that only it needs, such as kube in the container's program. It is an error if only the
tree has a package, or if a package is omitted that one of our features needs: the program was not built from this tree.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import zlib

binary = pathlib.Path(sys.argv[1])
with tempfile.NamedTemporaryFile() as section:
    # Without a name for the copy, objcopy would rewrite the program itself.
    copied = subprocess.run(["objcopy", "--dump-section", f".dep-v0={section.name}", binary, "/dev/null"], capture_output=True)
    compressed = pathlib.Path(section.name).read_bytes()
    if copied.returncode or not compressed:
        sys.exit(f"supply: {binary} has no list of components: build it with tests/release.sh and cargo-auditable")
    packages = json.loads(zlib.decompress(compressed))["packages"]


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, capture_output=True, text=True).stdout


def tree(*features):
    """The packages of the program with these features, by name and version."""
    shape = ["--edges", "normal,build", "--prefix", "none", "--format", "{p}"]
    lines = cargo("tree", "--locked", "--package", name, *shape, *features).splitlines()
    return {(package, version.lstrip("v")) for package, version, *_ in (line.split() for line in lines if line)}


name = next(package["name"] for package in packages if package.get("root"))
listed = {(package["name"], package["version"]) for package in packages}
(described,) = [
    package
    for package in json.loads(cargo("metadata", "--locked", "--no-deps", "--format-version", "1"))["packages"]
    if package["name"] == name
]
on = [
    feature
    for feature, brings in described["features"].items()
    if any(package["name"] in [one.removeprefix("dep:") for one in brings if one.startswith("dep:")] for package in packages)
]
built = tree(*(["--features", ",".join(on)] if on else []))
if missing := built - listed:
    sys.exit(f"supply: {binary} lacks packages of this tree: {sorted(missing)}")
if unclear := (tree("--all-features") & listed) - built:
    sys.exit(f"supply: {binary} has packages that only disabled features need: {sorted(unclear)}")
kept = [(package["name"], package["version"]) in built for package in packages]


def component(package):
    name, version = package["name"], package["version"]
    described = {"type": "library", "bom-ref": f"{name}@{version}", "name": name, "version": version}
    if package["source"] == "crates.io":
        described["purl"] = f"pkg:cargo/{name}@{version}"
    if package.get("kind") == "build":
        described["scope"] = "excluded"
    return described


components = [component(package) for package in packages]
(root,) = [described for package, described in zip(packages, components) if package.get("root")]
references = [described["bom-ref"] if keep else None for described, keep in zip(components, kept)]
root |= {
    "type": "application",
    "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(binary.read_bytes()).hexdigest()}],
}
json.dump(
    {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": root},
        "components": [described for described, keep in zip(components, kept) if keep and described is not root],
        "dependencies": [
            {"ref": reference, "dependsOn": [r for other in package.get("dependencies", []) if (r := references[other])]}
            for package, reference in zip(packages, references)
            if reference
        ],
    },
    sys.stdout,
    indent=1,
)
