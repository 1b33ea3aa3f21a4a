"""Segment bytes: messages come back as they were packed, and nothing else is read."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.errors import Defect
from shared.kernel.ids import uuid7
from shared.messaging.segment_bytes import PackedMessages, pack_messages, parse_messages, split_digests
from shared.messaging.segments import OutgoingMessage, RecordBytes
from shared.messaging.streams import Role

OVERHEAD_BYTES_MAX = 30
MESSAGE_COUNT = 100
#: Version, the texts "fact" and "k", no shared header.
_TEXTS = b"\x01\x02\x04fact\x01k\x00"

names = st.sampled_from(["ce_id", "ce_type", "ce_subject", "é", ""])
records = st.builds(
    RecordBytes,
    key=st.binary(max_size=40),
    headers=st.lists(st.tuples(names, st.binary(max_size=3) | st.binary(min_size=128, max_size=300))).map(tuple),
    value=st.binary(max_size=300),
)
messages = st.builds(
    OutgoingMessage,
    message_id=st.uuids(),
    role=st.sampled_from(Role),
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
    packed = PackedMessages(bytes(16 * count), bytes(32 * count), b"\x01" + content)
    try:
        read = parse_messages(packed)
    except Defect as error:
        assert error.code == "segment_malformed"
    else:
        assert len(read) == count


@pytest.mark.parametrize(
    "content",
    [
        b"\x02\x00\x00",
        b"\x01\x80\x00\x00",
        b"\x01\xff\xff\xff\xff\xff\x01",
        _TEXTS + b"\x04\x00\x00\x00\x00\x00",
        _TEXTS + b"\x00\x01\x00\x00\x00\x00",
        _TEXTS + b"\x00\x00\x02\x00\x00\x00",
        _TEXTS + b"\x00\x00\x00\x00\x01\x01\x00",
        b"\x01\x02\x04fact\x01\xff\x00\x00\x00\x01\x00\x00\x00",
    ],
    ids=[
        "version", "long number", "endless number", "flag", "role", "kind", "shared header", "kind that is no text",
    ],
)  # fmt: skip
def test_content_that_is_not_understood_is_refused(content: bytes) -> None:
    with pytest.raises(Defect, match="segment_malformed"):
        parse_messages(PackedMessages(bytes(16), bytes(32), content))


def test_the_smallest_message_is_read() -> None:
    content = _TEXTS + b"\x00\x00\x01\x00\x00\x00"
    [message] = parse_messages(PackedMessages(bytes(16), bytes(32), content))
    assert (message.role, message.kind, message.subject, message.record) == (
        Role.FACT, "k", None, RecordBytes(b"", (), b""),
    )  # fmt: skip


def test_a_message_costs_few_bytes_besides_its_id_digest_headers_and_value() -> None:
    record = RecordBytes(uuid7().bytes, (), os.urandom(3000))
    sent = [
        OutgoingMessage(uuid7(), Role.STATE, "referral.sent", uuid7(), os.urandom(32), replace_value(record, size))
        for size in range(3000, 3000 + MESSAGE_COUNT)
    ]
    content = sum(len(message.record.key) + len(message.record.value) for message in sent)
    assert len(pack_messages(sent).content) - content <= OVERHEAD_BYTES_MAX * MESSAGE_COUNT


def test_a_header_value_of_many_messages_stands_once() -> None:
    value = os.urandom(200)
    record = RecordBytes(b"", (("ce_source", value),), b"")
    one = OutgoingMessage(uuid7(), Role.STATE, "k", uuid7(), bytes(32), record)
    many = [replace(one, message_id=uuid7()) for _ in range(MESSAGE_COUNT)]
    assert pack_messages(many).content.count(value) == 1


def replace_value(record: RecordBytes, size: int) -> RecordBytes:
    return record._replace(value=os.urandom(size))
