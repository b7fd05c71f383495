#!/usr/bin/env python3
"""Judges the ZEC emulator by ZEC's official Python SDK (requirements.txt pins it).

The SDK signs, sends and reads as it does towards ZEC; nothing of the gateway is involved. The
emulator must hold the demo's vNICs as they are at its start, and its control path must be on.

    python judge.py --endpoint 127.0.0.1:PORT --access-key-id ID --access-key-password PASSWORD \\
        --token TOKEN

prints a line per check and `N passed, N failed`; exits 1 if one failed.
"""

import argparse
import sys
import traceback

# Nothing is left behind in the tree.
sys.dont_write_bytecode = True

from actors import Judge, equal, fill, describe, refused, refused_by_zec, tag
from zenlayercloud.common.credential import Credential, TokenCredential
from zenlayercloud.zec.v20240401 import models as models2024
from zenlayercloud.zec.v20250901 import models

WEB = "1612345678901234567"  # 10.0.0.11, and 10.0.0.21 to 10.0.0.24
DB = "1612345678901234568"  # in the other subnet, 10.1.0.0/24
EDGE = "1612345678901234569"  # an elastic IP on 10.0.0.41
SPARE = "1612345678901234570"  # 10.0.0.51, nothing else
LAB_SUBNET = "1612345678901210001"

CHECKS = []


def check(function):
    """Adds a check; its name is the line that is printed."""
    CHECKS.append(function)
    return function


# Who may call.


@check
def the_access_key_is_accepted(judge):
    equal(judge.names(nicIds=[WEB]), ["lab-web-1"])


@check
def the_access_token_is_accepted(judge):
    equal(judge.names(client=judge.bearer, nicIds=[WEB]), ["lab-web-1"])


@check
def a_body_beyond_ascii_is_accepted(judge):
    equal(judge.names(name="网卡-é"), [])


@check
def an_unknown_key_is_refused(judge):
    client = judge.client(Credential("unknown", judge.password))
    refused_by_zec("AUTHFAILURE_SIGNATURE_FAILURE", lambda: judge.names(client=client))


@check
def a_wrong_password_is_refused(judge):
    client = judge.client(Credential(judge.id, judge.password + "x"))
    refused_by_zec("AUTHFAILURE_SIGNATURE_FAILURE", lambda: judge.names(client=client))


@check
def a_wrong_token_is_refused(judge):
    client = judge.client(TokenCredential("pat_wrong"))
    refused_by_zec("AUTHFAILURE_INVALID_AUTHORIZATION", lambda: judge.names(client=client))


@check
def a_signature_is_refused_when_the_clocks_differ(judge):
    for skew in ("10m", "-10m"):
        judge.inject(f"clock-skew:{skew}")
        refused_by_zec("AUTHFAILURE_SIGNATURE_EXPIRED", judge.names)
        equal(judge.names(client=judge.bearer, nicIds=[WEB]), ["lab-web-1"])


@check
def an_action_that_is_not_known_is_refused(judge):
    request = models.DescribeNetworkInterfaceRegionsRequest()
    call = judge.signed._api_call
    refused_by_zec("AUTHFAILURE_UNAUTHORIZED_OPERATION", lambda: call("DescribeNothing", request))


@check
def a_service_that_is_not_known_is_refused(judge):
    client = judge.client(judge.key)
    client._service = "nothing"
    refused_by_zec("ROUTE_NOT_FOUND", lambda: judge.names(client=client))


@check
def a_body_that_is_too_large_is_refused(judge):
    refused_by_zec("REQUEST_TOO_LARGE", lambda: judge.names(name="x" * (2 << 20)))


# Reading.


@check
def a_vnic_is_read_in_full(judge):
    nic = judge.nic(WEB)
    equal((nic.nicId, nic.name, nic.status), (WEB, "lab-web-1", "USED"))
    equal((nic.nicType, nic.nicSubnetType), ("Secondary", "IPv4"))
    equal((nic.regionId, nic.subnetId), ("asia-east-1", LAB_SUBNET))
    equal(nic.primaryIpv4, "10.0.0.11")
    equal(nic.secondaryIpv4s, ["10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.24"])
    equal(nic.privateIpList, [nic.primaryIpv4] + nic.secondaryIpv4s)
    equal((nic.primaryIpv6, nic.ipv6Cidr, nic.publicIpList), (None, None, []))
    equal(nic.resourceGroup.resourceGroupName, "lab")
    equal([(one.key, one.value) for one in nic.tags.tags], [("env", "lab"), ("team", "netops")])
    for field in ("macAddress", "instanceId", "vpcId", "createTime", "updateTime"):
        assert getattr(nic, field), f"no {field}"
    assert nic.securityGroupId


