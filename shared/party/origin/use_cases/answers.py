"""Answers at the origin: what recipients say about offers and notices moves the edge they were sent on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from shared.contracts.answers import Answer
from shared.exchange.acts import Track
from shared.exchange.events import Event, event_type
from shared.exchange.message import Received
from shared.exchange.origin import Answered, answer_edge
from shared.exchange.states import rows_for
from shared.kernel.errors import Refused
from shared.party.origin.ports import AnswerAct, Edges, OpenEdge


class EdgeAnswers:
    """The origin's edges within one transaction, as answers move them; `at` is when they are applied.

    `events` are what the applied ones mean to the origin's parties.
    """

    def __init__(self, edges: Edges, at: datetime) -> None:
        self._edges = edges
        self._at = at
        self.events: list[Event] = []

    async def apply(self, messages: Sequence[Received]) -> dict[UUID, str]:
        """Apply answers in order; return message id → code for those the state machine refuses.

        An answer counts only on an edge of the addressed party whose recipient is the answer's sender, and each act
        once: one that comes again, under whatever number, is answered as the first time and moves nothing.
        """
        if not messages:
            return {}
        edges = await self._edges.answerable([UUID(message.subject) for message in messages])
        # Asked once the edges are locked: nobody else judges an act on them now.
        judged = await self._edges.judged([act for message in messages if (act := _act_of(message)) is not None])
        refusals: dict[UUID, str] = {}
        answered: dict[UUID, Answered] = {}
        new: dict[AnswerAct, str | None] = {}
        for message in messages:
            sent = edges.get((UUID(message.subject), message.sender), [])
            if not sent or any(edge.party != message.recipient for edge in sent):
                refusals[message.message_id] = "answer_unmatched"
                continue
            act = _act_of(message)
            if act is not None and act in judged:
                code = judged[act]
            else:
                code = _moved(message, sent, answered)
                if act is not None:
                    judged[act] = new[act] = code
                if code is None:
                    self.events.append(_event(message, sent[0], answered[sent[0].edge_id]))
            if code is not None:
                refusals[message.message_id] = code
        await self._edges.answer(answered, new, self._at)
        return refusals


def _act_of(message: Received) -> AnswerAct | None:
    clear = message.clear
    return AnswerAct(UUID(message.subject), message.sender, clear.act) if isinstance(clear, Answer) else None


def _moved(message: Received, sent: Sequence[OpenEdge], answered: dict[UUID, Answered]) -> str | None:
    """Move the edges in `answered`, all or none: the code of the refusal, if it is one.

    A recipient answers for the referral: its edges, one for each purpose, move together.
    """
    try:
        moved = {
            edge.edge_id: answer_edge(
                answered.get(edge.edge_id, edge.answer),  # as earlier messages of the batch have moved it
                message.message,
                message.clear,
                withdrawn=edge.withdrawn,
                own=edge.items,
            )
            for edge in sent
        }
    except Refused as error:
        return error.code
    answered.update(moved)
    return None


def _event(message: Received, edge: OpenEdge, answer: Answered) -> Event:
    """The answer as the origin's party learns of it: on its own referral, by whom, and what has become of the edge."""
    (kind, *_) = rows_for(message.message, Track.ANSWER)
    detail = {"by": edge.recipient, "state": answer.state.value}
    return Event(edge.party, event_type(kind.subject, kind.name), edge.referral_id, detail)
