"""Answers at the origin: what recipients say about offers and notices moves the edge they were sent on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from shared.exchange.acts import AnswerState
from shared.exchange.message import Received
from shared.exchange.origin import Answered, answer_edge
from shared.kernel.errors import Refused
from shared.party.origin.store.filing import EdgeRow, answerable_edges, write_answers


class EdgeAnswers:
    """The origin's edges within one transaction, as answers move them; `at` is when they are applied."""

    def __init__(self, driver: asyncpg.Connection, at: datetime) -> None:
        self._driver = driver
        self._at = at

    async def apply(self, messages: Sequence[Received]) -> dict[UUID, str]:
        """Apply answers in order; return message id → code for those the state machine refuses.

        An answer counts only on an edge of the addressed party whose recipient is the answer's sender.
        """
        if not messages:
            return {}
        edges = await answerable_edges(self._driver, [UUID(message.subject) for message in messages])
        refusals: dict[UUID, str] = {}
        answered: dict[UUID, Answered] = {}
        for message in messages:
            sent = edges.get((UUID(message.subject), message.sender), [])
            if not sent or any(edge.party != message.recipient for edge in sent):
                refusals[message.message_id] = "answer_unmatched"
                continue
            try:
                # A recipient answers for the referral: its edges, one for each purpose, move together.
                moved = {
                    edge.message_id: answer_edge(
                        _present(edge, answered), message.message, message.clear, withdrawn=edge.withdrawn
                    )
                    for edge in sent
                }
            except Refused as error:
                refusals[message.message_id] = error.code
            else:
                answered |= moved
        await write_answers(self._driver, answered, self._at)
        return refusals


def _present(edge: EdgeRow, answered: dict[UUID, Answered]) -> AnswerState:
    """The edge's answer, as earlier messages of the same batch have moved it."""
    return answered[edge.message_id].state if edge.message_id in answered else edge.answer
