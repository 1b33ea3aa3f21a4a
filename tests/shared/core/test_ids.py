"""Ids are UUIDs of version 7, equal to those of the standard library."""

from __future__ import annotations

import pickle
import time
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.core.ids import is_uuid7, uuid4, uuid7, uuid_of

numbers = st.integers(0, 2**128 - 1)


@given(numbers)
def test_an_id_of_a_number_is_the_one_the_constructor_makes(number: int) -> None:
    made, expected = uuid_of(number), UUID(int=number)
    assert type(made) is UUID
    assert made == expected
    assert (hash(made), str(made), made.bytes, made.is_safe) == (
        *(hash(expected), str(expected), expected.bytes, expected.is_safe),
    )
    assert pickle.loads(pickle.dumps(made)) == expected  # noqa: S301 - our own bytes


@given(numbers, st.sampled_from([None, 1, 4, 6, 7, 8]))
def test_an_id_is_of_version_7_when_the_library_says_so(number: int, version: int | None) -> None:
    value = UUID(int=number, version=version if version in (1, 4) else None)
    if version in (6, 7, 8):
        value = UUID(int=(number & ~(0xF << 76) & ~(0b11 << 62)) | (version << 76) | (0b10 << 62))
    assert is_uuid7(value) == (value.version == 7)


def test_an_id_that_tells_no_time_is_of_version_4() -> None:
    ids = [uuid4() for _ in range(1_000)]
    assert all(type(each) is UUID and (each.version, each.variant) == (4, UUID(int=0x8 << 60).variant) for each in ids)
    assert len(set(ids)) == 1_000


def test_a_new_id_holds_the_time_and_is_not_the_one_before() -> None:
    before = time.time_ns() // 1_000_000
    ids = [uuid7() for _ in range(1_000)]
    after = time.time_ns() // 1_000_000
    assert all(type(each) is UUID and each.version == 7 for each in ids)
    assert all(before <= each.int >> 80 <= after for each in ids)
    assert len(set(ids)) == 1_000