@check
def elastic_ips_and_unbound_vnics_show(judge):
    equal(judge.nic(EDGE).publicIpList, ["203.0.113.10"])
    spare = judge.nic(SPARE)
    equal((spare.instanceId, spare.status, spare.secondaryIpv4s), (None, "AVAILABLE", []))


@check
def every_filter_filters(judge):
    spare, db = judge.nic(SPARE), judge.nic(DB)
    for filters, wanted in (
        ({}, ["lab-web-1", "prod-db-1", "edge-lb-1", "lab-spare-1"]),
        ({"nicIds": []}, ["lab-web-1", "prod-db-1", "edge-lb-1", "lab-spare-1"]),
        ({"nicIds": [DB, SPARE]}, ["prod-db-1", "lab-spare-1"]),
        ({"nicIds": ["1"]}, []),
        ({"name": "lab"}, ["lab-web-1", "lab-spare-1"]),
        ({"regionId": "asia-east-1", "status": "AVAILABLE"}, ["lab-spare-1"]),
        ({"regionId": "europe-1"}, []),
        ({"vpcId": spare.vpcId, "nicType": "Primary"}, ["prod-db-1"]),
        ({"vpcId": "1"}, []),
        ({"subnetId": db.subnetId}, ["prod-db-1"]),
        ({"instanceId": db.instanceId}, ["prod-db-1"]),
        ({"status": "AVAILABLE"}, ["lab-spare-1"]),
        ({"nicType": "Primary"}, ["prod-db-1"]),
        ({"resourceGroupId": db.resourceGroup.resourceGroupId}, ["prod-db-1"]),
        ({"securityGroupId": "1"}, []),
        ({"tagKeys": ["team"]}, ["lab-web-1"]),
        ({"tags": [tag("env", "prod")]}, ["prod-db-1"]),
        ({"tags": [tag("env", "lab"), tag("team", "netops")]}, ["lab-web-1"]),
        ({"nicSubnetType": "IPv6"}, []),
    ):
        equal((filters, judge.names(**filters)), (filters, wanted))


@check
def pages_follow_one_another(judge):
    seen = []
    for number in (1, 2, 3):
        request = describe(pageSize=3, pageNum=number)
        answer = judge.signed.DescribeNetworkInterfaces(request)
        equal(answer.totalCount, 4)
        seen.append(len(answer.dataSet))
    equal(seen, [3, 1, 0])


@check
def a_reading_that_zec_does_not_allow_is_refused(judge):
    for code, filters in (
        ("INVALID_PARAMETER_EXCEED_LENGTH", {"nicIds": [str(i) for i in range(101)]}),
        ("INVALID_PARAMETER_EXCEED_MAXIMUM", {"pageSize": 1001}),
        ("INVALID_PARAMETER_LESS_MINIMUM", {"pageNum": 0}),
        ("INVALID_PARAMETER_VALUE", {"status": "Available"}),
        ("INVALID_PARAMETER_TYPE", {"nicIds": [1]}),
    ):
        refused_by_zec(code, lambda filters=filters: judge.names(**filters))


# Giving and taking; every check leaves the vNICs as it found them.


@check
def named_addresses_are_given_and_taken(judge):
    equal(judge.batch_assign(SPARE, ["10.0.0.60", "10.0.0.61"]), ["10.0.0.60", "10.0.0.61"])
    equal(judge.secondaries(SPARE), ["10.0.0.60", "10.0.0.61"])
    equal(judge.nic(SPARE).privateIpList, ["10.0.0.51", "10.0.0.60", "10.0.0.61"])
    judge.unassign(SPARE, ["10.0.0.60", "10.0.0.61"])
    equal(judge.secondaries(SPARE), [])


