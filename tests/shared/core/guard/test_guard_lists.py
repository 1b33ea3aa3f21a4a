"""Lists are read item by item: each as a body of its own, with its bytes exactly as posted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import Refused
from shared.core.guard import envelope_limits, opens_list, parse_list
from shared.core.guard.envelope_limits import BODY_BYTES_MAX, ListItem, _load, _within_limits
from tests.shared.core.guard.test_guard_envelope_limits import spoilt

JSON = "application/json"
SPACES = st.text(" \t\r\n", max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


def listed(body: bytes, *, name: str = "items", items_max: int = 3) -> list[ListItem]:
    return list(parse_list(JSON, None, body, name=name, items_max=items_max))


def refused(body: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        listed(body)
    return caught.value


@given(st.lists(st.tuples(SPACES, VALUES, SPACES, st.booleans()), min_size=1, max_size=6), SPACES)
def test_each_item_is_what_stood_between_the_commas(items: list[tuple[str, object, str, bool]], space: str) -> None:
    texts = [json.dumps(value, ensure_ascii=escaped, indent=1) for _, value, _, escaped in items]
    between = ",".join(f"{before}{text}{after}" for (before, _, after, _), text in zip(items, texts, strict=True))
    body = f'{space}{{{space}"ref\\u0065rrals"{space}:{space}[{between}]{space}}}{space}'.encode()
    assert [each.raw for each in listed(body, name="referrals", items_max=6)] == [text.encode() for text in texts]
    assert opens_list(body, "referrals")


def test_an_item_that_is_refused_has_its_bytes_too() -> None:
    body = b'{"referrals": [ {"a":1.50e3} ,{ "b":"\\u00e4]," }, 7, {"c":%s}\n]}' % (b"9" * 5000)
    read = listed(body, name="referrals", items_max=9)
    assert [isinstance(each.read, Refused) for each in read] == [True, False, True, True]
    assert [each.raw[:6] for each in read] == [b'{"a":1', b'{ "b":', b"7", b'{"c":9']


@pytest.mark.parametrize("deep", [6, 200, 900])
def test_what_is_deep_is_cut_out_too(deep: int) -> None:
    item = b"[" * deep + b"]" * deep
    assert [each.raw for each in listed(b'{"items":[' + item + b"]}")] == [item]


def test_deep_items_and_items_that_repeat_a_name_are_refused_and_the_others_are_read() -> None:
    deep = b'{"a":' * 600 + b'{"b":1,"b":2}' + b"}" * 600
    *bad, good = listed(b'{"items":[' + b",".join((deep, b'{"b":{"c":1,"c":2}}', b'{"a":1}')) + b"]}")
    assert [each.read.code for each in bad if isinstance(each.read, Refused)] == ["body_too_deep", "body_key_repeated"]
    assert good.read == {"a": 1}
    # A traceback would keep the parsed content of every item until the list is read.
    assert [each.read.__traceback__ for each in bad if isinstance(each.read, Refused)] == [None, None]


def shown(read: dict[str, Any] | Refused) -> str:
    return f"{read.code} {read.field} {read.status}" if isinstance(read, Refused) else repr(read)


def at_once(text: str) -> list[str]:
    """Return the items of a list that is parsed as a whole, or the refusal of the list."""
    try:
        tree = _load(text)
        if type(tree) is not dict:
            raise Refused("body_not_object")
        items = tree.get("items")
        if set(tree) != {"items"} or not isinstance(items, list) or not 1 <= len(items) <= 3:
            raise Refused("batch_size", field="/items")
    except Refused as error:
        return [shown(error)]
    return [shown(alone(item)) for item in items]


def alone(item: object) -> dict[str, Any] | Refused:
    try:
        return _within_limits(item)
    except Refused as error:
        return error


def by_items(text: str) -> list[str]:
    try:
        return [shown(each.read) for each in listed(text.encode())]
    except Refused as error:
        return [shown(error)]


@given(st.lists(spoilt(), max_size=4).map(",".join) | spoilt())
@settings(max_examples=300, deadline=None)
def test_a_list_that_is_read_by_items_is_what_is_parsed_at_once(items: str) -> None:
    for text in (f'{{"items":[{items}]}}', f' {{"items" : [ {items} ] }} ', items):
        assert by_items(text) == at_once(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "nothing",
        '{"items":7}',
        '{"items":[]}',
        '{"items":[ ]}',
        '{"items":[{}]',
        '{"items":[{}}',
        '{"items":[{}]}}',
        '{"items":[{}]} {}',
        '{"items":[{},]}',
        '{"items":[,{}]}',
        '{"items":[{} {}]}',
        '{"items":[{}]},',
        '{"items":[{}],}',
        '{"items":[{}],"items":[{}]}',
        '{"items":[{}],"asn":1}',
        '{"asn":1,"items":[{}]}',
        '{"other":[{}]}',
        '{"items\\q":[{}]}',
        '{"it\\u0065ms":[{}]}',
        '{"items":[{},{},{},{}]}',
        '{"items":[{},{},{},nothing]}',
        '{"items":[{"asn":1},1,{"asn":"1","asn":"2"}]}',
        '{"items":[{"asn":1.5},NaN,-Infinity]}',
        '{"items":[' + "[" * 5_000 + "]}",
        '{"items":[{}]}\ufeff',
        '\x0c{"items":[{}]}',
    ],
)
def test_what_is_short_is_refused_as_it_is_where_it_is_parsed_at_once(text: str) -> None:
    assert by_items(text) == at_once(text)


FILLED = b'{"asn":"' + b"x" * 2_000 + b'"}'


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b'{"items":[' + b",".join([b"[[[[[[]]]]]"] * 7_000) + b"]}", "body_too_deep", None),
        (b'{"items":[' + b",".join([b"[[[[[]]]]]"] * 7_000) + b"]}", "batch_size", "/items"),
        (b'{"asn":[' + b",".join([b"[]"] * 20_000) + b"]}", "batch_size", "/items"),
        (b"[" + b",".join([b"[]"] * 20_000) + b"]", "body_not_object", None),
        (b" " * 40_000, "body_not_object", None),
        (b'{"items":[{},[' + b",".join([b"[]"] * 20_000) + b"]]}", "body_too_large", "/items/1"),
        (b'{"items":[' + b'"' + b"x" * 40_000 + b'"]}', "body_too_large", "/items/0"),
        (b'{"items":[' + b"7" * 40_000 + b"]}", "body_too_large", "/items/0"),
        ('{"items":["' + "ä" * 20_000 + '"]}', "body_too_large", "/items/0"),
        (b'{"items":[{}' + b" " * 40_000 + b",{}]}", None, None),
        (b'{"items":[{"asn":},' + FILLED * 20 + b"]}", "body_not_json", None),
        (b'{"items":[' + FILLED + b" " * 40_000 + b"} ]}", "body_not_json", None),
        (b'{"items":[' + FILLED + b" " * 40_000 + b"]} {}", "body_not_json", None),
        (b'{"items":[' + FILLED + b" " * 40_000 + b'],"items":[]}', "batch_size", "/items"),
    ],
)
def test_what_is_long_is_refused_for_what_is_first_wrong_with_it(
    body: bytes | str, code: str | None, field: str | None
) -> None:
    body = body.encode() if isinstance(body, str) else body
    assert len(body) > BODY_BYTES_MAX
    if code is None:
        assert len(listed(body)) == 2
    else:
        assert ((error := refused(body)).code, error.field) == (code, field)


@pytest.mark.parametrize("cut", range(40))
@pytest.mark.parametrize("piece", ['"\\ud83d\\ude00",', "-Infinity,", '{"asn":null},', "12345,", '"\\n",'])
def test_wherever_it_is_cut_off_an_item_that_is_too_long_is_said_to_be(piece: str, cut: int) -> None:
    item = "[" + " " * cut + piece * 9_000 + "0]"
    assert refused(f'{{"items":[{item}]}}'.encode()).code == "body_too_large"


@pytest.mark.parametrize(("length", "taken"), [(BODY_BYTES_MAX, True), (BODY_BYTES_MAX + 1, False)])
def test_an_item_is_as_long_as_a_body_may_be(length: int, *, taken: bool) -> None:
    item = b'{"asn":1' + b" " * (length - 9) + b"}"
    body = b'{"items":[' + item + b",{}]}"
    if taken:
        assert [each.raw for each in listed(body)] == [item, b"{}"]
    else:
        assert refused(body).field == "/items/0"


@pytest.mark.parametrize("piece", [b"[[[[[[]]]]]]", b"7", b'""', b'{"":{}}', b"["])
def test_nothing_longer_than_a_body_is_parsed_at_once(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[int] = []

    class Watched:
        def raw_decode(self, text: str) -> tuple[Any, int]:
            parsed.append(len(text))
            return decoder.raw_decode(text)

    decoder = envelope_limits._DECODER
    monkeypatch.setattr(envelope_limits, "_DECODER", Watched())
    monkeypatch.setattr(envelope_limits, "_load", None)
    body = b'{"items":[' + b",".join([piece] * (3_000_000 // len(piece + b","))) + b"]}"
    with pytest.raises(Refused):
        list(parse_list(JSON, None, body, name="items", items_max=100))
    assert len(parsed) <= 100
    assert max(parsed) <= BODY_BYTES_MAX + 1
