#!/usr/bin/env bash
# Package: zenlayercloud-sdk-python 2.0.77 (PyPI), Zenlayer's official SDK.
#
# The package has a client for each version of the API of Zenlayer Elastic Compute. Both have the method
# `UnassignNetworkInterfaceIpv4`.
#
# Expected: both send the action by the name of the method. Instead, the client of 2024-04-01 sends
# `UnAssignNetworkInterfaceIpv4`, with a capital A in the middle. So a filter that compares names exactly must know
# each spelling with its version, and one that folds case takes two names for one.
#
# Needs Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
python3 -m venv python
python/bin/pip --quiet --disable-pip-version-check install 'zenlayercloud-sdk-python==2.0.77'

cat >ask.py <<'PY'
import http.server, importlib, json, threading
from zenlayercloud.common.config import Config
from zenlayercloud.common.credential import TokenCredential

class Show(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        print(self.headers["X-ZC-Version"], self.headers["X-ZC-Action"], flush=True)
        body = json.dumps({"requestId": "T1", "response": {"requestId": "T1"}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Show)
threading.Thread(target=server.serve_forever, daemon=True).start()
config = Config(scheme="http", domain=f"127.0.0.1:{server.server_port}")
for version in ("v20240401", "v20250901"):
    client = importlib.import_module(f"zenlayercloud.zec.{version}.zec_client").ZecClient
    models = importlib.import_module(f"zenlayercloud.zec.{version}.models")
    request = models.UnassignNetworkInterfaceIpv4Request()
    request.nicId, request.ipAddresses = "1612345678901234567", ["10.0.0.2"]
    client(TokenCredential("token"), config).UnassignNetworkInterfaceIpv4(request)
server.shutdown()
PY
python/bin/python ask.py | tee told
diff - told <<'OUT'
2024-04-01 UnAssignNetworkInterfaceIpv4
2025-09-01 UnassignNetworkInterfaceIpv4
OUT
echo "as described"
