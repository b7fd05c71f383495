"""Makes a Python client of the gateway's OpenAPI document, and calls the gateway with it.

    judge.py GATEWAY NIC FOLDER   (the token in the variable TOKEN)

Says "ok" at the end, or fails where the client cannot be made, imported or used.
"""

import compileall
import importlib
import os
import pathlib
import pkgutil
import subprocess
import sys
import urllib.request

gateway, nic, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
document = folder / "openapi.json"
document.write_bytes(urllib.request.urlopen(f"{gateway}/openapi.json").read())
(folder / "config.yml").write_text("post_hooks: []\n")
generator = pathlib.Path(sys.executable).parent / "openapi-python-client"
made = subprocess.run(
    [generator, "generate", "--path", document, "--config", folder / "config.yml", "--meta", "none",
     "--output-path", folder / "zec_gateway_client", "--fail-on-warning"],
    capture_output=True, text=True, cwd=folder,
)
assert made.returncode == 0, made.stdout + made.stderr
assert compileall.compile_dir(folder / "zec_gateway_client", quiet=1), "it does not compile"

sys.path.insert(0, str(folder))
import zec_gateway_client  # noqa: E402

for module in pkgutil.walk_packages(zec_gateway_client.__path__, "zec_gateway_client."):
    importlib.import_module(module.name)

from zec_gateway_client import AuthenticatedClient  # noqa: E402
from zec_gateway_client.api.addresses import assign_ipv_4, unassign_ipv_4  # noqa: E402
from zec_gateway_client.models import Assigned, Changed, DryRun, Problem, Unassigned  # noqa: E402

client = AuthenticatedClient(base_url=gateway, token=os.environ["TOKEN"])

rehearsed = unassign_ipv_4.sync(nic, client=client, ip_addresses=["10.0.0.21", "10.0.0.22"], dry_run=True)
assert isinstance(rehearsed, DryRun), rehearsed
assert rehearsed.ip_addresses == ["10.0.0.21", "10.0.0.22"], rehearsed
assert "10.0.0.21" in rehearsed.before and "10.0.0.21" not in rehearsed.after, rehearsed
assert rehearsed.body["nicId"] == nic, rehearsed

body = Unassigned(ip_addresses=["10.0.0.21"])
changed = unassign_ipv_4.sync(nic, client=client, body=body, idempotency_key="judge-py")
assert isinstance(changed, Changed), changed
assert changed.ip_addresses == ["10.0.0.21"] and changed.operation_id, changed
back = assign_ipv_4.sync(nic, client=client, body=Assigned(ip_addresses=["10.0.0.21"]))
assert isinstance(back, Changed), back

denied = unassign_ipv_4.sync(nic, client=client, ip_addresses=["10.9.0.1"])
assert isinstance(denied, Problem), denied
assert denied.status == 403 and denied.code == "AUTHFAILURE_UNAUTHORIZED_OPERATION", denied
assert "10.9.0.1" in denied.message, denied
print("ok")
