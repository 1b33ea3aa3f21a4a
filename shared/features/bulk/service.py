"""Acts of a batch, done together. The use case of the single act decides each one; their writes are combined.

A refusal does not stop the other lines. A refused line stores and sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from typing import Protocol, cast, runtime_checkable
from uuid import UUID

from shared.core.acts.states import Event
from shared.core.authority import state_forbids
from shared.core.errors import Refused
from shared.core.protocol.clocks import EdgeClock, EdgeStep
from shared.core.protocol.message import Draft
from shared.features.bulk.store import BatchedAct, groups
from shared.features.received.rules import HeldItem, ItemAct, ItemKey
from shared.features.received.service.items import ActUseCase, ItemActor
from shared.features.received.store.items import PostgresItems

#: The result of a line: the state after its act, or the refusal.
Outcome = str | Refused


class Batch(Protocol):
    """One transaction in which a party acts on many items."""

    async def acting(self, action: str) -> ItemActor:
        """Bind the transaction to the permit of this action, and return the inputs of an act."""
        ...

    def aside(self) -> AbstractAsyncContextManager[None]:
        """Open a savepoint: a refusal inside it undoes its writes, and the transaction goes on."""
        ...


@runtime_checkable
class Removable(Protocol):
    """Items with locations for which agencies may request preservation."""

    async def before_removing(self, party: str, subjects: Sequence[UUID]) -> None:
        """Lock the locations of these subjects against preservation requests until the transaction ends."""
        ...


class GatheredItems:
    """The items of one line. It collects the writes of the act and passes everything else on to the real items."""

    def __init__(self, items: PostgresItems, found: Mapping[ItemKey, HeldItem]) -> None:
        self._items = items
        self._found = found
        self.acts: list[ItemAct] = []
        self.steps: list[EdgeStep] = []
        self.events: list[Event] = []
        self.drafts: list[Draft] = []
        self.erased: list[HeldItem] = []
        self.kept: list[HeldItem] = []

    async def find(self, subjects: Sequence[UUID]) -> dict[ItemKey, HeldItem]:
        return {key: item for key, item in self._found.items() if key[0] in subjects}

    async def act(self, act: ItemAct, at: datetime) -> None:
        self.acts.append(act)

    async def erase(self, item: HeldItem) -> None:
        self.erased.append(item)

    async def keep(self, item: HeldItem) -> None:
        self.kept.append(item)

    async def clock(self, begun: Sequence[EdgeClock], steps: Sequence[EdgeStep]) -> None:
        assert not begun
        self.steps += steps

    async def note(self, events: Sequence[Event]) -> None:
        self.events += events

    async def send(self, drafts: Sequence[Draft]) -> None:
        self.drafts += drafts

    def __getattr__(self, name: str) -> object:
        return getattr(self._items, name)


async def act_on_many(lines: Sequence[BatchedAct], act_on: ActUseCase, batch: Batch) -> dict[int, Outcome]:
    """Do the acts of a batch in order. Return the result of each line, by its place.

    Locations are locked first, for all lines together. Locking them line by line could cause a deadlock.
    """
    outcomes: dict[int, Outcome] = {}
    if removing := [line for line in lines if line.removes]:
        acting = await batch.acting(removing[0].row.name)
        if isinstance(acting.items, Removable):
            await acting.items.before_removing(acting.party, [line.subject_id for line in removing])
    for group in groups(lines):
        acting = await batch.acting(group[0].row.name)
        if group[0].alone:
            outcomes |= await _alone(group[0], act_on, acting, batch=batch)
        else:
            outcomes |= await _together(group, act_on, acting)
    return outcomes


async def _alone(line: BatchedAct, act_on: ActUseCase, acting: ItemActor, *, batch: Batch) -> dict[int, Outcome]:
    try:
        async with batch.aside():
            return {line.place: await act_on(line.row, line.subject_id, said=line.said, acting=acting)}
    except Refused as error:
        return {line.place: error}


async def _together(group: Sequence[BatchedAct], act_on: ActUseCase, acting: ItemActor) -> dict[int, Outcome]:
    """Decide each line by the stored items, then write the changes of all lines that were not refused."""
    found = await acting.items.find([line.subject_id for line in group])
    outcomes: dict[int, Outcome] = {}
    gathered: dict[int, GatheredItems] = {}
    for line in group:
        own = GatheredItems(acting.items, found)
        own_acting = replace(acting, items=cast("PostgresItems", own))
        try:
            outcomes[line.place] = await act_on(line.row, line.subject_id, said=line.said, acting=own_acting)
            gathered[line.place] = own
        except Refused as error:
            outcomes[line.place] = error
    acts = [act for own in gathered.values() for act in own.acts]
    moved = await acting.items.act_many(acts, acting.at) if acts else frozenset[UUID]()
    for line in group:
        if line.place in gathered and line.subject_id not in moved:
            del gathered[line.place]
            outcomes[line.place] = state_forbids()
    await _write(list(gathered.values()), acting.items)
    return outcomes


async def _write(gathered: Sequence[GatheredItems], items: PostgresItems) -> None:
    for item in (each for own in gathered for each in own.erased):
        await items.erase(item)
    for item in (each for own in gathered for each in own.kept):
        await items.keep(item)
    await items.clock((), [step for own in gathered for step in own.steps])
    await items.note([event for own in gathered for event in own.events])
    await items.send([draft for own in gathered for draft in own.drafts])
