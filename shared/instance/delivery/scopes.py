"""Transactions of messaging over the database of an instance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import asyncpg

from shared.core.clock import Clock
from shared.core.ids import coarse_uuid7
from shared.core.protocol.topics import AUDIT
from shared.instance.delivery.sending import SEALING
from shared.messaging.composition import SegmentComposer
from shared.messaging.ports import Subjects
from shared.messaging.scope import Inbound, Scope
from shared.messaging.store import PostgresMessagingTx
from shared.platform.database.transactions import Database, RowScope, Session, write_late


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeFactory:
    """The factory of one instance's scopes. `row_scope` returns the parties whose rows the features may change.

    `check_session` raises `Unavailable` until the own topics are compared with the database. `on_restore` ends the
    sign-ins and feed epoch that a restored database still has.
    """

    instance: str
    database: Database
    composer: SegmentComposer
    subjects: Callable[[Session], Subjects]
    inbound: Callable[[Session], Inbound]
    row_scope: Callable[[], RowScope | None]
    clock: Clock
    check_session: Callable[[], None] = lambda: None
    on_restore: Callable[[asyncpg.Connection], Awaitable[None]] | None = None

    @asynccontextmanager
    async def open(self, *, is_check: bool = False, is_careful: bool = True) -> AsyncIterator[Scope]:
        """Open a transaction that commits on normal exit. `is_check`: it is the comparison itself.

        `is_careful`: a message that breaks a feature does not end it, at the cost of a savepoint a batch.

        Raises `Unavailable`.
        """
        async with self.database.transaction(self.row_scope(), keeps_plans=True) as session:
            if not is_check:
                self.check_session()
            scope = self._make(session, is_careful=is_careful)
            yield scope
            session.driver.placed.extend(scope.finished)
        self.database.changes.note()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[PostgresMessagingTx]:
        """Open only the tables of messaging. Each statement is its own transaction."""
        async with self.database.session() as session:
            self.check_session()
            yield PostgresMessagingTx(session, self.instance)

    def _make(self, session: Session, *, is_careful: bool) -> Scope:
        now = self.clock.now()
        return Scope(
            instance=self.instance,
            audit=AUDIT,
            tx=PostgresMessagingTx(session, self.instance),
            subjects=self.subjects(session),
            inbound=self.inbound(session),
            composer=self.composer,
            new_id=lambda: coarse_uuid7(now),
            now=now,
            compose_apart=partial(asyncio.get_running_loop().run_in_executor, SEALING),
            before_lock=partial(write_late, session.driver),
            on_restore=self.on_restore and partial(self.on_restore, session.driver),
            is_careful=is_careful,
        )
