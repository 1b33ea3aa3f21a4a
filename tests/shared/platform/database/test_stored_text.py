"""Stored text comes back as it was, in fewer bytes, and no stored bytes open to more than its bound."""

from __future__ import annotations

import hashlib
from zlib import DEFLATED, compressobj

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import Defect
from shared.platform.database import columns
from shared.platform.database.columns import TEXT_BYTES_MAX, compress, decompress

EDGE = (
    b'{"recipient":"police-nl.example","purpose":"investigation","rules":["lanzarote-hosting-agency"],'
    b'"reason":"hosting_jurisdiction","basis":[{"instrument":"lanzarote","article":"Art. 30 and 38",'
    b'"jurisdiction":"BLOC-COE"}],"handling":{"tlp":"amber_strict","siena":"H1","retention":"minimal"},"withheld":[]}'
)


@given(st.binary(max_size=3000))
def test_a_text_comes_back_as_it_was(text: bytes) -> None:
    assert decompress(compress(text)) == text


def test_the_longest_text_comes_back_and_a_longer_one_is_not_read() -> None:
    longest = bytes(TEXT_BYTES_MAX)
    assert decompress(compress(longest)) == longest
    deflating = compressobj(6, DEFLATED, -15)
    with pytest.raises(Defect, match="record_malformed"):
        decompress(b"\x01" + deflating.compress(longest + b"\x00") + deflating.flush())


def test_a_typical_text_is_a_fraction_of_itself_by_a_dictionary_that_has_not_changed() -> None:
    """Whoever changes the dictionary adds a file with the next number instead, and leaves this one."""
    assert hashlib.sha256(columns._DICTIONARY).hexdigest() == (
        "d6c3b595edb3b5541d5dfed2a1e65cfbcabe53d014a78129d961394f7e459fdf"
    )
    assert len(compress(EDGE)) < len(EDGE) / 5
    assert compress(EDGE)[0] == 1


@pytest.mark.parametrize("stored", [b"\x02" + compress(EDGE)[1:], compress(EDGE) + b"\x00", compress(EDGE)[:-1], b""])
def test_other_bytes_are_a_defect(stored: bytes) -> None:
    with pytest.raises(Defect, match="record_malformed"):
        decompress(stored)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_defect_and_nothing_else(stored: bytes) -> None:
    try:
        decompress(stored)
    except Defect as error:
        assert error.code == "record_malformed"
