"""Answers at the origin: what recipients say about offers and notices moves the edge they were sent on.

A recipient that moves has one track and two places to write it from. The new place is told what was answered so far
(`told`) and counts on from there. What comes late from the old place is applied and told on, until the new place has
answered itself: from then on its word alone moves the edge. An answer from the new place is one to what it had been
told when it was given, which its number says; so both sides come to the same, whatever overtakes what.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.contracts.answers import Answer
from shared.exchange.message import Received
from shared.exchange.origin import answer_edge
from shared.kernel.errors import Refused
from shared.party.origin.ports import Edges, OpenEdge, Taken

_UNMATCHED: Final = "answer_unmatched"


class EdgeAnswers:
    """The origin's edges within one transaction, as answers move them; `at` is when they are applied.

    `retell` issues edges anew, by their ids, to where they lie.
    """

    def __init__(
        self, edges: Edges, at: datetime, *, retell: Callable[[Edges, Sequence[UUID]], Awaitable[None]] | None = None
    ) -> None:
        self._edges = edges
        self._at = at
        self._retell = retell

    async def apply(self, messages: Sequence[Received]) -> dict[UUID, str]:
        """Apply answers in order; return message id → code for those the state machine refuses.

        An answer counts only on an edge of the addressed party whose recipient is the answer's sender, and only from an
        instance that the edge was sent to.
        """
        if not messages:
            return {}
        edges = await self._edges.answerable([UUID(message.subject) for message in messages])
        refusals: dict[UUID, str] = {}
        taken: dict[UUID, Taken] = {}
        for message in messages:
            sent = edges.get((UUID(message.subject), message.sender), [])
            if not sent or any(edge.party != message.recipient for edge in sent):
                refusals[message.message_id] = _UNMATCHED
                continue
            try:
                # A recipient answers for the referral: its edges, one for each purpose, move together, as earlier
                # messages of the batch have left them.
                moved = {edge.edge_id: take(_after(edge, taken.get(edge.edge_id)), message) for edge in sent}
            except Refused as error:
                refusals[message.message_id] = error.code
            else:
                before = {edge_id for edge_id in moved if edge_id in taken and taken[edge_id].retell}
                taken |= moved | {each: replace(moved[each], retell=True) for each in before}
        await self._edges.answer(taken, self._at)
        late = [edge_id for edge_id, each in taken.items() if each.retell]
        if late and self._retell is not None:
            await self._retell(self._edges, late)
        return refusals


def take(edge: OpenEdge, message: Received) -> Taken:
    """The edge after an answer. Raises `Refused`: `answer_unmatched`, and as `answer_edge` does."""
    clear, present = message.clear, edge.answer
    elsewhere = message.sender_instance != edge.instance
    if elsewhere and message.sender_instance not in edge.instances_before:
        raise Refused(_UNMATCHED)
    if elsewhere and (edge.withdrawn or not edge.told):
        return Taken(present, edge.told)
    if not elsewhere and edge.told:
        if not isinstance(clear, Answer):
            raise Refused("answer_repeated")
        known = [each for each in edge.told if each.acts < clear.number]
        if not known:
            raise Refused("answer_repeated")
        present = max(known, key=lambda each: each.acts)
    after = answer_edge(present, message.message, clear, withdrawn=edge.withdrawn, own=edge.items)
    return Taken(after, (*edge.told, after), retell=True) if elsewhere else Taken(after)


def _after(edge: OpenEdge, taken: Taken | None) -> OpenEdge:
    return edge if taken is None else replace(edge, answer=taken.answer, told=taken.told)
