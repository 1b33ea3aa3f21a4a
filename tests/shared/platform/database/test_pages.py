"""The position in a list sorted by rank and time, as its opaque cursor."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import Refused
from shared.platform.database.pages import ListPlace, place_cursor, read_place

PLACES = st.tuples(st.integers(0, 127), st.datetimes(timezones=st.just(UTC)), st.uuids())


@given(PLACES)
def test_a_cursor_is_the_place_that_it_was_made_of(place: ListPlace) -> None:
    assert read_place(place_cursor(place)) == place


@given(PLACES, st.integers(1, 8))
def test_what_is_longer_or_shorter_is_refused(place: ListPlace, more: int) -> None:
    cursor = place_cursor(place)
    for other in (cursor[:-more], cursor + "A" * more):
        with pytest.raises(Refused, match="cursor_invalid"):
            read_place(other)


def test_no_rank_below_0_and_no_time_that_is_none_is_read() -> None:
    for rank, at in ((255, 0), (0, 127)):
        spelt = urlsafe_b64encode(bytes([rank, at]) + bytes(23)).decode().rstrip("=")
        with pytest.raises(Refused, match="cursor_invalid"):
            read_place(spelt)
