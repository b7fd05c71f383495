"""Judges deploy/kubernetes: each manifest against Kubernetes' own schemas, custom resources by their
shape, and whether what they name fits together. Prints `N checks passed, M failed`."""

import subprocess
import sys
from pathlib import Path

import yaml

HERE = Path(sys.argv[1])
VALIDATE = Path(sys.executable).with_name("kubernetes-validate")
VERSIONS = ["1.30", "1.37"]
passed, failed = 0, 0


def check(holds, what):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what}")


def load(name):
    return [one for one in yaml.safe_load_all((HERE / name).read_text()) if one]


kustomization = load("kustomization.yaml")[0]
names = kustomization["resources"]
files = {path.name for path in HERE.glob("*.yaml")} - {"kustomization.yaml"}
check(set(names) == files, f"kustomization.yaml names {names}, and there are {files}")
check(set(kustomization) <= {"apiVersion", "kind", "resources", "configMapGenerator", "images"},
      "kustomization.yaml has a field that this script does not know")
generated = {}
for one in kustomization["configMapGenerator"]:
    generated[one["name"]] = [Path(file).name for file in one["files"]]
    for file in one["files"]:
        check((HERE / file).is_file(), f"{file} is not there")

objects = [one for name in names for one in load(name)]
by_kind = {}
for one in objects:
    by_kind.setdefault(one["kind"], []).append(one)
custom = [name for name in names if load(name)[0]["apiVersion"].startswith("monitoring.")]

for version in VERSIONS:
    plain = [str(HERE / name) for name in names if name not in custom]
    done = subprocess.run([VALIDATE, "--strict", "-k", version, *plain], capture_output=True, text=True)
    said = done.stdout + done.stderr
    check(done.returncode == 0 and "WARN" not in said.upper(), f"Kubernetes {version}: {said}")

[stateful] = by_kind["StatefulSet"]
spec, pod = stateful["spec"], stateful["spec"]["template"]["spec"]
[container] = pod["containers"]
labels = stateful["spec"]["template"]["metadata"]["labels"]


def selects(selector, these=labels):
    return bool(selector) and selector.items() <= these.items()


check(spec["replicas"] == 1, "SQLite has one writer")
check(selects(spec["selector"]["matchLabels"]), "the set does not select its own pod")
ports = {port["name"] for port in container["ports"]}
for service in by_kind["Service"]:
    check(selects(service["spec"]["selector"]), f"{service['metadata']['name']} selects no pod")
    check({port["targetPort"] for port in service["spec"]["ports"]} <= ports, "a port is not the pod's")
services = {service["metadata"]["name"]: service for service in by_kind["Service"]}
check(services[spec["serviceName"]]["spec"].get("clusterIP") == "None", "serviceName is not headless")
for probe in ["livenessProbe", "readinessProbe"]:
    check(container[probe]["httpGet"]["port"] == "admin", f"{probe} asks the callers' port")

# The profile `restricted` of the pod security standards.
check(pod["securityContext"]["runAsNonRoot"] is True, "runs as root")
check(pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", "no seccomp profile")
context = container["securityContext"]
check(context["allowPrivilegeEscalation"] is False, "may gain privileges")
check(context["capabilities"] == {"drop": ["ALL"]}, "keeps capabilities")
check(context["readOnlyRootFilesystem"] is True, "may write its root")
check(pod["automountServiceAccountToken"] is False, "gets a token of the API server")
check("memory" in container["resources"]["limits"], "no limit of memory")

volumes = {volume["name"]: volume for volume in pod["volumes"]}
claims = {claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]}
mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
check(set(mounted) == set(volumes) | claims, "mounts and volumes are not the same")
for volume in volumes.values():
    if "configMap" in volume:
        check(volume["configMap"]["name"] in generated, f"nothing makes {volume['configMap']['name']}")

# What the configuration names must be where something is mounted, and its ports the pod's.
text = (HERE / "gateway.toml").read_text()
directories = [path.removeprefix("/etc/zec-gateway/") for path in mounted.values()]
for line in text.splitlines():
    key, _, value = line.partition(" = ")
    if key.endswith(("_file", "directory")) or key == "path":
        value = value.strip('"')
        check(any(value == place or value.startswith(place + "/") for place in directories),
              f"{key} = {value} is in no volume")
    if key == "listen":
        port = int(value.strip('"').rsplit(":", 1)[1])
        check(port in {one["containerPort"] for one in container["ports"]}, f"port {port} is not the pod's")

[policy] = by_kind["NetworkPolicy"]
check(selects(policy["spec"]["podSelector"]["matchLabels"]), "the network policy selects no pod")
for rule in policy["spec"]["ingress"]:
    check(rule.get("from"), "anybody may connect")
    check({port["port"] for port in rule["ports"]} <= ports, "a port of the network policy is not the pod's")

# By shape, as the operator's documentation has it.
[monitor] = by_kind["ServiceMonitor"]
check(monitor["apiVersion"] == "monitoring.coreos.com/v1", "no such version of ServiceMonitor")
check(set(monitor["spec"]) == {"jobLabel", "selector", "endpoints"}, "unknown fields in ServiceMonitor")
chosen = [one for one in by_kind["Service"] if selects(monitor["spec"]["selector"]["matchLabels"], one["metadata"]["labels"])]
check(len(chosen) == 1, f"ServiceMonitor selects {len(chosen)} services")
for endpoint in monitor["spec"]["endpoints"]:
    check(set(endpoint) == {"port", "path", "interval"}, "unknown fields in an endpoint")
    check(endpoint["port"] in {port["name"] for one in chosen for port in one["spec"]["ports"]}, "no such port")
check(chosen[0]["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "zec-gateway", "another job than the rules'")

print(f"{passed} checks passed, {failed} failed")
sys.exit(1 if failed or passed < 40 else 0)
