"""Alarms: what a party does at an origin's door that its operator should look at. Nothing is refused by one.

Each process counts what it is asked. An alarm is raised once a party, kind and day, whichever process is first: the
database says who was. What it says outside is an opaque name of the party and the kind, never a value
(`docs/operations/guard_alarms.md`).

The two ways into the intake, one of them for what is dense. Each has so many places, and a party a fifth of them.

Whoever waits is taken one party in turn: nobody waits behind all that another has posted.
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

from shared.guard import Charged, trips, trips_by_part
from shared.guard.charge import BYTE
from shared.guard.envelope_limits import BODY_BYTES_MAX
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused, Unavailable
from shared.party.origin.domain import Reply, Request
from shared.party.origin.store.holds import Raised
from shared.party.throttled_executor import REST, beside_each
from shared.runtime.watch.logs import log
from shared.runtime.watch.metrics import ALARMS
from shared.vocabulary.referral import PriorityLevel


class Kind(StrEnum):
    """What an alarm is about."""

    REFUSED = "refused"
    DAY_FILLED = "day_filled"
    DEARER = "dearer"
    LONG_FIELDS = "long_fields"
    TRIPWIRE = "tripwire"
    URGENT_WAITS = "urgent_waits"


#: Refusals of a party in a day, from which on it counts that they are more than half of what it posts.
REFUSED_MIN: Final = 100
#: A field above this is long; so many in a day, and more than one in twenty records, are worth a look.
LONG_FIELD: Final = 192 * BYTE
LONG_MIN: Final = 20
LONG_SHARE: Final = 20
#: Over how many records the mean charge of an item is taken lately, and usually; from how many on it is compared.
LATELY, USUALLY, KNOWN_MIN = 50, 1_000, 200
#: How long is waited where the database does not answer, and for what is left at the end; seconds.
AGAIN_S, END_S = 5.0, 2.0


@dataclass(slots=True)
class _Seen:
    """What this process has seen of a party on one day. `known` counts all records since it began."""

    day: date
    posted: int = 0
    refused: int = 0
    filed: int = 0
    long: int = 0
    known: int = 0
    usually: float = 0.0
    lately: float = 0.0
    raised: set[Kind] = field(default_factory=set)

    def on(self, day: date) -> _Seen:
        """What is known of the party on another day: what its items cost is remembered."""
        return _Seen(day, known=self.known, usually=self.usually, lately=self.lately)


class Alarms:
    """The alarms of one process. `keep` answers whether an alarm is new to the database."""

    def __init__(
        self, keep: Callable[[Raised], Awaitable[bool]], *, clock: Clock, name_of: Callable[[str], str]
    ) -> None:
        self._keep = keep
        self._clock = clock
        self._name_of = name_of
        self._seen: dict[str, _Seen] = {}
        self._due: asyncio.Queue[Raised] = asyncio.Queue()

    @asynccontextmanager
    async def posted(self, party: str, body: bytes) -> AsyncIterator[None]:
        """Look at a body as it came; where it is refused as a whole meanwhile, that counts as one."""
        if any(await beside_each(trips_by_part(body))) if len(body) > BODY_BYTES_MAX else trips(body):
            self.alarm(party, Kind.TRIPWIRE)
        try:
            yield
        except Refused:
            self.judged(party, 1, 1)
            raise

    def judged(self, party: str, posted: int, refused: int) -> None:
        """Of what was posted, to be filed or to be checked, so much was refused."""
        seen = self._of(party)
        seen.posted += posted
        seen.refused += refused
        if seen.refused >= REFUSED_MIN and 2 * seen.refused > seen.posted:
            self.alarm(party, Kind.REFUSED)

    def filed(self, party: str, spent: Charged, items: int) -> None:
        """A record of so many items was accepted."""
        seen = self._of(party)
        seen.filed += 1
        seen.long += spent.field > LONG_FIELD
        if seen.long >= LONG_MIN and LONG_SHARE * seen.long > seen.filed:
            self.alarm(party, Kind.LONG_FIELDS)
        seen.known += 1
        each = spent.record / items
        seen.usually += (each - seen.usually) / min(seen.known, USUALLY)
        seen.lately += (each - seen.lately) / min(seen.known, LATELY)
        if seen.known >= KNOWN_MIN and seen.lately > 2 * seen.usually:
            self.alarm(party, Kind.DEARER)

    def alarm(self, party: str, kind: Kind) -> None:
        """Raise an alarm, if this process has not today. It goes out by itself."""
        seen = self._of(party)
        if kind not in seen.raised:
            seen.raised.add(kind)
            self._due.put_nowait(Raised(party, kind, seen.day, self._name_of(party)))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep and tell what is raised for as long as the context lasts, and what is left of it at its end."""
        telling = asyncio.create_task(self.run())
        try:
            yield
        finally:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.join(), END_S)
            telling.cancel()
            await asyncio.wait([telling])

    async def run(self) -> None:
        """Keep and tell what is raised, one after the other, until cancelled."""
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


