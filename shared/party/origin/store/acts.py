"""What was said of edges, in PostgreSQL: acts of recipients, what became of each, and what an origin found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from shared.envelope.datakeys import Place
from shared.exchange.origin import Answered, ReferralState
from shared.party.origin.records import AnswerAct, IssuedEdge, Judged, Look
from shared.party.said import Said
from shared.party.stores import PartyStore
from shared.runtime.database.columns import Columns, Json, insert
from shared.vocabulary.answers import AnswerState


@dataclass(frozen=True, slots=True)
class ActRow:
    """An act of a recipient: what became of it, and, where it was applied, what it said and led to."""

    subject: UUID
    sender: str
    act: UUID
    at: datetime
    code: str | None
    number: int | None
    answer: str | None
    said: Json | None
    case_reference: bytes | None


_ACT: Final = Columns.of(ActRow)
_JUDGE: Final = insert("answer_act", _ACT)


async def keep_acts(
    driver: asyncpg.Connection,
    judged: Mapping[AnswerAct, Judged],
    references: Mapping[AnswerAct, bytes],
    *,
    at: datetime,
) -> None:
    """Keep what became of acts; `references` are what agencies call their cases, encrypted."""
    rows = [_act_row(act, each, references.get(act), at=at) for act, each in judged.items()]
    await driver.execute(*_JUDGE.bind(rows=_ACT.rows(rows)))


def reference_place(act: UUID, party: str) -> bytes:
    """Where an agency's reference belongs: to the act that told it, at its origin."""
    return Place("answer_act", str(act), party).column("case_reference")


def _act_row(act: AnswerAct, judged: Judged, reference: bytes | None, *, at: datetime) -> ActRow:
    said, came_to = judged.said, judged.answered
    return ActRow(
        *act,
        at,
        judged.code,
        None if came_to is None else came_to.acts,
        None if came_to is None else came_to.state.value,
        None if said is None else to_json(said).decode(),
        reference,
    )


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
                **{name: row[name] for name in ("edge_id", "notice_id", "recipient", "instance", "items")},
                gone=frozenset(row["gone"]),
                answer=Answered(AnswerState(row["answer"]), row["answer_detail"] or {}, row["acts"]),
            )
            for row in rows
        ]

    async def found(self, edge: IssuedEdge, look: Look, answer: Answered) -> None:
        """Keep what was found, and the answer that it has led to."""
        await self._driver.execute(_FOUND, edge.edge_id, answer.state.value, dict(answer.detail), look.at)
        await self._driver.execute(_LOOKED, edge.notice_id, look.party, look.act, look.found.words(), look.at)


# Edges to one recipient for several purposes are answered together.
_WORDS: Final = """
SELECT DISTINCT a.sender, a.act, a.number, a.answer, a.said
FROM edge AS e JOIN answer_act AS a ON a.subject = coalesce(e.notice_id, e.referral_id) AND a.sender = e.recipient
WHERE e.party = $1 AND e.referral_id = $2 AND e.state IN ('emitted', 'referred') AND a.code IS NULL
  AND a.answer IS NOT NULL
ORDER BY a.number
"""

_WITHDRAWN: Final = "SELECT withdrawn_reason FROM referral WHERE party = $1 AND referral_id = $2"


async def referral_words(driver: asyncpg.Connection, party: str, referral_id: UUID) -> Sequence[Said]:
    """Why it was taken back, and the codes of each answer that was applied, each recipient's in its order."""
    rows = await driver.fetch(_WORDS, party, referral_id)
    reason = await driver.fetchval(_WITHDRAWN, party, referral_id)
    own = [] if reason is None else [Said(None, ReferralState.WITHDRAWN, {"reason": reason})]
    return own + [Said(row["sender"], row["answer"], row["said"] or {}) for row in rows]
