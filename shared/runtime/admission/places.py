"""Places in a bounded pool: each key, session, party and address has a share, and takes no place of another's share."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from shared.runtime.admission.budgets import BudgetExceeded
from shared.runtime.admission.principals import Principal

_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class Shares:
    """How many places one holder (a key, session or address), one party and the instance have.

    `waiting`: requests of one holder that wait for a place, for at most `wait_s` seconds.
    """

    of_holder: int
    of_party: int
    of_instance: int
    waiting: int = 0
    wait_s: float = 1.0


#: A link or a provider's answer costs a query or a request to the provider, and the pool has eight connections.
SIGN_IN: Final = Shares(of_holder=2, of_party=4, of_instance=4, waiting=50, wait_s=5.0)


class PlacePool:
    """The places of one process. A key or session without a place always gets its first one."""

    def __init__(self, budget: str, shares: Shares) -> None:
        """`budget` is the name that clients see."""
        self._budget = budget
        self._shares = shares
        self._lines: dict[Principal, deque[asyncio.Future[None]]] = {}
        self.of_holder: Counter[Principal] = Counter()
        self.of_party: Counter[str | None] = Counter()
        #: Places in use.
        self.held = 0

    @property
    def waiting(self) -> int:
        """Requests that wait for a place."""
        return sum(map(len, self._lines.values()))

    @asynccontextmanager
    async def place(self, principal: Principal) -> AsyncIterator[None]:
        """Hold one place during the block. Raises `BudgetExceeded` if the principal's share stays in use."""
        await self._enter(principal)
        try:
            yield
        finally:
            self._leave(principal)

    def has_room(self, principal: Principal) -> bool:
        """Whether the principal may take one more place now."""
        held = self.of_holder[principal]
        if held == 0 and principal.party is not None:
            return True
        shares = self._shares
        within_party = self.of_party[principal.party] < shares.of_party
        return held < shares.of_holder and within_party and self.held < shares.of_instance

    async def _enter(self, principal: Principal) -> None:
        if principal not in self._lines and self.has_room(principal):
            self._take(principal)
            return
        line = self._lines.setdefault(principal, deque())
        if len(line) >= self._shares.waiting:
            self._forget(principal)
            raise self._exceeded()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            async with asyncio.timeout(self._shares.wait_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._leave(principal)  # granted at the moment at which the wait ended
            if isinstance(error, TimeoutError):
                raise self._exceeded() from None
            raise
        finally:
            if turn in line:
                line.remove(turn)
            self._forget(principal)

    def _take(self, principal: Principal) -> None:
        self.of_holder[principal] += 1
        self.of_party[principal.party] += 1
        self.held += 1

    def _leave(self, principal: Principal) -> None:
        _count_down(self.of_holder, principal)
        _count_down(self.of_party, principal.party)
        self.held -= 1
        self._hand_over()

    def _hand_over(self) -> None:
        """Give free places to those that wait: one of each principal, then one of each again."""
        for principal, line in list(self._lines.items()):
            while line and line[0].done():
                del line[0]  # cancelled, but its task has not run since
            if line and self.has_room(principal):
                self._take(principal)
                line.popleft().set_result(None)
                # The next free place is for another principal first.
                self._lines[principal] = self._lines.pop(principal)
            self._forget(principal)

    def _forget(self, principal: Principal) -> None:
        if not self._lines.get(principal, True):
            del self._lines[principal]

    def _exceeded(self) -> BudgetExceeded:
        return BudgetExceeded(self._budget, limit=self._shares.of_holder, reset_s=1)


def _count_down(counts: Counter[_Key], key: _Key) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]


def sign_in_places() -> PlacePool:
    """Return the pool of one sign-in method: it bounds the unverified links and answers of each address."""
    return PlacePool("sign_in", SIGN_IN)
