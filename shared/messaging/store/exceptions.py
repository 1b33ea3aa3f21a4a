"""Exceptions in PostgreSQL: messages of others that are stored here, and own messages that others store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.messaging import ports
from shared.messaging.exceptions import Coordinates, NamedMessage, OpenException, Outcome, OutcomeKind, TakenMessage
from shared.messaging.ports import OpenOutcome
from shared.messaging.store.outgoing import Tables, list_assignments
from shared.messaging.streams import Lane, StreamPlace, WireRole
from shared.platform.database.columns import Columns, insert


class _ExceptionRow(NamedTuple):
    message_id: UUID
    writer: str
    incarnation: UUID
    lane: int
    number: int
    chain: bytes
    role: str
    kind: str
    subject: UUID | None
    revision: int | None
    content: bytes | None
    acts: tuple[str, ...]
    after: UUID | None
    outcome: str
    code: str | None
    held: int | None
    record: bytes
    topic_id: UUID | None
    offset: int
    broker_at: datetime
    opened_at: datetime


#: The values of a row, in the order of its columns.
_VALUES: Final = attrgetter(
    *("taken.named.message_id", "taken.writer", "taken.place.incarnation", "taken.place.lane", "taken.place.number"),
    *("taken.chain", "taken.named.role", "taken.named.kind", "taken.named.subject", "taken.named.revision"),
    *("taken.named.content", "taken.named.acts", "taken.named.after", "outcome.kind", "outcome.code", "outcome.held"),
    *("taken.record", "taken.where.topic_id", "taken.where.offset", "taken.where.broker_time", "since"),
)


_EXCEPTION: Columns[_ExceptionRow] = Columns.of(_ExceptionRow, lane="smallint", acts="uuid[]")
_OPEN: Columns[OpenOutcome] = Columns.of(
    OpenOutcome, without=("kind", "since"), outcome="text", opened_at="timestamptz"
)

_ADD = insert(
    "exception",
    _EXCEPTION,
    end=f"""
ON CONFLICT (writer, message_id) DO UPDATE SET
    {list_assignments(_EXCEPTION, "excluded", without=["writer", "message_id"])}
""",
)
_LIST: Final = "SELECT * FROM exception WHERE {filters} ORDER BY opened_at, message_id"
_CHANGE: Final = "UPDATE exception SET outcome = $3, code = $4, held = $5 WHERE writer = $1 AND message_id = $2"
_END: Final = "DELETE FROM exception WHERE writer = $1 AND message_id = ANY($2::uuid[])"
_PUT_OPEN = insert(
    "outcome_open",
    _OPEN,
    end="""
ON CONFLICT (peer, message_id) DO UPDATE SET
    outcome = excluded.outcome, code = excluded.code, opened_at = excluded.opened_at
""",
)
_END_OPEN: Final = "DELETE FROM outcome_open WHERE peer = $1 AND message_id = ANY($2::uuid[])"
_DROP_OPEN: Final = "DELETE FROM outcome_open WHERE peer = $1"
_COUNT_OPEN: Final = """
SELECT count(*) AS open_count FROM (SELECT FROM outcome_open WHERE peer = $1 LIMIT $2) AS o
"""
_LIST_OPEN: Final = "SELECT * FROM outcome_open WHERE peer = $1 ORDER BY message_id"


class ExceptionTables(Tables):
    """The tables of exceptions at both ends."""

    async def add_exceptions(self, rows: Sequence[OpenException]) -> None:
        if rows:
            self._without_exceptions -= {each.taken.writer for each in rows}
            await self._driver.execute(*_ADD.bind(rows=_EXCEPTION.rows([_format(each) for each in rows])))

    async def list_exceptions(
        self,
        *,
        writer: str | None = None,
        message_ids: Sequence[UUID] | None = None,
        subjects: Sequence[UUID] | None = None,
        kinds: Collection[OutcomeKind] | None = None,
        after: tuple[datetime, UUID] | None = None,
        rows_max: int = 1000,
    ) -> list[OpenException]:
        if writer in self._without_exceptions:
            return []
        # A filter that is not given is not in the statement: so its plan uses the index of the others.
        given: list[tuple[str, tuple[object, ...]]] = []
        if writer is not None:
            given.append(("writer = {}", (writer,)))
        if message_ids is not None:
            given.append(("message_id = ANY({}::uuid[])", (list(message_ids),)))
        if subjects is not None:
            given.append(("subject = ANY({}::uuid[])", (list(subjects),)))
        if kinds is not None:
            given.append(("outcome = ANY({}::text[])", ([kind.value for kind in kinds],)))
        if after is not None:
            given.append(("(opened_at, message_id) > ({}, {})", after))
        arguments = [argument for _, each in given for argument in each]
        filters = " AND ".join(["true", *(text for text, _ in given)])
        numbers = (f"${number}" for number in range(1, len(arguments) + 1))
        text = f"{_LIST.format(filters=filters).format(*numbers)} LIMIT {rows_max:d}"
        return [_parse(row) for row in await self._driver.fetch(text, *arguments)]

    async def change_exception(self, writer: str, message_id: UUID, outcome: Outcome) -> None:
        await self._driver.execute(_CHANGE, writer, message_id, outcome.kind.value, outcome.code, outcome.held)

    async def end_exceptions(self, writer: str, message_ids: Sequence[UUID]) -> None:
        await self._driver.execute(_END, writer, list(message_ids))

    async def put_open_outcomes(self, peer: str, rows: Sequence[OpenOutcome]) -> None:
        if rows:
            (counted,) = await self._driver.fetch(_COUNT_OPEN, peer, ports.OPEN_OUTCOMES_MAX)
            kept = rows[: ports.OPEN_OUTCOMES_MAX - counted["open_count"]]
            bound = _OPEN.rows(kept, outcome=[row.kind for row in kept], opened_at=[row.since for row in kept])
            await self._driver.execute(*_PUT_OPEN.bind(rows=bound))

    async def end_open_outcomes(self, peer: str, message_ids: Sequence[UUID]) -> None:
        await self._driver.execute(_END_OPEN, peer, list(message_ids))

    async def replace_open_outcomes(self, peer: str, rows: Sequence[OpenOutcome]) -> None:
        await self._driver.execute(_DROP_OPEN, peer)
        await self.put_open_outcomes(peer, rows)

    async def list_open_outcomes(self, peer: str) -> list[OpenOutcome]:
        rows = await self._driver.fetch(_LIST_OPEN, peer)
        return [
            OpenOutcome(peer, row["message_id"], OutcomeKind(row["outcome"]), row["code"], row["opened_at"])
            for row in rows
        ]


def _format(exception: OpenException) -> _ExceptionRow:
    assert isinstance(exception.taken.record, bytes)
    row = _ExceptionRow._make(_VALUES(exception))
    return row._replace(acts=tuple(map(str, row.acts)))


def _parse(row: asyncpg.Record) -> OpenException:
    found = _ExceptionRow(*(row[name] for name in _ExceptionRow._fields))
    named = NamedMessage(found.message_id, WireRole(found.role), *found[7:11], tuple(row["acts"]), found.after)
    place = StreamPlace(found.incarnation, Lane(found.lane), found.number)
    where = Coordinates(found.topic_id, found.offset, found.broker_at)
    taken = TakenMessage(found.writer, place, found.chain, named, found.record, where)
    return OpenException(taken, Outcome(named, OutcomeKind(found.outcome), found.code, found.held), found.opened_at)
