"""ZEC's official Python SDK against the gateway, unchanged: only its address and its credential are the gateway's.

    through_gateway.py GATEWAY NIC ADDRESS   (GATEWAY is host:port; the caller's token is in the variable TOKEN)

The vNIC must have ADDRESS as a secondary one, and the caller must be allowed to see the vNIC and to change ADDRESS.
"""

import os
import sys

# The SDK's HTTP client sends even loopback calls to a proxy of the environment.
for name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)

from zenlayercloud.common.config import Config
from zenlayercloud.common.credential import TokenCredential
from zenlayercloud.common.excpetion.zenlayer_cloud_sdk_exception import ZenlayerCloudSdkException
from zenlayercloud.zec.v20250901 import models
from zenlayercloud.zec.v20250901.zec_client import ZecClient

gateway, nic, address = sys.argv[1:]


def client(token):
    return ZecClient(TokenCredential(token), Config(scheme="http", domain=gateway))


zec = client(os.environ["TOKEN"])


def shown(nic_id):
    request = models.DescribeNetworkInterfacesRequest()
    request.nicIds, request.pageSize, request.pageNum = [nic_id], 20, 1
    return zec.DescribeNetworkInterfaces(request)


def change(action, request, **fields):
    for name, value in fields.items():
        setattr(request, name, value)
    return getattr(zec, action)(request)


def refused(call, code, *said):
    try:
        call()
    except ZenlayerCloudSdkException as error:
        assert error.code == code, (error.code, error.message)
        assert all(text in error.message for text in said), error.message
        assert error.request_id.startswith("T"), error.request_id
        return
    raise AssertionError(f"not refused with {code}")


def unassign(**fields):
    return change(
        "UnassignNetworkInterfaceIpv4", models.UnassignNetworkInterfaceIpv4Request(), **fields
    )


answer = shown(nic)
assert answer.totalCount == 1 and answer.requestId.startswith("T")
assert address in answer.dataSet[0].secondaryIpv4s

assert unassign(nicId=nic, ipAddresses=[address]).requestId.startswith("T")
assert address not in shown(nic).dataSet[0].secondaryIpv4s

request = models.BatchAssignNetworkInterfaceIpv4Request()
answer = change("BatchAssignNetworkInterfaceIpv4", request, nicId=nic, ipAddresses=[address])
assert answer.ipAddresses == [address]
assert unassign(nicId=nic, ipAddress=address).requestId
request = models.AssignNetworkInterfaceIpv4Request()
assert change("AssignNetworkInterfaceIpv4", request, nicId=nic, ipAddress=address).requestId
assert address in shown(nic).dataSet[0].secondaryIpv4s

# What ZEC would refuse keeps ZEC's code, and what the gateway refuses says why.
refused(
    lambda: unassign(nicId=nic, ipAddresses=["10.0.0.99"]),
    "OPERATION_FAILED_RESOURCE_NOT_FOUND",
    "10.0.0.99: it is not on the vNIC",
)
refused(lambda: unassign(nicId=nic), "MISSING_PARAMETER", "no address is named")
refused(
    lambda: change("DeleteVpc", models.DeleteVpcRequest(), vpcId="1"),
    "AUTHFAILURE_UNAUTHORIZED_OPERATION",
    "no policy allows corp/alice `DeleteVpc`",
)
assert zec.DescribeVpcs(models.DescribeVpcsRequest()).totalCount == 1
zec = client("not-a-token")
refused(lambda: shown(nic), "AUTHFAILURE_INVALID_AUTHORIZATION", "token")
print("the SDK works through the gateway")
