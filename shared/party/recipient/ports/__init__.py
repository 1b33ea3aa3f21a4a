"""What a recipient's use cases need from outside, over domain types; and what all views of an item have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from shared.contracts.base import Contract, Flag, Instant
from shared.contracts.facts import RecordRevealedClear
from shared.contracts.referral import Revision
from shared.exchange.act import Act
from shared.exchange.clocks import Clocked, Happened
from shared.exchange.events import Event
from shared.exchange.message import Draft, Received, Record
from shared.kernel.authority import Role
from shared.party.questions.store import PostgresQuestions
from shared.party.recipient.domain import Item, ItemKey
from shared.party.sought import EVERYTHING, Sought
from shared.routing.directory_index import DirectoryIndex
from shared.vocabulary.referral import PriorityLevel
from shared.vocabulary.routing import Purpose


class ShownItem(Contract):
    """What a party is shown of each item, whatever its kind. `revision` is the one that stands, of a notice its own."""

    purpose: Purpose
    revision: Revision
    exercise: Flag
    received_at: Instant
    priority: PriorityLevel | None


@dataclass(frozen=True, slots=True)
class Page:
    """What a list asks for: at most `limit` items in `state` (None: in any), from `cursor` on, of what is `sought`.

    `claimed_by` is the person whose claims alone are wanted, by an opaque name.
    """

    state: str | None = None
    cursor: str | None = None
    limit: int = 50
    sought: Sought = EVERYTHING
    claimed_by: str | None = None


class ItemAct(NamedTuple):
    """An act on an item: the state that it leads to, and what was said, in the clear and sealed."""

    item: Item
    following: str
    clear: Contract
    sealed: Contract | None = None


class Items(Protocol):
    """The items within one transaction, limited to the parties that it is bound to."""

    @property
    def questions(self) -> PostgresQuestions:
        """What its parties have asked and contested, in the same transaction."""
        ...

    async def find(self, subjects: Sequence[UUID]) -> dict[ItemKey, Item]:
        """What there is; absent and foreign items are both simply not there."""
        ...

    async def lock(self, subjects: Sequence[UUID]) -> dict[ItemKey, Item]:
        """What there is, locked until this transaction has ended. For the instance itself only."""
        ...

    async def add(self, messages: Sequence[Received]) -> None:
        """Store new items, each sealed part under a data key of its own.

        Nothing opens a record that was erased before and has come again, into a restored database.
        """
        ...

    async def add_edges(self, messages: Sequence[Received]) -> None:
        """Store further purposes of items that there are, likewise."""
        ...

    async def change(self, changes: Mapping[ItemKey, tuple[str, str]]) -> None:
        """Move items from one state to another. Raises `Refused("state_forbids")` if one is no longer in the first."""
        ...

    async def restored(self) -> bool:
        """Whether these books were put back to an earlier state once, and so may have forgotten something."""
        ...

    async def heard(self, messages: Sequence[Received]) -> None:
        """Keep what senders have said that moves no item."""
        ...

    async def resume(self, items: Sequence[Item]) -> None:
        """Have items stand where their party had brought them elsewhere, before it moved."""
        ...

    async def amend(self, messages: Sequence[Received], items: Sequence[Item]) -> None:
        """Have the records that these bring stand in the place of those before, and items stand as these do.

        What a case that was accepted had before stays to be read.
        """
        ...

    async def hear(self, items: Sequence[Item]) -> None:
        """Keep what the origins of items have said of them, and the state that they have come to by it."""
        ...

    async def erase(self, item: Item) -> None:
        """Delete the keys of the item's record: nothing opens it any more, whoever has today's rows and keys.

        It is in the journal of erasures before the transaction commits.
        """
        ...

    async def keep(self, item: Item) -> None:
        """The record stays: what was to erase it, and never committed, does not at the next start."""
        ...

    async def taken_back(
        self, age_s: float, limit: int, *, but: Sequence[ItemKey] = ()
    ) -> Mapping[ItemKey, Sequence[str]]:
        """What was withdrawn so many seconds ago or more and is not answered for, the oldest first; locked.

        Of each the retention classes that its edges state, nothing where one states none.
        """
        ...

    async def kept_until(
        self, before: date, limit: int, *, but: Sequence[ItemKey] = (), there: bool = False
    ) -> list[ItemKey]:
        """What was withdrawn and kept until a day before this one; locked. `there`: only what is not erased yet."""
        ...

    async def act(self, item: Item, following: str, clear: Contract, *, sealed: Contract | None, at: datetime) -> None:
        """Move one item and keep what was said: in the clear what its sender is told so, encrypted what is sealed.

        Raises `Refused("state_forbids")` if it is no longer in its state, or was acted on meanwhile.
        """
        ...

    async def act_many(self, acts: Sequence[ItemAct], at: datetime) -> frozenset[UUID]:
        """Move many items, each once, and keep what was said; the subjects of those that were moved."""
        ...

    async def note_look(self, subject: UUID, opened: RecordRevealedClear, at: datetime) -> None:
        """Keep for the people of the party who has opened a record."""
        ...

    async def send(self, drafts: Sequence[Draft]) -> None:
        """Send messages when this transaction commits."""
        ...

    async def clock(self, begun: Sequence[Clocked], steps: Sequence[Happened]) -> None:
        """Have clocks run for new edges, and keep what has happened to those that there are."""
        ...

    async def note(self, events: Sequence[Event]) -> None:
        """Tell parties of this instance what happened, once this transaction has committed."""
        ...

    async def page(self, party: str, page: Page) -> Contract:
        """The party's items without their records: open ones with a child at risk, then all others, newest first."""
        ...

    async def look(self, subject_id: UUID) -> ShownItem:
        """One item, its record left closed. Raises `Refused("not_found")` for absent and foreign ids alike."""
        ...

    async def show(self, subject_id: UUID) -> ShownItem:
        """One item with its opened record. Raises `Refused("not_found")` for absent and foreign ids alike."""
        ...

    async def evidence(self, subject_id: UUID) -> list[Record]:
        """The messages that began it or sent it for further purposes, as they came.

        Raises `Refused`: `not_found` for absent and foreign ids alike, `evidence_erased`.
        """
        ...


class OwnEdges(Protocol):
    """The edges of an originating party's own referrals within one transaction."""

    @property
    def events(self) -> Sequence[Event]:
        """What the answers that were applied mean to their parties."""
        ...

    async def apply(self, messages: Sequence[Received]) -> dict[UUID, str]:
        """Apply answers in order; message id → code for each that the state machine refuses."""
        ...


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts, when, on what: everything that all acts on items need. `actor` is opaque, for audit."""

    party: str
    role: Role
    actor: str
    items: Items
    directory: DirectoryIndex
    at: datetime


class ActOn(Protocol):
    """A service's use case for its own acts: what it checks itself, then `use_cases.act`. Returns the new state."""

    async def __call__(self, row: Act, subject_id: UUID, /, *, said: Contract | None, acting: Acting) -> str: ...
