"""Calls every action with ZEC's official Python SDK, unchanged, through the gateway.

    every_action.py GATEWAY CALLS   (GATEWAY is host:port; the caller's token is in the variable TOKEN)

CALLS is a file with a JSON list of {"action", "arguments"}. The SDK's own model serialises the arguments and reads the
answer.
"""

import json
import os
import sys

# The SDK's HTTP client sends even loopback calls to a proxy of the environment.
for name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)

from zenlayercloud.common.config import Config
from zenlayercloud.common.credential import TokenCredential
from zenlayercloud.zec.v20250901 import models
from zenlayercloud.zec.v20250901.zec_client import ZecClient

gateway, file = sys.argv[1:]
zec = ZecClient(TokenCredential(os.environ["TOKEN"]), Config(scheme="http", domain=gateway))
with open(file, encoding="utf-8") as calls:
    calls = json.load(calls)
for call in calls:
    action = call["action"]
    request = getattr(models, action + "Request")()
    request._deserialize(call["arguments"])
    try:
        answer = getattr(zec, action)(request)
    except Exception as error:
        sys.exit(f"{action} {call['arguments']}: {error!r}")
    if not answer.requestId.startswith("T"):
        sys.exit(f"{action}: the answer has no request id")
print(f"{len(calls)} actions were answered")
