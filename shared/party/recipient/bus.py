"""Kafka handler of a recipient: passes messages to the use cases in the batch's transaction. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol
from uuid import UUID

import asyncpg

from shared.core.contracts.registry import Family
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.errors import Refused
from shared.core.protocol.message import Received
from shared.core.vocabulary.answers import ReceiptOutcome
from shared.instance.delivery.sending import Settlement, Unit
from shared.party.recipient.domain import RecipientKind
from shared.party.recipient.store.items import PostgresItems
from shared.party.recipient.use_cases import OwnEdges, not_raised, receive


class OriginSide(Protocol):
    """The Kafka handler of the origin, if the same service is one."""

    def answers(self, unit: Unit) -> OwnEdges: ...

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None: ...


class PreservationSide(Protocol):
    """The Kafka handler of preservation requests, at the services of agencies and providers."""

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]: ...

    async def refused(self, unit: Unit, codes: Mapping[UUID, str], by: Collection[str]) -> None: ...


class RecipientHandler:
    """The consumer's handler. A recipient that submits no referrals has no `origin`, and no decisions to repeat."""

    def __init__(
        self,
        recipient: RecipientKind,
        *,
        items: Callable[[asyncpg.Connection, KeyEncryptionKey], PostgresItems],
        kek: KeyEncryptionKey,
        origin: OriginSide | None = None,
        asked: PreservationSide | None = None,
        check: Callable[[Received], None] = lambda _: None,
    ) -> None:
        """Set up the handler. `check` raises `Refused` for a message that its recipient may not get in any state."""
        self._recipient = recipient
        self._items = items
        self._kek = kek
        self._origin = origin
        self._asked = asked
        self._check = check

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        items = self._items(unit.connection.driver, self._kek)
        edges = None if self._origin is None else self._origin.answers(unit)
        asked = [each for each in messages if self._asked is not None and each.message.family is Family.PRESERVATION]
        refusals = self._not_to_be_told(messages)
        if self._asked is not None:  # first: requests and removals lock `location_lock_slot` before they lock any item
            refusals |= await self._asked.apply(unit, asked)
        sent = [each for each in messages if each not in asked and each.message_id not in refusals]
        return refusals | await receive(self._recipient, sent, items=items, edges=edges, are_new=unit.are_new)

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        if self._origin is not None:
            await self._origin.settled(unit, settlements)
        refused = {each.message_id: each.code for each in settlements if each.outcome is ReceiptOutcome.REFUSED}
        codes = {message_id: code for message_id, code in refused.items() if code is not None}
        if not codes:
            return
        by = settlements[0].parties
        await not_raised(codes, self._items(unit.connection.driver, self._kek), by=by)
        if self._asked is not None:
            await self._asked.refused(unit, codes, by)

    def _not_to_be_told(self, messages: Sequence[Received]) -> dict[UUID, str]:
        refusals = {}
        for message in messages:
            try:
                self._check(message)
            except Refused as error:
                refusals[message.message_id] = error.code
        return refusals
