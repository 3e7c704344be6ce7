"""Compares what is deployed with what the program is: the Kubernetes manifests, systemd's units, the compose file and the image.

    python3 check.py PROGRAM MANIFESTS.yaml…

PROGRAM is onewrite, which says itself which commands, options and variables it has. Prints what is wrong, and ends with 1.
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys

import yaml

root = pathlib.Path(__file__).resolve().parents[2]
program = sys.argv[1]
problems = []


def run(*arguments):
    return json.loads(subprocess.run([program, *arguments], check=True, capture_output=True, text=True, env={}).stdout)


commands = run("--experimental-dump-help")["command"]
variables = {name for setting in run("config", "--json")["settings"] for name in setting["variables"]} | {"ONEWRITE_CONFIG"}
paths = set(json.loads((root / "Sources/HTTPService/openapi.json").read_text(encoding="utf-8"))["paths"])
metrics = set(re.findall(r"`(onewrite_\w+)`", (root / "docs/http.md").read_text(encoding="utf-8")))


def wrong(where, what):
    problems.append(f"{where}: {what}")


def check_arguments(where, words):
    """Looks for each word among the commands and options that there are; returns the options' values."""
    command, values, words = commands, {}, list(words)
    while words and not words[0].startswith("-"):
        name = words.pop(0)
        found = [sub for sub in command.get("subcommands", []) if sub["commandName"] == name]
        if not found:
            return wrong(where, f"there is no command {name}") or values
        command = found[0]
    options = {"--" + name["name"]: argument for argument in command["arguments"]
               for name in argument.get("names", []) if name["kind"] == "long"}
    while words:
        name, _, value = words.pop(0).partition("=")
        if name not in options:
            wrong(where, f"{command['commandName']} has no option {name}")
        elif options[name]["kind"] == "option":
            values[name] = value or (words.pop(0) if words else wrong(where, f"{name} has no value"))
    return values


def check_variables(where, names):
    for name in set(names) - variables:
        wrong(where, f"no setting is called {name}")


# MARK: Kubernetes

def pod_of(resource):
    return resource["spec"]["template"]


def labels_match(selector, labels):
    return selector and all(labels.get(name) == value for name, value in selector.items())


def check_pod(where, resource, config, secrets):
    pod = pod_of(resource)["spec"]
    if not pod["securityContext"].get("runAsNonRoot") or "seccompProfile" not in pod["securityContext"]:
        wrong(where, "may run as root, or without seccomp")
    volumes = {volume["name"]: volume.get("secret", {}).get("secretName") for volume in pod.get("volumes", [])}
    for container in pod["containers"]:
        security = container["securityContext"]
        if security.get("allowPrivilegeEscalation") is not False or not security.get("readOnlyRootFilesystem") \
                or security["capabilities"].get("drop") != ["ALL"]:
            wrong(where, "has more rights than it needs")
        if "memory" not in container["resources"]["limits"]:
            wrong(where, "has no limit of memory")
        values = check_arguments(where, container["args"])
        environment = {item["name"]: item["value"] for item in container.get("env", [])}
        for source in container.get("envFrom", []):
            name = source["configMapRef"]["name"]
            if name not in config:
                wrong(where, f"there is no ConfigMap {name}")
            check_variables(where, config.get(name, {}))
        check_variables(where, environment)
        check_files(where, container, volumes, secrets,
                    [v for k, v in environment.items() if k.endswith("_FILE")] + [values[k] for k in ("--tokens",) if k in values])
        check_ports(where, container, values)
        drain = {"worker": 10 + 10, "serve": 20 + 30 + 5}.get(container["args"][0], 0)
        if pod.get("terminationGracePeriodSeconds", 30) < drain:
            wrong(where, f"needs {drain} s to stop")


def check_files(where, container, volumes, secrets, files):
    mounts = {mount["mountPath"]: volumes.get(mount["name"]) for mount in container.get("volumeMounts", [])}
    for file in map(pathlib.PurePosixPath, files):
        secret = mounts.get(str(file.parent))
        if secret is None:
            wrong(where, f"{file} is in no secret that is mounted")
        elif secrets and file.name not in secrets.get(secret, {}):
            wrong(where, f"the secret {secret} has no {file.name}")


def check_ports(where, container, values):
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    listened = {int(values[name].rpartition(":")[2]) for name in ("--listen", "--metrics") if name in values}
    if set(ports.values()) != listened:
        wrong(where, f"listens at {listened or 'no port'}, and opens {set(ports.values()) or 'none'}")
    for kind in ("livenessProbe", "readinessProbe"):
        probe = container.get(kind, {}).get("httpGet")
        if probe and (probe["port"] not in ports or probe["path"] not in paths):
            wrong(where, f"{kind} asks {probe['path']} at {probe['port']}, which there is none of")


