"""Compares the catalogue's tables with the request models of ZEC's Python SDK.

Usage: catalogue.py TABLES

TABLES is `src/catalogue/tables`. Prints each action and each parameter of the latest version that only one side has, and of other services those of the
actions that the tables have, and
fails if there is any. Run it with a newer SDK to see what that SDK adds.
"""

import csv
import importlib
import inspect
import re
import sys
from pathlib import Path

from zenlayercloud.zec.v20250901 import models
from zenlayercloud.zec.v20250901.zec_client import ZecClient

DEPTH = 4


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def paths_of(kind, models=models, depth=0):
    """The path of each parameter of a model, as the tables write them, without the marks of lists."""
    nested = {}
    for block in re.split(r"\n        if params", inspect.getsource(kind))[1:]:
        name = re.match(r'\.get\("(\w+)"\) is not None', block)
        made = re.search(r"(?:self\.\w+|obj) = (?:models\.)?(\w+)\((?:item|params)", block)
        if name and made:
            nested[name.group(1)] = made.group(1)
    paths = set()
    for name in vars(kind()):
        paths.add(name)
        inner = getattr(models, nested.get(name, ""), None)
        if inner is not None and depth < DEPTH:
            paths |= {f"{name}.{path}" for path in paths_of(inner, models, depth + 1)}
    return paths


def of_sdk():
    actions = {}
    for name, method in inspect.getmembers(ZecClient, inspect.isfunction):
        called = re.search(r'_api_call\("(\w+)"', inspect.getsource(method))
        if called:
            actions[called.group(1)] = paths_of(getattr(models, name + "Request"))
    return actions


def of_services(rows):
    """The parameters of the actions of other services that the tables have."""
    actions = {}
    for row in rows:
        folder = f"zenlayercloud.{row['service']}.v{row['version'].replace('-', '')}"
        models = importlib.import_module(f"{folder}.models")
        model = getattr(models, row["action"] + "Request", None)
        if model is not None:
            actions[row["action"]] = paths_of(model, models)
    return actions


def of_tables(rows, only):
    """The parameters of each action; with `only`, those that the named source has."""
    actions = {}
    for row in rows:
        paths = actions.setdefault(row["action"], set())
        if row["field"] != "-" and (not only or only in row["sources"].split("+")):
            paths.add(row["field"].replace("[]", ""))
    return actions


def main():
    tables = Path(sys.argv[1])
    services = of_services(read(tables / "services-actions.tsv"))
    rows = read(tables / "parameters.tsv") + read(tables / "services-parameters.tsv")
    sdk, known, named = of_sdk() | services, of_tables(rows, None), of_tables(rows, "py")
    found = []
    for action in sorted(set(sdk) | set(known)):
        if action not in known:
            found.append(f"only the SDK has the action {action}")
        elif action not in sdk:
            found.append(f"only the tables have the action {action}")
        else:
            more, less = sdk[action] - known[action], named[action] - sdk[action]
            found += [f"only the SDK has {action}.{path}" for path in sorted(more)]
            found += [f"only the tables have {action}.{path}" for path in sorted(less)]
    print("\n".join(found) or f"{len(known) - len(services)} actions and {len(services)} of other services agree with the SDK")
    sys.exit(1 if found else 0)


main()