#: Submissions that go into one transaction, and seconds in which it is answered that they did.
TOGETHER_MAX: Final = 200
ANSWER_S_MAX: Final = 30
#: Places of the ordinary way, in submissions.
WAITING_MAX: Final = 2_000
#: Dense submissions, ten items in eight countries each, that a process files in a second if it does not rest.
DENSE_PER_S: Final = 100
#: Places of the dense way: so many as are filed in time, behind a transaction that has begun.
DENSE_WAITING_MAX: Final = DENSE_PER_S // (1 + REST) * ANSWER_S_MAX - TOGETHER_MAX
#: One in so many of a way's places one party may have.
SHARES: Final = 5
#: Items of a request from which it is dense: so many, and so many more for each of its submissions.
DENSE_FROM: Final = 10
DENSITY: Final = 3

#: Fewer submissions wait until no request has come for so long, seconds, and until the answers before are as old as the
#: second: what comes at a steady rate, or is posted at once, shares a transaction, and what comes alone hardly waits.
GATHERED_MAX: Final = 25
GATHER_S: Final = 0.002
PAUSE_S: Final = 0.01

Waiting = tuple[Request, asyncio.Future[Reply]]


class Way:
    """Requests that wait to be filed, each party's in their order."""

    def __init__(self, places: int) -> None:
        """`places`: so many submissions may wait, all parties together."""
        self._places = places
        self._places_of_one = places // SHARES
        #: By party; whose turn it is stands first.
        self._turns: OrderedDict[str, OrderedDict[asyncio.Future[Reply], Request]] = OrderedDict()
        self._waiting: Counter[str] = Counter()
        self._came = asyncio.Event()

    def enter(self, request: Request) -> asyncio.Future[Reply]:
        """Where its answer will be. Raises `Unavailable("intake_full")` where it has no place.

        A child at risk waits for no other party: of the places of all, such a request needs none.
        """
        party, count = _party(request), len(request.submissions)
        full = self._waiting.total() + count > self._places and not _is_urgent(request)
        if full or self._waiting[party] + count > self._places_of_one:
            raise Unavailable("intake_full")
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._turns.setdefault(party, OrderedDict())[answer] = request
        self._waiting[party] += count
        self._came.set()
        return answer

    def leave(self, request: Request, answer: asyncio.Future[Reply]) -> None:
        """Give its place back, if it has one still: nobody waits for it any more."""
        party = _party(request)
        if answer in self._turns.get(party, ()):
            del self._turns[party][answer]
            self._left(party, request)

    async def take(self, count_max: int) -> list[Waiting]:
        """Take the next, and those that came with it, until there are so many submissions."""
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

    def _left(self, party: str, request: Request) -> None:
        self._waiting[party] -= len(request.submissions)
        if not self._turns[party]:
            del self._turns[party], self._waiting[party]


def items_of(request: Request) -> int:
    """How many items its submissions have."""
    return sum(len(each.content.items) for each in request.submissions if not isinstance(each.content, Refused))


def is_dense(request: Request) -> bool:
    """Whether its referrals have more items than is usual: each may be decided, and sealed, for many recipients."""
    return items_of(request) > DENSE_FROM + DENSITY * len(request.submissions)


def _party(request: Request) -> str:
    return request.submissions[0].party.id


def _is_urgent(request: Request) -> bool:
    urgent = PriorityLevel.P0_CHILD_AT_RISK
    contents = (each.content for each in request.submissions)
    return any(not isinstance(each, Refused) and each.priority.level == urgent for each in contents)
