"""What an instance decides by: whether its documents may still be used, what ages in them, and what its peers read."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import date, datetime
from typing import Final

from shared.exchange.holds import Hours
from shared.exchange.prepare import Documents
from shared.exchange.reads import PeerReads
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.routing.ageing import REASONS, aged
from shared.routing.edition import Age, Edition
from shared.routing.shelf import DocumentShelf
from shared.runtime.database.transactions import Database
from shared.runtime.delivery.peers import load_peer_reads
from shared.runtime.kafka.documents import DocumentFeed
from shared.runtime.watch.health import Check
from shared.runtime.watch.logs import log
from shared.runtime.watch.metrics import BEAT_AGE_SECONDS, DOCUMENT_DAYS_LEFT, LAW_AGED

LOOK_EVERY_S: Final = 60.0
_AN_HOUR: Final = Hours()


class LawWatch:
    """Looks at what is in force. Says what ages once, when it begins to, and again after a restart of the process."""

    def __init__(self, shelf: DocumentShelf, feed: DocumentFeed, clock: Clock, *, hours: Hours = _AN_HOUR) -> None:
        """`hours`: how long those of hold windows last."""
        self._hours = hours
        self._shelf = shelf
        self._feed = feed
        self._clock = clock
        self._said: set[tuple[str, str]] = set()
        self._ages: dict[str, Age] = {}

    def documents(self) -> Documents:
        """The directory and policy to decide by now.

        Raises `Unavailable`: `document_unknown` before the first have arrived, `documents_expired` when one should have
        been replaced long ago and its grace is over.
        """
        now = self._clock.now()
        found = Documents(self._shelf.directories.active(now), self._shelf.policies.active(now), hours=self._hours)
        if Age.EXPIRED in (found.directory.edition.age(now.date()), found.policy.edition.age(now.date())):
            raise Unavailable("documents_expired")
        return found

    def documents_at(self, at: datetime) -> Documents:
        """Those that were in force at `at`, as is known now. Raises `Unavailable` before the first."""
        return Documents(self._shelf.directories.active(at), self._shelf.policies.active(at), hours=self._hours)

    def look(self) -> list[tuple[str, str]]:
        """Measure, and log what is new; what must be looked at, as (instrument, reason). Nothing before the first."""
        now = self._clock.now()
        try:
            directory, policy = self._shelf.directories.active(now), self._shelf.policies.active(now)
        except Unavailable:
            return []
        BEAT_AGE_SECONDS.set(self._feed.beat.age_s())
        self._measure("directory", directory.edition, now.date())
        self._measure("policy", policy.edition, now.date())
        found = aged(policy.document, now.date())
        counts = Counter(reason for _, reason in found)
        for reason in REASONS:
            LAW_AGED.labels(reason).set(counts[reason])
        for instrument, reason in sorted(set(found) - self._said):
            log("law_aged", instrument=instrument, code=reason)
        for instrument, reason in sorted(self._said - set(found)):
            log("law_reviewed", instrument=instrument, code=reason)
        self._said = set(found)
        return found

    async def check(self) -> Check:
        """For /readyz: always ready, since what may not be decided waits by itself; what ages is shown."""
        found = self.look()
        late = [age for age in self._ages.values() if age is not Age.FRESH]
        return Check("law", True, max(late, key=list(Age).index) if late else "law_aged" if found else "")

    async def run(self) -> None:
        """Look for ever: whatever of a document cannot be measured, it ages, and is looked at again."""
        while True:
            try:
                self.look()
            except Exception as error:
                log("part_failed", part="law", error=type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

    def _measure(self, kind: str, edition: Edition, on: date) -> None:
        DOCUMENT_DAYS_LEFT.labels(kind).set(edition.days_left(on))
        age = edition.age(on)
        if age not in (Age.FRESH, self._ages.get(kind)):
            log("document_ages", kind=kind, code=age.value)
        self._ages[kind] = age


PEERS_EVERY_S: Final = 5.0


class PeerWatch:
    """Whoever writes to a peer asks it what that reads; `reads` is another object after each change."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = PeerReads()

    async def look(self) -> None:
        """Look once. Raises `Unavailable` if the database does not answer."""
        found = await load_peer_reads(self._database)
        if found != self.reads:
            self.reads = found

    async def run(self) -> None:
        """Look for ever. While the database is away, what was known last holds."""
        while True:
            with suppress(Unavailable):  # whoever needs the database says so itself
                await self.look()
            await asyncio.sleep(PEERS_EVERY_S)
