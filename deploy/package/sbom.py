"""Says what a program is made of: a bill of materials (CycloneDX 1.5) of what the linker was given, and their notices.

    python3 sbom.py PROGRAM SCRATCH FOLDER VERSION COMMIT TIME SWIFT

PROGRAM is the binary, SCRATCH SwiftPM's folder that it was built in. Writes sbom.cdx.json and NOTICES to FOLDER. Fails when
something is linked whose licence nobody has looked at, or that deploy/debian/copyright doesn't name.
"""

import json
import pathlib
import re
import subprocess
import sys
import uuid

program, scratch, folder = (pathlib.Path(path) for path in sys.argv[1:4])
version, commit, time, swift = sys.argv[4:8]
root = pathlib.Path(__file__).resolve().parents[2]
checkouts = scratch / "checkouts"
copyright = (root / "deploy/debian/copyright").read_text(encoding="utf-8")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def linked_targets():
    """The names of the targets whose objects the linker was given."""
    objects = (program.parent / f"{program.name}.product/Objects.LinkFileList").read_text(encoding="utf-8")
    return set(re.findall(r"/(\w+)\.build/", objects))


def packages():
    """The Swift packages that are linked, with what Package.resolved says of each."""
    own = {path.name for path in (root / "Sources").iterdir()}
    manifests = {path.parent.name: path.read_text(encoding="utf-8") for path in checkouts.glob("*/Package.swift")}
    pins = {pin["identity"]: pin for pin in json.loads((root / "Package.resolved").read_text())["pins"]}
    found = {}
    for target in sorted(linked_targets() - own):
        declared = re.compile(r"arget\(\s*name: \"" + re.escape(target) + '"')
        # A manifest that makes its targets by functions of its own names them otherwise.
        homes = [name for name, manifest in manifests.items() if declared.search(manifest)] or [
            name for name in manifests if (checkouts / name / "Sources" / target).is_dir()]
        if len(homes) != 1:
            sys.exit(f"sbom: {target} is linked, and belongs to {homes or 'no package'}")
        found[homes[0]] = pins[homes[0]]
    return found


def licence(name):
    text = (checkouts / name / "LICENSE.txt").read_text(encoding="utf-8")
    if not text.strip().startswith("Apache License") or f"Files: {name}/*" not in copyright:
        sys.exit(f"sbom: {name} is linked: look at its licence, and add it to deploy/debian/copyright")
    if "Runtime Library Exception" in text:
        return {"expression": "Apache-2.0 WITH Swift-exception"}
    return {"license": {"id": "Apache-2.0"}}


def swift_component(name, pin):
    place = pin["location"].removesuffix(".git")
    component = {
        "type": "library", "bom-ref": f"swift:{name}", "name": name, "version": pin["state"]["version"],
        "purl": f"pkg:swift/{place.removeprefix('https://')}@{pin['state']['version']}",
        "licenses": [licence(name)],
        "externalReferences": [{"type": "vcs", "url": place}],
        "properties": [{"name": "onewrite:linkage", "value": "static"},
                       {"name": "onewrite:revision", "value": pin["state"]["revision"]}],
    }
    inner = {"swift-nio": ("llhttp", "MIT"), "swift-nio-ssl": ("boringssl", "Apache-2.0")}.get(name)
    if inner:
        component["components"] = [
            {"type": "library", "bom-ref": f"swift:{name}/{inner[0]}", "name": inner[0],
             "licenses": [{"license": {"id": inner[1]}}]}]
    return component


def system_components():
    """The packages of the libraries that the program names itself."""
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "--dynamic", str(program)))
    places = dict(re.findall(r"(\S+) => (\S+)", run("ldd", str(program))))
    found = {}
    for name in sorted(set(needed) & set(places)):
        place = pathlib.Path(places[name]).resolve()
        # dpkg knows either of the two paths, where /lib is a link to /usr/lib.
        for path in (str(place), str(place).removeprefix("/usr")):
            owner = subprocess.run(["dpkg-query", "--search", path], capture_output=True, text=True).stdout
            if owner:
                break
        else:
            sys.exit(f"sbom: no package has {place}")
        package, architecture, number, source = run(
            "dpkg-query", "--show", "--showformat=${Package}\n${Architecture}\n${Version}\n${source:Package}",
            owner.split(":")[0] + ":" + run("dpkg", "--print-architecture").strip()).split("\n")
        distribution = re.search(r"^ID=(\S+)", pathlib.Path("/etc/os-release").read_text(), re.M).group(1)
        component = found.setdefault(package, {
            "type": "library", "bom-ref": f"deb:{package}", "name": package, "version": number,
            "purl": f"pkg:deb/{distribution}/{package}@{number.replace('+', '%2B')}?arch={architecture}",
            "properties": [{"name": "onewrite:linkage", "value": "dynamic"},
                           {"name": "onewrite:source", "value": source}]})
        component["properties"].append({"name": "onewrite:file", "value": name})
    return list(found.values())


linked = packages()
libraries = [swift_component(name, pin) for name, pin in sorted(linked.items())]
libraries.append({
    "type": "library", "bom-ref": "swift:runtime", "name": "swift", "version": swift,
    "description": "The standard library, Foundation with its ICU, Dispatch.",
    "licenses": [{"expression": "Apache-2.0 WITH Swift-exception AND Unicode-3.0"}],
    "externalReferences": [{"type": "vcs", "url": "https://github.com/swiftlang/swift"}],
    "properties": [{"name": "onewrite:linkage", "value": "static"}]})
libraries += system_components()
bill = {
    "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
    "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'onewrite {version} {commit}')}",
    "metadata": {
        "timestamp": time,
        "component": {
            "type": "application", "bom-ref": "onewrite", "name": "onewrite", "version": version,
            "licenses": [{"license": {"id": "Apache-2.0"}}],
            "properties": [{"name": "onewrite:commit", "value": commit}]}},
    "components": libraries,
    "dependencies": [{"ref": "onewrite", "dependsOn": [library["bom-ref"] for library in libraries]}],
}
(folder / "sbom.cdx.json").write_text(json.dumps(bill, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

notices = ["What is linked into onewrite and onewrite-serve comes with these notices.\n"]
for name in sorted(linked):
    notice = checkouts / name / "NOTICE.txt"
    if notice.exists():
        notices.append(f"{'=' * 79}\n{name}\n{'=' * 79}\n{notice.read_text(encoding='utf-8').strip()}\n")
(folder / "NOTICES").write_text("\n".join(notices), encoding="utf-8")
print(f"sbom: {len(linked)} Swift packages and Swift's runtime in the program, {len(system_components())} of the system's beside it")
