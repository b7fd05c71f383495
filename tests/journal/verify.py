"""Verifies an exported journal from docs/journal-format.md alone: reads `journal export` on stdin."""

import hashlib
import json
import sys

before, place = bytes(32), 0
for line in sys.stdin:
    entry = json.loads(line)
    place += 1
    assert entry["seq"] == place, f"entry {place} is missing"
    assert entry["previous"] == before.hex(), f"entry {place} does not follow the one before"
    text = entry["content"].encode()
    hashed = b"zec-gateway journal entry 2" + before + place.to_bytes(8, "big") + text
    before = hashlib.sha256(hashed).digest()
    assert entry["hash"] == before.hex(), f"entry {place} was changed"
    content = json.loads(text)
    assert content["form"] == 1 and content["kind"] in ("intent", "outcome"), content
    # What ZEC sent keeps its bytes; all else has one form.
    if "before" not in content:
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert canonical.encode() == text, f"entry {place} is not canonical"
print(place, before.hex())
