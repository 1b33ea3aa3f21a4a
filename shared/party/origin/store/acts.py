"""Acts of recipients as an origin keeps them, in PostgreSQL: what became of each, and what it said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from shared.envelope.datakeys import Place
from shared.party.origin.records import AnswerAct, Judged
from shared.runtime.database.columns import Columns, Json, insert


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
