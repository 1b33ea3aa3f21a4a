"""Case referrals, holds and own questions of recipients, in PostgreSQL.

Case referrals: the records to pass a case on to another agency, and the history of a case that came from one.
Holds: the present state of each hold, computed from the agency's acts and the origin's answers.
Questions and disputes: stored when the recipient acts, and updated when the origin answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from shared.core.acts.act import Subject
from shared.core.acts.states import answer_of
from shared.core.contracts import holds
from shared.core.contracts.answers import CaseCodes
from shared.core.contracts.base import Contract
from shared.core.contracts.case_referral import CaseProvenance, PassedAct, ReferralPassedOnSealed
from shared.core.contracts.questions import AnsweredClear, AskedClear, DisputedClear, LapsedClear, RepliedClear
from shared.core.contracts.registry import REFERRAL_PASSED_ON
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.protocol.case_referral import CaseFile
from shared.core.protocol.message import Received, spelt_parts
from shared.core.vocabulary.answers import AnswerState
from shared.core.vocabulary.questions import QuestionState
from shared.party.attention_item import CAME_BACK, RANK_MAX, AttentionRow, ListPlace, Remedy, next_act, waits_of
from shared.party.questions.store import NewQuestion, PostgresQuestions, QuestionKey
from shared.party.recipient.domain import HeldItem, HoldPage, ItemAct, OpenHold, PassedCase, RequestedHold
from shared.party.recipient.store.arriving import open_record
from shared.platform.database.pages import place_cursor, read_place

_TAKEN_BACK: Final = """
SELECT k.message_id FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) AS k (message_id, item, owner, other)
WHERE EXISTS (
    SELECT FROM track AS t WHERE t.subject = k.item AND t.side = 0 AND t.is_withdrawn
      AND (t.owner, t.other) = (k.owner, k.other))
"""
_CAME: Final = """
INSERT INTO case_referral_in (referral_id, party, referred_by, reason, history, at)
VALUES ($1, $2, $3, $4, $5::text::jsonb, $6) ON CONFLICT DO NOTHING
"""
_PASSABLE: Final = """
SELECT * FROM (
    SELECT subject, purpose, party, edge_revision AS revision, received_at, edge, record, wrapped_key, edge_id
    FROM received WHERE subject = $1
    UNION ALL
    SELECT subject, purpose, party, revision, received_at, edge, record, wrapped_key, edge_id
    FROM received_edge WHERE subject = $1
) AS edges WHERE wrapped_key IS NOT NULL AND edge_id IS NOT NULL ORDER BY revision DESC, received_at
"""
_ACTS: Final = "SELECT number, state, details, at FROM case_act WHERE referral_id = $1 ORDER BY number"
_NOTE: Final = """
INSERT INTO case_referral_out (message_id, referral_id, party, edge_id, previous_state) VALUES ($1, $2, $3, $4, $5)
"""
_NOTE_AMENDED: Final = """
INSERT INTO case_referral_out (message_id, referral_id, party, edge_id, previous_state)
SELECT $1, referral_id, party, edge_id, previous_state FROM case_referral_out
WHERE referral_id = $2 AND party = $3 AND edge_id = $4 ORDER BY message_id LIMIT 1 ON CONFLICT DO NOTHING
"""
_PASSED: Final = """
SELECT p.message_id, p.referral_id, p.party, p.edge_id, p.previous_state AS stood,
       coalesce(c.priority = 'p0_child_at_risk', false) AS urgent
FROM case_referral_out AS p JOIN received AS c ON c.subject = p.referral_id AND c.party = p.party
WHERE p.message_id = ANY($1::uuid[])
"""
_PASSINGS: Final = f"{_PASSED} ORDER BY referral_id, p.message_id"
_REFUSE: Final = "UPDATE case_referral_out SET is_refused = true WHERE message_id = ANY($1::uuid[])"
_ALL_REFUSED: Final = f"""{_PASSED} AND NOT EXISTS (
    SELECT FROM case_referral_out AS o
    WHERE (o.referral_id, o.party, o.edge_id) = (p.referral_id, p.party, p.edge_id) AND NOT o.is_refused)
