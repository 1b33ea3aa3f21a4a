"""Notices as their origin looks at their items again, in PostgreSQL."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from shared.exchange.origin import Answered
from shared.party.origin.records import IssuedEdge, Look
from shared.party.stores import PartyStore
from shared.vocabulary.answers import AnswerState

_ISSUED: Final = """
SELECT edge_id, notice_id, recipient, instance, items, gone, answer, answer_detail, acts FROM edge
WHERE referral_id = $1 AND notice_id IS NOT NULL AND state = 'emitted' AND NOT taken_back ORDER BY edge_id FOR UPDATE
"""
_FOUND: Final = """
UPDATE edge SET answer = $2, answer_detail = $3::jsonb, answered_at = CASE WHEN answer = $2 THEN answered_at ELSE $4 END
WHERE edge_id = $1
"""
_LOOKED: Final = "INSERT INTO answer_act (subject, sender, act, said, at) VALUES ($1, $2, $3, $4::jsonb, $5)"


class PostgresIssued(PartyStore):
    """The notices of the acting party's referrals."""

    async def issued(self, referral_id: UUID) -> list[IssuedEdge]:
        """Those that stand, locked."""
        rows = await self._driver.fetch(_ISSUED, referral_id)
        return [
            IssuedEdge(
                row["edge_id"],
                row["notice_id"],
                row["recipient"],
                row["instance"],
                tuple(row["items"]),
                frozenset(row["gone"]),
                Answered(AnswerState(row["answer"]), row["answer_detail"] or {}, row["acts"]),
            )
            for row in rows
        ]

    async def found(self, edge: IssuedEdge, look: Look, answer: Answered) -> None:
        """Keep what was found, and the answer that it has led to."""
        await self._driver.execute(_FOUND, edge.edge_id, answer.state.value, dict(answer.detail), look.at)
        await self._driver.execute(_LOOKED, edge.notice_id, look.party, look.act, look.found.words(), look.at)