@check
def so_many_addresses_are_given(judge):
    given = judge.batch_assign(SPARE, count=3)
    equal(given, ["10.0.0.2", "10.0.0.3", "10.0.0.4"])
    equal(judge.secondaries(SPARE), given)
    judge.unassign(SPARE, given)


@check
def one_address_is_given_and_taken_by_the_deprecated_field(judge):
    judge.assign(SPARE, "10.0.0.70")
    equal(judge.secondaries(SPARE), ["10.0.0.70"])
    judge.unassign(SPARE, ipAddress="10.0.0.70")
    equal(judge.secondaries(SPARE), [])


@check
def the_list_wins_over_the_deprecated_field(judge):
    judge.batch_assign(SPARE, ["10.0.0.60", "10.0.0.61"])
    judge.unassign(SPARE, ["10.0.0.60"], ipAddress="10.0.0.61")
    equal(judge.secondaries(SPARE), ["10.0.0.61"])
    judge.unassign(SPARE, ["10.0.0.61"])


@check
def an_access_token_takes_addresses_too(judge):
    judge.assign(SPARE, "10.0.0.70")
    judge.unassign(SPARE, ["10.0.0.70"], client=judge.bearer)
    equal(judge.secondaries(SPARE), [])


@check
def taking_is_refused_as_a_whole(judge):
    before = judge.secondaries(WEB)
    for code, nic, addresses in (
        ("INVALID_NIC_NOT_FOUND", "1", ["10.0.0.21"]),
        ("INVALID_NIC_PRIMARY_IP_CANT_DETACH", WEB, ["10.0.0.21", "10.0.0.11"]),
        ("OPERATION_FAILED_RESOURCE_NOT_FOUND", WEB, ["10.0.0.21", "10.0.0.99"]),
        ("INVALID_PARAMETER_PATTERN_ERROR", WEB, ["10.0.0.21", "10.0.0"]),
        ("INVALID_PARAMETER_TYPE", WEB, ["10.0.0.21", 5]),
        ("INVALID_NIC_HAS_PUBLIC_IP_CANT_DETACH", EDGE, ["10.0.0.41"]),
        ("MISSING_PARAMETER", WEB, []),
        ("MISSING_PARAMETER", WEB, None),
        ("MISSING_PARAMETER", None, ["10.0.0.21"]),
    ):
        refused_by_zec(code, lambda n=nic, a=addresses: judge.unassign(n, a))
    equal(judge.secondaries(WEB), before)


@check
def giving_is_refused_as_a_whole(judge):
    for code, address in (
        ("INVALID_IP_OUT_OF_RANGE", "10.1.0.99"),
        ("INVALID_IP_NETWORK_ADDRESS", "10.0.0.0"),
        ("INVALID_IP_FIRST_ADDRESS", "10.0.0.1"),
        ("INVALID_IP_BROADCAST_ADDRESS", "10.0.0.255"),
        ("INVALID_SUBNET_PRIVATE_IPV4_IN_USED", "10.0.0.11"),
        ("INVALID_PARAMETER_PATTERN_ERROR", "10.0.0.300"),
    ):
        refused_by_zec(code, lambda a=address: judge.batch_assign(SPARE, ["10.0.0.80", a]))
        refused_by_zec(code, lambda a=address: judge.assign(SPARE, a))
    refused_by_zec("INVALID_NIC_NOT_FOUND", lambda: judge.assign("1", "10.0.0.80"))
    refused_by_zec("MISSING_PARAMETER", lambda: judge.assign(SPARE, None))
    refused_by_zec("MISSING_PARAMETER", lambda: judge.batch_assign(SPARE))
    refused_by_zec("INVALID_PARAMETER_LESS_MINIMUM", lambda: judge.batch_assign(SPARE, count=0))
    too_many = lambda: judge.batch_assign(SPARE, count=250)
    refused_by_zec("INVALID_NIC_PRIVATE_IP_EXCEED_LIMIT", too_many)
    equal(judge.secondaries(SPARE), [])


