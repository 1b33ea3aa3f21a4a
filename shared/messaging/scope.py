"""The scope of one transaction: its tables, subjects, time, and the messages that its last step places."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from shared.messaging.acks import Ack
from shared.messaging.composition import SegmentComposer
from shared.messaging.exceptions import Outcome, TakenMessage
from shared.messaging.ports import MessageDraft, Subjects
from shared.messaging.segments import NewMessages, Segment
from shared.messaging.store import PostgresMessagingTx
from shared.messaging.streams import Lane, Outgoing, Pair, Reader, find_lane


class Inbound(Protocol):
    """The features that messages are for."""

    async def apply(self, scope: Scope, taken: Sequence[TakenMessage]) -> list[Outcome]:
        """Apply messages in order and return their outcomes in the same order. Nothing is raised for one message."""
        ...

    def bytes_to_keep(self, taken: TakenMessage, outcome: Outcome) -> bytes:
        """Return the bytes to store for an exception: the record, or its coordinates if no check has passed it."""
        ...

    async def heard(self, scope: Scope, peer: str, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Note the outcomes of own messages at a peer. Return them with codes of `RefusalCode` where one applies."""
        ...


@dataclass(slots=True)
class Scope:
    """One transaction of an instance. The last step (`sending.finish`) applies `acks`, then places all messages.

    `drafts`: by stream. `outcomes`: by peer, sent in one message. `asks`: by peer, the nonce of an own resync request
    among the drafts. `answered`: by peer, the nonce of an own request whose procedure is over. `placed`: segments that
    are not yet stored. `finished`: segments that the relay may append. `compose_apart`: runs the sealing of many
    messages off the event loop. `before_lock`: writes the rows that are due before stream rows are locked.
    `on_restore`: ends the sign-ins and feed epoch that a restored database still has. `is_careful`: one message that
    breaks a feature does not end the transaction. `is_forced`: a person lets messages of full days pass.
    """

    instance: str
    audit: str
    tx: PostgresMessagingTx
    subjects: Subjects
    inbound: Inbound
    composer: SegmentComposer
    new_id: Callable[[], UUID]
    now: datetime
    drafts: dict[tuple[str, Lane], list[MessageDraft]] = field(default_factory=dict)
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    asks: dict[str, UUID] = field(default_factory=dict)
    answered: dict[str, UUID] = field(default_factory=dict)
    acks: list[tuple[str, Reader, Ack]] = field(default_factory=list)
    placed: list[Segment] = field(default_factory=list)
    finished: list[Segment] = field(default_factory=list)
    compose_apart: Callable[[Callable[[], list[NewMessages]]], Awaitable[list[NewMessages]]] | None = None
    before_lock: Callable[[], Awaitable[None]] | None = None
    on_restore: Callable[[], Awaitable[None]] | None = None
    is_careful: bool = True
    is_forced: bool = False

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo the changes of the block, drafts included, if an error leaves it. The error is not caught."""
        drafts = {stream: list(each) for stream, each in self.drafts.items()}
        outcomes = {peer: list(each) for peer, each in self.outcomes.items()}
        asks, answered = dict(self.asks), dict(self.answered)
        try:
            async with self.tx.savepoint():
                yield
        except Exception:
            self.drafts, self.outcomes, self.asks, self.answered = drafts, outcomes, asks, answered
            raise

    def send(self, draft: MessageDraft) -> None:
        """Place this message at the end of the transaction."""
        lane = find_lane(draft.role, is_p0=draft.is_p0)
        self.drafts.setdefault((draft.peer, lane), []).append(draft)

    def say(self, peer: str, outcome: Outcome) -> None:
        """Send the writer of a message its outcome."""
        self.outcomes.setdefault(peer, []).append(outcome)

    def pair_to(self, peer: str) -> Pair:
        """Return the pair of the own streams to this peer."""
        return Pair(self.instance, peer)

    async def save(self, outgoing: Sequence[Outgoing]) -> None:
        """Store locked streams with the segments that were placed in them."""
        placed, self.placed = self.placed, []
        await self.tx.save_outgoing(outgoing, placed)
