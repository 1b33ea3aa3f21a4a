"""Cases that go from one agency to another, in PostgreSQL: what it takes to pass one on, and how one came."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from shared.contracts.answers import CaseWords
from shared.contracts.passing import PassedAct, PassedOn, ReferralPassedOnSealed
from shared.contracts.registry import REFERRAL_PASSED_ON
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.act import Subject
from shared.exchange.message import Received
from shared.exchange.passed import Passable
from shared.exchange.spelt import spelt_parts
from shared.exchange.states import answer_of
from shared.party.recipient.records import PassedCase
from shared.party.recipient.store.arriving import open_record
from shared.party.waiting import CAME_BACK, Mend, Place, Waiting, Waits
from shared.vocabulary.answers import AnswerState

_TAKEN_BACK: Final = """
SELECT k.message_id FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) AS k (message_id, item, owner, other)
WHERE EXISTS (
    SELECT FROM track AS t WHERE t.subject = k.item AND t.side = 0 AND t.is_withdrawn
      AND (t.owner, t.other) = (k.owner, k.other))
"""
_CAME: Final = """
INSERT INTO case_passed (referral_id, party, by_party, reason, history, at)
VALUES ($1, $2, $3, $4, $5::text::jsonb, $6) ON CONFLICT DO NOTHING
"""
_PASSABLE: Final = """
SELECT * FROM (
    SELECT subject, purpose, party, edge_revision AS revision, received_at, record, wrapped_key, edge_id
    FROM received WHERE subject = $1
    UNION ALL
    SELECT subject, purpose, party, revision, received_at, record, wrapped_key, edge_id
    FROM received_edge WHERE subject = $1
) AS edges WHERE wrapped_key IS NOT NULL AND edge_id IS NOT NULL ORDER BY revision DESC, received_at
"""
_ACTS: Final = "SELECT number, state, said, at FROM case_act WHERE referral_id = $1 ORDER BY number"
_NOTE: Final = "INSERT INTO case_passing (message_id, referral_id, party, edge_id, stood) VALUES ($1, $2, $3, $4, $5)"
_NOTE_AMENDED: Final = """
INSERT INTO case_passing (message_id, referral_id, party, edge_id, stood)
SELECT $1, referral_id, party, edge_id, stood FROM case_passing
WHERE referral_id = $2 AND party = $3 AND edge_id = $4 ORDER BY message_id LIMIT 1 ON CONFLICT DO NOTHING
"""
_PASSED: Final = """
SELECT p.message_id, p.referral_id, p.party, p.edge_id, p.stood,
       coalesce(c.priority = 'p0_child_at_risk', false) AS urgent
FROM case_passing AS p JOIN received AS c ON c.subject = p.referral_id AND c.party = p.party
WHERE p.message_id = ANY($1::uuid[])
"""
_PASSINGS: Final = f"{_PASSED} ORDER BY referral_id, p.message_id"
_REFUSE: Final = "UPDATE case_passing SET refused = true WHERE message_id = ANY($1::uuid[])"
_ALL_REFUSED: Final = f"""{_PASSED} AND NOT EXISTS (
    SELECT FROM case_passing AS o
    WHERE (o.referral_id, o.party, o.edge_id) = (p.referral_id, p.party, p.edge_id) AND NOT o.refused)
ORDER BY referral_id, p.message_id
"""
#: As the index `received_came_back` names it.
_BACK: Final = """
SELECT subject, changed_at AS since, said ->> 'agency' AS agency, said ->> 'code' AS code, priority,
       CASE priority WHEN 'p0_child_at_risk' THEN 0 ELSE 1 END AS rank
FROM received
WHERE party = $1 AND said ? 'stands' AND state IN ('offered', 'accepted', 'ongoing')
  AND (CASE priority WHEN 'p0_child_at_risk' THEN 0 ELSE 1 END, changed_at, subject) > ($2::int, $3, $4)
  AND CASE priority WHEN 'p0_child_at_risk' THEN 0 ELSE 1 END <= $5
