"""Segment bytes: messages are unpacked unchanged, and other bytes are refused."""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.envelope.attributes import COVERED
from shared.core.errors import Defect
from shared.core.ids import uuid7
from shared.messaging.segments import (
    OutgoingMessage,
    PackedMessages,
    RecordBytes,
    pack_messages,
    parse_messages,
    split_digests,
)
from shared.messaging.streams import WireRole

OVERHEAD_BYTES_MAX = 130
MESSAGE_COUNT = 100

names = st.sampled_from(["ce_id", "ce_type", "ce_subject", "é", ""])
records = st.builds(
    RecordBytes,
    key=st.binary(max_size=40),
    headers=st.lists(st.tuples(names, st.binary(max_size=3) | st.binary(min_size=128, max_size=300))).map(tuple),
    value=st.binary(max_size=300) | st.binary(max_size=9).map(lambda sealed: b'{"a":1}\n' + sealed),
)
messages = st.builds(
    OutgoingMessage,
    message_id=st.uuids(),
    role=st.sampled_from(WireRole),
    kind=st.text(st.characters(codec="utf-8"), max_size=8),
    subject=st.none() | st.uuids(),
    digest=st.binary(min_size=32, max_size=32),
    record=records,
    is_p0=st.booleans(),
)


@given(st.lists(messages, max_size=6))
def test_messages_come_back_as_they_were_packed(sent: list[OutgoingMessage]) -> None:
    packed = pack_messages(sent)
    assert parse_messages(packed) == tuple(sent)
    assert split_digests(packed.digests) == [message.digest for message in sent]


@given(st.lists(messages, min_size=1, max_size=3), st.data())
def test_bytes_that_are_cut_or_longer_are_refused(sent: list[OutgoingMessage], data: st.DataObject) -> None:
    packed = pack_messages(sent)
    column = data.draw(st.sampled_from(PackedMessages._fields))
    stored: bytes = getattr(packed, column)
    cut = stored[: data.draw(st.integers(0, len(stored) - 1))]
    for other in (cut, stored + data.draw(st.binary(min_size=1, max_size=50))):
        with pytest.raises(Defect, match="segment_malformed"):
            parse_messages(packed._replace(**{column: other}))


@given(st.binary(max_size=200), st.integers(0, 3))
def test_other_bytes_are_refused_or_are_messages(content: bytes, count: int) -> None:
    packed = PackedMessages(bytes(16 * count), bytes(32 * count), b"\x03" + content)
    try:
        read = parse_messages(packed)
    except Defect as error:
        assert error.code == "segment_malformed"
    else:
        assert len(read) == count


@pytest.mark.parametrize(
    "heads",
    [
        b"{}",
        b"[]",
        b'[["fact","k",null,false,"",[]]]',
        b'[["nothing","k",null,false,"",[],0,0]]',
        b'[["fact",1,null,false,"",[],0,0]]',
        b'[["fact","k","x",false,"",[],0,0]]',
        b'[["fact","k",null,false,"\\u0100",[],0]]',
        b'[["fact","k",null,false,"",[["a"]],0,0]]',
        b'[["fact","k",null,false,"",[],0,-1]]',
        b'[["fact","k",null,false,"",[],0,1]]',
        b'[["fact","k",null,false,"",[],1,0]]',
        b'[["fact","k",null,false,"",[],0,0]]\n{}',
    ],
)
def test_heads_that_are_not_understood_are_refused(heads: bytes) -> None:
    for content in (_content(heads), b"\x01" + _content(heads)[1:], _content(b"[" + heads)):
        with pytest.raises(Defect, match="segment_malformed"):
            parse_messages(PackedMessages(bytes(16), bytes(32), content))


def test_the_smallest_message_is_read_and_no_byte_behind_its_heads() -> None:
    heads = b'[["fact","k",null,false,"",[],0,0]]'
    [message] = parse_messages(PackedMessages(bytes(16), bytes(32), _content(heads)))
    assert message == OutgoingMessage(
        message.message_id, WireRole.FACT, "k", None, bytes(32), RecordBytes(b"", (), b"")
    )
    with pytest.raises(Defect, match="segment_malformed"):
        parse_messages(PackedMessages(bytes(16), bytes(32), _content(heads, spare=b"spare")))


def test_a_message_costs_few_bytes_besides_its_id_digest_and_value() -> None:
    alike = tuple((name, os.urandom(10).hex().encode()) for name in COVERED if name not in ("ce_id", "ce_subject"))
    sent = []
    for size in range(3000, 3000 + MESSAGE_COUNT):
        message_id, subject = uuid7(), uuid7()
        own = [("ce_id", str(message_id)), ("ce_subject", str(subject)), ("salt", os.urandom(16).hex())]
        headers = (*alike, *((name, text.encode()) for name, text in own))
        record = RecordBytes(str(subject).encode(), headers, os.urandom(size))
        sent.append(OutgoingMessage(message_id, WireRole.STATE, "referral.sent", uuid7(), os.urandom(32), record))
    values = sum(len(message.record.value) for message in sent)
    assert len(pack_messages(sent).content) - values <= OVERHEAD_BYTES_MAX * MESSAGE_COUNT
    clear = json.dumps({f"member_{number}": "some text that all of them state" for number in range(8)}).encode()
    told = [replace(each, record=each.record._replace(value=clear + b"\n" + each.record.value)) for each in sent]
    assert len(pack_messages(told).content) - values <= (OVERHEAD_BYTES_MAX + len(clear) / 20) * MESSAGE_COUNT


def _content(heads: bytes, *, spare: bytes = b"") -> bytes:
    packed = zlib.compress(heads) + spare
    return b"\x03" + len(packed).to_bytes(4) + packed
