"""The tables of messaging: PostgreSQL and memory give the same results."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.ids import uuid7
from shared.messaging.exceptions import OutcomeKind
from shared.messaging.ports import OpenOutcome, OperatorKind, OperatorLine, PeerResync
from shared.messaging.segments import Segment
from shared.messaging.streams import (
    Incoming,
    IncomingLane,
    Lane,
    LaneEnd,
    Outgoing,
    Pair,
    Probe,
    Reader,
    Source,
    SourceLane,
    StreamPlace,
    begin_chain,
    extend_chain,
)
from tests.support.messaging_memory import MemoryDatabase
from tests.support.messaging_stores import (
    AT,
    OWN,
    TODAY,
    MessagingStore,
    begin_streams,
    build_exception,
    memory_store,
    messaging_database,
    opened_database,
    place_messages,
    postgres_store,
)

PEER = "industry"
PAIR = Pair(PEER, OWN)
LANE = Lane.ORDINARY
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    with messaging_database(tmp_path_factory.mktemp("messaging")) as running:
        yield running


@pytest.fixture
async def postgres(endpoint: DatabaseEndpoint) -> AsyncIterator[MessagingStore]:
    async with opened_database(endpoint) as database:
        yield postgres_store(database)


@pytest.fixture
def memory() -> MessagingStore:
    return memory_store(MemoryDatabase())


@pytest.fixture(params=["postgres", "memory"])
def stores(request: pytest.FixtureRequest) -> MessagingStore:
    chosen: MessagingStore = request.getfixturevalue(request.param)
    return chosen


async def save(stores: MessagingStore, outgoing: Outgoing, *segments: Segment) -> None:
    async with stores.transaction() as tx:
        await tx.load_outgoing([outgoing.pair.addressee], lock=True)
        await tx.save_outgoing([outgoing], segments)


async def load(stores: MessagingStore, peer: str = PEER) -> Outgoing | None:
    async with stores.transaction() as tx:
        return (await tx.load_outgoing([peer], lock=False)).get(peer)


async def send(stores: MessagingStore, outgoing: Outgoing, *counts: int, lane: Lane = LANE) -> list[Segment]:
    """Send segments of these sizes, each on a day of its own and in its own transaction."""
    segments = []
    for index, count in enumerate(counts):
        segments.append(place_messages(outgoing, count, lane=lane, day=TODAY + timedelta(days=index)))
        await save(stores, outgoing, segments[-1])
    return segments


async def listed(stores: MessagingStore, outgoing: Outgoing, *, above: int, messages_max: int = 100) -> list[Segment]:
    async with stores.transaction() as tx:
        return await tx.list_segments(PEER, outgoing.incarnation, LANE, above=above, messages_max=messages_max)


async def test_streams_come_back_as_they_were_saved(stores: MessagingStore) -> None:
    outgoing = begin_streams()
    await save(stores, outgoing)
    assert await load(stores) == outgoing
    fill(outgoing)
    await save(stores, outgoing)
    assert await load(stores) == outgoing
    emptied = begin_streams()
    await save(stores, emptied)
    assert await load(stores) == emptied


@pytest.mark.parametrize(
    ("sent", "number", "returned_s", "is_other", "is_moved"),
    [
        *((2, 4, None, False, True), (3, 4, 0, False, True), (4, 4, None, False, True), (1, 4, None, False, False)),
        *((4, 3, None, False, False), (2, 4, 1, False, False), (2, 4, None, True, False)),
    ],
    ids=["there", "at the same time", "again", "went back", "behind", "went back later", "other incarnation"],
)
async def test_the_pointer_moves_unless_its_stream_went_back(
    stores: MessagingStore, *, sent: int, number: int, returned_s: int | None, is_other: bool, is_moved: bool
) -> None:
    outgoing = begin_streams()
    await send(stores, outgoing, 5)
    lane = outgoing.lanes[LANE]
    lane.sent, lane.returned_at = sent, None if returned_s is None else AT + returned_s * SECOND
    await save(stores, outgoing)
    place = StreamPlace(uuid7() if is_other else outgoing.incarnation, LANE, number)
    async with stores.transaction() as tx:
        assert await tx.move_sent(PEER, place, sent_before=2, since=AT, at=AT + 9 * SECOND) is is_moved
    if is_moved:
        lane.sent, lane.moved_at = number, AT + 9 * SECOND
    assert await load(stores) == outgoing


async def test_segments_of_other_streams_are_not_listed(stores: MessagingStore) -> None:
    """Another peer, an earlier incarnation and the other lane have a segment that begins within one of this stream."""
    earlier, police, outgoing = begin_streams(), begin_streams("police"), begin_streams()
    for each in (earlier, police):
        await send(stores, each, 2, 2)
    await send(stores, outgoing, 2, 2, lane=Lane.URGENT)
    sent = await send(stores, outgoing, 3, 1)
    assert await listed(stores, outgoing, above=2) == sent
    async with stores.transaction() as tx:
        assert await tx.find_chain(PEER, outgoing.incarnation, LANE, number=3) == sent[0].chain
        await tx.drop_segments(PEER, outgoing.incarnation, LANE, through=3)
    assert await listed(stores, outgoing, above=0) == sent[1:]
    async with stores.transaction() as tx:
        for each, lane in ((earlier, LANE), (police, LANE), (outgoing, Lane.URGENT)):
            peer, incarnation = each.pair.addressee, each.incarnation
            assert len(await tx.list_segments(peer, incarnation, lane, above=0, messages_max=9)) == 2


def fill(outgoing: Outgoing) -> None:
    """Give every field another value."""
    outgoing.probe_pause_s, outgoing.is_limited = 480, True
    outgoing.probe = Probe(uuid7(), AT + SECOND, (9, 8), (7, 6), None)
    outgoing.awaited_since, outgoing.resync_nonce = AT + 2 * SECOND, uuid7()
    outgoing.opened_at = {Reader.AUDIT: AT + 3 * SECOND}
    outgoing.heard_at = {Reader.RECIPIENT: AT + 4 * SECOND}
    for each in (3, 50):
        lanes = SourceLane(each, 4, b"u" * 32, 2), SourceLane(5, each, b"o" * 32)
        outgoing.sources.append(Source(uuid7(), lanes))
    for number, own in enumerate(outgoing.lanes, 10):
        own.last, own.chain, own.sent, own.moved_at = number, bytes([number]) * 32, number - 1, AT + number * SECOND
        own.acked, own.audit_acked, own.kept_above, own.kept_chain = number - 2, number - 3, number - 4, b"k" * 32
        own.is_full, own.copy_above, own.p0_last = True, 0, number - 5
        own.returned_to, own.returned_at = number - 6, AT - SECOND


async def test_all_or_some_peers_are_loaded(stores: MessagingStore) -> None:
    for peer in ("audit", "industry", "police"):
        await save(stores, begin_streams(peer))
    async with stores.transaction() as tx:
        assert (await tx.load_outgoing(["police", "audit", "other"], lock=True)).keys() == {"audit", "police"}
        assert (await tx.load_outgoing(None, lock=False)).keys() == {"audit", "industry", "police"}


async def test_a_transaction_that_fails_leaves_nothing(stores: MessagingStore) -> None:
    outgoing = begin_streams()
    await save(stores, outgoing)
    with pytest.raises(LookupError):
        await write_and_fail(stores)
    assert await load(stores) == outgoing
    assert await listed(stores, outgoing, above=0) == []
    async with stores.transaction() as tx:
        assert await tx.load_incoming(PAIR, lock=False) == Incoming(PAIR)
        assert await tx.load_known(PEER) == frozenset()
        assert await tx.list_exceptions() == []
        assert await tx.list_open_outcomes(PEER) == []
        assert await tx.load_resync(PEER) == PeerResync(PEER)
        assert await tx.list_operator_lines() == []


async def write_and_fail(stores: MessagingStore) -> None:
    async with stores.transaction() as tx:
        changed = (await tx.load_outgoing([PEER], lock=True))[PEER]
        await tx.save_outgoing([changed], [place_messages(changed, 2)])
        incoming = await tx.load_incoming(PAIR, lock=True)
        incoming.enter(uuid7(), AT)
        await tx.save_incoming(incoming)
        await tx.add_known(PEER, uuid7())
        await tx.add_exceptions([build_exception()])
        await tx.put_open_outcomes(PEER, [build_open()])
        await tx.save_resync(PeerResync(PEER, uuid7()))
        await tx.add_operator_lines([OperatorLine(OperatorKind.AHEAD, PEER)])
        raise LookupError


async def test_what_fails_within_a_savepoint_leaves_nothing_and_the_transaction_goes_on(stores: MessagingStore) -> None:
    before, within, after = build_open(), build_open(), build_open()
    async with stores.transaction() as tx:
        await tx.put_open_outcomes(PEER, [before])
        with suppress(LookupError):
            async with tx.savepoint():
                await tx.put_open_outcomes(PEER, [within])
                await tx.end_open_outcomes(PEER, [before.message_id])
                raise LookupError
        async with tx.savepoint():
            await tx.put_open_outcomes(PEER, [after])
    async with stores.transaction() as tx:
        assert set(await tx.list_open_outcomes(PEER)) == {before, after}


def build_open(peer: str = PEER, kind: OutcomeKind = OutcomeKind.DEFERRED) -> OpenOutcome:
    return OpenOutcome(peer, uuid7(), kind, "version:2", AT)


async def test_segments_are_listed_from_the_one_that_has_the_next_number(stores: MessagingStore) -> None:
    outgoing = begin_streams()
    first, second, third = await send(stores, outgoing, 2, 3, 1)
    for above, expected in ((0, [first, second, third]), (1, [first, second, third]), (2, [second, third]),
                            (4, [second, third]), (5, [third]), (6, []), (9, [])):  # fmt: skip
        assert await listed(stores, outgoing, above=above) == expected, above
    # Up to so many messages, and at least one segment.
    for messages_max, expected in ((1, [first]), (2, [first]), (4, [first]), (5, [first, second]),
                                   (6, [first, second, third])):  # fmt: skip
        assert await listed(stores, outgoing, above=0, messages_max=messages_max) == expected, messages_max


async def test_the_chain_is_found_after_each_number_that_is_kept(stores: MessagingStore) -> None:
    outgoing = begin_streams()
    segments = await send(stores, outgoing, 2, 3)
    digests = [message.digest for segment in segments for message in segment.messages]
    begin = begin_chain(outgoing.incarnation)
    async with stores.transaction() as tx:
        for number in range(6):
            found = await tx.find_chain(PEER, outgoing.incarnation, LANE, number=number)
            assert found == extend_chain(begin, digests[:number]), number
        assert found == outgoing.lanes[LANE].chain
        assert await tx.find_chain(PEER, outgoing.incarnation, LANE, number=6) is None
        assert await tx.find_chain(PEER, outgoing.incarnation, Lane.URGENT, number=1) is None
        assert await tx.find_chain(PEER, uuid7(), LANE, number=1) is None


async def test_whole_segments_are_dropped_through_a_number_and_their_chain_is_not_found(
    stores: MessagingStore,
) -> None:
    outgoing = begin_streams()
    first, second, third = await send(stores, outgoing, 2, 3, 1)
    for through, kept, chains in (
        (1, [first, second, third], {1, 2, 5, 6}),
        (2, [second, third], {2, 5, 6}),
        (4, [second, third], {2, 5, 6}),
        (5, [third], {5, 6}),
        (9, [], set()),
    ):
        async with stores.transaction() as tx:
            await tx.drop_segments(PEER, outgoing.incarnation, LANE, through=through)
            of = {n: await tx.find_chain(PEER, outgoing.incarnation, LANE, number=n) for n in (1, 2, 5, 6)}
        assert await listed(stores, outgoing, above=0) == kept, through
        assert {n for n, chain in of.items() if chain is not None} == chains, through
        assert of[5] in (None, second.chain)


async def test_earlier_incarnations_are_known_by_peer(stores: MessagingStore) -> None:
    first, second = uuid7(), uuid7()
    async with stores.transaction() as tx:
        for incarnation in (first, second, first):
            await tx.add_known(PEER, incarnation)
    async with stores.transaction() as tx:
        assert await tx.load_known(PEER) == {first, second}
        assert await tx.load_known("police") == frozenset()


async def test_a_stream_of_another_instance_comes_back_as_it_was_saved(stores: MessagingStore) -> None:
    async with stores.transaction() as tx:
        incoming = await tx.load_incoming(PAIR, lock=True)
        assert incoming == Incoming(PAIR)
        await tx.save_incoming(incoming)
    closed = {
        uuid7(): (LaneEnd(4, b"a" * 32), LaneEnd(0, b"b" * 32)),
        uuid7(): (LaneEnd(1, b"c" * 32), LaneEnd(9, b"")),
    }
    lanes = IncomingLane(b"u" * 32, 7, uuid7(), 70, True, False), IncomingLane(b"o" * 32, 8, uuid7(), 80, False, True)
    for saved in (
        Incoming(
            PAIR, uuid7(), lanes, dict(list(closed.items())[:1]), uuid7(), uuid7(), True, False, uuid7(), AT, AT, 3
        ),
        Incoming(PAIR, uuid7(), (IncomingLane(), lanes[0]), closed, None, None, False, True, None, None),
    ):
        async with stores.transaction() as tx:
            await tx.load_incoming(PAIR, lock=True)
            await tx.save_incoming(saved)
        async with stores.transaction() as tx:
            assert await tx.load_incoming(PAIR, lock=False) == saved
            assert await tx.load_incoming(Pair(*reversed(PAIR)), lock=False) == Incoming(Pair(*reversed(PAIR)))
            assert await tx.list_incoming() == [saved]
    extended = {of: (LaneEnd(urgent.number + 1, b"e" * 32), ordinary) for of, (urgent, ordinary) in closed.items()}
    async with stores.transaction() as tx:
        incoming = await tx.load_incoming(PAIR, lock=True)
        incoming.closed.update(extended)
        await tx.save_incoming(incoming)
    async with stores.transaction() as tx:
        assert (await tx.load_incoming(PAIR, lock=False)).closed == extended


async def test_an_instance_that_writes_to_itself_reads_the_ends_of_its_earlier_incarnations(
    stores: MessagingStore,
) -> None:
    pair, first, second = Pair(OWN, OWN), uuid7(), uuid7()
    ends = LaneEnd(4, b"a" * 32), LaneEnd(0, b"b" * 32)
    async with stores.transaction() as tx:
        await tx.add_known(OWN, first)
        incoming = await tx.load_incoming(pair, lock=True)
        incoming.closed[first] = ends
        await tx.save_incoming(incoming)
        await tx.add_known(OWN, second)
    async with stores.transaction() as tx:
        assert (await tx.load_incoming(pair, lock=False)).closed == {first: ends}
        assert await tx.load_known(OWN) == {first, second}


async def test_a_state_is_saved_several_times_in_one_transaction(stores: MessagingStore) -> None:
    async with stores.transaction() as tx:
        incoming = await tx.load_incoming(PAIR, lock=True)
        for offset in (1, 2):
            incoming.lanes[LANE].next_offset = offset
            await tx.save_incoming(incoming)
        outgoing = begin_streams()
        for pause_s in (120, 240):
            outgoing.probe_pause_s = pause_s
            await tx.save_outgoing([outgoing], [place_messages(outgoing, 1)])
    async with stores.transaction() as tx:
        assert await tx.load_incoming(PAIR, lock=False) == incoming
    assert await load(stores) == outgoing
