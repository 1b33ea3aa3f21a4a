"""The inbox in PostgreSQL: the transaction in which a consumed batch takes effect exactly once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.message import Draft
from shared.runtime.database.columns import Columns, Statement, insert
from shared.runtime.database.transactions import Database, RowScope, Session
from shared.runtime.post import outbox
from shared.runtime.post.kept_record import encrypt_record
from shared.runtime.post.ports import Admission, Arrival, Parked, Settled, Settlement
from shared.runtime.post.sent_book import PostgresSentBook
from shared.vocabulary.answers import ReceiptOutcome

_ARRIVAL = Columns.of(Arrival)
_ADMIT = Statement(
    """
INSERT INTO inbox ({arrivals.names}) SELECT {arrivals.values} FROM {arrivals.ordered} ORDER BY arrivals.position
ON CONFLICT DO NOTHING RETURNING digest
""",
    arrivals=_ARRIVAL,
)
_STORED = "SELECT message_id, digest, outcome, code FROM inbox WHERE message_id = ANY($1::uuid[])"
_OUTCOMES = """
UPDATE inbox AS i SET outcome = a.outcome, code = a.code
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS a(message_id, outcome, code) WHERE i.message_id = a.message_id
"""
_PARKED = Columns.of(Parked, without=("record",), body="bytea")
_PARK = insert("quarantine", _PARKED, end='ON CONFLICT DO NOTHING RETURNING topic, partition, "offset", broker_time')


class PostgresUnit:
    """One transaction of one batch. Nothing of it is visible, or will ever be, unless all of it is."""

    def __init__(self, session: Session, kek: KeyEncryptionKey) -> None:
        self.connection = session
        self._driver = session.driver
        self._kek = kek

    async def admit(self, arrivals: Sequence[Arrival]) -> Admission:
        arrivals = _first_of_each(arrivals)
        if not arrivals:
            return Admission(frozenset(), {}, {})
        admitted = await self._driver.fetch(*_ADMIT.bind(arrivals=_ARRIVAL.rows(arrivals)))
        fresh = frozenset(row["digest"] for row in admitted)
        others = [arrival for arrival in arrivals if arrival.digest not in fresh]
        if not others:
            return Admission(fresh, {}, {})
        stored = await self._driver.fetch(_STORED, [arrival.message_id for arrival in others])
        outcomes = {row["digest"]: (ReceiptOutcome(row["outcome"]), row["code"]) for row in stored}
        taken = {row["message_id"] for row in stored}
        return Admission(
            fresh,
            {each.digest: outcomes[each.digest] for each in others if each.digest in outcomes},
            {each.digest: _reused(each, taken) for each in others if each.digest not in outcomes},
        )

    async def record_outcomes(self, outcomes: Sequence[tuple[UUID, ReceiptOutcome, str]]) -> None:
        if outcomes:
            ids, words, codes = zip(*outcomes, strict=True)
            await self._driver.execute(_OUTCOMES, list(ids), [word.value for word in words], list(codes))

    @property
    def sent_book(self) -> PostgresSentBook:
        return PostgresSentBook(self._driver)

    async def enqueue(self, drafts: Sequence[Draft]) -> None:
        await outbox.enqueue(self._driver, drafts)

    async def settle(self, settlements: Sequence[Settlement]) -> Settled:
        return await outbox.settle(self._driver, settlements)

    async def park(self, parked: Sequence[Parked]) -> list[Parked]:
        if not parked:
            return []
        rows = _PARKED.rows(parked, body=[self._encrypted(row) for row in parked])
        new = await self._driver.fetch(*_PARK.bind(rows=rows))
        places = {tuple(row) for row in new}
        return [row for row in parked if (row.topic, row.partition, row.offset, row.broker_time) in places]

    def _encrypted(self, row: Parked) -> bytes | None:
        return None if row.record is None else encrypt_record(row.record, self._kek)


def _first_of_each(arrivals: Sequence[Arrival]) -> list[Arrival]:
    firsts: dict[str, Arrival] = {}
    for arrival in arrivals:
        firsts.setdefault(arrival.digest, arrival)
    return list(firsts.values())


def _reused(arrival: Arrival, ids_taken: set[UUID]) -> str:
    return "message_id_reused" if arrival.message_id in ids_taken else "sequence_reused"


class PostgresInbox:
    """Opens the transaction of each batch under a scope that sees all parties of the instance."""

    def __init__(
        self, database: Database, *, scope: Callable[[], RowScope], kek: KeyEncryptionKey, wake: Callable[[], None]
    ):
        self._database = database
        self._scope = scope
        self._kek = kek
        self._wake = wake

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[PostgresUnit]:
        async with self._database.transaction(self._scope()) as session:
            yield PostgresUnit(session, self._kek)
        # Committed: the relay may look at once instead of at its next poll.
        self._wake()
