#!/usr/bin/env python3
"""How the gateway's cost grows: with policies, groups in a token, addresses and connections.

    grow.py GATEWAY FOLDER STUB

GATEWAY is the release binary, FOLDER an installed copy of the peers' bench (its wrk, its stub of ZEC), STUB
a program that shows vNICs too (`count stub PORT`: scripts/bench makes it).
Run with FOLDER/venv/bin/python. The gateway has processor 0, load and stub have processor 1; figures are
medians of three runs of two seconds, processor time is the gateway's own and the kernel's for it."""
import base64, json, os, re, socket, statistics, subprocess, sys, tempfile, time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from load import load, wait

GATEWAY, FOLDER, LOOKS = (os.path.abspath(path) for path in sys.argv[1:4])
ISSUER, PORT, STUB = "https://sso.example.com", 18190, 18191
KEY = ec.generate_private_key(ec.SECP256R1())


def key_set():
    def text(number):
        return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()

    point = KEY.public_key().public_numbers()
    return {"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256", "x": text(point.x), "y": text(point.y)}]}


# Many more than the gateway's memory of verified tokens can hold. It still keeps some tokens of such a sequence: up to
# one in eight is not verified again.
def tokens(path, groups, count=60000):
    names = ["team-17"] + [f"some-other-group-{number}" for number in range(groups - 1)]
    claims = {"iss": ISSUER, "aud": "zec-gateway", "sub": "alice", "groups": names, "exp": int(time.time()) + 3600}
    with open(path, "w") as file:
        for number in range(count):
            claims["sub"] = f"service-account-of-a-long-name-{number:06}@example.com"
            file.write(jwt.encode({**claims, "jti": str(number)}, KEY, "ES256", headers={"kid": "k"}) + "\n")


def policy(path, count):
    with open(path, "w") as file:
        for number in range(count):
            team = 17 if number == count // 2 else 1000 + number
            file.write(
                f'@id("rule-{number}")\npermit (principal in Zec::Group::"corp/team-{team}", '
                'action == Zec::Action::"UnassignNetworkInterfaceIpv4", resource)\n'
                'when { resource.id like "nic-t17-*" && context.address.isInRange(ip("10.17.0.0/16")) };\n'
            )


