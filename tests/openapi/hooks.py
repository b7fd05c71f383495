"""What no OpenAPI schema can say about requests: valid cases are brought within these rules.

Cases that are meant to be wrong stay as they are.
"""

import itertools
import os

import schemathesis
from schemathesis import GenerationMode

NUMBERS = itertools.count()

# An operation that the caller may see.
OPERATION = os.environ["ZEC_GATEWAY_TEST_OPERATION"]


def has_body(case):
    return isinstance(case.body, dict)


def within_rules(case):
    query = case.query or {}
    headers = case.headers or {}
    if "Idempotency-Key" in headers:
        query.pop("dryRun", None)  # nothing is done that could be remembered
        # A key of one's own for each request: the simplest ones come again with another, which is 422.
        headers["Idempotency-Key"] = f"{headers['Idempotency-Key'][:240]}-{next(NUMBERS)}"
    path = case.operation.path
    if case.method == "DELETE" and path == "/nics/{nicId}/ipv4":
        # Addresses stand in the query, or in the body, or are all of them: in one place exactly.
        if has_body(case):
            for name in ("ipAddresses", "ipAddress", "all"):
                query.pop(name, None)
        elif query.get("ipAddresses") or query.get("ipAddress"):
            query.pop("all", None)
        else:
            query["all"] = "true"
        case.query = query
    if case.method == "POST" and path == "/nics/{nicId}/ipv4":
        # Which addresses fit depends on the vNIC's subnet, and a search shows other vNICs than the example's.
        case.path_parameters["nicId"] = "1612345678901234567"
    if path == "/api/v2/{service}":
        # What the body may hold depends on the action.
        case.path_parameters["service"] = "zec"
        headers["X-ZC-Action"] = "DescribeNetworkInterfaces"
        headers.pop("Idempotency-Key", None)  # reads take none
        headers.pop("X-ZC-Version", None)
        headers.pop("X-ZC-Service", None)
        case.headers = headers
        case.body = {"nicIds": ["1612345678901234567"]}
    if path == "/actions/{Action}":
        # What the body may hold depends on the action, and the actions have few versions.
        case.path_parameters["Action"] = "DescribeVpcs"
        query.pop("version", None)
        if case.method == "POST":
            headers.pop("Idempotency-Key", None)  # reads take none
            case.headers = headers
            case.body = {"pageSize": 20}
        case.query = query
    if "resource" in query:
        query.pop("nic", None)  # the same thing in other words
    if "before" in query:
        query["before"] = OPERATION
    if path == "/operations/{operationId}":
        case.path_parameters["operationId"] = OPERATION


@schemathesis.hook
def before_call(context, case, kwargs):
    meta = case.meta
    if meta is not None and meta.generation.mode == GenerationMode.POSITIVE:
        within_rules(case)
