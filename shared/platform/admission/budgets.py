"""Admission: the principals that are charged, their budgets, and their places in bounded pools.

An instance has parties, and a party has keys and sessions. Before one of these is known, a request has an address. A
budget limits the load of a party on one process, and is charged before the work if the work is known. It has three
token buckets (as in RFC 2697's committed part): for requests, body bytes and work. Each is refilled steadily up to
`BURST_S` seconds' worth. The work of a request is known only while it is done. It is charged then, and a party in debt
waits. Each key and session keeps a small share, which no other key of its party can use up. Budgets are per process:
several processes of an instance each grant the whole budget. In a pool, each key, session, party and address has a
share, and takes no place of another's share.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass
from datetime import datetime
from ipaddress import IPv6Address, ip_address
from time import monotonic
from typing import Any, Final, NamedTuple, TypeVar

from shared.core.authority import AccessScope, Role
from shared.core.clock import Clock
from shared.core.errors import Refused, RetryLater
from shared.platform.observability.health import Check

_Scope = MutableMapping[str, Any]
#: Where a request's scope holds its principal, once its key or session is known.
_PRINCIPAL: Final = "causeway.principal"
#: An IPv6 client has a whole network of this prefix, so all its addresses are one principal.
_IPV6_HOST_BITS: Final = 64


class Principal(NamedTuple):
    """A key or session, by its opaque name, of a party; or a source address, of no party."""

    party: str | None
    holder: str


def read_principal(scope: _Scope) -> Principal:
    """Return the principal of a request: its key or session if known, else the address of its socket."""
    known: Principal | None = scope.get(_PRINCIPAL)
    return known or read_address(scope)


def note_principal(scope: _Scope, principal: Principal) -> None:
    """Charge the rest of a request to the key or session, and no longer to the address."""
    scope[_PRINCIPAL] = principal
    sources: SourceWatch | None = scope.get("state", {}).get(SOURCES)
    if sources is not None:
        sources.note(principal, scope)


def read_address(scope: _Scope) -> Principal:
    """Return the source address of a request as a principal; for IPv6, its network of 2**64 addresses."""
    client = scope.get("client")
    try:
        address = ip_address(client[0] if client else "")
    except ValueError:
        return Principal(None, "")
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return Principal(None, str(mapped or IPv6Address(int(address) >> _IPV6_HOST_BITS << _IPV6_HOST_BITS)))
    return Principal(None, str(address))


#: Where the state of a request has the application's `SourceWatch`.
SOURCES: Final = "causeway.sources"
#: Keys and sessions that must have one source address, and the seconds within which their requests count.
SHARING_MIN: Final = 20
SHARING_S: Final = 600.0


class SourceWatch:
    """The last source address of each key and session, to notice a proxy that no setting names.

    A loopback address counts only if the site is reached by https: plain http is for clients of this machine.
    """

    def __init__(self, now_s: Callable[[], float] = monotonic) -> None:
        self._now_s = now_s
        self._seen: dict[Principal, tuple[str, float]] = {}

    def note(self, principal: Principal, scope: _Scope) -> None:
        """Note a request of a key or session."""
        source = read_address(scope).holder
        if source and (scope.get("scheme") == "https" or not ip_address(source).is_loopback):
            self._seen[principal] = source, self._now_s()

    async def probe_addresses(self) -> Check:
        """Return `one_address` if the requests of at least `SHARING_MIN` keys and sessions all came from one."""
        since_s = self._now_s() - SHARING_S
        self._seen = {each: last for each, last in self._seen.items() if last[1] >= since_s}
        is_one = len(self._seen) >= SHARING_MIN and len({source for source, _ in self._seen.values()}) == 1
        return Check("addresses", True, "one_address" if is_one else "")


BURST_S: Final = 2.0
#: The part of its party's budget that a key or session has left when others have used up the party's.
OWN_SHARE: Final = 0.05
#: The names of a party's budgets, in the order of `BudgetLimits`.
BUDGETS: Final = ("requests", "bytes", "work")
#: Source addresses that are remembered.
ADDRESSES_MAX: Final = 10_000
#: Bytes of a refused body that are read for one unit of work.
REFUSED_BYTES_A_WORK: Final = 1_024


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """The average use per second that one party is allowed.

    A unit of work is one item that is checked, or one edge that is decided. Each takes about a millisecond.
    """

    requests_per_s: float
    bytes_per_s: float
    work_per_s: float = math.inf


def work_of(refused_bytes: int) -> int:
    """Return the work units of reading content that was refused for its form.

    They come on top of the unit that is charged in any case.
    """
    return math.ceil(refused_bytes / REFUSED_BYTES_A_WORK)


class BudgetExceeded(RetryLater):
    """The refusal of a request over budget, until `reset_s` has passed. The RateLimit fields name the budget."""

    def __init__(self, budget: str, *, limit: int, reset_s: int) -> None:
        headers = {
            "RateLimit-Policy": f'"{budget}";q={limit}',
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(reset_s),
            "Retry-After": str(reset_s),
        }
        super().__init__("budget_exceeded", "wait before the next request", headers=headers)


class Budgets:
    """The buckets of all parties, of their keys and sessions, or of source addresses.

    Each request is charged to its party and to its key or session, and passes if one of the two has enough. A key that
    uses the party's budget up has used up its own share before, so alone it never gets more than the party's.
    """

    def __init__(
        self, limits: BudgetLimits, clock: Clock, *, names: Sequence[str] = BUDGETS, holders_max: float = math.inf
    ) -> None:
        """Set up the buckets. `names` are shown to clients. Beyond `holders_max` the oldest bucket is forgotten."""
        self._limits = limits
        self._names = names
        self._holders_max = holders_max
        self._rates: tuple[float, ...] = astuple(limits)
        self._clock = clock
        self._levels: dict[Principal, tuple[tuple[float, ...], datetime]] = {}

    def for_addresses(self) -> Budgets:
        """Return buckets of the same size for source addresses, of which a client can have many."""
        return Budgets(self._limits, self._clock, names=["unknown_keys", *BUDGETS[1:]], holders_max=ADDRESSES_MAX)

    def charge(self, principal: Principal, body_bytes: int) -> None:
        """Take one request and `body_bytes` from the principal's budget, or raise `BudgetExceeded` and take nothing.

        A body larger than the whole bucket passes when the bucket is full, and leaves it in debt. The principal then
        waits until the debt is paid. The same holds for work that `owe` charged.
        """
        waits = [self._waits(each, share, body_bytes) for each, share in _nested(principal)]
        if all(waits):
            wait_s, budget = min(map(max, waits))
            limit = math.floor(self._most(1.0)[0])
            raise BudgetExceeded(budget, limit=limit, reset_s=max(1, math.ceil(wait_s)))
        self._take(principal, (1.0, float(body_bytes), 0.0))

    def owe(self, principal: Principal, work: int) -> None:
        """Charge work that was done to the principal's budget, even if that leaves the budget in debt."""
        self._take(principal, (0.0, 0.0, float(work)))

    def _most(self, share: float) -> tuple[float, ...]:
        requests, *others = (rate * share * BURST_S for rate in self._rates)
        return max(1.0, requests), *others

    def _waits(self, principal: Principal, share: float, body_bytes: int) -> list[tuple[float, str]]:
        """Return the seconds until these buckets have enough, each with its name; empty if all have."""
        needed = (1.0, min(float(body_bytes), self._most(share)[1]), 0.0)
        missing = zip(self._filled(principal, share), needed, self._rates, self._names, strict=True)
        return [((need - level) / (rate * share), name) for level, need, rate, name in missing if level < need]

    def _filled(self, principal: Principal, share: float) -> tuple[float, ...]:
        """Return the present levels of a principal's buckets, which have this share of a party's rates."""
        now, most = self._clock.now(), self._most(share)
        if principal not in self._levels and len(self._levels) >= self._holders_max:
            self._levels.pop(next(iter(self._levels)))
        levels, last = self._levels.get(principal, (most, now))
        passed_s = max(0.0, (now - last).total_seconds()) * share
        refilled = zip(levels, self._rates, most, strict=True)
        levels = tuple(min(top, level + passed_s * rate) if passed_s else level for level, rate, top in refilled)
        self._levels[principal] = levels, now
        return levels

    def _take(self, principal: Principal, taken: tuple[float, ...]) -> None:
        """Take from the party's buckets, and from the key's own. A key's debt lasts no longer than its party's."""
        debts = (-math.inf,) * len(taken)
        for each, share in _nested(principal):
            levels = zip(self._filled(each, share), taken, debts, strict=True)
            left = tuple(max(level - part, debt * share) for level, part, debt in levels)
            self._levels[each] = left, self._levels[each][1]
            debts = tuple(min(0.0, level) for level in left)


