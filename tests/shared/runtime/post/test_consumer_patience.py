"""A record that names a document nobody has published: waited for within bounds, then parked whole."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest

from shared.contracts.registry import REFERRAL_OFFERED, REFERRAL_WITHDRAWN
from shared.exchange.accept import ReadingInstance, accept_batch
from shared.exchange.compose import Verdict
from shared.exchange.message import Draft, Received, Record
from shared.kernel.clock import ManualClock
from shared.routing.shelf import DocumentShelf
from shared.runtime.post.consumer import Consumer
from shared.runtime.post.ports import Parked, Settlement, Unit
from shared.vocabulary.answers import ReceiptOutcome
from tests.shared.exchange.wrong_records import PARTY_KEYS, stating
from tests.support.builders import AT, POLICE, draft, withdrawal
from tests.support.exchange_world import World, later, world
from tests.support.memory_stores import MemoryDatabase, MemoryInbox

pytestmark = pytest.mark.timing

PATIENCE_S = 60.0
_unknown = stating(decision={"policy": "0" * 64})


class Applied:
    """A handler that notes what it was given."""

    def __init__(self) -> None:
        self.types: list[str] = []

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        self.types += [message.message.type for message in messages]
        return {}

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        raise AssertionError("nothing was sent here, so nothing can be settled")


class Desk:
    """One consumer over a memory inbox, begun at `AT`, with its own clock."""

    def __init__(self, here: World, *, shelf: DocumentShelf | None = None) -> None:
        self.clock = ManualClock(AT)
        self.database = MemoryDatabase()
        self.handler = Applied()
        self.told: list[Verdict] = []
        self.looks = 0
        self.looked_again = asyncio.Event()
        reader = here.reader("law_enforcement")
        reader = reader if shelf is None else replace(reader, shelf=shelf)
        self.consumer = Consumer(
            MemoryInbox(self.database),
            self.handler,
            accept=partial(self._accept, reader),
            receipts=self._receipts,
            facts=lambda parked: [],
            clock=self.clock,
            patience_s=PATIENCE_S,
        )

    def parked(self) -> list[Parked]:
        return list(self.database.state.quarantine.values())

    def _accept(self, reader: ReadingInstance, records: Sequence[Record]) -> list[Received | Exception]:
        self.looks += 1
        if self.looks > 1:
            self.looked_again.set()
        return accept_batch(records, reader=reader)

    def _receipts(self, instance: str, entries: Sequence[Verdict]) -> list[Draft]:
        self.told += entries
        return []


@pytest.fixture(scope="module")
def here() -> World:
    return world(party_keys=PARTY_KEYS)


@pytest.fixture
def desk(here: World) -> Desk:
    return Desk(here)


def offered(here: World) -> Record:
    return here.records([here.offered(POLICE)])[0]


def waiting_for_ever(here: World) -> Record:
    return _unknown(here, offered(here))


async def begun(desk: Desk, records: Sequence[Record]) -> asyncio.Task[None]:
    """The batch in hand, after a first look at every record: the second has begun."""
    task = asyncio.create_task(desk.consumer.consume(records))
    async with asyncio.timeout(60):
        await desk.looked_again.wait()
    return task


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_within_its_patience_a_record_waits_for_its_document(here: World, desk: Desk) -> None:
    desk.clock.advance(PATIENCE_S - 1)
    consuming = await begun(desk, [waiting_for_ever(here), offered(here)])
    assert not consuming.done()
    assert (desk.parked(), desk.handler.types) == ([], [REFERRAL_OFFERED.type])
    await ended(consuming)


async def test_after_its_patience_the_record_is_parked_whole_and_its_sender_is_told(here: World, desk: Desk) -> None:
    record = waiting_for_ever(here)
    desk.clock.advance(PATIENCE_S)
    await desk.consumer.consume([record])
    (parked,) = desk.parked()
    assert (parked.reason, parked.record) == ("document_unknown", record)
    assert [(each.outcome, each.code, each.judged) for each in desk.told] == [
        (ReceiptOutcome.PARKED, "document_unknown", record)
    ]


async def test_what_waited_behind_a_parked_record_of_its_subject_goes_on(here: World, desk: Desk) -> None:
    record = waiting_for_ever(here)
    subject = UUID((record.key or b"").decode())
    behind = here.records([draft(subject, message=REFERRAL_WITHDRAWN, body=withdrawal(subject))])[0]
    consuming = await begun(desk, [record, behind])
    assert desk.handler.types == []
    desk.clock.advance(PATIENCE_S)
    await consuming
    assert len(desk.parked()) == 1
    assert desk.handler.types == [REFERRAL_WITHDRAWN.type]


async def test_one_that_names_no_document_after_another_never_holds_up_more_than_its_patience(
    here: World, desk: Desk
) -> None:
    first, second = waiting_for_ever(here), waiting_for_ever(here)
    desk.clock.advance(PATIENCE_S)
    await desk.consumer.consume([first])
    # The second was written at the same time: it has waited as long already.
    await desk.consumer.consume([second])
    assert len(desk.parked()) == 2


async def test_a_record_from_before_the_start_waits_until_the_documents_had_time_to_come(
    here: World, desk: Desk
) -> None:
    old = later(waiting_for_ever(here), timedelta(minutes=-4))
    desk.clock.advance(PATIENCE_S - 1)
    consuming = await begun(desk, [old])
    assert desk.parked() == []
    await ended(consuming)


async def test_an_instance_without_any_directory_parks_nothing(here: World) -> None:
    """The lack is its own: it can tell nobody's signature."""
    desk = Desk(here, shelf=DocumentShelf())
    desk.clock.advance(PATIENCE_S)
    consuming = await begun(desk, [offered(here)])
    assert not consuming.done()
    assert desk.parked() == []
    await ended(consuming)


async def test_replayed_before_its_document_has_come_it_is_parked_again_at_once(here: World, desk: Desk) -> None:
    replaying = desk.consumer.over(MemoryInbox(desk.database), around=lambda handler: handler, patience_s=0)
    await replaying.consume([waiting_for_ever(here)])
    assert [parked.reason for parked in desk.parked()] == ["document_unknown"]
