"""The wire headers: closed and strict, with one form for each value. Errors never quote the input."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.envelope.headers import COVERED, PLACE, SALT, Envelope, decode_headers, encode_headers
from shared.core.errors import Refused
from tests.shared.core.envelope.builders import BODY, TRACEPARENT, any_further_attributes, attributes, covered_bytes

Headers = list[tuple[str, bytes | None]]
SIGNED = Envelope(attributes(3), BODY, traceparent=TRACEPARENT)
CANARY = "canary-7f3a"


def wire(envelope: Envelope = SIGNED) -> Headers:
    return list(encode_headers(envelope))


def with_value(name: str, value: bytes | None) -> Headers:
    assert name in dict(wire())
    return [(each, value if each == name else old) for each, old in wire()]


def outcome(headers: Headers) -> Envelope | Refused:
    try:
        return decode_headers(headers, SIGNED.body)
    except Refused as refused:
        return refused


def refusal(headers: Headers) -> Refused:
    with pytest.raises(Refused) as caught:
        decode_headers(headers, BODY)
    return caught.value


messages = st.builds(
    Envelope, any_further_attributes, st.binary(max_size=64), traceparent=st.sampled_from([None, TRACEPARENT])
)


@given(messages, st.randoms())
def test_what_is_encoded_decodes_to_the_same_message_in_any_order(envelope: Envelope, order: Random) -> None:
    headers = wire(envelope)
    order.shuffle(headers)
    assert decode_headers(headers, envelope.body) == envelope


@given(st.lists(st.tuples(st.sampled_from([*COVERED, "traceparent", "CE_id", "x"]), st.none() | st.binary())))
def test_any_headers_at_all_decode_or_are_refused(headers: Headers) -> None:
    result = outcome(headers)
    assert isinstance(result, Envelope) or result.code.startswith("header_")


@given(name=st.sampled_from(COVERED), value=st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_whatever_decodes_is_spelled_the_one_way_that_is_encoded(name: str, value: bytes) -> None:
    headers = with_value(name, value)
    result = outcome(headers)
    if isinstance(result, Envelope):
        assert wire(result) == headers
    else:
        assert result.field == name


def test_the_headers_go_out_in_one_order() -> None:
    assert [name for name, _ in wire()] == [*COVERED, "traceparent"]
    assert list(COVERED) == sorted(COVERED)


#: Values that no covered header can have, and the code of each.
WRONG_VALUES: list[tuple[bytes | None, str]] = [(None, "header_null"), (b"\xff\xfe", "header_not_utf8")]
WRONG_VALUES += [
    (value.encode(), "header_malformed")
    for value in ("", " ", "a b", "a\n", "a\x00", "ä", "\u0430", "x" * 257, "\x7f", "a\u2028", f"{CANARY} ")
]


@pytest.mark.parametrize("name", COVERED)
def test_a_header_that_is_missing_doubled_or_wrong_is_named_and_its_value_is_not(name: str) -> None:
    wrong: list[tuple[Headers, str]] = [([pair for pair in wire() if pair[0] != name], "header_missing")]
    wrong += [([*wire(), (name, dict(wire())[name])], "header_duplicate")]
    wrong += [(with_value(name, value), code) for value, code in WRONG_VALUES]
    for headers, code in wrong:
        refused = refusal(headers)
        assert (refused.code, refused.field) == (code, name)
        assert CANARY not in "".join(traceback.format_exception(refused)) + repr(refused.__dict__)
        # Otherwise an error reporter that walks contexts finds the parser's quotation.
        assert refused.__context__ is None


@pytest.mark.parametrize(("value", "code"), [(None, "header_null"), (b"\xff", "header_not_utf8")])
def test_a_broken_extension_is_refused_without_naming_it(value: bytes | None, code: str) -> None:
    refused = refusal([*wire(), ("ce_xmore", value)])
    assert (refused.code, refused.field) == (code, None)
    refused = refusal([*wire(), ("ce_xmore", b"1"), ("ce_xmore", b"1")])
    assert (refused.code, refused.field) == ("header_duplicate", None)
    assert refusal([*wire(), ("ce_xmore", b"two words")]).code == "header_malformed"


@pytest.mark.parametrize(
    "values",
    [["a" * 4412], ["a" * 8192, "~" * 8192], ["a" * 512] * 32],
    ids=["a signature of ML-DSA-65", "the longest", "the most"],
)
def test_an_extension_has_room_for_a_signature_of_a_later_suite(values: list[str]) -> None:
    extensions = tuple((f"ce_x{number:02}", value) for number, value in enumerate(values))
    headers: Headers = [*wire(), *((name, value.encode()) for name, value in extensions)]
    decoded = decode_headers(headers, SIGNED.body)
    assert decoded.attributes.extensions == extensions
    assert decode_headers(encode_headers(decoded), SIGNED.body) == decoded


@pytest.mark.parametrize(
    "values", [["a" * 8193], ["a" * 8192, "a" * 8192, "a"], ["a"] * 33], ids=["too long", "too much in all", "too many"]
)
def test_what_extensions_may_take_is_bounded(values: list[str]) -> None:
    headers: Headers = [*wire(), *((f"ce_x{number:02}", value.encode()) for number, value in enumerate(values))]
    refused = refusal(headers)
    assert (refused.code, refused.field) == ("header_malformed", None)


def test_an_extension_is_kept_in_what_is_covered() -> None:
    decoded = decode_headers([*wire(), ("ce_xmore", b"later")], SIGNED.body)
    assert decoded.attributes.extensions == (("ce_xmore", "later"),)
    assert b"\nce_xmore:later\n" in covered_bytes(decoded.attributes, SIGNED.body)
    assert replace(decoded.attributes, extensions=()) == SIGNED.attributes


@pytest.mark.parametrize("name", [SALT, PLACE])
def test_salt_and_place_are_no_part_of_the_message(name: str) -> None:
    assert decode_headers([*wire(), (name, b"\xff" * 16)], SIGNED.body) == SIGNED


@pytest.mark.parametrize(
    ("name", "respell"),
    [
        ("ce_id", str.upper),
        ("ce_id", "urn:uuid:{}".format),
        ("ce_id", lambda text: text.replace("-", "")),
        ("ce_id", "{{{}}}".format),
        ("ce_time", lambda text: text.replace("Z", ".000000Z")),
        ("ce_time", lambda text: text.replace("10Z", "15Z")),
        ("ce_guard", str.upper),
        ("ce_guard", lambda text: text.replace(" ", "")),
        ("ce_guard", lambda text: text.replace("normal", "passed")),
        ("ce_time", lambda text: text.replace("Z", "+00:00")),
        ("ce_time", lambda text: text.replace("T", "t")),
        ("ce_exercise", str.upper),
        ("ce_exercise", lambda _: "no"),
        ("ce_tier", str.title),
        ("ce_specversion", lambda _: "0.3"),
        ("ce_tier", lambda _: "party"),
        ("content-type", lambda _: "application/json"),
        ("content-type", "{}; charset=utf-8".format),
        ("ce_source", lambda _: "/instances/"),
        ("ce_source", lambda _: "https://hotline.example/instances/hotline"),
    ],
)
def test_another_spelling_or_value_outside_the_rule_is_refused(name: str, respell: Callable[[str], str]) -> None:
    before = (dict(wire())[name] or b"").decode()
    after = respell(before)
    assert after != before
    refused = refusal(with_value(name, after.encode()))
    assert (refused.code, refused.field) == ("header_malformed", name)


@pytest.mark.parametrize(
    "name",
    [
        "ce_partitionkey",
        "ce_",
        "CE_id",
        "Ce_Sender",
        "Content-Type",
        "ce_XA",
        "CE_xa",
        "ce_xA",
        "ce_x-",
        "ce_x" + "a" * 20,
    ],
)
def test_a_header_that_another_reader_could_take_for_ours_is_refused_without_naming_it(name: str) -> None:
    refused = refusal([*wire(), (name, b"x")])
    assert (refused.code, refused.field) == ("header_unknown", None)


@pytest.mark.parametrize("name", ["baggage", "tracestate", "reply_to", "correlation_id", "", "Traceparent"])
@pytest.mark.parametrize("value", [b"x", b"\xff", None])
def test_a_header_that_is_not_ours_changes_nothing(name: str, value: bytes | None) -> None:
    assert decode_headers([(name, value), *wire()], SIGNED.body) == SIGNED


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        None,
        b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-" + b"0" * 16 + b"-01",
        TRACEPARENT.encode() + b"\n",
        TRACEPARENT.upper().encode(),
    ],
)
def test_a_malformed_traceparent_is_dropped_and_the_message_is_not(value: bytes | None) -> None:
    assert decode_headers(with_value("traceparent", value), SIGNED.body) == replace(SIGNED, traceparent=None)


def test_two_traceparents_are_as_good_as_none() -> None:
    assert decode_headers([*wire(), ("traceparent", TRACEPARENT.encode())], SIGNED.body).traceparent is None


@pytest.mark.parametrize(
    "changes",
    [
        {"id": UUID(int=4)},
        {"time": datetime.fromisoformat("2026-03-01T12:00:00")},
        {"subject": "two words"},
        {"source": "hotline"},
        {"guard": "5"},
    ],
)
def test_attributes_that_cannot_be_written_cannot_be_made(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        replace(attributes(), **changes)
    assert (caught.value.code, caught.value.field) == ("header_malformed", f"ce_{next(iter(changes))}")
