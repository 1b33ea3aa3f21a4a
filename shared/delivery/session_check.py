"""The comparison of the own topics with the database, at each database session, before any message is accepted.

A restored database has given fewer numbers than its topics show, or has taken fewer than its acknowledgements state.
Then the feeds begin a new epoch and all sign-ins end; the streams whose topics show more begin a new incarnation. If
Kafka does not answer within `READ_S_MAX`, the same is done for feeds and sign-ins, and the instance continues: the
first acknowledgement of each peer shows the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from shared.core.errors import Unavailable
from shared.delivery.sending import ScopeFactory
from shared.messaging.incarnations import Head, has_taken, read_back
from shared.platform.observability.logs import log

#: The time that the comparison waits for Kafka.
READ_S_MAX: Final = 5.0
_RETRY_S: Final = 0.5
#: The code while the comparison is not done.
UNCHECKED: Final = "streams_unchecked"

#: Reads the last numbers that the topics of the own streams show, by peer. Raises `Unavailable`.
ReadHeads = Callable[[Sequence[str]], Awaitable[Mapping[str, Sequence[Head]]]]


class SessionCheck:
    """The comparison of own topics with the database, once per database session.

    It blocks nothing until a part of a service requires it."""

    def __init__(
        self, *, session_number: Callable[[], int], read_heads: ReadHeads, peers: Callable[[], Sequence[str]]
    ) -> None:
        """`session_number` changes with each database session; `peers` raises `Unavailable` before there is law."""
        self._session_number = session_number
        self._read_heads = read_heads
        self._peers = peers
        self._checked: int | None = None
        self._is_required = False
        self._done, self._begun = asyncio.Event(), asyncio.Event()

    def check(self) -> None:
        """Raise `Unavailable("streams_unchecked")` while this database session is not compared."""
        if self._is_required and self._checked != self._session_number():
            self._done.clear()
            self.begin()
            raise Unavailable(UNCHECKED)

    def begin(self) -> None:
        """Have a database session compared that has begun."""
        self._begun.set()

    def require(self) -> None:
        """Require the comparison before this process sends, reads or relays any message."""
        self._is_required = True

    async def wait(self, seconds: float | None = None) -> None:
        """Return once the present session is compared, or when the time is over."""
        try:
            async with asyncio.timeout(seconds):
                while self._checked != self._session_number():
                    self._done.clear()
                    self.begin()
                    await self._done.wait()
        except TimeoutError:
            return

    async def run(self, scopes: ScopeFactory) -> None:
        """Compare at each database session until cancelled."""
        while True:
            self._begun.clear()
            number = self._session_number()
            if number == self._checked:
                await self._begun.wait()
                continue
            try:
                await self.compare(scopes)
            except Unavailable as error:
                log("relay_waits", code=error.code)
                await asyncio.sleep(_RETRY_S)
                continue
            self._checked = number
            self._done.set()

    async def compare(self, scopes: ScopeFactory) -> None:
        """Read the log first, then the rows, and open the incarnations that are due. Raises `Unavailable`."""
        async with scopes.open(is_check=True) as scope:
            peers = sorted({*(await scope.tx.load_outgoing(None, lock=False)), *known_peers(self._peers)})
        heads: Mapping[str, Sequence[Head]] = {}
        try:
            async with asyncio.timeout(READ_S_MAX):
                heads = await self._read_heads(peers)
        except (Unavailable, TimeoutError):
            log("relay_waits", code="topics_unread")
        for peer, shown in heads.items():
            if shown:
                await _compare_with(scopes, peer, shown)


def known_peers(peers: Callable[[], Sequence[str]]) -> Sequence[str]:
    """Return the peers that the directory names; none without a directory."""
    try:
        return peers()
    except Unavailable:
        return ()


async def _compare_with(scopes: ScopeFactory, peer: str, shown: Sequence[Head]) -> None:
    own, taken = [each for each in shown if not each.is_taken], [each for each in shown if each.is_taken]
    async with scopes.open(is_check=True) as scope:
        before = (await scope.tx.load_outgoing([peer], lock=True)).get(peer)
        after = await read_back(scope, peer, before, heads=own) if own else before
        is_restored = after is not before or not await has_taken(scope, peer, taken)
        if is_restored and scope.on_restore is not None:
            await scope.on_restore()
        if after is None or after is before:
            return
        await scope.save([after])
    log("incarnation_opened", peer=peer)
