"""Failure isolation of batch work: if a batch fails, each of its subjects is processed alone.

    normal case      Take a batch · process it · commit, in one transaction.
    after a failure  Take one row · process it · commit, once for each row of the failed batch.
    fails alone      The subject enters retry backoff (`RetryBackoff`); the others go on.

A failure at the commit itself is isolated in the same way. If the database is unavailable (`translate_errors`), no
subject enters retry backoff.

`ClaimedBatch` holds the due rows that one transaction takes. A store records each subject there before it decrypts
anything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from shared.core.clock import Clock
from shared.core.errors import CausewayError, Unavailable
from shared.platform.observability.health import raise_if_cancelling
from shared.platform.observability.logs import log
from shared.platform.observability.retry_backoff import RetryBackoff

#: A subject and its party.
Key = tuple[UUID, str]


@dataclass(slots=True)
class ClaimedBatch:
    """The rows of one transaction: at most `limit`, and none of the subjects `but`.

    `taken` are the subjects of these rows, whether or not they succeed. `again` are subjects that failed before and may
    be tried again.
    """

    limit: int
    but: Sequence[Key] = ()
    again: Sequence[Key] = ()
    taken: dict[Key, None] = field(default_factory=dict)
    rows: int = 0

    @property
    def passed_over(self) -> list[UUID]:
        """The ids of the subjects that must not be taken."""
        return [subject for subject, _ in self.but]

    @property
    def full(self) -> bool:
        """Whether more rows may be due."""
        return self.rows >= self.limit

    def take(self, rows: Sequence[asyncpg.Record]) -> Sequence[asyncpg.Record]:
        """Record the rows that are read, each with its `referral_id` and `party`, and return them."""
        self.note([(UUID(str(row["referral_id"])), str(row["party"])) for row in rows])
        return rows

    def note(self, keys: Sequence[Key]) -> None:
        """Record the subjects that are read, one key for each row."""
        self.rows += len(keys)
        self.taken.update(dict.fromkeys(keys))


#: Takes rows and processes them, in a transaction of its own.
Act = Callable[[ClaimedBatch], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Isolation:
    """The subjects in retry backoff in this process, and the clock for their delays."""

    aside: RetryBackoff
    clock: Clock

    async def batch(self, work: str, limit: int, act: Act, *, whole: bool = True) -> int:
        """Process at most `limit` rows of this work and return their number.

        `whole`: the act reads all due rows, so a subject to try again that is not found was done by another process.
        Raises `Unavailable`, and any error before a subject was taken, because no subject caused it.
        """
        together = self._taking(work, limit)
        try:
            await act(together)
        except Unavailable:
            raise
        except Exception:
            if not together.taken:
                raise
            await self._each(work, together.rows, act, whole=whole)
        else:
            self._done(work, together, whole=whole)
        return together.rows

    async def _each(self, work: str, count: int, act: Act, *, whole: bool) -> None:
        for _ in range(count):
            alone = self._taking(work, 1)
            try:
                await act(alone)
            except Unavailable:
                raise
            except Exception as error:  # any error: no other subject may wait for this one
                if not alone.taken:
                    raise
                for key in alone.taken:
                    set_aside(self.aside, work, key, clock=self.clock, error=error)
            else:
                self._done(work, alone, whole=whole)
            if not alone.taken:
                return

    def _taking(self, work: str, limit: int) -> ClaimedBatch:
        at = self.clock.now()
        return ClaimedBatch(limit, self.aside.waiting(work, at), self.aside.again(work, at))

    def _done(self, work: str, taking: ClaimedBatch, *, whole: bool) -> None:
        found_nowhere = taking.again if whole and not taking.full else ()
        for key in (*taking.taken, *found_nowhere):
            self.aside.done(work, key)


@asynccontextmanager
async def apart_from_others(part: str, waits: Callable[[str], None] = lambda _: None) -> AsyncIterator[None]:
    """Wrap one turn of a part that runs forever: log its failure, so that the next turn and other work go on.

    `waits` is called with a code if a database or document is unavailable. A cancellation is raised again, even if the
    work turned it into another error. Otherwise the part would never end, and it would not be restarted.
    """
    try:
        yield
    except Unavailable as error:
        raise_if_cancelling()
        waits(error.code)
    except CausewayError as error:
        raise_if_cancelling()
        log("part_failed", part=part, code=error.code)
    except Exception as error:  # reported by name only, because its text may quote the input
        raise_if_cancelling()
        log("part_failed", part=part, error=type(error).__name__)


def set_aside(aside: RetryBackoff, work: str, key: Key, *, clock: Clock, error: Exception) -> None:
    """Put a subject whose work failed into retry backoff. The log names it by its id and a code."""
    aside.put(work, key, clock.now())
    code = error.code if isinstance(error, CausewayError) else "internal_error"
    log("subject_set_aside", subject=str(key[0]), kind=work, code=code, error=type(error).__name__)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise `Unavailable` for a lost connection, a timeout or a transient error of PostgreSQL."""
    try:
        yield
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError) as error:
        if isinstance(error, asyncpg.PostgresError) and not _is_transient(error):
            raise
        # A rollback on a lost connection turns a cancellation into an error of the driver.
        raise_if_cancelling()
        raise Unavailable("database_unavailable") from error


def _is_transient(error: asyncpg.PostgresError) -> bool:
    """Return whether the cause is connection loss, shutdown, serialisation failure or lack of resources.

    These are the SQLSTATE classes 08, 40, 53 and 57, and a check without a name: a partition was made meanwhile.
    """
    state = error.sqlstate or ""
    return error.constraint_name is None if state == "23514" else state[:2] in {"08", "40", "53", "57"}
