"""The receiving half of the hotlines' service over a real database: deliver messages, let parties act."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID

import httpx

from shared.core.acts.act import Subject
from shared.core.acts.states import row
from shared.core.authority import Role
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.ids import uuid7
from shared.core.protocol.message import Received
from shared.delivery.sending import Unit
from shared.features.filing.effects import OriginHandler
from shared.features.offers.effects import hotline_handler
from shared.features.offers.rules import HOTLINE as RECIPIENT
from shared.features.offers.store import PostgresOffers
from shared.features.received.service.items import ItemActor, act
from shared.platform.database.transactions import Database, RowScope
from tests.services.deliveries import AT, ERASED, HOTLINE, OTHER_HOTLINE, directory, offered
from tests.services.doors import ACTOR, as_told, asking
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
        self.act_on = partial(act, RECIPIENT)

    async def receive(self, *messages: Received) -> list[str | None]:
        """Apply one batch. Return the code of each refused message, and None for each applied one."""
        async with self.database.transaction(RowScope((HOTLINE, OTHER_HOTLINE), Role.SERVICE, "apply")) as session:
            unit = Unit(session)
            refusals = await self.door.apply(unit, messages)
        return [refusals.get(message.message_id) for message in messages]

    async def offer(self) -> UUID:
        """Receive a referral that one hotline offers to the other."""
        referral_id = uuid7()
        assert await self.receive(an_offer(referral_id)) == [None]
        return referral_id

    @asynccontextmanager
    async def offers(
        self, action: str, *, party: str = OTHER_HOTLINE, role: Role = Role.ANALYST
    ) -> AsyncIterator[ItemActor]:
        """Open the offers for `party` while it does `action`."""
        async with self.database.transaction(RowScope([party], role, action)) as session:
            yield ItemActor(party, role, ACTOR, PostgresOffers(session.driver, KEK), self.directory, AT)

    async def acknowledge(self, referral_id: UUID, *, party: str = OTHER_HOTLINE, role: Role = Role.ANALYST) -> str:
        """Acknowledge a withdrawal as the HTTP routes do."""
        name = "acknowledge_withdrawal"
        async with self.offers(name, party=party, role=role) as acting:
            return await self.act_on(row(Subject.OFFER, name), referral_id, said=ERASED, acting=acting)

    async def show(self, referral_id: UUID, *, party: str = OTHER_HOTLINE) -> dict[str, Any]:
        async with self.offers("read", party=party) as acting:
            return as_told(await acting.items.show(referral_id))

    async def sent(self, referral_id: UUID) -> list[tuple[str, str, str, bool, dict[str, Any]]]:
        """Return (type, sender, recipient, exercise, clear part) of the messages about a referral."""
        return await clear_parts(self.database, referral_id)


class Prompt:
    """A user of a hotline at the HTTP routes of its service."""

    def __init__(self, hotlines: Hotlines, client: httpx.AsyncClient) -> None:
        self.hotlines = hotlines
        self.client = client

    async def act(
        self, referral_id: UUID, name: str, said: Any = None, *, party: str = OTHER_HOTLINE, role: Role = Role.ANALYST
    ) -> tuple[int, str]:
        """Return the status with the state after an act, or the code of a refusal."""
        headers = asking(party, role=role, key=uuid7().hex)
        answer = await self.client.post(f"/v1/inbox/{referral_id}:{name}", json=said or {}, headers=headers)
        body = answer.json()
        return answer.status_code, body["state"] if answer.is_success else body["code"]
