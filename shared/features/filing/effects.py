"""The Kafka interface of an origin: answers change its edges, and stale edges are decided again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import asyncpg

from shared.core.acts.catalog import Catalog
from shared.core.clock import Clock
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.errors import Unavailable
from shared.core.protocol.prepare import Documents
from shared.core.protocol.read_capabilities import PeerReads
from shared.core.protocol.record_table import DECIDE_AGAIN
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.routing import PartyKind
from shared.delivery.sending import Settlement, Unit
from shared.features.filing.ports import AnswerFollower, Receipt
from shared.features.filing.service.answers import EXPIRED_MAX, EdgeAnswers, expire_referrals
from shared.features.filing.service.redecide import DUE_MAX, CurrentDocuments, EdgeRedecider, SentAgain
from shared.features.filing.store.attention import PostgresReviews
from shared.features.filing.store.edges import PostgresEdges
from shared.features.filing.store.referrals import PostgresMissing
from shared.platform.database.failure_isolation import ClaimedBatch, Isolation, Key, apart_from_others
from shared.platform.database.transactions import Database, RowScope, Session
from shared.platform.observability.logs import log
from shared.platform.observability.retry_backoff import RetryBackoff

#: A step that processes the claimed rows in the transaction of a session.
InSession = Callable[[Session, ClaimedBatch], Awaitable[None]]
#: A function that sends edges above an id, and returns the id to continue after.
Issue = Callable[[PostgresEdges, UUID, ClaimedBatch], Awaitable[UUID | None]]
#: Seconds between two searches for edges to decide again.
LOOK_EVERY_S: Final = 5.0
#: Seconds until a new directory is noticed, and the time between two searches for moved edges by one directory.
NOTICED_S: Final = 0.5
FOLLOWED: Final = timedelta(minutes=1)

#: Seconds between two checks whether waiting edges can now be read.
ISSUE_POLL_S: Final = 2.0
#: Peers may change their stated message versions without end, so these changes start at most one pass in this time.
READS_PAUSE: Final = timedelta(seconds=30)
#: A pass runs after this time in any case, because another transaction may have locked an edge in each earlier pass.
LOOKED_AFTER: Final = timedelta(minutes=10)


#: The features that follow the answers of a transaction: of its connection, by these documents, now.
Followers = Callable[[asyncpg.Connection, Callable[[], Documents], datetime], Sequence[AnswerFollower]]
#: Periodic work of a feature for an origin, within a scope. It returns the number of rows.
PeriodicWork = Callable[["OriginHandler", RowScope], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class RedecideRun:
    """The last pass over all waiting edges: its documents, the peers' message versions and its time.

    `twice`: the pass before it had the same documents and versions.
    """

    law: str
    reads: PeerReads
    at: datetime
    twice: bool = False

    def due(self, documents: Documents, now: datetime) -> bool:
        """Return whether a new pass is due: at once for other documents, after a pause for other message versions.

        A pass is repeated once after a pause, because edges that were decided earlier may only now have been committed.
        """
        if documents.law != self.law:
            return True
        pause = READS_PAUSE if documents.reads != self.reads or not self.twice else LOOKED_AFTER
        return not timedelta(0) <= now - self.at < pause

    @classmethod
    def now(cls, documents: Documents, at: datetime, before: RedecideRun | None) -> RedecideRun:
        """Return a pass by these documents, made now."""
        twice = before is not None and (before.law, before.reads) == (documents.law, documents.reads)
        return cls(documents.law, documents.reads, at, twice)


@dataclass(eq=False)
class OriginHandler:
    """The receiver of answers and settlements in an originating service.

    `unreleased_days`: days that a referral waits for a second person. `catalog` has the acts of answers. `aside`: the
    retry backoff of this process. `followers` gives the features that follow the answers of a transaction, by the
    documents now and the time. `sent_again` are the steps of features for edges that are sent again. `works` is the
    periodic work of features.
    """

    database: Database
    law: CurrentDocuments
    instance: str
    kek: KeyEncryptionKey
    clock: Clock
    unreleased_days: int
    catalog: Catalog
    aside: RetryBackoff = field(default_factory=RetryBackoff)
    followers: Followers = lambda *_: ()
    sent_again: Sequence[SentAgain] = ()
    works: Sequence[PeriodicWork] = ()

    def __post_init__(self) -> None:
        self.redecider = EdgeRedecider(self.law, self.instance, self.clock, self.sent_again)
        self._apart = Isolation(self.aside, self.clock)

    def answers(self, unit: Unit) -> EdgeAnswers:
        """Return the edges that answers change, within the batch's transaction."""
        driver, now = unit.connection.driver, self.clock.now()
        return EdgeAnswers(
            PostgresEdges(driver, self.kek),
            now,
            self.catalog,
            agency=lambda party: self._agency(party, now),
            followers=self.followers(driver, lambda: self.law.at(now), now),
        )

    def _agency(self, party: str, at: datetime) -> str | None:
        """Return the instance that serves an agency, or None for other parties."""
        found = self.law.at(at).directory.party(party)
        return found.instance if found is not None and found.kind == PartyKind.LAW_ENFORCEMENT else None

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        """Store outcomes on edges. An edge that was refused as stale is decided again, now or later."""
        edges = PostgresEdges(unit.connection.driver, self.kek)
        outcomes = {each.message_id: Receipt(each.outcome, each.code, each.by) for each in settlements}
        noted = await edges.note_outcomes(outcomes, self.clock.now())
        stale = [message_id for message_id in noted if outcomes[message_id].code in DECIDE_AGAIN]
        if stale:
            await self.redecider.refused(edges, stale)

    async def follow_moves(self) -> None:
        """Send the edges of moved recipients to their new instances, at the start and for each new directory.

        Each directory is followed repeatedly: edges of the earlier directory may only now have been committed, and a
        subject in retry backoff may be due.
        """
        followed, at = "", self.clock.now()
        while True:
            pause = NOTICED_S
            try:
                directory, now = self.law.now().directory, self.clock.now()
                if followed != directory.digest or not timedelta(0) <= now - at < FOLLOWED:
                    await self.follow(directory)
                    followed, at = directory.digest, now
            except Unavailable:  # no documents or no database: try again later
                pause = LOOK_EVERY_S
            await self.database.changes.pause(pause)

    async def follow(self, directory: DirectoryIndex) -> None:
        """Send the edges that this directory has moved, one batch per transaction, until none is left.

        The edges of a suspended party wait: the directory that ends the suspension is a new one.
        """
        aside, tried = self._apart.aside, set[Key]()
        again = aside.again("follow", self.clock.now())
        scope = RowScope(directory.heard_of(directory.parties_of(self.instance)), "service", "apply")
        for party in directory.moved:
            for instance in party.instances_before:
                left = partial(self._left_behind, recipient=party.id, instance=instance, tried=tried)
                await self.process_all("follow", scope, left, whole=False)
        for key in again:
            if key not in tried:  # not found any more: another process has sent it
                aside.done("follow", key)

    async def _left_behind(
        self, session: Session, taking: ClaimedBatch, *, recipient: str, instance: str, tried: set[Key]
    ) -> None:
        edges = PostgresEdges(session.driver, self.kek)
        try:
            await self.redecider.left_behind(edges, taking, recipient=recipient, instance=instance)
        finally:
            tried.update(taking.taken)

    async def issue_waiting(self, scope: Callable[[], RowScope]) -> None:
        """Send waiting edges that can now be read, whenever the documents or the peers' message versions change.

        `scope`: the instance with all parties that it serves.
        """
        looked: RedecideRun | None = None
        while True:
            async with apart_from_others("issue_waiting"):
                documents, now = self.law.now(), self.clock.now()
                if looked is None or looked.due(documents, now):
                    await self.issue(scope())
                    looked = RedecideRun.now(documents, now, looked)
            await self.database.changes.pause(ISSUE_POLL_S)

    async def issue(self, scope: RowScope) -> None:
        """Send the waiting edges that can be read now, once. Raises `Unavailable`."""
        for work, issue in (("issue", self.redecider.issue), ("issue_anew", self.redecider.issue_anew)):
            after: UUID | None = UUID(int=0)

            async def of_these(taking: ClaimedBatch, issue: Issue = issue) -> None:
                nonlocal after
                async with self.database.transaction(scope) as session:
                    last = await issue(PostgresEdges(session.driver, self.kek), after or UUID(int=0), taking)
                after = last  # after the commit: a batch that is rolled back is taken again

            while after is not None:
                if not await self._apart.batch(work, DUE_MAX, of_these):
                    break

    async def due(self, scope: RowScope) -> int:
        """Decide the due edges again, and forward late answers. Return the number of edges. Raises `Unavailable`."""
        return await self.process_all("decide_again", scope, self._of_edges(self.redecider.due))

    async def missing(self, scope: RowScope) -> int:
        """Send edges and withdrawals again that their recipients lack. Return the number. Raises `Unavailable`."""

        async def untold(session: Session, taking: ClaimedBatch) -> None:
            await self.redecider.untold(PostgresMissing(session.driver), taking)

        withdrawals = await self.process_all("withdraw_again", scope, untold)
        return withdrawals + await self.process_all("issue_missing", scope, self._of_edges(self.redecider.missing))

    def _of_edges(self, step: Callable[[PostgresEdges, ClaimedBatch], Awaitable[None]]) -> InSession:
        return lambda session, taking: step(PostgresEdges(session.driver, self.kek), taking)

    async def expire(self, scope: RowScope) -> int:
        """Erase referrals that have waited too long for a second person. Return the number. Raises `Unavailable`."""

        async def expire(session: Session, taking: ClaimedBatch) -> None:
            await expire_referrals(
                PostgresReviews(session.driver, self.kek),
                taking,
                self.law.now(),
                instance=self.instance,
                days=self.unreleased_days,
                at=self.clock.now(),
            )

        return await self.process("expire", scope, expire, limit=EXPIRED_MAX)

    async def run(self, scope: Callable[[], RowScope], *, erasing: Callable[[], RowScope]) -> None:
        """Run the periodic work endlessly: due decisions, missing edges, expired referrals, and that of features.

        A failure of one kind of work does not stop the others. `scope`: the instance with all parties that are not
        suspended. `erasing`: the instance with all parties that it serves. The instance itself reports erasures to
        audit.
        """
        works: list[tuple[Callable[[RowScope], Awaitable[int]], Callable[[], RowScope]]] = [
            (self.due, scope),
            (self.missing, scope),
            (self.expire, erasing),
            *((partial(each, self), scope) for each in self.works),
        ]
        while True:
            for work, within in works:
                async with apart_from_others("decisions", lambda code: log("decision_waits", code=code)):
                    await work(within())
            await self.database.changes.pause(LOOK_EVERY_S)

    async def process_all(self, work: str, scope: RowScope, act: InSession, *, whole: bool = True) -> int:
        """Process batches until only rows in retry backoff are left. Return the number of rows."""
        count = 0
        while found := await self.process(work, scope, act, limit=DUE_MAX, whole=whole):
            count += found
        return count

    async def process(self, work: str, scope: RowScope, act: InSession, *, limit: int, whole: bool = True) -> int:
        """Process one batch in a transaction of `scope`. Return the number of rows."""

        async def in_transaction(taking: ClaimedBatch) -> None:
            async with self.database.transaction(scope) as session:
                await act(session, taking)

        return await self._apart.batch(work, limit, in_transaction, whole=whole)
