"""What a service does a batch at a time: where a batch fails, each subject of it is done alone.

    take a batch · do it · commit                    one transaction, as long as nothing fails
    take one · do it · commit                        of as many as were taken, where it did
    one that fails alone is set aside                the others go on; it is tried again slowly (`SetAside`)

Also what fails at the commit itself is found so. A database that is away is no subject's fault: nobody is set aside.

What one transaction takes of all that is due: a store notes each subject before it opens anything of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from shared.kernel.clock import Clock
from shared.kernel.errors import CausewayError, Unavailable
from shared.runtime.watch.cancellation import raise_if_cancelling
from shared.runtime.watch.logs import log
from shared.runtime.watch.retry_backoff import SetAside

#: A subject and its party.
Key = tuple[UUID, str]


@dataclass(slots=True)
class Taking:
    """At most `limit` rows, and none of the subjects `but`. `taken` are the subjects, whatever becomes of them.

    `again` are those that failed before and may be tried once more.
    """

    limit: int
    but: Sequence[Key] = ()
    again: Sequence[Key] = ()
    taken: dict[Key, None] = field(default_factory=dict)
    rows: int = 0

    @property
    def passed_over(self) -> list[UUID]:
        """The ids of what is not to be taken."""
        return [subject for subject, _ in self.but]

    @property
    def full(self) -> bool:
        """Whether there may be more."""
        return self.rows >= self.limit

    def take(self, rows: Sequence[asyncpg.Record]) -> Sequence[asyncpg.Record]:
        """Note which rows are looked at, each with its `referral_id` and `party`, and hand them on."""
        self.note([(UUID(str(row["referral_id"])), str(row["party"])) for row in rows])
        return rows

    def note(self, keys: Sequence[Key]) -> None:
        """Note what is looked at, one key a row."""
        self.rows += len(keys)
        self.taken.update(dict.fromkeys(keys))


#: Does, in a transaction of its own, what it takes.
Act = Callable[[Taking], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Apart:
    """What waits in this process, and by which clock."""

    aside: SetAside
    clock: Clock

    async def batch(self, work: str, limit: int, act: Act, *, whole: bool = True) -> int:
        """Do at most `limit` rows of this work; how many there were.

        `whole`: what may be tried again and is not found has been done by others.
        Raises `Unavailable`, and what fails before a subject was taken: that is nobody's.
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
            except Exception as error:  # whatever it is, no other subject waits for this one
                if not alone.taken:
                    raise
                for key in alone.taken:
                    set_aside(self.aside, work, key, clock=self.clock, error=error)
            else:
                self._done(work, alone, whole=whole)
            if not alone.taken:
                return

    def _taking(self, work: str, limit: int) -> Taking:
        at = self.clock.now()
        return Taking(limit, self.aside.waiting(work, at), self.aside.again(work, at))

    def _done(self, work: str, taking: Taking, *, whole: bool) -> None:
        found_nowhere = taking.again if whole and not taking.full else ()
        for key in (*taking.taken, *found_nowhere):
            self.aside.done(work, key)


@asynccontextmanager
async def apart_from_others(part: str, waits: Callable[[str], None] = lambda _: None) -> AsyncIterator[None]:
    """One turn of what is done for ever: whatever fails in it is reported, and the next turn and other work go on.

    `waits` is told why there was no database or document, by a code. A cancellation stays one, even if the work turned
    it into another failure: otherwise the part would never end, and nothing would start it again.
    """
    try:
        yield
    except Unavailable as error:
        raise_if_cancelling()
        waits(error.code)
    except CausewayError as error:
        raise_if_cancelling()
        log("part_failed", part=part, code=error.code)
    except Exception as error:  # reported by name only: its text may quote what it was given
        raise_if_cancelling()
        log("part_failed", part=part, error=type(error).__name__)


def set_aside(aside: SetAside, work: str, key: Key, *, clock: Clock, error: Exception) -> None:
    """This failed of that subject: it is named by its id and a code, and tried again later."""
    aside.put(work, key, clock.now())
    code = error.code if isinstance(error, CausewayError) else "internal_error"
    log("subject_set_aside", subject=str(key[0]), kind=work, code=code, error=type(error).__name__)
