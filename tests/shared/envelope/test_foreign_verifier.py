"""A verifier that shares no code with us comes to the same answer: on whole batches, and on every changed part."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from shared.envelope.headers import COVERED, PROOF, Envelope, encode_headers
from tests.shared.envelope.builders import KEY, TRACEPARENT, batch

SCRIPT = Path(__file__).parents[2] / "support" / "foreign_verifier.py"
KEYS = {KEY.key_id: KEY.verify_key.text()}
Pairs = list[tuple[str, bytes]]


def message(headers: Pairs, value: bytes) -> dict[str, Any]:
    return {
        "headers": [[name, b64encode(each).decode()] for name, each in headers],
        "value": b64encode(value).decode(),
    }


def of(envelope: Envelope) -> dict[str, Any]:
    return message(encode_headers(envelope), envelope.body)


def run(messages: list[dict[str, Any]], keys: dict[str, str] | None = None) -> tuple[int, list[str]]:
    """Exit code and verdicts of the script, in a process that cannot import the project."""
    document = json.dumps({"keys": KEYS if keys is None else keys, "messages": messages})
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT)], input=document, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.stderr == ""
    return done.returncode, [line.split()[1] for line in done.stdout.splitlines()]


def flips(data: bytes) -> list[bytes]:
    """`data` with each of its bits changed, one at a time."""
    changed = []
    for bit in range(len(data) * 8):
        copy = bytearray(data)
        copy[bit // 8] ^= 1 << bit % 8
        changed.append(bytes(copy))
    return changed


def test_the_script_imports_only_the_standard_library_and_cryptography() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    roots = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    roots |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {root.split(".")[0] for root in roots} <= sys.stdlib_module_names | {"cryptography"}


def test_batches_of_every_shape_verify_elsewhere() -> None:
    messages = [of(envelope) for size in (1, 2, 3, 5, 7, 8, 9, 64, 70) for envelope in batch(size)]
    assert run(messages) == (0, ["ok"] * len(messages))


def test_headers_that_are_not_ours_and_any_order_change_nothing() -> None:
    envelope = batch(3)[1]
    headers = [("baggage", b"\xff"), *reversed(encode_headers(envelope)), ("traceparent", TRACEPARENT.encode())]
    assert run([message(headers, envelope.body)]) == (0, ["ok"])


def test_one_failed_message_fails_the_run_and_only_itself() -> None:
    good, bad, other = batch(3)
    changed = message(encode_headers(bad), bad.body + b" ")
    assert run([of(good), changed, of(other)]) == (1, ["ok", "failed", "ok"])


@pytest.mark.parametrize("name", COVERED + PROOF)
def test_a_changed_bit_anywhere_in_a_header_fails_elsewhere(name: str) -> None:
    envelope = batch(11)[6]
    headers = encode_headers(envelope)
    messages = [
        message([(each, value if each == name else old) for each, old in headers], envelope.body)
        for value in flips(dict(headers)[name])
    ]
    assert run(messages) == (1, ["failed"] * len(messages))


def test_a_changed_bit_anywhere_in_the_body_fails_elsewhere() -> None:
    envelope = batch(11)[6]
    messages = [message(encode_headers(envelope), body) for body in flips(envelope.body)]
    assert run(messages) == (1, ["failed"] * len(messages))


def test_a_header_renamed_added_dropped_or_doubled_fails_elsewhere() -> None:
    envelope = batch(11)[6]
    headers = encode_headers(envelope)
    variants: list[Pairs] = [[*headers, ("ce_more", b"x")]]
    for position, (name, value) in enumerate(headers):
        rest = headers[:position] + headers[position + 1 :]
        variants += [rest, [*rest, (name + "x", value)], [*headers, (name, value)]]
    messages = [message(variant, envelope.body) for variant in variants]
    assert run(messages) == (1, ["failed"] * len(messages))


def test_another_key_under_the_same_id_fails_elsewhere() -> None:
    assert run([of(batch(1)[0])], {KEY.key_id: b64encode(bytes(range(32))).decode()}) == (1, ["failed"])


def test_an_unknown_key_fails_elsewhere() -> None:
    assert run([of(batch(1)[0])], {}) == (1, ["failed"])


def test_no_messages_prove_nothing() -> None:
    assert run([]) == (1, [])
