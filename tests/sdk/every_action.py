"""Calls every action with ZEC's official Python SDK, unchanged, through the gateway.

    every_action.py GATEWAY CALLS   (GATEWAY is host:port; the caller's token is in the variable TOKEN)

CALLS is a file with a JSON list of {"service", "version", "action", "arguments"}. The SDK's own model serialises the
arguments and reads the answer.
"""

import importlib
import json
import os
import sys

# The SDK's HTTP client sends even loopback calls to a proxy of the environment.
for name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)

from zenlayercloud.common.config import Config
from zenlayercloud.common.credential import TokenCredential

gateway, file = sys.argv[1:]
credential, config = TokenCredential(os.environ["TOKEN"]), Config(scheme="http", domain=gateway)
with open(file, encoding="utf-8") as calls:
    calls = json.load(calls)
for call in calls:
    action, service = call["action"], call["service"]
    folder = f"zenlayercloud.{service}.v{call['version'].replace('-', '')}"
    models = importlib.import_module(f"{folder}.models")
    client = getattr(importlib.import_module(f"{folder}.{service}_client"), f"{service.capitalize()}Client")
    request = getattr(models, action + "Request")()
    request._deserialize(call["arguments"])
    try:
        answer = getattr(client(credential, config), action)(request)
    except Exception as error:
        sys.exit(f"{action} {call['arguments']}: {error!r}")
    if not answer.requestId.startswith("T"):
        sys.exit(f"{action}: the answer has no request id")
print(f"{len(calls)} actions were answered")
