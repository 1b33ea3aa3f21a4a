"""One consumer, by default of the agencies' instance, over a store in memory, with a clock and documents of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

from tests.support.memory_arrivals import Keeping
from tests.support.memory_stores import MemoryDatabase, MemoryInbox

from shared.exchange.accept import accept_batch
from shared.exchange.compose import Verdict
from shared.exchange.message import Draft, Received, Record
from shared.kernel.clock import ManualClock
from shared.routing.shelf import DocumentShelf
from shared.runtime.post.arrivals import Parked
from shared.runtime.post.awaiting import Room
from shared.runtime.post.consumer import Composers, Consumer
from shared.runtime.post.ports import Settlement, Unit
from shared.runtime.post.standing import NothingHeld
from tests.support.builders import AT
from tests.support.exchange_world import World


class Applied(NothingHeld):
    """A handler that notes what it was given, and refuses with `codes`, by type."""

    def __init__(self) -> None:
        self.types: list[str] = []
        self.messages: list[Received] = []
        self.codes: dict[str, str] = {}

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        self.types += [message.message.type for message in messages]
        self.messages += messages
        coded = {message.message_id: self.codes.get(message.message.type) for message in messages}
        return {message_id: code for message_id, code in coded.items() if code is not None}

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        raise AssertionError("nothing was sent here, so nothing can be settled")


class Heard:
    """A conversation that notes what it hears."""

    def __init__(self, handler: Applied) -> None:
        self.types: list[str] = []
        #: Before each, how much had been applied.
        self.behind: list[int] = []
        self._handler = handler
        self.unknown_ids: list[UUID] = []
        self.unread_of: dict[str, UUID] = {}

    async def heard(self, unit: Unit, received: Sequence[Received]) -> None:
        self.types += [each.message.type for each in received]
        self.behind += [len(self._handler.types) for _ in received]

    async def unread(self, unit: Unit, stated: Mapping[str, UUID]) -> None:
        self.unread_of |= stated

    async def unknown(self, unit: Unit, held: Sequence[Settlement]) -> None:
        self.unknown_ids += [each.message_id for each in held]


class Desk:
    """One consumer, begun at `AT`."""

    def __init__(
        self,
        here: World,
        *,
        instance: str = "law_enforcement",
        shelf: DocumentShelf | None = None,
        room: Room | None = None,
    ) -> None:
        self.here = here
        self.clock = ManualClock(AT)
        self.database = MemoryDatabase()
        self.handler = Applied()
        self.conversation = Heard(self.handler)
        self.told: list[Verdict] = []
        self.stated: list[Parked] = []
        self.shelf = shelf if shelf is not None else replace(here, shelf=DocumentShelf()).shelf
        reader = replace(here.reader(instance), shelf=self.shelf)
        self.inbox = MemoryInbox(
            self.database, keeping=Keeping(lambda need: need.met(self.shelf), Room() if room is None else room)
        )
        self.consumer = Consumer(
            self.inbox,
            self.handler,
            accept=partial(accept_batch, reader=reader),
            composers=Composers(self._receipts, self._facts),
            conversation=self.conversation,
            clock=self.clock,
            patience_s=0,
        )

    async def consume(self, records: Sequence[Record]) -> list[Verdict]:
        """What is told of them, in the order in which it is."""
        self.told.clear()
        await self.consumer.consume(records)
        return list(self.told)

    async def take_up(self) -> list[Verdict]:
        """What is told of that which had waited."""
        self.told.clear()
        while await self.consumer.take_up():
            pass
        return list(self.told)

    def parked(self) -> list[Parked]:
        return [first for first, _ in self.database.state.quarantine.values()]

    async def wanted(self) -> list[UUID]:
        """The messages that the hotlines' instance is asked for now."""
        async with self.inbox.unit() as unit:
            return (await unit.taken.wanted(self.clock.now())).get("hotline", [])

    def _receipts(self, instance: str, entries: Sequence[Verdict]) -> list[Draft]:
        self.told += entries
        return []

    def _facts(self, parked: Sequence[Parked]) -> list[Draft]:
        self.stated += parked
        return []
