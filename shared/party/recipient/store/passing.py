"""Cases that go from one agency to another, in PostgreSQL: what it takes to pass one on, and how one came."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.contracts.answers import CaseWords
from shared.contracts.passing import PassedAct, PassedOn, ReferralPassedOnSealed
from shared.contracts.registry import REFERRAL_PASSED_ON
from shared.envelope.datakeys import KeyEncryptionKey, reveal, unwrap
from shared.exchange.act import Subject
from shared.exchange.message import Received
from shared.exchange.passed import Passable
from shared.exchange.spelt import Spelt
from shared.exchange.states import answer_of
from shared.party.recipient.domain import revision_of
from shared.party.recipient.ports.passings import PassedCase
from shared.party.recipient.store.arriving import content_place
from shared.party.waiting import CAME_BACK, Mend, Place, Waiting, Waits
from shared.vocabulary.answers import AnswerState

#: What a message brought, beside what every item has.
_BIND: Final = """
UPDATE case_edge AS e SET edge_id = b.edge_id, decision = b.decision::jsonb, salt = b.salt, spelt = b.spelt
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::uuid[], $6::text[], $7::text[], $8::text[])
AS b (referral_id, party, purpose, revision, edge_id, decision, salt, spelt)
WHERE (e.referral_id, e.party, e.purpose, e.revision) = (b.referral_id, b.party, b.purpose, b.revision)
"""
_TAKEN_BACK: Final = """
SELECT k.message_id FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) AS k (message_id, item, owner, other)
WHERE EXISTS (
    SELECT FROM track AS t WHERE t.item = k.item AND t.side = 0 AND t.is_withdrawn
      AND (t.owner, t.other) = (k.owner, k.other))
"""
_CAME: Final = """
INSERT INTO case_passed (referral_id, party, by_party, reason, history, at)
VALUES ($1, $2, $3, $4, $5::text::jsonb, $6) ON CONFLICT DO NOTHING
"""
_PASSABLE: Final = """
SELECT purpose, party, revision, content, wrapped_key, edge_id, decision, salt, spelt FROM case_edge
WHERE referral_id = $1 AND wrapped_key IS NOT NULL AND edge_id IS NOT NULL ORDER BY revision DESC, received_at
"""
_ACTS: Final = "SELECT number, state, said, at FROM case_act WHERE referral_id = $1 ORDER BY number"
_NOTE: Final = "INSERT INTO case_passing (message_id, referral_id, party, edge_id, stood) VALUES ($1, $2, $3, $4, $5)"
_NOTE_AMENDED: Final = """
INSERT INTO case_passing (message_id, referral_id, party, edge_id, stood)
SELECT $1, referral_id, party, edge_id, stood FROM case_passing
WHERE referral_id = $2 AND party = $3 AND edge_id = $4 ORDER BY message_id LIMIT 1 ON CONFLICT DO NOTHING
"""
_PASSED: Final = """
SELECT p.message_id, referral_id, party, p.edge_id, p.stood, coalesce(priority = 'p0_child_at_risk', false) AS urgent
FROM case_passing AS p JOIN case_file USING (referral_id, party) WHERE p.message_id = ANY($1::uuid[])
"""
_PASSINGS: Final = f"{_PASSED} ORDER BY referral_id, p.message_id"
_REFUSE: Final = "UPDATE case_passing SET refused = true WHERE message_id = ANY($1::uuid[])"
_ALL_REFUSED: Final = f"""{_PASSED} AND NOT EXISTS (
    SELECT FROM case_passing AS o
    WHERE (o.referral_id, o.party, o.edge_id) = (p.referral_id, p.party, p.edge_id) AND NOT o.refused)
ORDER BY referral_id, p.message_id
"""
#: As the index `case_file_came_back` names it.
_BACK: Final = """
SELECT referral_id, changed_at AS since, said ->> 'agency' AS agency, said ->> 'code' AS code, priority,
       CASE priority WHEN 'p0_child_at_risk' THEN 0 ELSE 1 END AS rank
FROM case_file
WHERE party = $1 AND said ? 'stands' AND state IN ('offered', 'accepted', 'ongoing')
  AND (CASE priority WHEN 'p0_child_at_risk' THEN 0 ELSE 1 END, changed_at, referral_id) > ($2::int, $3, $4)
  AND CASE priority WHEN 'p0_child_at_risk' THEN 0 ELSE 1 END <= $5
ORDER BY rank, changed_at, referral_id LIMIT $6
"""
_BY: Final = "SELECT by_party AS by, reason, at, history FROM case_passed WHERE referral_id = $1"


class Binding(NamedTuple):
    """What it takes to pass on an edge that a message brought, as it is kept beside it; of another message nothing."""

    edge_id: UUID | None = None
    decision: str | None = None
    salt: str | None = None
    spelt: str | None = None


def binding(message: Received) -> Binding:
    """What it takes to pass on what this message brought."""
    carried, spelt = message.carried, message.spelt
    if message.edge is None or carried is None or spelt is None:
        return Binding()
    edge_id: UUID = message.clear.edge_id  # type: ignore[attr-defined]
    return Binding(edge_id, carried.decision.model_dump_json(), carried.salt, spelt.edge.decode())


async def bind_edges(driver: asyncpg.Connection, messages: Sequence[Received]) -> None:
    """Keep it with the edges that these messages amend."""
    bound = [
        (UUID(each.subject), each.recipient, each.edge.purpose.value, revision_of(each), *binding(each))
        for each in messages
        if each.edge is not None and each.carried is not None and each.spelt is not None
    ]
    if bound:
        await driver.execute(_BIND, *map(list, zip(*bound, strict=True)))


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


async def passable(
    driver: asyncpg.Connection, referral_id: UUID, kek: KeyEncryptionKey, *, table: str
) -> list[Passable]:
    """What can be passed on of a case, its newest revision first. `table` has its records."""
    history = [PassedAct.model_validate(each) for each in _told(await driver.fetch(_ACTS, referral_id))]
    found = []
    for row in await driver.fetch(_PASSABLE, referral_id):
        place = content_place(table, referral_id, party=row["party"], purpose=row["purpose"])
        key = unwrap(row["wrapped_key"], kek, place.column("wrapped_key"))
        spelt = Spelt(row["spelt"].encode(), reveal(row["content"], key, place.column("content")))
        found.append(Passable(row["edge_id"], row["decision"], row["salt"], spelt, row["revision"], history))
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
    told = {"kind": Subject.CASE, "subject": row["referral_id"], "party": row["agency"], "priority": row["priority"]}
    told |= {"reasons": (CAME_BACK,), "code": row["code"], "since": row["since"], "mend": Mend.REFER}
    return Waits(Place(row["rank"], row["since"], row["referral_id"]), Waiting.model_validate(told))


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
