#!/usr/bin/env bash
# Packages: jose 6.2.18 (npm), the library of the OIDC provider `oidc-provider`, and PyJWT 2.15.1 (PyPI).
#
# RFC 9864 gives the signature with curve Ed25519 the name `Ed25519`, in place of `EdDSA`. `jose` makes keys and
# tokens under either name.
#
# Expected: the algorithm of a key follows from its curve, so that both names verify. Instead, PyJWT leaves out a
# key whose `alg` is `Ed25519`. If the set has other keys, it says nothing. If the set has that key alone, it says
# that `cryptography` may not be installed, although it is.
#
# Needs Node 20, npm and Python 3.11.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-fund --no-audit jose@6.2.18
python3 -m venv python
python/bin/pip --quiet --disable-pip-version-check install 'pyjwt[crypto]==2.15.1'

cat >sign.mjs <<'JS'
import * as jose from 'jose';
for (const alg of ['EdDSA', 'Ed25519']) {
  const {publicKey, privateKey} = await jose.generateKeyPair(alg);
  const key = {...await jose.exportJWK(publicKey), kid: alg, alg, use: 'sig'};
  const token = await new jose.SignJWT({sub: 'alice'}).setProtectedHeader({alg, kid: alg}).sign(privateKey);
  console.log(JSON.stringify({alg, key, token}));
}
JS
node sign.mjs >signed

cat >verify.py <<'PY'
import json, jwt
signed = [json.loads(line) for line in open("signed")]
print("keys of a set of both:", [key.key_id for key in jwt.PyJWKSet([one["key"] for one in signed]).keys])
for one in signed:
    try:
        key = jwt.PyJWKSet([one["key"]])[one["alg"]]
        print(one["alg"], "alone:", jwt.decode(one["token"], key, algorithms=["EdDSA", "Ed25519"]))
    except jwt.PyJWTError as error:
        print(one["alg"], "alone:", type(error).__name__, error)
PY
python/bin/python verify.py | tee told
diff - told <<'OUT'
keys of a set of both: ['EdDSA']
EdDSA alone: {'sub': 'alice'}
Ed25519 alone: PyJWKSetError The JWK Set did not contain any usable keys. Perhaps 'cryptography' is not installed?
OUT
echo "as described"
