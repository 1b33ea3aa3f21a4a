"""Rows of cases that only agencies have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from shared.core.acts.act import Subject
from shared.core.acts.states import answer_of
from shared.core.authority import Role
from shared.core.contracts.answers import CaseCodes
from shared.core.contracts.case_referral import CaseProvenance, PassedAct, ReferralPassedOnSealed
from shared.core.contracts.registry import REFERRAL_PASSED_ON
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.protocol.case_referral import CaseFile
from shared.core.protocol.message import Received, spelt_parts
from shared.core.vocabulary.answers import AnswerState
from shared.features.attention.rules import CAME_BACK, P0_UNCLAIMED, AttentionRow, ListPlace, Remedy, waits_of
from shared.features.received.rules import UNCLAIMED, CaseLease, PassedCase
from shared.features.received.store.arriving import open_record
from shared.features.received.store.listing import items_waiting

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


Now = Callable[[], datetime]

_NEWEST: Final = """
SELECT number, actor, expires_at FROM case_lease WHERE referral_id = $1 AND party = $2 ORDER BY number DESC LIMIT 1
"""
_ADD: Final = """
INSERT INTO case_lease (referral_id, party, number, actor, expires_at, assigned_by, at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
"""
#: The keys from which actor ids are derived, of the people and API keys of a party that still have one of these roles.
_OFFICERS: Final = """
SELECT decode(actor, 'hex') AS whose FROM console_account WHERE party = $1 AND role = ANY($2) AND ended_at IS NULL
UNION SELECT coalesce(decode(person, 'hex'), key_hash) FROM api_key
WHERE party = $1 AND role = ANY($2) AND revoked_at IS NULL
"""


#: Cases that an officer holds at the time $3.
_STANDING: Final = """
SELECT referral_id FROM (
    SELECT DISTINCT ON (referral_id) referral_id, actor, expires_at FROM case_lease
    WHERE referral_id = ANY($1::uuid[]) AND party = $2 ORDER BY referral_id, number DESC
) AS newest WHERE actor IS NOT NULL AND expires_at > $3
"""
#: The holder of a row of `received` by the newest lease, and the end of that lease.
CLAIMED: Final = """,
(SELECT l.actor FROM case_lease AS l WHERE l.referral_id = received.subject AND l.party = received.party
 ORDER BY l.number DESC LIMIT 1) AS claimed_by,
(SELECT l.expires_at FROM case_lease AS l WHERE l.referral_id = received.subject AND l.party = received.party
 ORDER BY l.number DESC LIMIT 1) AS claimed_until
"""

#: The cases that the person {claimed_by} of the party {party} holds by the newest lease.
MINE: Final = """subject IN (
    SELECT l.referral_id FROM case_lease AS l
    WHERE l.party = {party} AND l.actor = {claimed_by} AND l.expires_at > now() AND NOT EXISTS (
        SELECT FROM case_lease AS m WHERE m.referral_id = l.referral_id AND m.party = l.party AND m.number > l.number)
)"""


async def cases_waiting(
    driver: asyncpg.Connection, party: str, above: ListPlace, /, *, rank_max: int, limit: int, now: Now
) -> list[AttentionRow]:
    """Return open cases with a child at risk, as `items_waiting`. Unanswered cases without a lease are marked so."""
    found = await items_waiting(driver, party, above, subject=Subject.CASE, rank_max=rank_max, limit=limit)
    offered = [waits.row.subject for waits in found if waits.row.mend is Remedy.ACCEPT]
    held = {row["referral_id"] for row in await driver.fetch(_STANDING, offered, party, now())} if offered else set()
    nobodys = {each for each in offered if each not in held}
    return [_woken(waits) if waits.row.subject in nobodys else waits for waits in found]


def _woken(waits: AttentionRow) -> AttentionRow:
    update = {"reasons": (P0_UNCLAIMED, *waits.row.reasons), "mend": Remedy.CLAIM}
    return waits._replace(row=waits.row.model_copy(update=update))


@dataclass(frozen=True, slots=True)
class PostgresLeases:
    """`DeliveryLeases` within one transaction."""

    driver: asyncpg.Connection
    kek: KeyEncryptionKey

    async def newest(self, referral_id: UUID, party: str) -> CaseLease:
        row = await self.driver.fetchrow(_NEWEST, referral_id, party)
        return UNCLAIMED if row is None else CaseLease(*row)

    async def add(self, referral_id: UUID, party: str, lease: CaseLease, *, by: str, at: datetime) -> bool:
        values = lease.number, lease.actor, lease.until, by, at
        done: str = await self.driver.execute(_ADD, referral_id, party, *values)
        return done.endswith(" 1")

    async def is_officer(self, party: str, actor: str, roles: Collection[Role]) -> bool:
        rows = await self.driver.fetch(_OFFICERS, party, [role.value for role in roles])
        return any(self.kek.actor_id(party, row["whose"]) == actor for row in rows)