ORDER BY rank, changed_at, subject LIMIT $6
"""
_BY: Final = "SELECT by_party AS by, reason, at, history FROM case_passed WHERE referral_id = $1"


async def taken_back_before(driver: asyncpg.Connection, messages: Sequence[Received]) -> frozenset[UUID]:
    """Those that pass on what its origin has taken back by then: it tells the one who has it now that, too.

    Their own track has the agency as its owner; the withdrawal is on the track of the origin.
    """
    passed = [each for each in messages if each.message is REFERRAL_PASSED_ON]
    if not passed:
        return frozenset()
    keys = [(each.message_id, UUID(each.subject), each.filed_by, each.recipient) for each in passed]
    rows = await driver.fetch(_TAKEN_BACK, *map(list, zip(*keys, strict=True)))
    return frozenset(row["message_id"] for row in rows)


async def note_passed(driver: asyncpg.Connection, messages: Sequence[Received]) -> None:
    """Keep how cases came from other agencies."""
    for message in messages:
        if isinstance(message.carried, ReferralPassedOnSealed):
            history = message.carried.model_dump_json(include={"history"}, exclude_none=True)
            of = UUID(message.subject), message.recipient, message.sender
            await driver.execute(_CAME, *of, message.carried.reason.value, history, message.sent_at)


async def came_from(driver: asyncpg.Connection, referral_id: UUID) -> PassedOn | None:
    """How the case came from another agency; None for one that its origin has offered."""
    row = await driver.fetchrow(_BY, referral_id)
    if row is None:
        return None
    return PassedOn.model_validate(dict(row) | {"history": row["history"]["history"]})


async def passable(driver: asyncpg.Connection, referral_id: UUID, kek: KeyEncryptionKey) -> list[Passable]:
    """What can be passed on of a case, its newest revision first."""
    history = [PassedAct.model_validate(each) for each in _told(await driver.fetch(_ACTS, referral_id))]
    found = []
    for row in await driver.fetch(_PASSABLE, referral_id):
        opened = open_record(row, kek)
        assert opened is not None
        said = from_json(opened.part.plaintext)
        spelt = spelt_parts(opened.part.plaintext, said["salt"])
        found.append(Passable(row["edge_id"], said["decision"], said["salt"], spelt, row["revision"], history))
    return found


async def note_passing(driver: asyncpg.Connection, passed: PassedCase) -> None:
    """Keep by which message a case went."""
    await driver.execute(_NOTE, passed.message_id, passed.referral_id, passed.party, passed.edge_id, passed.stood)


async def note_amended(driver: asyncpg.Connection, passed: PassedCase) -> None:
    """Keep by which message more of it went."""
    await driver.execute(_NOTE_AMENDED, passed.message_id, passed.referral_id, passed.party, passed.edge_id)


async def refuse_passings(driver: asyncpg.Connection, message_ids: Collection[UUID]) -> list[PassedCase]:
    """Keep that these were refused; the cases of which nothing else went there."""
    await driver.execute(_REFUSE, list(message_ids))
    rows = await driver.fetch(_ALL_REFUSED, list(message_ids))
    return list({(row["referral_id"], row["party"], row["edge_id"]): PassedCase(**dict(row)) for row in rows}.values())


async def passings(driver: asyncpg.Connection, message_ids: Collection[UUID]) -> list[PassedCase]:
    """The cases that went by these messages."""
    return [PassedCase(**dict(row)) for row in await driver.fetch(_PASSINGS, list(message_ids))]


async def cases_back(
    driver: asyncpg.Connection, party: str, above: Place, /, *, rank_max: int, limit: int
) -> list[Waits]:
    """Cases that another agency could not take, and that nobody has acted on since."""
    return [_back(row) for row in await driver.fetch(_BACK, party, *above, rank_max, limit)]


def _back(row: asyncpg.Record) -> Waits:
    told = {"kind": Subject.CASE, "subject": row["subject"], "party": row["agency"], "priority": row["priority"]}
    told |= {"reasons": (CAME_BACK,), "code": row["code"], "since": row["since"], "mend": Mend.REFER}
    return Waits(Place(row["rank"], row["since"], row["subject"]), Waiting.model_validate(told))


def _told(acts: Sequence[asyncpg.Record]) -> Iterator[dict[str, object]]:
    """The acts that moved the case or said what came of it: what was asked of notices is the origin's affair."""
    before = None
    for row in acts:
        if row["state"] != before or "outcome" in row["said"]:
            words = {name: row["said"].get(name) for name in (*CaseWords.model_fields, "reason")}
            answer = answer_of(Subject.CASE, row["state"])
            if answer is AnswerState.REFERRED:  # why it went to another one is no word of what was made of it
                words["reason"] = None
            if answer is not None:
                yield {"number": row["number"], "answer": answer, "at": row["at"]} | words
        before = row["state"]
