#!/usr/bin/env python3
"""Gateways in turns, a second each, for a machine whose speed moves from one minute to the next.

    pairs.py FOLDER ROUNDS NAME...

FOLDER is an installed copy of the peers' bench, each NAME one of its peers; `zec-gateway` is the program at
$ZEC_GATEWAY. All run at once on processor 0, and one at a time is asked, from processor 1. Printed are the
medians, and the median of each round's ratio to the first NAME: what slows a round down slows both.

No fresh token comes twice: whoever remembers tokens would know it again. Make enough of them first, with
`PB_TOKENS=200000 venv/bin/python fixtures.py -f` in FOLDER. Run with FOLDER/venv/bin/python."""
import os, statistics, subprocess, sys, tempfile

from load import load, wait

FOLDER, ROUNDS, NAMES = os.path.abspath(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
STUB, FIRST = 18191, 18200
TARGET = "/nics/nic-t17-0001/ipv4?ipAddresses=10.17.3.4"
# More tokens than any gateway serves in a second, with 32 connections and with one; each round has new ones.
FRESH, FRESH_ALONE = 22000, 7000
# Name, tokens, how many of them, connections.
SCENARIOS = [("fresh ES256", "ES256", FRESH, 32), ("fresh ES256, alone", "ES256", FRESH_ALONE, 1),
             ("fresh RS256", "RS256", FRESH, 32), ("one token", "ES256", 1, 32)]


def settings(port, scratch):
    fixtures = f"{FOLDER}/fixtures"
    words = [line.strip().removeprefix("export ").split("=", 1) for line in open(f"{fixtures}/env.sh") if "=" in line]
    told = {name: value.strip("'\"") for name, value in words}
    return {**os.environ, **told, "PB_ROOT": FOLDER, "PB_PORT": str(port), "PB_RUN": scratch, "PB_HOST": "zec.bench",
            "PB_UPSTREAM": f"http://127.0.0.1:{STUB}", "PB_UPSTREAM_PORT": str(STUB), "PB_FIX": fixtures,
            "PB_POLICY": f"{fixtures}/policy.json", "PB_JWKS": f"{fixtures}/jwks.json",
            "PB_JWKS_OCT": f"{fixtures}/jwks-with-oct.json"}


class Tokens:
    """Those of a file of the bench, each given out once."""

    def __init__(self, kind):
        with open(f"{FOLDER}/fixtures/tokens-{kind}.txt") as file:
            self.left = file.readlines()

    def take(self, path, count):
        if len(self.left) < count:
            sys.exit("too few tokens for so many rounds: see the head of this file")
        with open(path, "w") as file:
            file.writelines(self.left[:count])
        del self.left[:count]


def asked(number, pid, connections, path, count):
    """Microseconds of processor time a request, and the p50 of a request."""
    cost, told = load(FOLDER, pid, FIRST + number, 1, connections, path, count, TARGET)
    if told["n"] > count > 1:
        sys.exit(f"{NAMES[number]} was asked with {count} tokens and more: some came twice")
    return cost, told["p50"]


def turn(begins, scenario, programs, tokens, path):
    """What each program makes of the same tokens; another one begins each time."""
    _, kind, count, connections = scenario
    tokens[kind].take(path, count)
    order = sorted(range(len(programs)), key=lambda number: (number - begins) % len(programs))
    figures = {number: asked(number, programs[number].pid, connections, path, count) for number in order}
    return [figures[number] for number in range(len(programs))]


def main():
    stub = ["taskset", "-c", "1", f"{FOLDER}/upstream/stub", str(STUB), f"{FOLDER}/fixtures/jwks.json"]
    running = [subprocess.Popen(stub)]
    with tempfile.TemporaryDirectory() as scratch:
        try:
            for number, name in enumerate(NAMES):
                own = f"{scratch}/{number}"
                os.mkdir(own)
                start = ["taskset", "-c", "0", "bash", f"{FOLDER}/peers/{name}/start.sh"]
                log = open(f"{own}/log", "w")
                running.append(subprocess.Popen(start, env=settings(FIRST + number, own), stdout=log, stderr=log))
                wait(FIRST + number)
            tokens = {kind: Tokens(kind) for kind in ("ES256", "RS256")}
            for scenario in SCENARIOS:
                rounds = [turn(begins, scenario, running[1:], tokens, f"{scratch}/tokens") for begins in range(ROUNDS)]
                for number, name in enumerate(NAMES):
                    cpu, p50 = ([one[number][kind] for one in rounds] for kind in (0, 1))
                    ratio = statistics.median(one[number][0] / one[0][0] for one in rounds)
                    print(f"{scenario[0]:20} {name:16} {statistics.median(cpu):7.1f} us {ratio:6.2f} x"
                          f"   p50 {statistics.median(p50):6.0f} us", flush=True)
        finally:
            for program in running:
                program.terminate()
                program.wait()


main()
