"""What the checks are made of: the SDK's clients, the emulator's control path, and comparisons."""

import json
import os
import urllib.request

# The SDK's HTTP client sends even loopback calls to a proxy of the environment.
for name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)

from zenlayercloud.common.config import Config
from zenlayercloud.common.credential import Credential, TokenCredential
from zenlayercloud.common.excpetion.zenlayer_cloud_sdk_exception import ZenlayerCloudSdkException
from zenlayercloud.zec.v20240401.zec_client import ZecClient as ZecClient2024
from zenlayercloud.zec.v20250901 import models
from zenlayercloud.zec.v20250901.zec_client import ZecClient


class Judge:
    """The endpoint, the credentials, and a client of each kind."""

    def __init__(self, arguments):
        self.endpoint = arguments.endpoint
        self.key = Credential(arguments.access_key_id, arguments.access_key_password)
        self.id, self.password = arguments.access_key_id, arguments.access_key_password
        self.signed = self.client(self.key)
        self.bearer = self.client(TokenCredential(arguments.token))
        self.of_2024 = self.client(self.key, kind=ZecClient2024)

    def client(self, credential, kind=ZecClient, **config):
        """A client that waits 20 ms, not seconds, before it repeats a throttled call."""
        config.setdefault("rate_limit_retry_duration", lambda _: 0.02)
        config.setdefault("request_timeout", 20)
        return kind(credential, Config(scheme="http", domain=self.endpoint, **config))

    def control(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://{self.endpoint}/control/{path}",
            data=None if body is None else body.encode(),
            method=method,
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def inject(self, fault):
        self.control("POST", "faults", fault)

    def sent(self, action):
        """How many requests of the action were received."""
        return sum(one["action"] == action for one in self.control("GET", "requests"))

    def names(self, client=None, **filters):
        answer = (client or self.signed).DescribeNetworkInterfaces(describe(**filters))
        found = [nic.name for nic in answer.dataSet]
        assert answer.totalCount >= len(found)
        return found

    def nic(self, nic_id):
        answer = self.signed.DescribeNetworkInterfaces(describe(nicIds=[nic_id]))
        assert answer.totalCount == 1, answer
        return answer.dataSet[0]

    def secondaries(self, nic_id):
        return self.nic(nic_id).secondaryIpv4s

    def unassign(self, nic_id, addresses=None, client=None, **fields):
        request = fill(models.UnassignNetworkInterfaceIpv4Request(), nicId=nic_id, **fields)
        request.ipAddresses = addresses
        return (client or self.signed).UnassignNetworkInterfaceIpv4(request)

    def batch_assign(self, nic_id, addresses=None, count=None):
        request = fill(models.BatchAssignNetworkInterfaceIpv4Request(), nicId=nic_id)
        request.ipAddresses, request.ipAddressCount = addresses, count
        return self.signed.BatchAssignNetworkInterfaceIpv4(request).ipAddresses

    def assign(self, nic_id, address):
        request = fill(models.AssignNetworkInterfaceIpv4Request(), nicId=nic_id, ipAddress=address)
        return self.signed.AssignNetworkInterfaceIpv4(request)


def fill(model, **fields):
    for field, value in fields.items():
        assert hasattr(model, field), f"the SDK's model has no field {field}"
        setattr(model, field, value)
    return model


def describe(**filters):
    return fill(models.DescribeNetworkInterfacesRequest(), **filters)


def tag(key, value):
    return fill(models.Tag(), key=key, value=value)


def equal(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


def refused(code, call):
    """The call must raise the SDK's own exception with that code and ZEC's form of a request id."""
    try:
        call()
    except ZenlayerCloudSdkException as error:
        equal(error.code, code)
        assert error.message, "no message"
        return error
    raise AssertionError(f"no {code}")


def refused_by_zec(code, call):
    error = refused(code, call)
    assert len(error.request_id) == 37 and error.request_id[0] == "T", error.request_id
