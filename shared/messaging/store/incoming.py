"""Streams of other instances in PostgreSQL: one row a pair, written once a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.core.envelope.content_proof import SharedProof
from shared.messaging.exceptions import DAY_SPENT, EXCEPTIONS_MAX
from shared.messaging.store.outgoing import Tables, list_assignments, superseded
from shared.messaging.streams import Incoming, IncomingLane, LaneEnd, Pair
from shared.platform.database.columns import Columns, Statement, insert
from shared.platform.database.transactions import Session, gather_part, write_parts


class _ReceiveRow(NamedTuple):
    writer: str
    addressee: str
    incarnation: UUID | None
    urgent_chain: bytes
    urgent_through: int
    urgent_topic_id: UUID | None
    urgent_next_offset: int
    urgent_is_stopped: bool
    urgent_has_gap: bool
    ordinary_chain: bytes
    ordinary_through: int
    ordinary_topic_id: UUID | None
    ordinary_next_offset: int
    ordinary_is_stopped: bool
    ordinary_has_gap: bool
    dropped_closed: UUID | None
    missed: UUID | None
    owes_ack: bool
    is_urgent: bool
    echo: UUID | None
    acked_at: datetime | None
    entered_since: datetime | None
    entered_count: int
    closed_count: int
    revision: int


class _ClosedRow(NamedTuple):
    writer: str
    addressee: str
    incarnation: UUID
    urgent_through: int
    urgent_chain: bytes
    ordinary_through: int
    ordinary_chain: bytes


_RECEIVE: Columns[_ReceiveRow] = Columns.of(_ReceiveRow)
_CLOSED: Columns[_ClosedRow] = Columns.of(_ClosedRow)
_LANE_FIELDS: Final = ("chain", "through", "topic_id", "next_offset", "is_stopped", "has_gap")
_PAIR_FIELDS: Final = (
    *("dropped_closed", "missed", "owes_ack", "is_urgent", "echo", "acked_at", "entered_since", "entered_count"),
)

#: A stream stops at the bound: more exceptions need not be counted.
_OF_LANE: Final = f"""
LATERAL (SELECT count(*) AS row_count, coalesce(sum(record_bytes), 0) AS byte_count FROM (
    SELECT record_bytes FROM exception AS e
    WHERE e.writer = r.writer AND e.lane = %d AND e.code IS DISTINCT FROM '{DAY_SPENT}' LIMIT {EXCEPTIONS_MAX}) AS e)"""
_SELECT: Final = f"""
SELECT r.*, urgent.row_count AS urgent_count, urgent.byte_count AS urgent_bytes,
       ordinary.row_count AS ordinary_count, ordinary.byte_count AS ordinary_bytes,
       EXISTS (SELECT FROM exception AS e WHERE e.writer = r.writer AND e.code = '{DAY_SPENT}') AS has_sender_day,
       (SELECT revision FROM receive_state AS s WHERE s.writer = r.writer AND s.addressee = r.addressee) AS seen
FROM receive_state AS r CROSS JOIN {_OF_LANE % 0} AS urgent CROSS JOIN {_OF_LANE % 1} AS ordinary
"""
_LOAD: Final = f"{_SELECT} WHERE writer = $1 AND addressee = $2"
_LOAD_LOCKED: Final = f"{_LOAD} FOR NO KEY UPDATE OF r"
_LIST: Final = f"{_SELECT} ORDER BY writer, addressee"
_CLOSED_OF: Final = """
SELECT incarnation, urgent_through, urgent_chain, ordinary_through, ordinary_chain
FROM incarnation WHERE writer = $1 AND addressee = $2 AND urgent_through IS NOT NULL
"""
_SAVE: Statement = insert(
    "receive_state AS r",
    _RECEIVE,
    end=f"""
ON CONFLICT (writer, addressee) DO UPDATE SET
    {list_assignments(_RECEIVE, "excluded", without=["writer", "addressee"])}
WHERE r.revision = excluded.revision - 1 RETURNING revision
""",
)
#: The instance as a writer to itself may have added the row, without ends. Audit may extend the ends.
_CLOSE = insert(
    "incarnation",
    _CLOSED,
    end=f"""
ON CONFLICT (writer, addressee, incarnation) DO UPDATE SET
    {list_assignments(_CLOSED, "excluded", without=["writer", "addressee", "incarnation"])}