ORDER BY referral_id, p.message_id
"""
#: As the index `received_came_back` names it.
_BACK: Final = """
SELECT subject, changed_at AS since, answers ->> 'agency' AS agency, answers ->> 'code' AS code, priority,
       CASE priority WHEN 'p0_child_at_risk' THEN 0 ELSE 1 END AS rank FROM received
WHERE party = $1 AND answers ? 'stands' AND state IN ('offered', 'accepted', 'ongoing')
  AND (CASE priority WHEN 'p0_child_at_risk' THEN 0 ELSE 1 END, changed_at, subject) > ($2::int, $3, $4)
  AND CASE priority WHEN 'p0_child_at_risk' THEN 0 ELSE 1 END <= $5 ORDER BY rank, changed_at, subject LIMIT $6
"""
_BY: Final = "SELECT referred_by AS by, reason, at, history FROM case_referral_in WHERE referral_id = $1"


async def taken_back_before(driver: asyncpg.Connection, messages: Sequence[Received]) -> frozenset[UUID]:
    """Return the ids of messages that pass on a case that its origin has withdrawn already.

    The origin sends the withdrawal to the new agency, too. The track of such a message has the agency as its owner; the
    withdrawal is on the track of the origin.
    """
    passed = [each for each in messages if each.message is REFERRAL_PASSED_ON]
    if not passed:
        return frozenset()
    keys = [(each.message_id, each.subject_id, each.filed_by, each.recipient) for each in passed]
    rows = await driver.fetch(_TAKEN_BACK, *map(list, zip(*keys, strict=True)))
    return frozenset(row["message_id"] for row in rows)


async def note_passed(driver: asyncpg.Connection, messages: Sequence[Received]) -> None:
    """Store sender, reason and history of cases that other agencies have passed on."""
    for message in messages:
        if isinstance(message.carried, ReferralPassedOnSealed):
            history = message.carried.model_dump_json(include={"history"}, exclude_none=True)
            of = message.subject_id, message.recipient, message.sender
            await driver.execute(_CAME, *of, message.carried.reason.value, history, message.sent_at)


async def came_from(driver: asyncpg.Connection, referral_id: UUID) -> CaseProvenance | None:
    """Return sender, reason and history of a case from another agency; None for a case that its origin has offered."""
    row = await driver.fetchrow(_BY, referral_id)
    if row is None:
        return None
    return CaseProvenance.model_validate(dict(row) | {"history": row["history"]["history"]})


async def passable(driver: asyncpg.Connection, referral_id: UUID, kek: KeyEncryptionKey) -> list[CaseFile]:
    """Return the edges of a case that can be passed on, the newest revision first."""
    history = [PassedAct.model_validate(each) for each in _told(await driver.fetch(_ACTS, referral_id))]
    found = []
    for row in await driver.fetch(_PASSABLE, referral_id):
        opened = open_record(row, kek)
        assert opened is not None
        said = from_json(opened.part.plaintext)
        spelt = spelt_parts(opened.part.plaintext, said["salt"])
        found.append(CaseFile(row["edge_id"], said["decision"], said["salt"], spelt, row["revision"], history))
    return found


async def note_passing(driver: asyncpg.Connection, passed: PassedCase) -> None:
    """Store the message by which a case was passed on."""
    await driver.execute(_NOTE, passed.message_id, passed.referral_id, passed.party, passed.edge_id, passed.stood)


async def note_amended(driver: asyncpg.Connection, passed: PassedCase) -> None:
    """Store a further message, with an amendment of a case that was passed on."""
    await driver.execute(_NOTE_AMENDED, passed.message_id, passed.referral_id, passed.party, passed.edge_id)


async def refuse_passings(driver: asyncpg.Connection, message_ids: Collection[UUID]) -> list[PassedCase]:
    """Mark these messages as refused. Return the cases of which all messages were refused."""
    await driver.execute(_REFUSE, list(message_ids))
    rows = await driver.fetch(_ALL_REFUSED, list(message_ids))
    return list({(row["referral_id"], row["party"], row["edge_id"]): PassedCase(**dict(row)) for row in rows}.values())


async def passings(driver: asyncpg.Connection, message_ids: Collection[UUID]) -> list[PassedCase]:
    """Return the cases that were passed on by these messages."""
    return [PassedCase(**dict(row)) for row in await driver.fetch(_PASSINGS, list(message_ids))]


async def cases_back(
    driver: asyncpg.Connection, party: str, above: ListPlace, /, *, rank_max: int, limit: int
) -> list[AttentionRow]:
    """Return cases that another agency's instance has refused and on which the party has not acted since."""
    rows = await driver.fetch(_BACK, party, *above, rank_max, limit)
    told = [dict(row) | {"id": row["subject"], "party": row["agency"]} for row in rows]
    return [waits_of(each, CAME_BACK, kind=Subject.CASE, mend=Remedy.REFER) for each in told]


