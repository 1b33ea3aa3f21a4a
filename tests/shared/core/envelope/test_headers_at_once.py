"""An ordered message is decoded in one step, any other header by header.

Both give the same result for every list of headers.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.envelope.headers import (
    COVERED,
    Envelope,
    _decoded_at_once,
    _decoded_one_by_one,
    decode_headers,
    encode_headers,
)
from shared.core.errors import Refused
from tests.shared.core.envelope.builders import BODY, TRACEPARENT, any_attributes, attributes

Headers = list[tuple[str, bytes | None]]
NAMES = [*COVERED, "traceparent"]
SIGNED = Envelope(attributes(3), BODY, traceparent=TRACEPARENT)

#: Values that have a meaning for some parser, or that a regular expression could accept.
NUMBERS = (
    "0 00 +1 -1 1_0 5 65536 65537 \u0663 \u00b2 9007199254740991 9007199254740992 9223372036854775808 " + "1" * 5_000
)
CODES = (
    "true True false no hosted party HOSTED 1.0 1x0 application/json "
    "application/vnd.causeway.message application/vndxcauseway.message"
)
TIMES = """
2026-02-28T00:00:00Z 2026-02-30T00:00:00Z 2026-02-28T24:00:00Z 2026-02-28T23:59:60Z 0000-01-01T00:00:00Z
0001-01-01T00:00:00Z 9999-12-31T23:59:59.999999Z 0001-01-01T00:00:00+14:00 2026-02-28T00:00:00.000000Z
2026-02-28T00:00:00.000001Z 2026-02-28T00:00:00.1Z 2026-02-28T00:00:00,000001Z 2026-W09-6T00:00:00Z
20260228T000000Z 2026-02-28T00:00:00z 2026-02-28T00:00:00-00:00 2026-02-28t00:00:00Z
"""
IDS = """
0192d3a0-0000-7000-8000-000000000001 0192d3a0-0000-7000-c000-000000000001 0192d3a0-0000-4000-8000-000000000001
0192D3A0-0000-7000-8000-000000000001 0192d3a0000070008000000000000001 urn:uuid:0192d3a0-0000-7000-8000-000000000001
"""
ODD = [
    *(text.encode() for text in f"{NUMBERS} {CODES} {TIMES} {IDS}".split()),
    *(b"", b" ", b"\n", b"\x00", b"\xff", "\u00e4".encode(), b" 1", b"1 ", b"1\n", b"x" * 256, b"x" * 257),
    *(b"/instances/" + name for name in (b"", b"a", b"a b", b"a" * 245, b"a" * 246)),
    *(b"0" * 64, b"0" * 63 + b"A", b"0" * 62),
]


def outcome(decode: Callable[[Headers, bytes], Envelope], headers: Headers) -> object:
    """Return all that a caller can see: the message with its texts, or the refusal."""
    try:
        envelope = decode(headers, BODY)
    except Refused as refused:
        assert refused.__context__ is None
        return type(refused), refused.code, refused.detail, refused.field, refused.status
    assert all(type(text) is str for text in envelope.attributes.texts)
    return envelope, envelope.attributes.texts, repr(envelope)


def agrees(headers: Headers) -> None:
    assert outcome(decode_headers, headers) == outcome(_decoded_one_by_one, headers)


signed = st.builds(Envelope, any_attributes, st.just(BODY), traceparent=st.sampled_from([None, TRACEPARENT]))


@pytest.mark.parametrize("name", NAMES)
def test_both_ways_say_the_same_of_each_odd_value(name: str) -> None:
    for value in [None, *ODD]:
        agrees([(each, value if each == name else old) for each, old in encode_headers(SIGNED)])


@given(signed)
def test_a_signed_message_in_order_is_decoded_at_once(envelope: Envelope) -> None:
    decoded = _decoded_at_once(tuple(encode_headers(envelope)), envelope.body)
    assert decoded == envelope
    assert decoded is not None
    assert decoded.attributes.texts == envelope.attributes.texts


changes = st.tuples(
    st.sampled_from(["also", "again", "without", "other"]),
    st.sampled_from([*NAMES, "CE_id", "ce_xmore", "salt", "Content-Type", ""]),
    st.none() | st.sampled_from(ODD),
)


@given(signed, st.lists(changes, max_size=3), st.randoms())
def test_both_ways_say_the_same(envelope: Envelope, drawn: list[tuple[str, str, bytes | None]], order: Random) -> None:
    headers: Headers = list(encode_headers(envelope))
    for kind, name, value in drawn:
        if kind == "also":
            headers.insert(order.randrange(len(headers) + 1), (name, value))
        elif kind == "again":
            headers += [pair for pair in headers if pair[0] == name]
        elif kind == "without":
            headers = [pair for pair in headers if pair[0] != name]
        else:
            headers = [(each, value if each == name else old) for each, old in headers]
    if order.random() < 0.5:
        order.shuffle(headers)
    agrees(headers)
