"""The operator's list of an instance: lines that a person must look at, shown and closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from deploy.site.access import CONNECT_S
from shared.kernel.clock import rfc3339
from shared.kernel.errors import Unavailable, not_found
from shared.messaging.ports import OperatorKind

#: What a line means, and what to do.
MEANINGS: Final[Mapping[OperatorKind, str]] = {
    OperatorKind.UNKNOWN: "the peer holds a subject that is not in this database: agree with the peer what it is",
    OperatorKind.ACT: "the peer holds an answer that is not in this database: ask the party to give it again",
    OperatorKind.BEHIND: "the peer holds a newer revision or other content: compare, then change the subject here",
    OperatorKind.AHEAD: "the peer has taken more than this database has sent: the database was restored",
    OperatorKind.UNDECIDABLE: "the peer refused three decisions: compare clocks, policy and directory of both sides",
}
_SHOW: Final = """
SELECT kind, peer, subject, act, opened_at, closed_at, closed_by FROM operator_line
WHERE closed_at IS NULL OR $1 ORDER BY opened_at, kind, peer, subject, act
"""
_CLOSE: Final = """
WITH closed AS (
    UPDATE operator_line SET closed_at = now(), closed_by = $5
    WHERE closed_at IS NULL AND kind = $1 AND peer = $2
      AND ($3::uuid IS NULL OR subject = $3) AND ($4::uuid IS NULL OR act = $4)
    RETURNING kind
)
SELECT count(*) FROM closed
"""


@dataclass(frozen=True, slots=True)
class ListedLine:
    """One line of the list. An open line has no time and no name of its closing."""

    kind: OperatorKind
    peer: str
    subject: UUID | None
    act: UUID | None
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None

    def as_json(self) -> dict[str, object]:
        return {
            "kind": self.kind.value,
            "peer": self.peer,
            "subject": None if self.subject is None else str(self.subject),
            "act": None if self.act is None else str(self.act),
            "opened_at": rfc3339(self.opened_at),
            "closed_at": None if self.closed_at is None else rfc3339(self.closed_at),
            "closed_by": self.closed_by,
            "meaning": MEANINGS[self.kind],
        }


async def list_lines(service_url: str, *, closed: bool = False) -> list[ListedLine]:
    """Return the open lines, oldest first; with `closed`, the closed ones too. Raises `Unavailable`."""
    rows = await _run(service_url, _SHOW, closed)
    return [ListedLine(OperatorKind(row["kind"]), *tuple(row)[1:]) for row in rows]


async def close_lines(
    service_url: str, kind: OperatorKind, peer: str, *, closed_by: str, subject: UUID | None, act: UUID | None
) -> int:
    """Close the open lines of this kind and peer, and of this subject and act if they are given; return their number.

    Raises `Refused("not_found")` if there is none, and `Unavailable`.
    """
    [row] = await _run(service_url, _CLOSE, kind.value, peer, subject, act, closed_by)
    if not row[0]:
        raise not_found()
    return int(row[0])


async def _run(url: str, query: str, *arguments: object) -> list[asyncpg.Record]:
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(query, *arguments)
            return rows
        finally:
            await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        raise Unavailable("database_unavailable") from None