def _nested(principal: Principal) -> list[tuple[Principal, float]]:
    """Return the party and its key or session, each with its share; or only an address."""
    if principal.party is None:
        return [(principal, 1.0)]
    return [(Principal(principal.party, ""), 1.0), (principal, OWN_SHARE)]


_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class Shares:
    """The numbers of places of one holder (a key, session or address), of one party and of the instance.

    `waiting`: requests of one holder that wait for a place, for at most `wait_s` seconds. `keeps_first`: a key or
    session without a place gets its first one at once, beyond the shares of party and instance.
    """

    of_holder: int
    of_party: int
    of_instance: int
    waiting: int = 0
    wait_s: float = 1.0
    keeps_first: bool = True


#: A link or a provider's answer costs a query or a request to the provider, and the pool has eight connections.
SIGN_IN: Final = Shares(of_holder=2, of_party=4, of_instance=4, waiting=50, wait_s=5.0)


class PlacePool:
    """The places of one process. Free places go to one request of each holder that waits, in turn."""

    def __init__(self, budget: str, shares: Shares) -> None:
        """Set up the pool. `budget` is the name that clients see."""
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
    async def place(self, principal: Principal, *, beyond: bool = False) -> AsyncIterator[None]:
        """Hold one place during the block. `beyond`: it may wait although as many as may already wait.

        Raises `BudgetExceeded` if the principal's share stays in use.
        """
        await self._enter(principal, beyond=beyond)
        try:
            yield
        finally:
            self._leave(principal)

    def has_room(self, principal: Principal) -> bool:
        """Return whether the principal may take one more place now."""
        held = self.of_holder[principal]
        shares = self._shares
        if held == 0 and principal.party is not None and shares.keeps_first:
            return True
        within_party = principal.party is None or self.of_party[principal.party] < shares.of_party
        return held < shares.of_holder and within_party and self.held < shares.of_instance

    async def _enter(self, principal: Principal, *, beyond: bool) -> None:
        if principal not in self._lines and self.has_room(principal):
            self._take(principal)
            return
        line = self._lines.setdefault(principal, deque())
        if len(line) >= self._shares.waiting and not beyond:
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


def scope_of(jurisdictions: list[str] | None, parties: list[str] | None) -> AccessScope | None:
    """Return the scope in these columns. None: both are empty, which means everything."""
    if jurisdictions is None and parties is None:
        return None
    return AccessScope(tuple(jurisdictions or ()), tuple(parties or ()))


def columns_of(scope: AccessScope | None, role: Role) -> tuple[list[str] | None, list[str] | None]:
    """Return the columns of a scope. Raises `Refused("scope_of_auditors")` for another role than an auditor's."""
    if scope is None:
        return None, None
    if role is not Role.AUDITOR:
        raise Refused("scope_of_auditors", "give a scope to an auditor, or none", field="/role")
    return list(scope.jurisdictions), list(scope.parties)
