"""The providers' service over a real database: deliver messages, let parties act, read the sent messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from shared.core.acts.act import Subject
from shared.core.acts.states import row
from shared.core.authority import Role
from shared.core.contracts.answers import DisowningStatement, NoticeDisowning
from shared.core.contracts.base import Contract
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.ids import uuid7
from shared.core.protocol.message import Received
from shared.delivery.sending import Unit
from shared.features.filing.effects import OriginHandler
from shared.features.filing.service.redecide import EdgeRedecider
from shared.features.filing.store.edges import PostgresEdges
from shared.features.notices.effects import provider_handler
from shared.features.notices.service import act_on_notice
from shared.features.notices.store import PostgresNotices
from shared.features.received.service.items import ItemActor
from shared.platform.database.transactions import Database, RowScope
from tests.services.deliveries import AT, OTHER_PROVIDER, PROVIDER, directory, issued
from tests.services.doors import ACTOR, as_told
from tests.services.outgoing import NO_LAW, about, clear_parts
from tests.support.manual_clock import ManualClock

KEK = KeyEncryptionKey(bytes(range(32)))
APPLYING = RowScope((PROVIDER, OTHER_PROVIDER), Role.SERVICE, "apply")


def disowning(suggested: str | None, *numbers: int) -> NoticeDisowning:
    """Return a wrong-provider answer for the items with these numbers, or for all unanswered items."""
    stated = [DisowningStatement(n=n, suggested=suggested) for n in numbers or (None,)]
    return NoticeDisowning(disowned=tuple(stated))


class DecidedAgain(EdgeRedecider):
    """A stub of deciding again that records the messages it was given."""

    given: list[UUID]

    def __init__(self) -> None:
        object.__setattr__(self, "given", [])  # the class is frozen

    async def refused(self, edges: PostgresEdges, message_ids: Sequence[UUID]) -> None:
        self.given.extend(message_ids)


class Providers:
    """Both sample providers, served by one instance."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.directory = directory()
        self.again = DecidedAgain()
        self.bus = OriginHandler(
            database, law=NO_LAW, instance="industry", kek=KEK, clock=ManualClock(AT), unreleased_days=7
        )
        self.bus.redecider = self.again
        self.door = provider_handler(kek=KEK, origin=self.bus)

    async def receive(self, *messages: Received) -> list[str | None]:
        """Apply one batch. Return the code of each refused message, and None for each applied one."""
        async with self.database.transaction(APPLYING) as session:
            refusals = await self.door.apply(Unit(session), messages)
        return [refusals.get(message.message_id) for message in messages]

    async def issue(self, **changes: Any) -> UUID:
        """Receive a notice that is issued to a provider."""
        notice_id = uuid7()
        assert await self.receive(issued(notice_id, **changes)) == [None]
        return notice_id

    @asynccontextmanager
    async def notices(
        self, action: str, *, party: str = PROVIDER, role: Role = Role.ANALYST
    ) -> AsyncIterator[PostgresNotices]:
        """Open the notices for `party` while it does `action`."""
        async with self.database.transaction(RowScope([party], role, action)) as session:
            yield PostgresNotices(session.driver, KEK)

    async def act(
        self, name: str, said: Contract | None, notice_id: UUID, *, party: str = PROVIDER, role: Role = Role.ANALYST
    ) -> str:
        """Do one act as the HTTP routes do."""
        async with self.notices(name, party=party, role=role) as notices:
            acting = ItemActor(party, role, ACTOR, notices, self.directory, AT)
            return await act_on_notice(row(Subject.NOTICE, name), notice_id, said=said, acting=acting)

    async def show(self, notice_id: UUID, *, party: str = PROVIDER) -> dict[str, Any]:
        async with self.notices("read", party=party) as notices:
            shown = await notices.show(notice_id)
        return as_told(shown)

    async def sent(self, notice_id: UUID) -> list[tuple[str, str, str, bool, dict[str, Any]]]:
        """Return (type, sender, recipient, exercise, clear part) of the messages about a notice.

        No answer has a sealed part.
        """
        assert all(each.plaintext is None for each in await about(self.database, notice_id))
        return await clear_parts(self.database, notice_id)
