"""Compaction of delivery: what nobody can ask for any more becomes numbers; a duplicate is answered all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import asyncpg
import pytest

from deploy.accounting import views
from deploy.operator.retention import apply
from deploy.site.endpoints import DatabaseEndpoint
from shared.contracts.delivery import SentMark
from shared.contracts.registry import REFERRAL_WITHDRAWN
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.message import Copy
from shared.kernel.clock import SystemClock
from shared.kernel.ids import coarse_uuid7, uuid7
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.post.arrivals import Admission, Arrival, Outcome, Stored
from shared.runtime.post.inbox import Keeping, PostgresInbox, PostgresUnit
from shared.vocabulary.answers import ReceiptOutcome
from tests.services.hotline.origin import Origin
from tests.services.retention.owners import as_owner, owned
from tests.support.builders import AT, HOTLINE, POLICE, arrival
from tests.support.exchange_world import world

NOW = SystemClock().now()
LONG_AGO, LATELY = NOW - timedelta(days=60), NOW - timedelta(days=10)
APPLIED = ReceiptOutcome.APPLIED


@pytest.fixture
def inbox(databases: dict[str, Database]) -> Inbox:
    return Inbox(databases["hotline"])


@pytest.fixture
def endpoint(endpoints: dict[str, DatabaseEndpoint]) -> DatabaseEndpoint:
    return endpoints["hotline"]


class Inbox:
    """The inbox of one service, and messages of one pair in an epoch of this test's own."""

    def __init__(self, database: Database) -> None:
        self.database, self.epoch = database, uuid7()
        keeping = Keeping(KeyEncryptionKey(bytes(32)), lambda _: False)
        scope = RowScope([], "service", "apply")
        self._store = PostgresInbox(database, scope=lambda: scope, keeping=keeping, wake=lambda: None)

    def sent(self, number: int, signed: datetime = LONG_AGO, **further: str) -> Arrival:
        return arrival(number, message_id=coarse_uuid7(signed), epoch=self.epoch, **further)

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[PostgresUnit]:
        async with self._store.unit() as unit:
            yield unit

    async def admit(self, *arrivals: Arrival) -> Admission:
        async with self.unit() as unit:
            admission = await unit.admit(arrivals)
            await unit.take(arrivals)
            return admission

    async def holds(self, lowest: int, *, last: int = 9, by: str = "hotline") -> None:
        """The sender's newest mark says so."""
        mark = SentMark(sender=HOTLINE, recipient=POLICE, epoch=self.epoch, last=last, held=lowest)
        async with self.unit() as unit:
            await unit.taken.know([mark], by=by)

    async def numbers(self) -> list[int]:
        """Those that have a row still."""
        query = "SELECT sequence FROM inbox WHERE epoch = $1 ORDER BY sequence"
        return [row["sequence"] for row in await self.database.fetch(query, self.epoch)]


async def retained(endpoint: DatabaseEndpoint, inbox: Inbox) -> list[int]:
    """The numbers that have a row after retention, all of them received long ago."""
    await as_owner(endpoint, "UPDATE inbox SET received_at = $2 WHERE epoch = $1", inbox.epoch, LONG_AGO)
    await apply(owned({"hotline": endpoint}), NOW)
    return await inbox.numbers()


async def test_a_duplicate_of_a_compacted_number_is_answered_and_never_applied_again(
    inbox: Inbox, endpoint: DatabaseEndpoint
) -> None:
    first, second = inbox.sent(1), inbox.sent(2)
    await inbox.admit(first, second)
    await inbox.holds(0)
    assert await retained(endpoint, inbox) == []
    again = replace(first, offset=77)
    assert await inbox.admit(again) == Admission(frozenset(), {again.digest: Stored(APPLIED, None, Copy(77, AT))}, {})
    assert await inbox.numbers() == []
    # Control: without what was compacted it would be new, and have its effect a second time.
    await as_owner(endpoint, "DELETE FROM compacted WHERE epoch = $1", inbox.epoch)
    assert (await inbox.admit(again)).fresh == {again.digest}


async def test_another_message_under_a_compacted_number_is_told_that_it_was_given_before(
    inbox: Inbox, endpoint: DatabaseEndpoint
) -> None:
    await inbox.admit(inbox.sent(1))
    await inbox.holds(0)
    assert await retained(endpoint, inbox) == []
    other = inbox.sent(1, signed=NOW)
    assert await inbox.admit(other) == Admission(frozenset(), {}, {other.digest: "sequence_reused"})


async def test_what_one_instances_messages_have_left_is_told_to_nobody_else(
    inbox: Inbox, endpoint: DatabaseEndpoint
) -> None:
    """Else one's newer messages would make another's edges, which were lost here, look as if they were held."""
    newest = inbox.sent(1, signed=LONG_AGO + timedelta(minutes=1))
    await inbox.admit(newest)
    await inbox.holds(0)
    assert await retained(endpoint, inbox) == []
    async with inbox.unit() as unit:
        told = [await unit.taken.compacted(each) for each in ("hotline", "industry")]
    assert told == [newest.message_id, None]


