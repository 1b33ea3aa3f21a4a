"""The two ways into the intake, one of them for what is dense. Each has so many places, and a party a fifth of them.

Whoever waits is taken one party in turn: nobody waits behind all that another has posted.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from time import monotonic
from typing import Final

from shared.kernel.errors import Refused, Unavailable
from shared.party.beside import REST
from shared.party.origin.domain import Reply, Request
from shared.vocabulary.referral import PriorityLevel

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

#: Fewer submissions wait until no request has come for so long, seconds, and at most for the second: what is posted at
#: once goes into one transaction, and a request that comes alone hardly waits.
GATHERED_MAX: Final = 25
GATHER_S: Final = 0.002
GATHER_S_MAX: Final = 0.02

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
        """Take the next, as soon as there is one and those that come with it, until there are so many submissions."""
        while not self._turns:
            self._came.clear()
            await self._came.wait()
        await self._gather()
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

    async def _gather(self) -> None:
        """Wait for as long as more requests come, within the bounds of `GATHER_S` and `GATHERED_MAX`."""
        ends, count = monotonic() + GATHER_S_MAX, 0
        while count < self._waiting.total() < GATHERED_MAX and monotonic() < ends:
            count = self._waiting.total()
            await asyncio.sleep(GATHER_S)

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
