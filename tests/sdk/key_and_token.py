"""ZEC's official Python SDK, unchanged, with an access key of the gateway's own and with a token: it must get the same.

    key_and_token.py GATEWAY NIC   (GATEWAY is host:port; TOKEN, ACCESS_KEY_ID and ACCESS_KEY_PASSWORD are variables)

Fifty calls, chosen by a fixed seed: reads, calls that the policy refuses, and calls that are malformed.
"""

import json
import os
import random
import sys

# The SDK's HTTP client sends even loopback calls to a proxy of the environment.
for name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)

from zenlayercloud.common.config import Config
from zenlayercloud.common.credential import Credential, TokenCredential
from zenlayercloud.common.excpetion.zenlayer_cloud_sdk_exception import ZenlayerCloudSdkException
from zenlayercloud.zec.v20250901 import models
from zenlayercloud.zec.v20250901.zec_client import ZecClient

gateway, nic = sys.argv[1:]
config = Config(scheme="http", domain=gateway)
by_token = ZecClient(TokenCredential(os.environ["TOKEN"]), config)
by_key = ZecClient(Credential(os.environ["ACCESS_KEY_ID"], os.environ["ACCESS_KEY_PASSWORD"]), config)
chance = random.Random(50)

READS = ["DescribeVpcs", "DescribeSubnets", "DescribeInstances", "DescribeDisks", "DescribeEips", "DescribeImages",
         "DescribeSecurityGroups", "DescribeNetworkInterfaces", "DescribeNetworkInterfaceRegions", "DescribeZones"]
REFUSED = [("DeleteVpc", "vpcId"), ("DeleteSubnet", "subnetId"), ("DeleteNetworkInterface", "nicId"),
           ("ModifyVpcAttribute", "vpcId"), ("DetachNetworkInterface", "nicId")]


def read():
    return chance.choice(READS), {"pageSize": chance.randint(1, 100), "pageNum": chance.randint(1, 3)}


def of_one():
    return "DescribeNetworkInterfaces", {"nicIds": [nic], "name": chance.choice([None, "网卡-é", '"<&>"'])}


def refused():
    action, member = chance.choice(REFUSED)
    return action, {member: str(chance.randint(10**17, 10**18))}


def malformed():
    return "DescribeVpcs", {"pageSize": chance.choice(["many", -1.5, [1]])}


def answer(client, action, arguments):
    request = getattr(models, action + "Request")()
    for name, value in arguments.items():
        if hasattr(request, name):
            setattr(request, name, value)
    try:
        found = json.loads(getattr(client, action)(request).to_json_string())
    except ZenlayerCloudSdkException as error:
        assert error.request_id.startswith("T"), error
        return error.code, error.message
    assert found.pop("requestId").startswith("T")
    return found


kinds = [read, read, of_one, refused, malformed]
codes = set()
for number in range(50):
    action, arguments = chance.choice(kinds)()
    token, key = answer(by_token, action, arguments), answer(by_key, action, arguments)
    # The caller's own name is all that may differ, and where they see their groups.
    by_token_text = json.dumps(token).replace("corp/root", "CALLER").replace("`GET /whoami` shows yours", "GROUPS")
    by_key_text = json.dumps(key).replace("keys/ci", "CALLER").replace("yours are keys/deployers", "GROUPS")
    same = by_token_text == by_key_text
    if not same:
        sys.exit(f"{action} {arguments}:\n  with the token {token}\n  with the key   {key}")
    codes.add(token[0] if isinstance(token, tuple) else "OK")
assert {"OK", "AUTHFAILURE_UNAUTHORIZED_OPERATION"} < codes, codes
print(f"50 calls, the same, with {len(codes)} kinds of answers")