""",
)


_PROOF: Columns[SharedProof] = Columns.of(SharedProof)
_ADD_PROOFS = insert("content_proof", _PROOF, end="ON CONFLICT DO NOTHING")
_READ_PROOF: Final = "SELECT packed FROM content_proof WHERE proof_id = $1"


def gather_proofs(driver: asyncpg.Connection, proofs: Iterable[SharedProof | None]) -> None:
    """Have proofs added with the next statement of the last step, each once."""
    if new := list({each.proof_id: each for each in proofs if each is not None}.values()):
        gather_part(driver, _ADD_PROOFS.part(rows=_PROOF.rows(new)))


async def read_proof(driver: asyncpg.Connection, proof_id: UUID) -> SharedProof:
    """Return a stored proof."""
    return SharedProof(proof_id, await driver.fetchval(_READ_PROOF, proof_id))


class IncomingTables(Tables):
    """The tables of the streams that this instance reads."""

    def __init__(self, session: Session, own: str) -> None:
        super().__init__(session, own)
        #: The rows that this transaction has loaded or saved, as they are stored.
        self._received: dict[Pair, _ReceiveRow] = {}
        #: The ends of closed incarnations, as they are stored.
        self._closed: dict[Pair, dict[UUID, tuple[LaneEnd, LaneEnd]]] = {}
        #: The pairs whose row this transaction has locked: no other one can write it.
        self._locked: set[Pair] = set()

    async def load_incoming(self, pair: Pair, *, lock: bool) -> Incoming:
        await write_parts(self._driver)
        text = _LOAD_LOCKED if lock else _LOAD
        row = await self._driver.fetchrow(text, *pair)
        if row is not None and row["seen"] != row["revision"]:
            # It has waited for the row. It has counted the exceptions of before.
            row = await self._driver.fetchrow(text, *pair)
        if row is None:
            return Incoming(pair)
        if lock:
            self._locked.add(pair)
        has_any = row["has_sender_day"] or row["urgent_count"] + row["ordinary_count"]
        if lock and pair.addressee == self.own and not has_any:
            self._without_exceptions.add(pair.writer)
        return await self._parse_incoming(row)

    async def list_incoming(self) -> list[Incoming]:
        await write_parts(self._driver)
        return [await self._parse_incoming(row) for row in await self._driver.fetch(_LIST)]

    async def save_incoming(self, incoming: Incoming) -> None:
        """Store the state of a pair.

        Raise `Unavailable("messaging_superseded")` if another transaction has stored one since it was loaded.
        """
        loaded = self._received.get(incoming.pair)
        row = _format(incoming, revision=0 if loaded is None else loaded.revision)
        changed = incoming.closed.items() - self._closed.get(incoming.pair, {}).items()
        if row == loaded and not changed:
            return
        if changed:
            rows = [_ClosedRow(*incoming.pair, of, *urgent, *ordinary) for of, (urgent, ordinary) in changed]
            await self._driver.execute(*_CLOSE.bind(rows=_CLOSED.rows(rows)))
            self._closed[incoming.pair] = dict(incoming.closed)
        row = row._replace(revision=row.revision + 1)
        if incoming.pair in self._locked:
            gather_part(self._driver, _SAVE.part(rows=_RECEIVE.rows([row])))
        elif not await self._driver.fetch(*_SAVE.bind(rows=_RECEIVE.rows([row]))):
            raise superseded()
        self._received[incoming.pair] = row

    async def _parse_incoming(self, found: asyncpg.Record) -> Incoming:
        row = _ReceiveRow(*(found[name] for name in _ReceiveRow._fields))
        pair = Pair(row.writer, row.addressee)
        self._received[pair] = row
        # After the lock, and by a statement of its own: one statement would not see rows of a lock that it waited for.
        closed: Sequence[asyncpg.Record] = await self._driver.fetch(_CLOSED_OF, *pair) if row.closed_count else ()
        ends = self._closed[pair] = {each["incarnation"]: _parse_ends(each) for each in closed}
        return Incoming(
            pair=pair,
            incarnation=row.incarnation,
            lanes=(_parse_lane(row, "urgent"), _parse_lane(row, "ordinary")),
            closed=dict(ends),
            **{name: getattr(row, name) for name in _PAIR_FIELDS},
            exception_counts=(found["urgent_count"], found["ordinary_count"]),
            exception_bytes=(found["urgent_bytes"], found["ordinary_bytes"]),
        )


def _format(incoming: Incoming, *, revision: int) -> _ReceiveRow:
    lanes = [getattr(lane, name) for lane in incoming.lanes for name in _LANE_FIELDS]
    others = [getattr(incoming, name) for name in _PAIR_FIELDS]
    return _ReceiveRow._make((*incoming.pair, incoming.incarnation, *lanes, *others, len(incoming.closed), revision))


def _parse_lane(row: _ReceiveRow, prefix: str) -> IncomingLane:
    return IncomingLane(**{name: getattr(row, f"{prefix}_{name}") for name in _LANE_FIELDS})


def _parse_ends(row: asyncpg.Record) -> tuple[LaneEnd, LaneEnd]:
    return (
        LaneEnd(row["urgent_through"], row["urgent_chain"]),
        LaneEnd(row["ordinary_through"], row["ordinary_chain"]),
    )
