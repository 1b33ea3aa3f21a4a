"""The Kafka door of an origin: what comes back moves its edges, and what went stale is decided again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from shared.contracts.delivery import StandingClear
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.prepare import Documents
from shared.exchange.reads import PeerReads
from shared.exchange.record_table import DECIDE_AGAIN, SUBJECT_WITHDRAWN
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.party.origin.ports import Receipted
from shared.party.origin.store.contacts import PostgresContacts
from shared.party.origin.store.edges import PostgresEdges
from shared.party.origin.store.holds import PostgresHolds
from shared.party.origin.store.reviews import PostgresReviews
from shared.party.origin.store.standings import PostgresMissing, compare, refused_as_taken_back, taken_late
from shared.party.origin.store.transfers import PostgresTransfers
from shared.party.origin.use_cases.again import MOVED_AT_ONCE, DecideAgain, Law
from shared.party.origin.use_cases.answers import EdgeAnswers
from shared.party.origin.use_cases.contacts import BATCH, suggest_contacts
from shared.party.origin.use_cases.holds import Holding
from shared.party.origin.use_cases.questions import Asked
from shared.party.origin.use_cases.reviews import expire_referrals
from shared.party.origin.use_cases.transfers import Claiming
from shared.party.questions.store import PostgresQuestions
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.post.arrivals import FINAL
from shared.runtime.post.ports import Settlement, Unit
from shared.runtime.watch.logs import log
from shared.vocabulary.answers import ReceiptOutcome
from shared.vocabulary.routing import PartyKind

#: How often an origin looks for edges that are to be decided again.
LOOK_EVERY_S: Final = 5.0
#: How soon a new directory is noticed, and after how many seconds of it what has moved is looked for.
NOTICED_S: Final = 0.5
FOLLOWED_S: Final = (0.0, 10.0, 60.0, 300.0)

#: How soon, in seconds, what waited is sent after it has become known that it can be read.
ISSUE_POLL_S: Final = 2.0
#: All that waits is decided again for what others say that they read once in this time: they may say it without end.
READS_PAUSE: Final = timedelta(seconds=30)
#: Whatever others say, all that waits is looked at after this time: somebody else may have been at it each time before.
LOOKED_AFTER: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Looked:
    """By which documents, and by what others read, all that waits was looked at, when, and whether by these before."""

    law: str
    reads: PeerReads
    at: datetime
    twice: bool = False

    def due(self, documents: Documents, now: datetime) -> bool:
        """Whether it is to be looked at again: for other documents at once, for what others say after a pause.

        And once more after a pause: what was decided by the ones before may only now have been committed.
        """
        if documents.law != self.law:
            return True
        pause = READS_PAUSE if documents.reads != self.reads or not self.twice else LOOKED_AFTER
        return not timedelta(0) <= now - self.at < pause

    @classmethod
    def now(cls, documents: Documents, at: datetime, before: Looked | None) -> Looked:
        """All was looked at by these documents."""
        twice = before is not None and (before.law, before.reads) == (documents.law, documents.reads)
        return cls(documents.law, documents.reads, at, twice)


def _stuck(settlement: Settlement) -> bool:
    """Whether nothing more comes of it by itself: it is neither applied nor decided again."""
    if settlement.outcome is ReceiptOutcome.REFUSED:
        return settlement.code not in DECIDE_AGAIN
    return settlement.outcome not in FINAL and settlement.outcome is not ReceiptOutcome.MOVED


class OriginBus:
    """What a service that originates hands answers and settlements to."""

    def __init__(
        self,
        database: Database,
        *,
        law: Law,
        instance: str,
        kek: KeyEncryptionKey,
        clock: Clock,
        unreleased_days: int,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """`unreleased_days`: how long a referral waits for a second person."""
        self._database = database
        self._unreleased_days = unreleased_days
        self._law = law
        self._instance = instance
        self._wake = wake
        self._again = DecideAgain(law=law, instance=instance, clock=clock)
        self._kek = kek
        self._clock = clock

    def answers(self, unit: Unit) -> EdgeAnswers:
        """The edges that answers move, within the batch's transaction."""
        driver, now = unit.connection.driver, self._clock.now()
        holding = Holding(PostgresHolds(driver), lambda: self._law.at(now), self._instance, now)
        claiming = Claiming(PostgresTransfers(driver), lambda: self._law.at(now), self._instance, now, holding)
        return EdgeAnswers(
            PostgresEdges(driver, self._kek),
            now,
            retell=self._again.known,
            holding=holding,
            claiming=claiming,
            asked=Asked(PostgresQuestions(driver), now),
            agency=lambda party: self._agency(party, now),
        )

    def _agency(self, party: str, at: datetime) -> str | None:
        """The instance that serves an agency; None for anybody else."""
        found = self._law.at(at).directory.party(party)
        return found.instance if found is not None and found.kind == PartyKind.LAW_ENFORCEMENT else None

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        """Decide again, now or later, what its recipient refused as stale, and what it is elsewhere for now.

        What was refused as taken back is listed where that is not known here.
        """
        edges = PostgresEdges(unit.connection.driver, self._kek)
        await edges.note_receipted(
            {each.message_id: Receipted(each.outcome.value, each.code) for each in settlements if _stuck(each)},
            [entry.message_id for entry in settlements if entry.outcome in FINAL],
            self._clock.now(),
        )
        stale = [entry.message_id for entry in settlements if entry.code in DECIDE_AGAIN]
        if stale:
            await self._again.refused(edges, stale)
        taken_back = [entry.message_id for entry in settlements if entry.code == SUBJECT_WITHDRAWN]
        if taken_back:
            await refused_as_taken_back(unit.connection.driver, taken_back)
        taken = [entry.message_id for entry in settlements if entry.outcome is ReceiptOutcome.APPLIED]
        if taken:
            await taken_late(unit.connection.driver, taken)
        moved = [entry.message_id for entry in settlements if entry.outcome is ReceiptOutcome.MOVED]
        if moved:
            await self._again.moved(edges, moved)

    async def compare(self, unit: Unit, by: str, standing: StandingClear) -> None:
        """Instance `by` holds this of our edges: note what it lacks, and list what we do."""
        await compare(unit.connection.driver, by, standing)

    async def follow_moves(self) -> None:
        """Issue anew, for ever, what lies where its recipient was before it moved: at the start, at each directory.

        And a few times after: what was filed by the directory before may only now have been committed.
        """
        followed, began, due = "", self._clock.now(), list[float]()
        while True:
            try:
                directory = self._law.now().directory
                if followed != directory.digest:
                    followed, began, due = directory.digest, self._clock.now(), list(FOLLOWED_S)
                if due and (self._clock.now() - began).total_seconds() >= due[0]:
                    await self.follow(directory)
                    del due[0]
            except Unavailable:
                pass  # no documents yet, or no database: nothing is sent meanwhile either
            await asyncio.sleep(NOTICED_S)

    async def follow(self, directory: DirectoryIndex) -> None:
        """Issue anew what this directory has moved, a batch a transaction. It ends when nothing is left behind."""
        scope = RowScope(directory.parties_of(self._instance), "service", "apply")
        for party in directory.moved:
            for instance in party.instances_before:
                found = MOVED_AT_ONCE
                while found:
                    async with self._database.transaction(scope) as session:
                        edges = PostgresEdges(session.driver, self._kek)
                        found = await self._again.left_behind(edges, party.id, instance)
                    if found:
                        self._wake()

    async def issue_waiting(self, scope: Callable[[], RowScope]) -> None:
        """For ever: whenever the documents, or what others read, have changed, send what waited and can be read now.

        `scope`: the instance with all parties that it serves.
        """
        looked: Looked | None = None
        while True:
            with suppress(Unavailable):  # no documents, or no database: later
                documents, now = self._law.now(), self._clock.now()
                if looked is None or looked.due(documents, now):
                    await self._issue(scope())
                    looked = Looked.now(documents, now, looked)
            await asyncio.sleep(ISSUE_POLL_S)

    async def _issue(self, scope: RowScope) -> None:
        for issue in (self._again.issue, self._again.issue_anew):
            after: UUID | None = UUID(int=0)
            while after is not None:
                async with self._database.transaction(scope) as session:
                    after = await issue(PostgresEdges(session.driver, self._kek), after)

    async def due(self, scope: RowScope) -> int:
        """Decide again what has waited for it; how many edges that were. Raises `Unavailable`."""
        async with self._database.transaction(scope) as session:
            return await self._again.due(PostgresEdges(session.driver, self._kek))

    async def missing(self, scope: RowScope) -> int:
        """Issue anew what its recipient lacks, a batch a transaction; how many edges. Raises `Unavailable`."""
        count, found = 0, MOVED_AT_ONCE
        while found:
            async with self._database.transaction(scope) as session:
                found = await self._again.missing(
                    PostgresEdges(session.driver, self._kek), PostgresMissing(session.driver)
                )
            if found:
                self._wake()
            count += found
        return count

    async def suggest(self, scope: RowScope) -> int:
        """Tell agencies of each other that have accepted the same; how many referrals. Raises `Unavailable`."""
        looked, found = 0, BATCH
        while found == BATCH:
            async with self._database.transaction(scope) as session:
                found = await suggest_contacts(
                    PostgresContacts(session.driver),
                    self._law.now().directory,
                    instance=self._instance,
                    at=self._clock.now(),
                )
            looked += found
        return looked

    async def expire(self, scope: RowScope) -> int:
        """Erase what has waited too long for a second person; how many referrals. Raises `Unavailable`."""
        async with self._database.transaction(scope) as session:
            return await expire_referrals(
                PostgresReviews(session.driver, self._kek),
                self._law.now(),
                instance=self._instance,
                days=self._unreleased_days,
                at=self._clock.now(),
            )

    async def run(self, scope: Callable[[], RowScope]) -> None:
        """Decide again what is due, and erase what has waited too long, for ever.

        `scope`: the instance with all parties that it serves.
        """
        while True:
            try:
                await self.due(scope())
                await self.missing(scope())
                await self.expire(scope())
                if await self.suggest(scope()):
                    self._wake()
            except Unavailable as error:
                log("decision_waits", code=error.code)
            await asyncio.sleep(LOOK_EVERY_S)
