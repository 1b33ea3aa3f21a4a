"""Alarms about a party's use of an origin, and the two queues of the intake.

An alarm asks the operator to look at a party; it refuses nothing. Each process counts the requests that it receives. An
alarm is raised once for each party, kind and day; the database decides which process was first. Outside, an alarm shows
only the kind and an opaque name of the party, never a value (`docs/operations/guard_alarms.md`).

The intake has an ordinary queue and a queue for dense requests. Each has a limited number of places, and one party may
use a fifth of them. Requests are taken from the parties in turn, so that one party's requests do not delay all others.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from time import monotonic
from typing import Final

from shared.core.clock import Clock
from shared.core.errors import Refused, RetryLater, Unavailable
from shared.core.guard import RecordCost, trips, trips_by_part
from shared.core.guard.charge import BYTE
from shared.core.guard.envelope_limits import BODY_BYTES_MAX
from shared.core.vocabulary.referral import PriorityLevel
from shared.features.filing.rules import HttpReply, Request
from shared.features.filing.store.attention import RaisedAlarm
from shared.platform.admission.budgets import BudgetExceeded
from shared.platform.admission.throttled_executor import REST, beside_each
from shared.platform.observability.logs import log
from shared.platform.observability.metrics import ALARMS


class AlarmKind(StrEnum):
    """The subject of an alarm."""

    REFUSED = "refused"
    DAY_FILLED = "day_filled"
    DEARER = "dearer"
    LONG_FIELDS = "long_fields"
    TRIPWIRE = "tripwire"
    URGENT_WAITS = "urgent_waits"


#: Minimum of refusals by party and day. From then on, the alarm is raised if more than half of the posts are refused.
REFUSED_MIN: Final = 100
#: A field above this charge is long. The alarm needs LONG_MIN records with long fields in a day, and more than one in
#: LONG_SHARE.
LONG_FIELD: Final = 192 * BYTE
LONG_MIN: Final = 20
LONG_SHARE: Final = 20
#: Records over which the recent and the usual mean charge of an item are taken, and records before they are compared.
LATELY, USUALLY, KNOWN_MIN = 50, 1_000, 200
#: Seconds before a retry when the database does not answer, and seconds for the remaining alarms at shutdown.
AGAIN_S, END_S = 5.0, 2.0


@dataclass(slots=True)
class _Seen:
    """Counts of one party on one day in this process. `known` counts all records since the process began."""

    day: date
    posted: int = 0
    refused: int = 0
    filed: int = 0
    long: int = 0
    known: int = 0
    usually: float = 0.0
    lately: float = 0.0
    raised: set[AlarmKind] = field(default_factory=set)

    def on(self, day: date) -> _Seen:
        """Return the counts of a new day. The mean charges of items are carried over."""
        return _Seen(day, known=self.known, usually=self.usually, lately=self.lately)


class Alarms:
    """The alarms of one process. `keep` stores an alarm and returns whether it is new to the database."""

    def __init__(
        self, keep: Callable[[RaisedAlarm], Awaitable[bool]], *, clock: Clock, name_of: Callable[[str], str]
    ) -> None:
        self._keep = keep
        self._clock = clock
        self._name_of = name_of
        self._seen: dict[str, _Seen] = {}
        self._due: asyncio.Queue[RaisedAlarm] = asyncio.Queue()

    @asynccontextmanager
    async def posted(self, party: str, body: bytes) -> AsyncIterator[None]:
        """Examine a posted body. If it is refused as a whole within the context, count one refusal."""
        if any(await beside_each(trips_by_part(body))) if len(body) > BODY_BYTES_MAX else trips(body):
            self.alarm(party, AlarmKind.TRIPWIRE)
        try:
            yield
        except Refused as error:
            if not isinstance(error, RetryLater):
                self.judged(party, 1, 1)
            raise

    def judged(self, party: str, posted: int, refused: int) -> None:
        """Count posted and refused submissions of a party, whether they were to be filed or checked."""
        seen = self._of(party)
        seen.posted += posted
        seen.refused += refused
        if seen.refused >= REFUSED_MIN and 2 * seen.refused > seen.posted:
            self.alarm(party, AlarmKind.REFUSED)

    def filed(self, party: str, spent: RecordCost, items: int) -> None:
        """Count an accepted record with this number of items."""
        seen = self._of(party)
        seen.filed += 1
        seen.long += spent.field > LONG_FIELD
        if seen.long >= LONG_MIN and LONG_SHARE * seen.long > seen.filed:
            self.alarm(party, AlarmKind.LONG_FIELDS)
        seen.known += 1
        each = spent.record / items
        seen.usually += (each - seen.usually) / min(seen.known, USUALLY)
        seen.lately += (each - seen.lately) / min(seen.known, LATELY)
        if seen.known >= KNOWN_MIN and seen.lately > 2 * seen.usually:
            self.alarm(party, AlarmKind.DEARER)

    def alarm(self, party: str, kind: AlarmKind) -> None:
        """Raise an alarm unless this process has raised it today. It is stored in the background."""
        seen = self._of(party)
        if kind not in seen.raised:
            seen.raised.add(kind)
            self._due.put_nowait(RaisedAlarm(party, kind, seen.day, self._name_of(party)))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Store and publish raised alarms while the context lasts, and the remaining ones at its end."""
        telling = asyncio.create_task(self.run())
        try:
            yield
        finally:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.join(), END_S)
            telling.cancel()
            await asyncio.wait([telling])

    async def run(self) -> None:
        """Store and publish raised alarms, one after the other, until cancelled."""
        while True:
            raised = await self._due.get()
            try:
                new = await self._keep(raised)
            except Exception as error:
                log("part_failed", part="alarms", error=type(error).__name__)
                self._due.put_nowait(raised)
                self._due.task_done()
                await asyncio.sleep(AGAIN_S)
                continue
            if new:
                ALARMS.labels(raised.kind.value).inc()
                log("party_alarm", code=raised.kind.value, party=raised.name)
            self._due.task_done()

    def _of(self, party: str) -> _Seen:
        today = self._clock.now().date()
        seen = self._seen.get(party) or _Seen(today)
        self._seen[party] = seen = seen if seen.day == today else seen.on(today)
        return seen