@check
def the_version_of_2024_does_the_same(judge):
    client = judge.of_2024
    fields = {"nicId": SPARE, "ipAddresses": ["10.0.0.60"]}
    request = fill(models2024.BatchAssignNetworkInterfaceIpv4Request(), **fields)
    equal(client.BatchAssignNetworkInterfaceIpv4(request).ipAddresses, ["10.0.0.60"])
    one = fill(models2024.AssignNicIpv4Request(), nicId=SPARE, ipAddress="10.0.0.61")
    client.AssignNetworkInterfaceIpv4(one)
    request = fill(models2024.DescribeNicsRequest(), nicIds=[SPARE])
    nic = client.DescribeNetworkInterfaces(request).dataSet[0]
    equal(nic.secondaryIpv4s, ["10.0.0.60", "10.0.0.61"])
    fields["ipAddresses"] = nic.secondaryIpv4s
    request = fill(models2024.UnassignNetworkInterfaceIpv4Request(), **fields)
    client.UnassignNetworkInterfaceIpv4(request)
    equal(judge.secondaries(SPARE), [])


# What goes wrong.


@check
def a_throttled_call_is_repeated_until_it_succeeds(judge):
    before = judge.sent("UnassignNetworkInterfaceIpv4")
    judge.assign(SPARE, "10.0.0.70")
    judge.inject("throttle@UnassignNetworkInterfaceIpv4x2")
    judge.unassign(SPARE, ["10.0.0.70"])
    equal(judge.sent("UnassignNetworkInterfaceIpv4") - before, 3)
    equal(judge.secondaries(SPARE), [])


@check
def a_call_that_stays_throttled_is_given_up(judge):
    before = judge.sent("DescribeNetworkInterfaces")
    judge.inject("throttle")
    refused_by_zec("REQUEST_LIMIT_EXCEEDED", judge.names)
    equal(judge.sent("DescribeNetworkInterfaces") - before, 4)


@check
def faults_of_the_service_carry_its_codes(judge):
    for fault, code in (
        ("unavailable", "SERVICE_TEMPORARY_UNAVAILABLE"),
        ("status500", "INTERNAL_SERVER_ERROR"),
        ("refuse-credentials", "AUTHFAILURE_SIGNATURE_FAILURE"),
        ("status:400,INVALID_OPERATION_TIMEOUT", "INVALID_OPERATION_TIMEOUT"),
    ):
        judge.inject(f"{fault}x1")
        refused_by_zec(code, judge.names)
        assert judge.names(nicIds=[WEB])


@check
def faults_of_the_network_carry_the_sdks_codes(judge):
    impatient = judge.client(judge.key, request_timeout=0.5)
    for fault, code, client in (
        ("cut", "NETWORK_ERROR", judge.signed),
        ("cut-after", "NETWORK_ERROR", judge.signed),
        ("truncated", "NETWORK_ERROR", judge.signed),
        ("hang", "NETWORK_ERROR", impatient),
        ("hang-after", "NETWORK_ERROR", impatient),
        ("challenge", "SECURITY_CHALLENGE", judge.signed),
        ("status:451,ANY", "REQUEST_BLOCKED", judge.signed),
    ):
        judge.inject(f"{fault}x1")
        refused(code, lambda c=client: judge.names(client=c))
        assert judge.names(nicIds=[WEB])


@check
def a_cut_after_the_change_leaves_it_done(judge):
    for fault, left in (("cut", ["10.0.0.70"]), ("cut-after", [])):
        if not judge.secondaries(SPARE):
            judge.assign(SPARE, "10.0.0.70")
        judge.inject(f"{fault}@UnassignNetworkInterfaceIpv4x1")
        refused("NETWORK_ERROR", lambda: judge.unassign(SPARE, ["10.0.0.70"]))
        equal(judge.secondaries(SPARE), left)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--endpoint", required=True, help="HOST:PORT")
    parser.add_argument("--access-key-id", required=True)
    parser.add_argument("--access-key-password", required=True)
    parser.add_argument("--token", required=True, help="an access token that is accepted")
    return parser.parse_args()


def main():
    judge = Judge(arguments())
    failed = 0
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        judge.control("DELETE", "faults")
        try:
            function(judge)
        except Exception:
            failed += 1
            print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
        else:
            print(f"ok      {name}", flush=True)
    judge.control("DELETE", "faults")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
