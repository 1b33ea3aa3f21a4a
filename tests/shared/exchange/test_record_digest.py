"""Two records at one place that differ in anything have two digests, whether or not anybody can read them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations

from shared.exchange.message import Record, record_digest

RECORD = Record("causeway.inbox.b.a.v1", 0, 7, datetime(2026, 3, 1, tzinfo=UTC), b"k", (("n", b"v"), ("m", b"")), b"{}")
OTHERS = (
    RECORD,
    replace(RECORD, broker_time=RECORD.broker_time + timedelta(milliseconds=1)),
    replace(RECORD, key=None),
    replace(RECORD, key=b""),
    replace(RECORD, key=b"kn"),
    replace(RECORD, headers=(("m", b""), ("n", b"v"))),
    replace(RECORD, headers=(("n", b"v"), ("m", None))),
    replace(RECORD, headers=(("nv", b""), ("m", b""))),
    replace(RECORD, headers=(("n", b"v"),)),
    replace(RECORD, headers=()),
    replace(RECORD, value=None),
    replace(RECORD, value=b""),
)


def test_whatever_differs_the_digest_does() -> None:
    for one, other in combinations(OTHERS, 2):
        assert record_digest(one) != record_digest(other), (one, other)


def test_the_digest_is_of_each_part_with_its_length() -> None:
    """Written out: what it is over never changes."""
    told = b"causeway-record/v1\n24:2026-03-01T00:00:00.000Z1:k1:n1:v1:m0:2:{}"
    assert record_digest(RECORD) == hashlib.sha256(told).hexdigest()
    nothing = replace(RECORD, key=None, headers=(), value=None)
    assert record_digest(nothing) == hashlib.sha256(b"causeway-record/v1\n24:2026-03-01T00:00:00.000Z--").hexdigest()


def test_a_record_is_no_other_for_the_offset_that_it_was_given() -> None:
    """Its place is said beside the digest."""
    assert record_digest(replace(RECORD, partition=1, offset=8)) == record_digest(RECORD)
