"""An addressee that invents incarnations leaves few rows at audit, blames nobody else, and hides no loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from deploy.accounting import views
from deploy.accounting.book import Ledger
from shared.kernel.ids import uuid7
from shared.messaging.resync import ClosedIncarnation, Holdings
from shared.messaging.streams import LaneEnd, Pair
from tests.services.audit.broker import Broker
from tests.services.audit.log import Log
from tests.services.audit.test_acknowledgements import stated
from tests.services.audit.test_intake import TO_AUDIT, TO_POLICE, left, losses, offers, opening

#: The pairs whose addressee lies. Their rows stay from test to test.
TO_INDUSTRY, TO_HOTLINE = Pair("hotline", "industry"), Pair("industry", "hotline")
BY_POLICE = {"by": "law_enforcement", "to": "hotline"}
INVENTED, ROOM = 120, 48
ENDS = LaneEnd(2, bytes(32)), LaneEnd(9, bytes(32))


async def rows(log: Log, table: str, pair: Pair) -> list[Any]:
    return list(await log.database.fetch(f"SELECT * FROM {table} WHERE (writer, addressee) = ($1, $2)", *pair))


async def accounts(log: Log, query: str) -> Sequence[Any]:
    async with log.database.transaction() as session:
        return await Ledger(session.driver, kind="audit").fetch(query)


async def test_invented_closed_incarnations_are_few_rows_and_one_line_that_names_their_inventor(log: Log) -> None:
    broker = Broker()
    broker.append(*opening(log, TO_INDUSTRY))
    await log.take(broker)
    known = log.world.streams.outgoing.pop(TO_INDUSTRY).incarnation
    broker.append(*opening(log, TO_INDUSTRY))
    invented = tuple(ClosedIncarnation(uuid7(), ENDS) for _ in range(INVENTED))
    real = ClosedIncarnation(known, (LaneEnd(0, bytes(32)), ENDS[1]))
    for closed in (invented, invented[::-1], (real,)):
        stated_ = Holdings(uuid7(), is_last=True, closed=closed)
        broker.append(*log.control(stated_, by="industry", to="hotline"))
        await log.take(broker)
    found = await rows(log, "closed_end", TO_INDUSTRY)
    assert len([row for row in found if row["incarnation"] != known]) == ROOM
    lost = [tuple(row) for row in await accounts(log, views.LOSSES) if row["addressee"] == "industry"]
    assert lost == [(*TO_INDUSTRY, known, 1, 1, 9)], "invented ones leave room for one that its writer has stated"
    assert [tuple(row) for row in await accounts(log, views.UNKNOWN_ENDS)].count(TO_INDUSTRY) == 1


async def test_invented_ends_of_a_known_incarnation_are_few_rows_and_one_line_a_lane(log: Log) -> None:
    broker = Broker()
    broker.append(*opening(log, TO_HOTLINE))
    await log.take(broker)
    known = log.world.streams.outgoing.pop(TO_HOTLINE).incarnation
    closed = tuple(
        ClosedIncarnation(known, (LaneEnd(0, bytes(32)), LaneEnd(number, bytes(32))))
        for number in range(1, INVENTED + 1)
    )
    said = Holdings(uuid7(), is_last=True, closed=closed)
    broker.append(*log.control(said, by="hotline", to="industry"), *opening(log, TO_HOTLINE))
    await log.take(broker)
    assert len(await rows(log, "closed_end", TO_HOTLINE)) == ROOM
    lost = [tuple(row) for row in await accounts(log, views.LOSSES) if row["incarnation"] == known]
    assert lost == [(*TO_HOTLINE, known, 1, 1, ROOM)]


async def test_a_loss_is_listed_whatever_others_have_invented(log: Log) -> None:
    """Other pairs can have more invented rows together than one list could show."""
    broker = Broker()
    broker.append(*opening(log, TO_AUDIT, TO_POLICE), *offers(log, 1))
    await log.take(broker)
    old = log.world.streams.outgoing.pop(TO_POLICE)
    beyond = LaneEnd(5, bytes(32))
    broker.append(*log.control(left(log, old.incarnation, ENDS[0]._replace(number=0), beyond), **BY_POLICE))
    broker.append(*opening(log, TO_POLICE))
    await log.take(broker)
    async with log.database.transaction() as session:
        await session.driver.execute(
            """
INSERT INTO closed_end (writer, addressee, incarnation, lane, number, chain, stated_at)
SELECT $1, $2, overlay($3::text placing lpad(i::text, 12, '0') from 25)::uuid, 1, 7, '\\x00', now()
FROM generate_series(1, 1100) AS i
""",
            *TO_AUDIT,
            str(UUID(int=0)),
        )
    listed = [tuple(row) for row in await accounts(log, views.LOSSES)]
    assert (*TO_POLICE, old.incarnation, 1, 2, 5) in listed
    assert not [row for row in listed if row[2].int < 2**64]


async def test_invented_acknowledgements_are_few_rows_and_a_known_incarnation_has_its_own(log: Log) -> None:
    broker = Broker()
    broker.append(*opening(log, TO_INDUSTRY))
    await log.take(broker)
    outgoing = log.world.streams.outgoing[TO_INDUSTRY]
    for _ in range(2):
        broker.append(*(stated(log, "industry", "hotline", of=uuid7()) for _ in range(INVENTED)))
        await log.take(broker)
    broker.append(stated(log, "industry", "hotline", taken=outgoing.lanes, of=outgoing.incarnation))
    await log.take(broker)
    found = await rows(log, "acknowledgement", TO_INDUSTRY)
    assert len([row for row in found if row["incarnation"] != outgoing.incarnation]) == ROOM
    assert [row["through"] for row in found if row["incarnation"] == outgoing.incarnation] == [1, 0]


async def test_what_reaches_audit_before_the_first_message_of_its_incarnation_counts_later(log: Log) -> None:
    """An acknowledgement, and the end of an incarnation."""
    broker, ahead = Broker(), Broker()
    broker.append(*opening(log, TO_POLICE), *offers(log, 1))
    old = log.world.streams.outgoing.pop(TO_POLICE)
    beyond = replace(old.lanes[1], last=5, chain=bytes(32))
    ends = LaneEnd(old.lanes[0].last, old.lanes[0].chain), LaneEnd(beyond.last, beyond.chain)
    ahead.append(stated(log, **BY_POLICE, taken=old.lanes, of=old.incarnation))
    ahead.append(*log.control(left(log, old.incarnation, *ends), **BY_POLICE))
    await log.take(ahead)
    await log.take(broker)
    broker.append(*opening(log, TO_POLICE))
    await log.take(broker)
    assert await losses(log, old.incarnation) == [(*TO_POLICE, 1, 2, 5)]
    assert (*TO_POLICE, old.incarnation, 1, 2, 5) in [tuple(row) for row in await accounts(log, views.LOSSES)]
    acked = [row for row in await rows(log, "acknowledgement", TO_POLICE) if row["incarnation"] == old.incarnation]
    assert [row["through"] for row in acked] == [old.lanes[0].last, old.lanes[1].last]
