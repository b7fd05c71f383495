#!/usr/bin/env bash
# Packages: openapi-typescript 7.13.0 (npm) and openapi-python-client 0.29.0 (PyPI).
#
# A schema has `type: object` with `properties`. It requires one of two properties by `anyOf` of two subschemas
# that hold only `required`. That is the usual way to express this, and the examples of JSON Schema use it.
#
# Expected: a type with both properties. Instead, openapi-typescript joins the properties to `unknown` by `|`, and
# TypeScript reduces that to `unknown`. So every body compiles, a misspelt one too. openapi-python-client makes no
# model. If the body is optional, it writes a function that is not valid Python. Without `anyOf` both make the type.
#
# Needs Node 20, npm and Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-fund --no-audit openapi-typescript@7.13.0 typescript@5.9.3
python3 -m venv python
python/bin/pip --quiet --disable-pip-version-check install openapi-python-client==0.29.0 ruff==0.14.6

cat >any-of.yaml <<'YAML'
openapi: 3.1.0
info: {title: t, version: "1"}
paths:
  /nic:
    delete:
      operationId: unassign
      requestBody:
        content: {application/json: {schema: {$ref: '#/components/schemas/Unassign'}}}
      responses: {'204': {description: done}}
components:
  schemas:
    Unassign:
      type: object
      properties:
        addresses: {type: array, items: {type: string}}
        address: {type: string}
      anyOf:
        - required: [addresses]
        - required: [address]
YAML
sed '/anyOf/,$d' any-of.yaml >plain.yaml
cat >use.ts <<'TS'
import type {components} from './types';
export const body: components['schemas']['Unassign'] = {adresses: 'misspelt, and of another type'};
TS
for schema in plain any-of; do
  rm -rf t-client
  npx openapi-typescript "$schema.yaml" -o types.ts >/dev/null 2>&1
  if npx tsc --strict --noEmit use.ts >/dev/null; then typescript="compiles"; else typescript="is refused"; fi
  if PATH=$PWD/python/bin:$PATH openapi-python-client generate --path "$schema.yaml" >log 2>&1; then
    python="a client"
  else
    python=$(grep -o '^error: Failed to parse [^:]*' log)
  fi
  echo "$schema: TypeScript: a misspelt body $typescript; Python: $python"
done | tee told
diff - told <<'OUT'
plain: TypeScript: a misspelt body is refused; Python: a client
any-of: TypeScript: a misspelt body compiles; Python: error: Failed to parse t_client/api/default/unassign.py
OUT
echo "as described"
