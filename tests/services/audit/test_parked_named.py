"""What audit is told of a parked record names it as audit's own entry of it does, whatever is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from uuid import UUID

import pytest

from services.audit.domain.entries import Read
from services.audit.domain.reading import Reading, read_records
from shared.contracts.facts import MessageParkedClear
from shared.envelope.sealing import Opener
from shared.exchange.accept import accept_batch
from shared.exchange.message import Record
from shared.kernel.canonical import canonical_json
from shared.kernel.clock import ManualClock
from shared.kernel.errors import Unavailable
from shared.kernel.ids import uuid7
from shared.runtime.post.arrivals import Cursor, Parked, Step
from shared.runtime.post.judge import judge, parked_row
from shared.runtime.post.quarantine import _is_named
from tests.shared.exchange.wrong_records import PARTY_KEYS, WRONG, Change, header
from tests.support.builders import POLICE
from tests.support.exchange_world import LONG_AFTER, World, world

LIFE = uuid7()


@pytest.fixture(scope="module")
def here() -> World:
    return world(party_keys=PARTY_KEYS)


@pytest.fixture(scope="module")
def good(here: World) -> Record:
    return here.records([here.offered(POLICE)])[0]


def parked(here: World, record: Record, life: UUID | None = LIFE) -> Parked:
    """The record as its reader parks it; what would wait or be refused, as if it were parked."""
    steps = [] if life is None else [Step(record.offset, Cursor(record.topic, 0, life, record.offset + 1))]
    [judged] = judge([record], steps, accept=partial(accept_batch, reader=here.reader("law_enforcement")))
    [row] = judged.parked or [parked_row(each.record, each.code or "", each) for each in judged.verified]
    return row


def told(row: Parked) -> MessageParkedClear:
    return MessageParkedClear.model_validate_json(canonical_json(row.fact()))


def entered(here: World, record: Record) -> str:
    """The digest of audit's entry."""
    read, clock = Read(), ManualClock(here.at + LONG_AFTER)
    read_records([record], read, topic_ids={record.topic: LIFE}, reading=Reading(here.shelf, Opener([]), clock))
    [entry] = read.entries
    return entry.digest


@pytest.mark.parametrize(("code", "change"), WRONG, ids=[f"{i}-{code}" for i, (code, _) in enumerate(WRONG)])
def test_it_is_named_as_audits_own_entry_is(here: World, good: Record, code: str, change: Change) -> None:
    record = change(here, good)
    try:
        fact = told(parked(here, record))
    except Unavailable:
        return  # without any directory nothing is judged
    assert fact.digest == entered(here, record)
    assert (fact.topic, fact.topic_id, fact.partition, fact.offset, fact.broker_time) == (
        record.topic, LIFE, record.partition, record.offset, record.broker_time,
    )  # fmt: skip


def test_two_records_with_one_value_are_told_apart(here: World, good: Record) -> None:
    """Red where a record is told of by the digest of its value."""
    misplaced = replace(good, key=str(uuid7()).encode())
    unreadable = header("ce_tier", b"x")(here, misplaced)
    assert told(parked(here, misplaced)).digest != told(parked(here, unreadable)).digest


def test_the_life_of_its_topic_is_left_out_where_its_reader_does_not_know_it(here: World, good: Record) -> None:
    assert told(parked(here, replace(good, headers=()), life=None)).topic_id is None


def test_a_record_that_can_be_read_by_now_is_found_by_what_it_was_told_of_before(here: World, good: Record) -> None:
    """It waits in quarantine for the release that reads its headers."""
    unreadable = header("ce_tier", b"x")(here, good)
    for row, record in ((parked(here, replace(good, key=b"x")), replace(good, key=b"x")),
                        (parked(here, unreadable), unreadable)):  # fmt: skip
        assert _is_named(record, row.digest)
        assert not _is_named(replace(record, value=b"{}"), row.digest)
