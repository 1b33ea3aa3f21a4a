"""The stored bytes of a sealed part are those received. They contain nothing but their value."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic_core import from_json, to_json

from shared.core.errors import Refused
from shared.core.guard.envelope_limits import BODY_BYTES_MAX, SEALED_NODES_MAX
from shared.core.protocol import accept as accepting
from shared.core.protocol.accept import accept
from shared.core.protocol.message import Record, is_plain, spelt_parts
from tests.shared.core.protocol.wrong_records import resealed
from tests.support.builders import POLICE
from tests.support.exchange_world import World, opened

ROOT = Path(__file__).parents[4]
#: Prints the digests of many edges as serialized, in a process of its own.
SPELT = """
from hashlib import sha256
from shared.core.routing.documents import derive_edge
from tests.shared.core.routing.builders import spelt
from tests.shared.core.routing.test_routing_derive import generated_decision

for seed in range(40):
    decision, documents = generated_decision(seed)
    for edge in decision.edges:
        derive_edge(spelt(edge), decision.ref, **documents)
        print(sha256(spelt(edge)).hexdigest())
"""


def spaced(plaintext: bytes) -> bytes:
    """Hidden bits in spaces, which the parsed value does not show."""
    return plaintext.replace(b'"record":{', b'"record":{ \t\t \t')


def test_edge_and_record_are_kept_as_they_came(here: World) -> None:
    draft = here.offered(POLICE)
    received, sealed = accept(here.records([draft])[0], here.reader("law_enforcement")), opened(here, draft)
    assert received.spelt == (to_json(sealed["edge"]), to_json(sealed["record"]))


def test_bytes_that_no_value_shows_are_refused(here: World, good: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    hiding = resealed(spaced)(here, good)
    with pytest.raises(Refused, match="guard_refused at /sealed: not in compact JSON form"):
        accept(hiding, here.reader("law_enforcement"))
    # Control: without the comparison they would be stored with the record.
    monkeypatch.setattr(accepting, "check_spelt", lambda *_given: None)
    received = accept(hiding, here.reader("law_enforcement"))
    assert received.spelt is not None
    assert received.spelt.record.startswith(b"{ \t\t \t")


def test_an_edge_is_spelt_alike_in_every_process() -> None:
    """The result does not depend on the order in which a process iterates its sets."""
    printed = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}  # noqa: TID251 - handed on, not read
        ended = subprocess.run(
            [sys.executable, "-c", SPELT], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        assert ended.stdout.count("\n") > 40
        printed.add(ended.stdout)
    assert len(printed) == 1


@pytest.mark.parametrize(
    "plaintext",
    [
        b'{"edge":{},"decision":{},"salt":"00","record":{}}',
        b'{"decision":{},"salt":"00","edge":{},"record":{}}',
        b'{"decision":{},"edge":{},"record":{},"salt":"00"}',
        b'{"decision":{},"edge":{},"salt":"01","record":{}}',
    ],
)
def test_members_in_another_order_have_no_parts(plaintext: bytes) -> None:
    assert spelt_parts(b'{"decision":{},"edge":{},"salt":"00","record":{}}', "00") == (b"{}", b"{}")
    with pytest.raises(Refused, match="edge_not_reproducible"):
        spelt_parts(plaintext, "00")


@pytest.mark.parametrize(
    ("plaintext", "is_within"),
    [
        (b'{"a":[1,2]}', True),
        (b'{"a": [1,2]}', False),
        (b'{"a":1,"a":1}', False),
        (b'{"a":"' + b"x" * BODY_BYTES_MAX + b'"}', False),
        (b'{"a":[' + b"1," * SEALED_NODES_MAX + b"1]}", False),
    ],
)
def test_a_sealed_part_is_plain_only_within_the_limits(plaintext: bytes, is_within: bool) -> None:
    assert is_plain(plaintext, from_json(plaintext)) is is_within
