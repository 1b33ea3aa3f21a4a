"""The exceptions of an instance for a person: list them, try them again, and discard dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from shared.core.protocol.record_table import row_for
from shared.delivery.sending import ScopeFactory
from shared.messaging.exceptions import OpenException, OutcomeKind
from shared.messaging.streams import Pair
from shared.messaging.upkeep import discard_dead, retry_exceptions

_PAGE_ROWS = 500


class ExceptionDesk:
    """The taken messages of other instances that are not applied. Each method raises `Unavailable` in an outage."""

    def __init__(self, scopes: ScopeFactory) -> None:
        self._scopes = scopes

    async def list(
        self, *, outcome: str | None = None, code: str | None = None, limit: int = 100
    ) -> Sequence[OpenException]:
        """Return the oldest exceptions, of this outcome and code if one is given."""
        kinds = None if outcome is None else {OutcomeKind(outcome)}
        found: dict[tuple[str, UUID], OpenException] = {}
        after = None
        async with self._scopes.read() as tx:
            while len(found) < limit:
                rows = await tx.list_exceptions(kinds=kinds, after=after, rows_max=_PAGE_ROWS)
                if not rows:
                    break
                after = rows[-1].since, rows[-1].taken.named.message_id
                matching = [row for row in rows if code is None or row.outcome.code == code]
                found |= {(row.taken.writer, row.taken.named.message_id): row for row in matching}
        return tuple(found.values())[:limit]

    async def retry(self, rows: Sequence[OpenException]) -> None:
        """Apply messages again, also if they still wait for a dependency, or their senders' days are used up.

        Messages that are no longer exceptions are skipped, and dead letters without a stored record.
        """
        for writer, ids in _by_writer(rows).items():
            async with self._scopes.open() as scope:
                # As a batch of this writer does: no exception ends meanwhile.
                await scope.tx.load_incoming(Pair(writer, scope.instance), lock=True)
                found = await scope.tx.list_exceptions(writer=writer, message_ids=ids, rows_max=len(ids))
                scope.is_forced = True
                if kept := [row for row in found if is_record_kept(row)]:
                    await retry_exceptions(scope, kept)

    async def discard(self, rows: Sequence[OpenException]) -> None:
        """End dead letters: they are refused, so that their writers send the whole state again."""
        for writer, ids in _by_writer(rows).items():
            async with self._scopes.open() as scope:
                await scope.tx.load_incoming(Pair(writer, scope.instance), lock=True)
                await discard_dead(scope, writer, ids)


def is_record_kept(row: OpenException) -> bool:
    """Return whether a message can be tried again. Others can only be discarded; their writers send the state again."""
    return row.outcome.kind is not OutcomeKind.DEAD or row_for(row.outcome.code or "").keeps_body


def _by_writer(rows: Sequence[OpenException]) -> dict[str, Sequence[UUID]]:
    ids: dict[str, Sequence[UUID]] = {}
    for row in rows:
        ids[row.taken.writer] = (*ids.get(row.taken.writer, ()), row.taken.named.message_id)
    return ids