def check_manifests(file):
    resources = [resource for resource in yaml.safe_load_all(pathlib.Path(file).read_text(encoding="utf-8")) if resource]
    of_kind = lambda *kinds: [resource for resource in resources if resource["kind"] in kinds]
    config = {resource["metadata"]["name"]: resource["data"] for resource in of_kind("ConfigMap")}
    secrets = {resource["metadata"]["name"]: resource["data"] for resource in of_kind("Secret")}
    pods = of_kind("Deployment", "Job")
    names = {f"{resource['kind']}/{resource['metadata']['name']}" for resource in resources}
    labels = [pod_of(resource)["metadata"]["labels"] for resource in pods]
    ports = {port["name"] for resource in pods for container in pod_of(resource)["spec"]["containers"]
             for port in container.get("ports", [])}
    if not pods:
        wrong(file, "runs nothing")
    for resource in resources:
        where = f"{pathlib.Path(file).name} {resource['kind']}/{resource['metadata']['name']}"
        spec = resource.get("spec", {})
        match resource["kind"]:
            case "Deployment" | "Job":
                check_pod(where, resource, config, secrets)
            case "Service":
                if not any(labels_match(spec["selector"], each) for each in labels):
                    wrong(where, "selects nothing")
                for port in spec["ports"]:
                    if port["targetPort"] not in ports:
                        wrong(where, f"no pod has a port {port['targetPort']}")
            case "PodDisruptionBudget":
                if sum(labels_match(spec["selector"]["matchLabels"], each) or False for each in labels) != 1:
                    wrong(where, "is not about one deployment")
            case "NetworkPolicy":
                for rule in spec.get("ingress", []):
                    for port in rule["ports"]:
                        if port["port"] not in ports:
                            wrong(where, f"no pod has a port {port['port']}")
            case "ScaledObject":
                if f"Deployment/{spec['scaleTargetRef']['name']}" not in names:
                    wrong(where, f"there is no deployment {spec['scaleTargetRef']['name']}")
                for trigger in spec["triggers"]:
                    for metric in re.findall(r"onewrite_\w+", trigger["metadata"]["query"]):
                        if metric not in metrics:
                            wrong(where, f"there is no metric {metric}")
    return len(resources)


# MARK: Everything else

def check_unit(file):
    text = file.read_text(encoding="utf-8")
    for line in re.findall(r"^ExecStart=(.*)$", text, re.M):
        words = [word.replace("%i", "stock") for word in shlex.split(line) if not word.startswith("$")]
        if words[0] != "/usr/bin/onewrite":
            wrong(file.name, f"starts {words[0]}")
        check_arguments(file.name, words[1:])
    for line in re.findall(r"^Environment=(.*)$", text, re.M):
        check_variables(file.name, [word.partition("=")[0] for word in line.split() if not word.split("=")[0].endswith("_OPTIONS")])


def check_environment_file(file):
    text = file.read_text(encoding="utf-8")
    check_variables(file.name, re.findall(r"^#?([A-Z_]+)=", text, re.M) and
                    [name for name in re.findall(r"^#?([A-Z_]+)=", text, re.M) if not name.endswith("_OPTIONS")])
    for name, value in re.findall(r"^#?(WORKER|SERVE)_OPTIONS=(.*)$", text, re.M):
        check_arguments(file.name, [name.lower()] + value.split())


def check_compose(file):
    for name, service in yaml.safe_load(file.read_text(encoding="utf-8"))["services"].items():
        if service.get("image") == "onewrite":
            check_arguments(f"{file.name} {name}", service["command"])
            check_variables(f"{file.name} {name}", service["environment"])


def check_image(file):
    text = file.read_text(encoding="utf-8")
    for line in re.findall(r"(?:CMD|ENTRYPOINT) (\[.*\])", text):
        words = [word for word in json.loads(line) if word not in ("onewrite", "--help")]
        check_arguments(file.name, words)
    if not re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.M):
        wrong(file.name, "its user is no number, or root")
    kept = {line[1:] for line in (root / ".dockerignore").read_text().split("\n") if line.startswith("!")}
    for script in re.findall(r"&& (deploy/\S+)", text):
        if not (root / script).is_file() or not any(script.startswith(path + "/") for path in kept):
            wrong(file.name, f"{script} is not there, or .dockerignore leaves it out")


count = sum(check_manifests(file) for file in sys.argv[2:])
units = sorted((root / "deploy/debian").glob("*.service"))
for unit in units:
    check_unit(unit)
check_environment_file(root / "deploy/debian/etc/onewrite.env")
check_compose(root / "docker-compose.yml")
check_image(root / "Dockerfile")
if problems:
    sys.exit("\n".join(dict.fromkeys(problems)))
print(f"check-deploy: {count} Kubernetes resources, {len(units)} units, the compose file and the image name nothing that onewrite doesn't have")
