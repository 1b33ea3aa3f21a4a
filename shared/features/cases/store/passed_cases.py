"""Cases that an agency has passed on to another, or received from one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from shared.core.acts.act import Subject
from shared.core.acts.states import answer_of
from shared.core.contracts.answers import CaseCodes
from shared.core.contracts.case_referral import CaseProvenance, PassedAct, ReferralPassedOnSealed
from shared.core.contracts.registry import REFERRAL_PASSED_ON
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.protocol.case_referral import CaseFile
from shared.core.protocol.message import Received, spelt_parts
from shared.core.vocabulary.answers import AnswerState
from shared.features.attention.rules import CAME_BACK, AttentionRow, ListPlace, Remedy, waits_of
from shared.features.received.rules import PassedCase
from shared.features.received.store.arriving import open_record

_TAKEN_BACK: Final = """
SELECT k.message_id FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) AS k (message_id, item, owner, other)
WHERE EXISTS (
    SELECT FROM track AS t WHERE t.subject = k.item AND t.side = 0 AND t.is_withdrawn
      AND (t.owner, t.recipient) = (k.owner, k.other))
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
    history = [PassedAct.model_validate(each) for each in _list_moves(await driver.fetch(_ACTS, referral_id))]
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
    cases = [dict(row) | {"id": row["subject"], "party": row["agency"]} for row in rows]
    return [waits_of(each, CAME_BACK, kind=Subject.CASE, mend=Remedy.REFER) for each in cases]


def _list_moves(acts: Sequence[asyncpg.Record]) -> Iterator[dict[str, object]]:
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


Now = Callable[[], datetime]
