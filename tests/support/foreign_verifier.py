"""A verifier of messages and acceptances that shares no code with the project: `cryptography` and the standard library.

It is written from the descriptions of the formats (`shared/core/envelope`, docs/operations/proofs.md and RFC 6962
§2.1), not from the code. It shows whether an outsider with the public keys alone reaches the same answer.

    python foreign_verifier.py < messages.json

Input: {"keys": {key id: base64 of the raw Ed25519 key}, "messages": [{"headers": [[name, base64]], "value": base64,
"salt": hexadecimal, "proof": {"key_id", "signature" (base64url), "size", "position", "path" (hexadecimal)}}],
"acceptances": [signed acceptances; the member may be absent]}. Prints `<position> ok` or `<position> failed` for each
message, then for each acceptance. Exit code 0 if there is at least one of them and all are ok, else 1. The verifier
checks signatures only: it does not check the owner of a key.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

REQUIRED = {"ce_id", "ce_sender", "ce_recipient", "ce_guard", "ce_type", "content-type"}
CONTENT_TYPE = b"application/vnd.causeway.message"
HEXADECIMAL = re.compile(r"[0-9a-f]*")
HASH, SALT = 32, 16
#: A check of one signed object with the keys.
Check = Callable[[dict[str, Any], dict[str, bytes]], None]


class ProofError(Exception):
    """The message does not verify."""


def main() -> int:
    """Verify the document on standard input."""
    document = json.load(sys.stdin)
    keys = {key_id: b64decode(text, validate=True) for key_id, text in document["keys"].items()}
    answers = [holds(check, message, keys) for message in document["messages"]]
    answers += [holds(check_acceptance, acceptance, keys) for acceptance in document.get("acceptances", [])]
    for position, answer in enumerate(answers):
        print(position, "ok" if answer else "failed")
    return 0 if answers and all(answers) else 1


def holds(checking: Check, signed: dict[str, Any], keys: dict[str, bytes]) -> bool:
    """Return whether the proof of a message or an acceptance holds under one of `keys`."""
    try:
        checking(signed, keys)
    except (ProofError, InvalidSignature, ValueError):
        return False
    return True


def check(message: dict[str, Any], keys: dict[str, bytes]) -> None:
    """Raise `ProofError`, `InvalidSignature` or `ValueError` unless every step of the proof holds."""
    headers = unique_headers(message["headers"])
    if headers["content-type"] != CONTENT_TYPE:
        raise ProofError
    covered = b"".join(name.encode() + b":" + headers[name] + b"\n" for name in sorted(headers))
    covered += b"\n" + b64decode(message["value"], validate=True)

    proof = message["proof"]
    root = root_of(covered, message["salt"], proof)
    check_signature(f"causeway-content/v1\n{root}\n{proof['size']}\n".encode(), proof, keys)


def check_acceptance(acceptance: dict[str, Any], keys: dict[str, bytes]) -> None:
    """Raise as `check` does unless the key has signed the tree of this acceptance."""
    stated = {name: value for name, value in acceptance.items() if name not in ("salt", "proof")}
    proof = acceptance["proof"]
    root = {
        "root": root_of(canonical(stated), acceptance["salt"], proof),
        "size": proof["size"],
        "key_id": proof["key_id"],
        "instance": stated["instance"],
        "accepted_at": stated["accepted_at"],
    }
    check_signature(b"causeway-acceptance/v1\n" + canonical(root), proof, keys)


def root_of(covered: bytes, salt: str, proof: dict[str, Any]) -> str:
    """Return the root of the tree that the proof puts the leaf over these bytes in."""
    size, position = proof["size"], proof["position"]
    if size not in (16, 256) or type(position) is not int:
        raise ProofError
    steps = [hexadecimal(step, HASH) for step in proof["path"]]
    leaf = hashlib.sha256(b"\x00" + hexadecimal(salt, SALT) + covered).digest()
    return climb(leaf, position, size, steps=steps).hex()


def check_signature(signed: bytes, proof: dict[str, Any], keys: dict[str, bytes]) -> None:
    """Check that the key of the proof signed these bytes."""
    if proof["key_id"] not in keys:
        raise ProofError
    Ed25519PublicKey.from_public_bytes(keys[proof["key_id"]]).verify(base64url(proof["signature"].encode()), signed)


def canonical(value: dict[str, Any]) -> bytes:
    """Return the JSON of the value with sorted names and without white space."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def unique_headers(pairs: list[list[str]]) -> dict[str, bytes]:
    """Return the `ce_` headers and the content type: all required ones, each once, in visible ASCII and spaces."""
    headers: dict[str, bytes] = {}
    for name, text in pairs:
        if not name.startswith("ce_") and name != "content-type":
            continue
        value = b64decode(text, validate=True)
        if name in headers or any(not 0x20 <= byte <= 0x7E for byte in value):
            raise ProofError
        headers[name] = value
    if not headers.keys() >= REQUIRED:
        raise ProofError
    return headers


def climb(node: bytes, index: int, size: int, *, steps: list[bytes]) -> bytes:
    """Return the root over a leaf, by RFC 6962's recursion: a tree splits at the largest power of two below it."""
    if not 0 <= index < size:
        raise ProofError
    if size == 1:
        if steps:
            raise ProofError
        return node
    if not steps or len(steps[-1]) != HASH:
        raise ProofError
    split = 1 << ((size - 1).bit_length() - 1)
    if index < split:
        return join(climb(node, index, split, steps=steps[:-1]), steps[-1])
    return join(steps[-1], climb(node, index - split, size - split, steps=steps[:-1]))


def join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def hexadecimal(text: str, count: int) -> bytes:
    """Read so many bytes in lower-case hexadecimal."""
    if len(text) != 2 * count or not HEXADECIMAL.fullmatch(text):
        raise ProofError
    return bytes.fromhex(text)


def base64url(text: bytes) -> bytes:
    """Read base64url without padding; only the one canonical spelling counts."""
    data = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    if urlsafe_b64encode(data).rstrip(b"=") != text:
        raise ProofError
    return data


if __name__ == "__main__":
    sys.exit(main())
