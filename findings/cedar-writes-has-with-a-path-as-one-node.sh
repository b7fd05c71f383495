#!/usr/bin/env bash
# Package: npm @cedar-policy/cedar-wasm 4.13.0.
#
# Cedar's JSON form of a policy is read by a program that looks for names after `has`. The policy asks once with a
# chain, `context has request && context.request has name`, and once with a path, `context has request.name`.
#
# Expected: one form for both, since they mean the same, or at least a text in `attr`, as every `.` has. Instead, the path stays one `has` node, and its `attr` is a list of names. A
# program that reads `attr` as a text misses the name, and with it the attribute that the policy asks about.
#
# Needs Node 20.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --ignore-scripts @cedar-policy/cedar-wasm@4.13.0 >/dev/null
cat >run.cjs <<'JS'
const cedar = require("@cedar-policy/cedar-wasm/nodejs");
const body = (condition) => {
  const text = `permit (principal, action, resource) when { ${condition} };`;
  return cedar.policyToJson(text).json.conditions[0].body;
};
console.log("chain", JSON.stringify(body("context has request && context.request has name")));
console.log("path ", JSON.stringify(body("context has request.name")));
JS
seen=$(node run.cjs)
echo "$seen"
wanted='chain {"&&":{"left":{"has":{"left":{"Var":"context"},"attr":"request"}},"right":{"has":{"left":{".":{"left":{"Var":"context"},"attr":"request"}},"attr":"name"}}}}
path  {"has":{"left":{"Var":"context"},"attr":["request","name"]}}'
[ "$seen" = "$wanted" ] || { echo "the behaviour has changed" >&2; exit 1; }
