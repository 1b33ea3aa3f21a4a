"""The providers' service over a real database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shared.catalog import CATALOG
from shared.core.acts.act import Subject
from shared.core.authority import Role
from shared.core.contracts.answers import DisowningStatement, NoticeDisowning
from shared.core.ids import uuid7
from shared.features.filing.effects import OriginHandler
from shared.features.filing.service.redecide import EdgeRedecider
from shared.features.filing.store.edges import PostgresEdges
from shared.features.notices.effects import provider_handler
from shared.features.notices.service import act_on_notice
from shared.features.notices.store import PostgresNotices
from shared.platform.database.transactions import Database, RowScope
from tests.services.deliveries import AT, OTHER_PROVIDER, PROVIDER, issued
from tests.services.outgoing import NO_LAW, about, clear_parts
from tests.services.recipients import KEK, Recipients
from tests.support.manual_clock import ManualClock

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


class Providers(Recipients):
    """Both sample providers, served by one instance."""

    subject, items, parties = Subject.NOTICE, PostgresNotices, (PROVIDER, OTHER_PROVIDER)
    notices = Recipients.opened

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.again = DecidedAgain()
        self.act_on = act_on_notice
        self.bus = OriginHandler(
            database,
            law=NO_LAW,
            instance="industry",
            kek=KEK,
            clock=ManualClock(AT),
            unreleased_days=7,
            catalog=CATALOG,
        )
        self.bus.redecider = self.again
        self.door = provider_handler(kek=KEK, origin=self.bus)

    async def issue(self, **changes: Any) -> UUID:
        """Receive a notice that is issued to a provider."""
        notice_id = uuid7()
        assert await self.receive(issued(notice_id, **changes)) == [None]
        return notice_id

    async def sent(self, notice_id: UUID) -> list[tuple[str, str, str, bool, dict[str, Any]]]:
        """Return (type, sender, recipient, exercise, clear part) of the messages about a notice.

        No answer has a sealed part.
        """
        assert all(each.plaintext is None for each in await about(self.database, notice_id))
        return await clear_parts(self.database, notice_id)