#: Submissions in one transaction, and the seconds in which a request must be answered.
TOGETHER_MAX: Final = 200
ANSWER_S_MAX: Final = 30
#: Places of the ordinary queue, in submissions.
WAITING_MAX: Final = 2_000
#: Dense submissions, of ten items in eight countries each, that a process files per second without pauses.
DENSE_PER_S: Final = 100
#: Places of the dense queue: as many as can be filed in time after a transaction that has already begun.
DENSE_WAITING_MAX: Final = DENSE_PER_S // (1 + REST) * ANSWER_S_MAX - TOGETHER_MAX
#: One party may use one part in SHARES of a queue's places.
SHARES: Final = 5
#: A request with more items is dense: more than DENSE_FROM plus DENSITY for each of its submissions.
DENSE_FROM: Final = 10
DENSITY: Final = 3

#: With fewer waiting submissions, the next transaction waits for more: until PAUSE_S seconds after the last answers,
#: and until no request has come for GATHER_S seconds. So steady or simultaneous requests share a transaction, and a
#: single request hardly waits.
GATHERED_MAX: Final = 25
GATHER_S: Final = 0.002
PAUSE_S: Final = 0.01

Waiting = tuple[Request, asyncio.Future[HttpReply]]


class IntakeQueue:
    """A queue of requests that wait to be filed. The requests of each party stay in order."""

    def __init__(self, places: int) -> None:
        """Create a queue with this number of places: submissions that may wait, of all parties together."""
        self._places = places
        self._places_of_one = places // SHARES
        #: By party. The party whose turn is next comes first.
        self._turns: OrderedDict[str, OrderedDict[asyncio.Future[HttpReply], Request]] = OrderedDict()
        self._waiting: Counter[str] = Counter()
        self._came = asyncio.Event()

    def enter(self, request: Request) -> asyncio.Future[HttpReply]:
        """Add a request, and return the future of its answer.

        Raises `BudgetExceeded` if its party's share of the places is in use, and `Unavailable("intake_full")` if all
        places are. Beyond the party's share, each key or session may have one submission waiting. A p0 request never
        waits for other parties: it needs a place of its own party only.
        """
        party, count = _party(request), len(request.submissions)
        if self._waiting[party] + count > self._places_of_one and not self._is_first(request):
            raise BudgetExceeded("intake", limit=self._places_of_one, reset_s=1)
        if self._waiting.total() + count > self._places and not _is_urgent(request):
            raise Unavailable("intake_full")
        answer: asyncio.Future[HttpReply] = asyncio.get_running_loop().create_future()
        self._turns.setdefault(party, OrderedDict())[answer] = request
        self._waiting[party] += count
        self._came.set()
        return answer

    def leave(self, request: Request, answer: asyncio.Future[HttpReply]) -> None:
        """Remove a request whose caller no longer waits, if it is still in the queue."""
        party = _party(request)
        if answer in self._turns.get(party, ()):
            del self._turns[party][answer]
            self._left(party, request)

    async def take(self, count_max: int) -> list[Waiting]:
        """Take the next request and those that arrived with it, until they have `count_max` submissions or more."""
        ends, count = monotonic() + PAUSE_S, 0
        while not self._turns:
            self._came.clear()
            await self._came.wait()
        while count < self._waiting.total() < GATHERED_MAX:
            count = self._waiting.total()
            await asyncio.sleep(max(GATHER_S, ends - monotonic()))
        taken: list[Waiting] = []
        count = 0
        while self._turns and count < count_max:
            party = next(iter(self._turns))
            answer, request = self._turns[party].popitem(last=False)
            self._turns.move_to_end(party)
            self._left(party, request)
            taken.append((request, answer))
            count += len(request.submissions)
        return taken

    def _is_first(self, request: Request) -> bool:
        """Return whether this is one submission of a key or session that has none in the queue."""
        waiting = self._turns.get(_party(request), OrderedDict())
        return len(request.submissions) == 1 and _actor(request) not in map(_actor, waiting.values())

    def _left(self, party: str, request: Request) -> None:
        self._waiting[party] -= len(request.submissions)
        if not self._turns[party]:
            del self._turns[party], self._waiting[party]


def items_of(request: Request) -> int:
    """Return the number of items in the submissions of a request."""
    return sum(len(each.content.items) for each in request.submissions if not isinstance(each.content, Refused))


def is_dense(request: Request) -> bool:
    """Return whether a request has unusually many items. Each may be decided and sealed for many recipients."""
    return items_of(request) > DENSE_FROM + DENSITY * len(request.submissions)


def _party(request: Request) -> str:
    return request.submissions[0].party.id


def _actor(request: Request) -> str:
    return request.submissions[0].actor


def _is_urgent(request: Request) -> bool:
    urgent = PriorityLevel.P0_CHILD_AT_RISK
    contents = (each.content for each in request.submissions)
    return any(not isinstance(each, Refused) and each.priority.level == urgent for each in contents)