def _told(acts: Sequence[asyncpg.Record]) -> Iterator[dict[str, object]]:
    """Yield the acts that moved the case or stated an outcome. Requests about notices concern the origin alone."""
    before = None
    for row in acts:
        if row["state"] != before or "outcome" in row["details"]:
            words = {name: row["details"].get(name) for name in (*CaseCodes.model_fields, "reason")}
            answer = answer_of(Subject.CASE, row["state"])
            if answer is AnswerState.REFERRED:  # the reason of a referral to another agency is not part of the outcome
                words["reason"] = None
            if answer is not None:
                yield {"number": row["number"], "answer": answer, "at": row["at"]} | words
        before = row["state"]


_OPEN: Final = """
SELECT hold_id, coalesce(expires_at, requested_until) AS ends FROM hold
WHERE referral_id = $1 AND party = $2 AND state IN ('asked', 'active') ORDER BY requested_at DESC LIMIT 1
"""
_ASK: Final = """
INSERT INTO hold (hold_id, party, referral_id, origin, scope, basis, requested_at, requested_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_MORE: Final = "UPDATE hold SET requested_until = $3, basis = $4 WHERE hold_id = $1 AND party = $2"
_DONE: Final = """
UPDATE hold SET attention_since = NULL WHERE referral_id = $1 AND party = $2 AND attention_since IS NOT NULL
"""
_ACTIVATED: Final = """
UPDATE hold SET state = 'active', expires_at = $4, held_notice_count = $5, issued_notice_count = $6
WHERE hold_id = $1 AND party = $2 AND origin = $3 AND state IN ('asked', 'active')
"""
#: A hold without a row was placed by the agency's former instance or lost in a restore. The origin's statement counts.
_UNKNOWN: Final = """
INSERT INTO hold (hold_id, party, origin, referral_id, scope, basis, requested_at, requested_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
"""
_TOO_LATE: Final = """
UPDATE hold SET state = 'too_late', issued_at = $4, attention_since = $5
WHERE hold_id = $1 AND party = $2 AND origin = $3 AND state IN ('asked', 'active')
"""
_ENDED: Final = """
UPDATE hold SET state = $4::text, ended_at = $5::timestamptz,
       attention_since = CASE WHEN $4::text = 'released' THEN NULL ELSE $5::timestamptz END
WHERE hold_id = $1 AND party = $2 AND origin = $3 AND state IN ('asked', 'active')
"""
_WAIT: Final = """
SELECT h.hold_id, h.attention_since, h.referral_id, h.origin, h.state, c.state AS case_state, c.priority
FROM hold AS h JOIN received AS c ON c.subject = h.referral_id AND c.party = h.party
WHERE h.party = $1 AND h.attention_since IS NOT NULL AND (h.attention_since, h.hold_id) > ($2, $3)
ORDER BY h.attention_since, h.hold_id LIMIT $4
"""
_PAGE: Final = """
SELECT hold_id AS hold, referral_id, origin, scope, basis, requested_at AS asked_at,
       requested_until AS asked_until, state, expires_at AS not_after, held_notice_count AS held,
       issued_notice_count AS issued, issued_at, ended_at
FROM hold WHERE party = $1 AND ($2::text IS NULL OR state = $2)
  AND ($3::timestamptz IS NULL OR (requested_at, hold_id) < ($3, $4::uuid))
ORDER BY requested_at DESC, hold_id DESC LIMIT $5
"""


@dataclass(frozen=True, slots=True)
class RequestedHolds:
    """The holds of agencies within one transaction."""

    driver: asyncpg.Connection

    async def open(self, referral_id: UUID, party: str) -> OpenHold | None:
        row = await self.driver.fetchrow(_OPEN, referral_id, party)
        return None if row is None else OpenHold(*row)

    async def acted(self, item: HeldItem, clear: Contract, at: datetime) -> None:
        """Store the hold that an act of the agency requests. Any act marks holds that ended before as seen."""
        await self.driver.execute(_DONE, item.subject_id, item.party)
        match clear:
            case holds.HoldPlacedClear():
                named = clear.act, item.party, item.subject_id, item.sender
                words = clear.scope.value, clear.basis.value, at, clear.not_after
                await self.driver.execute(_ASK, *named, *words)
            case holds.HoldExtendedClear():
                await self.driver.execute(_MORE, clear.hold, item.party, clear.not_after, clear.basis.value)
            case _:
                pass  # a hold is released only when its origin confirms it

    async def heard(self, messages: Sequence[Received]) -> None:
        """Store the statements of origins. A hold that has ended does not change any more."""
        for message in messages:
            of = message.recipient, message.sender
            match message.clear:
                case holds.HoldActivatedClear() as said:
                    words = said.referral_id, said.scope.value, said.basis.value, message.sent_at, said.not_after
                    await self.driver.execute(_UNKNOWN, said.hold, *of, *words)
                    await self.driver.execute(_ACTIVATED, said.hold, *of, said.not_after, said.held, said.issued)
                case holds.HoldTooLateClear() as said:
                    await self.driver.execute(_TOO_LATE, said.hold, *of, said.issued_at, message.sent_at)
                case holds.HoldEndedClear() as said:
                    await self.driver.execute(_ENDED, said.hold, *of, said.end.value, message.sent_at)
                case _:
                    pass

    async def page(self, party: str, *, state: str | None, cursor: str | None, limit: int) -> HoldPage:
        above = (None, None) if cursor is None else read_place(cursor)[1:]
        rows = await self.driver.fetch(_PAGE, party, state, *above, limit + 1)
        items = tuple(RequestedHold.model_validate(dict(row)) for row in rows[:limit])
        places = [(0, row["asked_at"], row["hold"]) for row in rows]
        return HoldPage(items=items, next=place_cursor(places[limit - 1]) if len(rows) > limit else None)


async def ended_holds(
    driver: asyncpg.Connection, party: str, above: ListPlace, /, *, rank_max: int, limit: int
) -> list[AttentionRow]:
    """Return holds that did not end by a release, if their agency has not acted on the case since."""
    if rank_max < RANK_MAX:
        return []
    return [_waits(row) for row in await driver.fetch(_WAIT, party, *above.of_last_rank(), limit)]


def _waits(row: asyncpg.Record) -> AttentionRow:
    told = {"id": row["hold_id"], "subject": row["referral_id"], "party": row["origin"], "priority": row["priority"]}
    told |= {"since": row["attention_since"]}
    return waits_of(told, f"hold_{row['state']}", kind=Subject.CASE, mend=next_act(Subject.CASE, row["case_state"]))


async def acted(questions: PostgresQuestions, acts: Sequence[ItemAct], at: datetime) -> None:
    """Store the questions that acts raise or let lapse. All acts except lapses mark earlier answers as seen."""
    await questions.seen([_between(each.item) for each in acts if not isinstance(each.clear, LapsedClear)])
    for each in acts:
        if isinstance(each.clear, LapsedClear):
            assert each.clear.question is not None
            await questions.over(_between(each.item), each.clear.question, QuestionState.LAPSED, said={}, at=at)
        elif isinstance(each.clear, AskedClear | DisputedClear):
            of, told, between = each.item, each.clear, _between(each.item)
            new = NewQuestion.of(told, told, between, subject=of.subject_id, revision=of.revision, at=at)
            await questions.add([new])


def _between(item: HeldItem) -> QuestionKey:
    return QuestionKey(item.party, item.subject_id, item.sender, own=True)


async def heard(questions: PostgresQuestions, messages: Sequence[Received]) -> None:
    """Store the answers of origins."""
    for message in messages:
        if not isinstance(message.clear, AnsweredClear):
            continue
        between = QuestionKey(message.recipient, message.subject_id, message.sender, own=True)
        said = message.clear.model_dump(mode="json", include={"replied", "decided"})
        number = message.clear.question if isinstance(message.clear, RepliedClear) else message.clear.dispute
        await questions.over(between, number, QuestionState.ANSWERED, said=said, at=message.sent_at)
