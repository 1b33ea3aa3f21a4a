"""Exceptions in PostgreSQL: messages of others that are kept here, and own messages that others keep."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.messaging import ports
from shared.messaging.exceptions import (
    Coordinates,
    Named,
    OpenException,
    Outcome,
    OutcomeKind,
    Taken,
)
from shared.messaging.ports import OpenOutcome
from shared.messaging.store.session import Tables, list_assignments
from shared.messaging.streams import Lane, Place, Role
from shared.runtime.database.columns import Columns, insert


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


class _OpenRow(NamedTuple):
    peer: str
    message_id: UUID
    outcome: str
    code: str | None
    opened_at: datetime


_EXCEPTION: Columns[_ExceptionRow] = Columns.of(_ExceptionRow, lane="smallint", acts="uuid[]")
_OPEN: Columns[_OpenRow] = Columns.of(_OpenRow)

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
    """Exceptions at both ends."""

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
            kept = [_OpenRow(*row) for row in rows[: ports.OPEN_OUTCOMES_MAX - counted["open_count"]]]
            await self._driver.execute(*_PUT_OPEN.bind(rows=_OPEN.rows(kept)))

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
    taken, outcome = exception.taken, exception.outcome
    assert isinstance(taken.record, bytes)
    named = taken.named
    return _ExceptionRow(
        message_id=named.message_id,
        writer=taken.writer,
        incarnation=taken.place.incarnation,
        lane=taken.place.lane,
        number=taken.place.number,
        chain=taken.chain,
        role=named.role.value,
        kind=named.kind,
        subject=named.subject,
        revision=named.revision,
        content=named.content,
        acts=tuple(map(str, named.acts)),
        after=named.after,
        outcome=outcome.kind.value,
        code=outcome.code,
        held=outcome.held,
        record=taken.record,
        topic_id=taken.where.topic_id,
        offset=taken.where.offset,
        broker_at=taken.where.broker_time,
        opened_at=exception.since,
    )


def _parse(row: asyncpg.Record) -> OpenException:
    named = Named(
        message_id=row["message_id"],
        role=Role(row["role"]),
        kind=row["kind"],
        subject=row["subject"],
        revision=row["revision"],
        content=row["content"],
        acts=tuple(row["acts"]),
        after=row["after"],
    )
    taken = Taken(
        writer=row["writer"],
        place=Place(row["incarnation"], Lane(row["lane"]), row["number"]),
        chain=row["chain"],
        named=named,
        record=row["record"],
        where=Coordinates(row["topic_id"], row["offset"], row["broker_at"]),
    )
    outcome = Outcome(named, OutcomeKind(row["outcome"]), row["code"], row["held"])
    return OpenException(taken, outcome, row["opened_at"])
