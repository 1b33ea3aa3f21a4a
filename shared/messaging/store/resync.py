"""Resync requests of peers and the operator's list, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.messaging.ports import LINES_MAX, OperatorKind, OperatorLine, PeerResync, bound_lines
from shared.messaging.store.outgoing import Tables, list_assignments
from shared.platform.database.columns import Columns, insert

_RESYNC: Columns[PeerResync] = Columns.of(PeerResync)
_LINE: Columns[OperatorLine] = Columns.of(OperatorLine)

_LOAD: Final = "SELECT * FROM resync_state WHERE peer = $1"
_SAVE = insert(
    "resync_state",
    _RESYNC,
    end=f"ON CONFLICT (peer) DO UPDATE SET {list_assignments(_RESYNC, 'excluded', without=['peer'])}",
)
#: A line that a person closed stays closed, unless it names an event that can happen again.
_ADD_LINES = insert(
    "operator_line AS l",
    _LINE,
    end=f"""
ON CONFLICT ON CONSTRAINT operator_line_once DO UPDATE SET opened_at = now(), closed_at = NULL, closed_by = NULL
WHERE l.closed_at IS NOT NULL AND l.kind IN ('{OperatorKind.AHEAD}', '{OperatorKind.UNDECIDABLE}')
""",
)
_COUNT_LINES: Final = """
SELECT count(*) AS open_count FROM (SELECT FROM operator_line WHERE peer = $1 AND closed_at IS NULL LIMIT $2) AS l
"""
_LIST_LINES: Final = """
SELECT kind, peer, subject, act FROM operator_line WHERE closed_at IS NULL ORDER BY opened_at, peer, kind, subject, act
"""


class ResyncTables(Tables):
    """The resync requests of peers, and the operator's list."""

    async def load_resync(self, peer: str) -> PeerResync:
        row = await self._driver.fetchrow(_LOAD, peer)
        return PeerResync(peer) if row is None else PeerResync(*(row[name] for name in _RESYNC.sql_types))

    async def save_resync(self, resync: PeerResync) -> None:
        await self._driver.execute(*_SAVE.bind(rows=_RESYNC.rows([resync])))

    async def add_operator_lines(self, lines: Sequence[OperatorLine]) -> None:
        for peer in {line.peer: None for line in lines}:
            if peer not in self._line_counts:
                (counted,) = await self._driver.fetch(_COUNT_LINES, peer, LINES_MAX)
                self._line_counts[peer] = counted["open_count"]
            bounded = bound_lines(lines, peer, open_count=self._line_counts[peer])
            self._line_counts[peer] += len(bounded)
            await self._driver.execute(*_ADD_LINES.bind(rows=_LINE.rows(bounded)))

    async def list_operator_lines(self) -> list[OperatorLine]:
        rows = await self._driver.fetch(_LIST_LINES)
        return [OperatorLine(OperatorKind(row["kind"]), row["peer"], row["subject"], row["act"]) for row in rows]
