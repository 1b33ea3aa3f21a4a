"""L0: requirements on a body before its meaning is checked."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.core.errors import Refused
from shared.core.guard import parse_body
from shared.core.guard.envelope_limits import BODY_BYTES_MAX, NODES_MAX, _load, _plain, _within_limits

JSON = "application/json"


def refused(body: bytes, content_type: str | None = JSON, *, encoding: str | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        parse_body(content_type, encoding, body)
    return caught.value


@pytest.mark.parametrize("content_type", [JSON, "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"])
def test_an_object_in_json_is_read(content_type: str) -> None:
    assert parse_body(content_type, None, b'{"a": [1, "x", null, true]}') == {"a": [1, "x", None, True]}


@pytest.mark.parametrize(
    "content_type", [None, "", "text/json", "image/png", "application/json, image/png", "application/jsonp"]
)
def test_another_content_type_is_refused(content_type: str | None) -> None:
    assert (refused(b"{}", content_type).code, refused(b"{}", content_type).status) == ("body_content_type", 415)


def test_a_compressed_body_is_refused_whether_it_says_so_or_not() -> None:
    compressed = gzip.compress(b"{}")
    assert refused(compressed, encoding="gzip").code == "body_content_encoding"
    assert refused(compressed).code == "body_not_utf8"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\xef\xbb\xbf{}", "body_byte_order_mark"),
        (b'{"a":"\xff"}', "body_not_utf8"),
        (b"", "body_not_json"),
        (b"{} {}", "body_not_json"),
        (b"[]", "body_not_object"),
        (b'{"external_ref":1,"external_ref":1}', "body_key_repeated"),
        (b'{"a":1.5}', "body_number_not_integer"),
        (b'{"a":1e3}', "body_number_not_integer"),
        (b'{"a":NaN}', "body_number_not_integer"),
        (b'{"a":12345678901234567890}', "body_number_too_long"),
        (b'{"a":"\\ud800"}', "body_string_not_text"),
        (b'{"a":"' + b"x" * 2_049 + b'"}', "body_string_too_long"),
        (b'{"' + b"k" * 41 + b'":1}', "body_key"),
        (b'{"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}}', "body_too_deep"),
        (b'{"a":' + b"[" * 30_000, "body_too_deep"),
        (b'{"a":[' + b",".join([b"0"] * NODES_MAX) + b"]}", "body_too_many_values"),
        (b'{"a":"' + b"x" * BODY_BYTES_MAX + b'"}', "body_too_large"),
    ],
)
def test_a_body_outside_the_limits_is_refused(body: bytes, code: str) -> None:
    assert refused(body).code == code


def test_six_levels_and_nineteen_digits_are_read() -> None:
    body = b'{"a":{"a":{"a":{"a":{"a":{}}}}},"b":1234567890123456789}'
    assert parse_body(JSON, None, body) == json.loads(body)


def test_a_refusal_points_to_the_place_of_the_number() -> None:
    assert refused(b'{"items":[{},{"hosting":[{"asn":1.5}]}]}').field == "/items/1/hosting/0/asn"
    assert refused(b'{"items":[{"locator":{"kind":"url","kind":"url"}}]}').field == "/items/0/locator"


def test_a_pointer_stops_before_a_name_that_is_not_ours() -> None:
    assert refused(b'{"items":[{"aGVsbG8gd29ybGQ":{"asn":1.5}}]}').field == "/items/0"


def outcome(content_type: str | None, encoding: str | None, body: bytes) -> dict[str, Any] | Refused:
    try:
        return parse_body(content_type, encoding, body)
    except Refused as error:
        return error


_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_", max_size=9), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc_", max_size=9), _values, max_size=4))
@settings(max_examples=80, deadline=None)
def test_what_is_read_is_what_was_written_or_refused_with_a_code(tree: dict[str, Any]) -> None:
    read = outcome(JSON, None, json.dumps(tree).encode())
    assert read == tree or (isinstance(read, Refused) and read.code == "body_too_deep")


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_bytes_do_anything_but_parse_or_be_refused(body: bytes) -> None:
    read = outcome(JSON, None, body)
    assert isinstance(read, dict) or read.code.startswith("body_")


_pieces = st.sampled_from(
    [
        *'{}[]:,"- \n\\0',
        '"items"',
        '"asn"',
        '"url"',
        "null",
        "true",
        "1.0",
        "1e5",
        "NaN",
        "-Infinity",
        "9" * 19,
        "1" * 20,
    ]
)
_names = st.sampled_from(["items", "asn", "url", "kind", "other"])


@st.composite
def spoilt(draw: st.DrawFn) -> str:
    """Return the text of an object with our names, where some pieces are replaced or inserted."""
    text = json.dumps(draw(st.dictionaries(_names, _values, max_size=4)), ensure_ascii=draw(st.booleans()))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(_pieces) + text[at + draw(st.integers(0, 2)) :]
    return text


def same_as_slowly(text: str) -> bool:
    """Return whether the fast reading of `text`, if there is one, equals the slow one."""
    quick = _plain(text)
    return quick is None or repr(quick) == repr(_within_limits(_load(text)))


@given(spoilt())
@example('{"asn":1,"asn":1}')
@example('{"asn":{"kind":"x"},"asn" :{"kind":"y"}}')
@example('{"asn":1.0}')
@example('{"asn":10000000000000000000}')
@example('{"value":"\\ud800"}')
@example('{"asn":1e2}')
@example('{"asn":-NaN}')
@example('{"asn":01}')
@example('{"value":"\x00"}')
@example('{"value":"' + "x" * 2_049 + '"}')
@example('{"unknown":1}')
@example('{"items":[[[[[[]]]]]]}')
@example('{"items":[' + ",".join(["0"] * NODES_MAX) + "]}")
@example('{"asn":1}{}')
@example('{"asn":1}\x0c')
@example('"asn"')
@example("")
@settings(max_examples=300, deadline=None)
def test_what_is_read_quickly_is_what_is_read_slowly(text: str) -> None:
    assert same_as_slowly(text)


def test_an_ordinary_body_is_read_quickly() -> None:
    text = (
        '{"items": [{"kind": "é:", "asn": -0}, {}], "value": 9999999999999999999, "priority": null, "exercise": true}'
    )
    assert _plain(text) is not None
    assert same_as_slowly(text)
