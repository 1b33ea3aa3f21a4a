"""The bytes of each item of a list, exactly as they were posted."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.guard import item_bytes, parse_list
from shared.kernel.errors import Refused

SPACES = st.text(" \t\r\n", max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(st.tuples(SPACES, VALUES, SPACES, st.booleans()), min_size=1, max_size=6), SPACES)
def test_each_item_is_what_stood_between_the_commas(items: list[tuple[str, object, str, bool]], space: str) -> None:
    texts = [json.dumps(value, ensure_ascii=escaped, indent=1) for _, value, _, escaped in items]
    listed = ",".join(f"{before}{text}{after}" for (before, _, after, _), text in zip(items, texts, strict=True))
    body = f'{space}{{{space}"ref\\u0065rrals"{space}:{space}[{listed}]{space}}}{space}'.encode()
    assert item_bytes(body) == [text.encode() for text in texts]


def test_there_is_one_for_each_item_that_is_read() -> None:
    body = b'{"referrals": [ {"a":1.50e3} ,{ "b":"\\u00e4]," }, 7, {"c":%s}\n]}' % (b"9" * 5000)
    read = parse_list("application/json", None, body, name="referrals", items_max=9)
    assert [isinstance(each, Refused) for each in read] == [True, False, True, True]
    assert [each[:6] for each in item_bytes(body)] == [b'{"a":1', b'{ "b":', b"7", b'{"c":9']


@pytest.mark.parametrize("deep", [6, 200, 900])
def test_what_is_deep_is_cut_out_too(deep: int) -> None:
    item = b"[" * deep + b"]" * deep
    assert item_bytes(b'{"referrals":[' + item + b"]}") == [item]