def status(pid, name):
    return int(re.search(rf"{name}:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1))


class Gateway:
    def __init__(self, policies=10, looks=False, records=False, cores="0"):
        # The journal is in memory, because another table covers the time of a disk.
        self.files = tempfile.TemporaryDirectory(dir="/dev/shm")
        here = self.files.name
        os.mkdir(f"{here}/policy")
        policy(f"{here}/policy/rules.cedar", policies)
        json.dump(key_set(), open(f"{here}/keys.json", "w"))
        for name in ("id", "password"):
            open(f"{here}/{name}", "w").write("BENCHACCESSKEY01")
        open(f"{here}/gateway.toml", "w").write(
            f'[server]\nlisten = "127.0.0.1:{PORT}"\nmax_connections = 12000\n[admin]\nlisten = "127.0.0.1:{PORT + 1000}"\n'
            f'[[auth.issuers]]\nname = "corp"\nissuer = "{ISSUER}"\naudiences = ["zec-gateway"]\njwks_file = "keys.json"\n'
            f'[policy]\ndirectory = "policy"\n[zec]\nendpoint = "http://127.0.0.1:{STUB}"\n'
            f'access_key_id_file = "id"\naccess_key_password_file = "password"\npreflight = {str(looks).lower()}\n'
            "[limits]\nrequests_per_second = 0\naddresses_per_hour = 0\nmax_concurrent_per_caller = 4096\n"
            f"[journal]\nenabled = {str(records).lower()}\npath = \"journal.db\"\n"
        )
        self.looks = looks or records
        log = open(f"{here}/log", "w")
        command = ["taskset", "-c", cores, GATEWAY, "serve", "--config", f"{here}/gateway.toml"]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait(PORT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.files.cleanup()

    def load(self, token_file, connections=32, addresses=1, most=60000):
        target = "/nics/nic-t17-0001/ipv4?" + "&".join(["ipAddresses=10.17.1.1"] * addresses)
        # The stub that shows a vNIC shows a hundred addresses; otherwise each request has its own address.
        more = ["100"] if self.looks else []
        return load(FOLDER, self.process.pid, PORT, 2, connections, token_file, most, target, *more)

    def cost(self, *arguments, **more):
        self.load(*arguments, **more)
        runs = [self.load(*arguments, **more) for _ in range(3)]
        return statistics.median(cost for cost, _ in runs), statistics.median(told["p99"] for _, told in runs)


def say(what, cost, p99, base=None):
    ratio = f" ({cost / base:.2f} x)" if base else ""
    print(f"| {what} | {cost:.1f}{ratio} | {p99:.0f} |", flush=True)


def idle(gateway, token_file, count=10000):
    before = status(gateway.process.pid, "VmRSS")
    silent = []
    # One after the other; otherwise the listener's queue overflows and the kernel makes them wait for seconds.
    for _ in range(count):
        silent.append(socket.create_connection(("127.0.0.1", PORT)))
        silent[-1].sendall(b"GET /problems/overloaded HTTP/1.1\r\nhost: gateway\r\n\r\n")
        answer = silent[-1].recv(4096)
        assert answer.startswith(b"HTTP/1.1 200"), answer
    # Idle: none of them has just been used, and each connection's buffers have been freed by then.
    time.sleep(5)
    added = (status(gateway.process.pid, "VmRSS") - before) / 1024
    cost, p99 = gateway.cost(token_file, connections=1)
    print(f"\n{count} idle connections add {added:.1f} MiB ({added * 1024 / count:.1f} KiB each)")
    print(f"beside them one busy caller: {cost:.1f} us a request, p99 {p99:.0f} us")
    for one in silent:
        one.close()


def careful(token_file):
    """With what the peers do not have: the vNIC is read before, the write is recorded before and after."""
    stub = subprocess.Popen(["taskset", "-c", "1", LOOKS, "stub", str(STUB)])
    try:
        wait(STUB)
        base = None
        for what, settings in (
            ("neither", {}),
            ("the vNIC is read before (3 KB)", {"looks": True}),
            ("the write is recorded", {"records": True}),
            ("both", {"looks": True, "records": True}),
        ):
            with Gateway(**settings) as gateway:
                cost, p99 = gateway.cost(token_file, most=1)
                say(what, cost, p99, base)
                base = base or cost
    finally:
        stub.terminate()
        stub.wait()


def main():
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stub = subprocess.Popen(["taskset", "-c", "1", f"{FOLDER}/upstream/stub", str(STUB), f"{FOLDER}/fixtures/jwks.json"])
    files = tempfile.TemporaryDirectory()
    one, hundred = f"{files.name}/one", f"{files.name}/hundred"
    tokens(one, 1), tokens(hundred, 100)
    try:
        wait(STUB)
        print("| a write, fresh ES256 token, 32 connections | us of processor time | p99, us |\n| --- | --- | --- |")
        with Gateway() as gateway:
            base, p99 = gateway.cost(one)
            say("10 policies, 1 group, 1 address", base, p99)
            say("100 groups", *gateway.cost(hundred), base)
            for addresses in (10, 50):
                say(f"{addresses} addresses", *gateway.cost(one, connections=2, addresses=addresses), base)
            for connections in (1, 256):
                say(f"{connections} connections", *gateway.cost(one, connections=connections), base)
        with Gateway(policies=1000) as gateway:
            say("1,000 policies", *gateway.cost(one), base)
        with Gateway() as gateway:
            idle(gateway, one)
        print("\n| a write, one processor or two beside the load | us of processor time | p99, us |\n| --- | --- | --- |")
        base = None
        for cores in ("0", "0,1"):
            with Gateway(cores=cores) as gateway:
                cost, p99 = gateway.cost(one)
                say(f"processors {cores}", cost, p99, base)
                base = base or cost
    finally:
        stub.terminate()
        stub.wait()
    print("\n| a write, one token, 32 connections | us of processor time | p99, us |\n| --- | --- | --- |")
    careful(one)


main()
