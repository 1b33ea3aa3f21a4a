"""A stored record is read back unchanged, with the facts that were proven about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.envelope.content_proof import MessageProof
from shared.core.envelope.segment_sealing import OpenedPart
from shared.core.errors import Defect
from shared.core.ids import uuid7
from shared.core.protocol.message import Record
from shared.delivery.arriving import pack, pack_opened, unpack, unpack_opened
from tests.shared.platform.builders import NOW

PROOF = MessageProof("ed25519-1", b"s" * 64, 16, 5, (b"a" * 32, b"b" * 32), b"x" * 16)
RECORD = Record(
    topic="causeway.inbox.hotline.industry.v1",
    partition=1,
    offset=2**40,
    broker_time=NOW + timedelta(milliseconds=123),
    key=b"key",
    headers=(("ce_id", b"1"), ("ce_empty", b""), ("ce_null", None), ("ce_id", b"twice"), ("é", b"\xff\xfe")),
    value=b'{"clear":1}\n\x00sealed',
    topic_id=uuid7(),
    writer="industry",
    wrap=b"wrap",
    proof=PROOF,
    salt=b"x" * 16,
)


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        replace(RECORD, key=None, value=None, topic_id=None, proof=None, salt=b"", wrap=b"", headers=()),
        replace(RECORD, time_stated=True, key=b"", value=b"", proof=PROOF._replace(path=())),
    ],
)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert unpack(pack(record)) == record


@given(st.binary(max_size=3000))
def test_an_opened_record_comes_back_as_it_was(plaintext: bytes) -> None:
    part = OpenedPart(plaintext, b"k" * 32, b"n" * 12, b"context")
    record = replace(RECORD, value=b'{"clear":1}\n' + part.seal_again())
    kept = unpack_opened(pack_opened(record, part, plaintext[1:]), plaintext[1:])
    assert (kept.record, kept.part) == (replace(record, wrap=b"", topic_id=None, headers=RECORD.headers[:4]), part)


@given(st.integers(0, len(pack(RECORD)) - 1))
def test_a_part_of_it_is_no_record(end: int) -> None:
    try:
        assert unpack(pack(RECORD)[:end]) != RECORD
    except Defect as error:
        assert error.code == "record_malformed"


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_defect_and_nothing_else(packed: bytes) -> None:
    try:
        unpack(packed)
    except Defect as error:
        assert error.code == "record_malformed"
