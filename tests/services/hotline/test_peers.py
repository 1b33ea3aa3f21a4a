"""What peers have said last, as PostgreSQL keeps it: a later word replaces an earlier one, whatever is read first."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.contracts.delivery import SentMark, TakenMark
from shared.exchange.reads import Reads, own_reads
from shared.kernel.ids import uuid7
from shared.runtime.database.transactions import Database
from shared.runtime.post.peers import EPOCHS_MAX, PostgresPeers, Spoken, peer_reads
from shared.runtime.post.sent_book import PostgresSentBook
from shared.runtime.post.turns import ahead
from tests.services.hotline.origin import Origin
from tests.support.builders import AT, HOTLINE, POLICE


def spoken(second: int, offset: int = 0) -> Spoken:
    return Spoken(AT + timedelta(seconds=second), offset)


@pytest.fixture(autouse=True)
async def empty(database: Database) -> None:
    async with database.transaction() as session:
        for table in ("peer", "outbox", "pair_sequence", "closed_epoch"):
            await session.driver.execute(f"DELETE FROM {table}")


async def test_the_newest_announcement_counts(database: Database) -> None:
    fewer = own_reads().model_copy(update={"messages": own_reads().messages[:1]})
    assert (await peer_reads(database)).announced == {}
    for reads, at in ((fewer, spoken(5)), (own_reads(), spoken(9)), (fewer, spoken(7)), (fewer, spoken(9))):
        async with database.transaction() as session:
            await PostgresPeers(session.driver).announced("industry", reads, at)
    assert (await peer_reads(database)).announced == {"industry": Reads.of(own_reads())}


async def test_what_one_has_announced_and_cannot_be_read_any_more_hides_nobody_elses(database: Database) -> None:
    """It counts as not announced: else no process of this instance would read documents, either."""
    async with database.transaction() as session:
        for peer in ("industry", "law_enforcement"):
            await PostgresPeers(session.driver).announced(peer, own_reads(), spoken(5))
        await session.driver.execute("UPDATE peer SET reads = '{}' WHERE instance = 'industry'")
    assert (await peer_reads(database)).announced == {"law_enforcement": Reads.of(own_reads())}


async def test_a_database_knows_which_it_is(database: Database) -> None:
    began = []
    for _ in range(2):
        async with database.transaction() as session:
            began.append(await PostgresPeers(session.driver).began())
            lives = await session.driver.fetchval("SELECT lives FROM life")
    assert (began, lives) == ([True, False], 1)


async def test_numbers_that_a_restored_database_never_gave_end_their_epoch_once(origin: Origin) -> None:
    """The recipient has seen 3 more than we know of: its epoch closes there, and ours goes on in another."""
    await origin.file()
    [before] = await sent_to(origin, POLICE)
    told = TakenMark(sender=HOTLINE, recipient=POLICE, epoch=before.epoch, through=before.last + 3)
    other = TakenMark(sender=HOTLINE, recipient=POLICE, epoch=uuid7(), through=7)
    for _ in range(2):
        async with origin.database.transaction() as session:
            await PostgresPeers(session.driver).forgotten("law_enforcement", [told, other])
    assert ahead([told, other], await sent_to(origin, POLICE), appended=9) == ([], []), "what was told once is no news"
    await origin.file()
    marks = {mark.epoch: mark.last for mark in await sent_to(origin, POLICE)}
    assert (marks[told.epoch], marks[other.epoch]) == (before.last + 3, 7)
    [fresh] = set(marks) - {told.epoch, other.epoch}
    assert marks[fresh] == 1


async def test_a_peer_that_makes_up_lives_of_ours_is_believed_so_many_and_no_more(origin: Origin) -> None:
    await origin.file()
    for through in range(1, 4):
        made_up = [
            TakenMark(sender=HOTLINE, recipient=POLICE, epoch=uuid7(), through=through) for _ in range(EPOCHS_MAX)
        ]
        async with origin.database.transaction() as session:
            await PostgresPeers(session.driver).forgotten("law_enforcement", made_up)
    assert len(await sent_to(origin, POLICE)) == EPOCHS_MAX + 1


async def sent_to(origin: Origin, recipient: str) -> list[SentMark]:
    async with origin.database.transaction() as session:
        marks = await PostgresSentBook(session.driver).sent_marks("law_enforcement")
    return [mark for mark in marks if mark.recipient == recipient]
