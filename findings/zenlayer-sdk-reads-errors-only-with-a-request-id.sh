#!/usr/bin/env bash
# Package: zenlayercloud-sdk-python 2.0.77 (PyPI), Zenlayer's official SDK.
#
# Zenlayer's API answers an error with `requestId`, `code` and `message`. A proxy or a firewall on the way answers with
# a form of its own.
#
# Expected: the SDK raises its own exception for every answer that is not a success, so that callers catch one type.
# Instead, an error without `requestId`, and a 202, raise a bare KeyError. With `requestId: null` it raises its own
# exception. So a program between the SDK and the API must put all three members into every error.
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
import http.server, json, threading
from zenlayercloud.common.config import Config
from zenlayercloud.common.credential import TokenCredential
from zenlayercloud.zec.v20250901 import models
from zenlayercloud.zec.v20250901.zec_client import ZecClient

ANSWERS = [
    (403, {"requestId": "T1", "code": "C", "message": "no"}),
    (403, {"requestId": None, "code": "C", "message": "no"}),
    (403, {"code": "C", "message": "no"}),
    (202, {"requestId": "T1"}),
]

class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status, body = ANSWERS[0]
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
config = Config(scheme="http", domain=f"127.0.0.1:{server.server_port}")
client = ZecClient(TokenCredential("token"), config)
while ANSWERS:
    try:
        client.DescribeRegions(models.DescribeRegionsRequest())
        result = "a success"
    except Exception as error:
        result = type(error).__name__
    print(*ANSWERS.pop(0), "->", result)
server.shutdown()
PY
python/bin/python ask.py | tee told
diff - told <<'OUT'
403 {'requestId': 'T1', 'code': 'C', 'message': 'no'} -> ZenlayerCloudSdkException
403 {'requestId': None, 'code': 'C', 'message': 'no'} -> ZenlayerCloudSdkException
403 {'code': 'C', 'message': 'no'} -> KeyError
202 {'requestId': 'T1'} -> KeyError
OUT
echo "as described"
