"""The receiving half of the hotlines' service over a real database: deliver messages, let parties act over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx

from shared.core.authority import Role
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.ids import uuid7
from shared.core.protocol.message import Received
from shared.delivery.sending import Unit
from shared.features.filing.effects import OriginHandler
from shared.features.offers.effects import hotline_handler
from shared.platform.database.transactions import Database, RowScope
from tests.services.deliveries import AT, HOTLINE, OTHER_HOTLINE, directory, offered
from tests.services.doors import asking
from tests.services.outgoing import NO_LAW, clear_parts
from tests.support.manual_clock import ManualClock

KEK = KeyEncryptionKey(bytes(range(32)))


def an_offer(referral_id: UUID, *, priority: str = "p2_normal") -> Received:
    return offered(referral_id, to=OTHER_HOTLINE, purpose="assessment", priority=priority)


class Hotlines:
    """Both sample hotlines, served by one instance. One of them offers referrals to the other."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.directory = directory()
        bus = OriginHandler(database, law=NO_LAW, instance="hotline", kek=KEK, clock=ManualClock(AT), unreleased_days=7)
        self.door = hotline_handler(kek=KEK, origin=bus)

    async def receive(self, *messages: Received) -> list[str | None]:
        """Apply one batch. Return the code of each refused message, and None for each applied one."""
        async with self.database.transaction(RowScope((HOTLINE, OTHER_HOTLINE), Role.SERVICE, "apply")) as session:
            refusals = await self.door.apply(Unit(session), messages)
        return [refusals.get(message.message_id) for message in messages]

    async def offer(self) -> UUID:
        """Receive a referral that one hotline offers to the other."""
        referral_id = uuid7()
        assert await self.receive(an_offer(referral_id)) == [None]
        return referral_id

    async def sent(self, referral_id: UUID) -> list[tuple[str, dict[str, Any]]]:
        """Return (type, clear part) of the messages about a referral, without the facts of its looks."""
        found = await clear_parts(self.database, referral_id)
        assert {each[1:4] for each in found if each[2] != "audit"} <= {(OTHER_HOTLINE, HOTLINE, True)}
        return [(kind, clear) for kind, _, to, _, clear in found if to != "audit"]


class Prompt:
    """A user of a hotline at the HTTP routes of its service."""

    def __init__(self, hotlines: Hotlines, client: httpx.AsyncClient) -> None:
        self.hotlines = hotlines
        self.client = client

    async def act(
        self,
        referral_id: UUID,
        name: str,
        said: Any = None,
        *,
        party: str = OTHER_HOTLINE,
        role: Role = Role.ANALYST,
        key: str | None = None,
    ) -> tuple[int, str]:
        """Return the status with the state after an act, or the code of a refusal."""
        headers = asking(party, role=role, key=key or uuid7().hex)
        answer = await self.client.post(f"/v1/inbox/{referral_id}:{name}", json=said or {}, headers=headers)
        body = answer.json()
        return answer.status_code, body["state"] if answer.is_success else body["code"]

    async def get(self, path: str, *, party: str = OTHER_HOTLINE, role: Role = Role.ANALYST) -> httpx.Response:
        return await self.client.get(f"/v1/inbox{path}", headers=asking(party, role=role))

    async def show(self, referral_id: UUID) -> dict[str, Any]:
        shown: dict[str, Any] = (await self.get(f"/{referral_id}")).json()
        return shown