@pytest.mark.parametrize(("lowest", "left"), [(3, [3, 4]), (1, [1, 2, 3, 4]), (0, [])])
async def test_nothing_goes_that_its_sender_holds_still(
    inbox: Inbox, endpoint: DatabaseEndpoint, lowest: int, left: list[int]
) -> None:
    await inbox.admit(*(inbox.sent(number) for number in (1, 2, 3, 4)))
    await inbox.holds(0, last=2)
    await inbox.holds(lowest)
    await inbox.holds(0, by="industry")
    assert await retained(endpoint, inbox) == left


async def test_nothing_goes_before_its_sender_has_said_what_it_holds(inbox: Inbox, endpoint: DatabaseEndpoint) -> None:
    await inbox.admit(inbox.sent(1))
    assert await retained(endpoint, inbox) == [1]


async def test_refusals_withdrawals_what_has_no_last_word_and_what_is_young_stay(
    inbox: Inbox, endpoint: DatabaseEndpoint
) -> None:
    refused, deferred = inbox.sent(1), inbox.sent(2)
    withdrawn = inbox.sent(3, type=REFERRAL_WITHDRAWN.type)
    young = inbox.sent(4, signed=LATELY)
    await inbox.admit(refused, deferred, withdrawn, young, inbox.sent(5))
    async with inbox.unit() as unit:
        await unit.record_outcomes(
            [
                Outcome(refused.message_id, ReceiptOutcome.REFUSED, "offer_unknown"),
                Outcome(deferred.message_id, ReceiptOutcome.DEFERRED, "version_unknown"),
            ]
        )
    await inbox.holds(0)
    assert await retained(endpoint, inbox) == [1, 2, 3, 4]
    assert (await inbox.admit(refused)).done[refused.digest].outcome is ReceiptOutcome.REFUSED
    assert (await inbox.admit(young)).done[young.digest].outcome is APPLIED


async def test_what_goes_is_added_up_for_the_accounts_and_twice_changes_nothing(
    inbox: Inbox, endpoint: DatabaseEndpoint
) -> None:
    messages = [inbox.sent(number) for number in (1, 2, 3)]
    await inbox.admit(*messages)
    await inbox.holds(2)
    await retained(endpoint, inbox)
    await inbox.holds(0)
    for _ in range(2):
        assert await retained(endpoint, inbox) == []
    accountant = await asyncpg.connect(endpoint.accountant_url)
    try:
        [row] = [row for row in await accountant.fetch(views.COMPACTED) if row["epoch"] == inbox.epoch]
    finally:
        await accountant.close()
    assert (row["book"], row["spans"]) == ("inbox", [[1, 3]])
    assert int(row["digests"]) == sum(int(each.digest[:15], 16) for each in messages)


_SETTLED = """
INSERT INTO settled (message_id, type, sender, recipient, lane, epoch, sequence, digest, outcome, settled_at)
VALUES ($1, 'causeway.case_accepted.v1', $2, $3, 'law_enforcement', $4, $5, $6, $7, $8)
"""


_COMPACTED = "SELECT book, numbers::text, digests FROM compacted WHERE epoch = $1"


@pytest.mark.parametrize("made", [True, False], ids=["a month", "no month was made"])
async def test_settled_months_leave_but_for_what_was_not_applied(
    inbox: Inbox, endpoint: DatabaseEndpoint, made: bool
) -> None:
    at = LONG_AGO - timedelta(days=366)
    if made:
        await apply(owned({"hotline": endpoint}), at)
    rows = [(1, "applied", at), (2, "refused", at), (3, None, at), (4, "moved", at), (5, "applied", LATELY)]
    for number, outcome, settled_at in rows:
        about = (HOTLINE, POLICE, inbox.epoch, number, f"0123456789abcde{number:049x}", outcome, settled_at)
        await as_owner(endpoint, _SETTLED, coarse_uuid7(settled_at), *about)
    for _ in range(2):
        await apply(owned({"hotline": endpoint}), NOW)
        left = await inbox.database.fetch("SELECT sequence FROM settled WHERE epoch = $1 ORDER BY 1", inbox.epoch)
        assert [row["sequence"] for row in left] == [2, 4, 5]
        [row] = await inbox.database.fetch(_COMPACTED, inbox.epoch)
        assert tuple(row) == ("settled", "{[1,2),[3,4)}", 10_248_191_152_060_860), "twice the first 60 bits"


async def test_what_was_compacted_shows_as_applied_to_who_sent_it(databases: dict[str, Database]) -> None:
    origin = Origin(databases["hotline"], world())
    referral_id = await origin.file()
    shown = await origin.show(referral_id)
    assert {edge["delivery"] for edge in shown["edges"]} == {"queued"}
    await origin.forget()
    shown = await origin.show(referral_id)
    assert {edge["delivery"] for edge in shown["edges"]} == {"applied"}
