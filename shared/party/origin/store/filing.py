"""What is filed, in PostgreSQL: keys claimed, referrals, edges and counts, in bulk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from shared.envelope.datakeys import DataKey, KeyEncryptionKey, Place, protect, wrap
from shared.exchange.act import Subject
from shared.exchange.clocks import Clocked
from shared.exchange.events import event_type
from shared.exchange.message import Draft
from shared.exchange.prepare import Again, Prepared
from shared.kernel.authority import Role
from shared.kernel.clock import coarse
from shared.kernel.errors import Refused
from shared.party.origin.domain import Reply, Request
from shared.party.origin.records import Claimed, Twin
from shared.party.origin.store.days import PostgresDays
from shared.party.origin.store.edge_rows import EDGE, UnplacedEdges, bind_sent, decided_at, gather_edges, unsent_rows
from shared.runtime.database.columns import Columns, Statement
from shared.runtime.database.feed import BEGIN_ELSEWHERE, note_filing
from shared.runtime.database.idempotency import Claim, ClaimKind, claim_many, forget_many, store_many
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.delivery.sending import send
from shared.runtime.timers.steps import find_law, new_rows
from shared.runtime.timers.store import DEADLINE, bind_rows

#: A statement for more edges is bound in a thread.
MANY: Final = 100


#: The event of a filing, at whoever filed.
FILED: Final = event_type(Subject.REFERRAL, "submit")
_REFERRAL = Columns.of(
    Prepared,
    without=("origin", "emitted", "waiting", "planned", "drafts", "cut", "spent", "items"),
    party="text",
    facts="jsonb",
    decision="jsonb",
    wrapped_key="bytea",
)
_SUBMITTED = Columns[str]({"party": "text", "submitted": "bigint"})
# One statement, since each costs a round trip. It locks the feeds of its parties first: so a referral has its number as
# it is inserted, and a reference that is free stays free. A referral whose reference is taken is not filed: it gets no
# edge and no act, and is counted as refused.
_FILE = Statement(
    f"WITH {BEGIN_ELSEWHERE}, "
    """numbered AS MATERIALIZED (
    SELECT filing, number FROM number_filings({ids}, {parties}, {references})
), filed AS (
    INSERT INTO referral ({referrals.names}, revision, arrival)
    SELECT {referrals.values}, 1, numbered.number
    FROM {referrals} JOIN numbered ON numbered.filing = referrals.referral_id
    RETURNING referral_id, party, state, rank, arrival
), journal AS (
    INSERT INTO act (party, number, type, subject, at, detail)
    SELECT party, arrival, {filed}, referral_id, now(), jsonb_build_object('state', state) FROM filed
), edged AS (
    INSERT INTO edge ({edges.names}, rank)
    SELECT {edges.values}, filed.rank FROM {edges} JOIN filed USING (referral_id)
), begun AS (
    INSERT INTO deadline ({deadlines.names}) SELECT {deadlines.values} FROM {deadlines}
    JOIN filed ON filed.referral_id = deadlines.subject
), counted AS (
    INSERT INTO intake_count AS c (party, submitted, accepted, refused)
    SELECT counts.party, submitted, accepted, submitted - accepted
    FROM {counts}
    CROSS JOIN LATERAL (SELECT count(*) AS accepted FROM filed WHERE filed.party = counts.party) AS a
    ORDER BY counts.party
    ON CONFLICT (party) DO UPDATE SET submitted = c.submitted + excluded.submitted,
        accepted = c.accepted + excluded.accepted, refused = c.refused + excluded.refused
)
SELECT referral_id, party, arrival FROM filed
""",
    ids="uuid[]",
    parties="text[]",
    references="text[]",
    referrals=_REFERRAL,
    edges=EDGE,
    deadlines=DEADLINE,
    counts=_SUBMITTED,
    filed="text",
)
_EXISTING = """
SELECT party, external_ref, referral_id FROM referral
JOIN unnest($1::text[], $2::text[]) AS k(party, external_ref) USING (party, external_ref)
"""


class PostgresFiling(PostgresDays):
    """What is filed in one transaction. Content is kept under a data key per referral: deleting the key erases it."""

    def __init__(self, driver: asyncpg.Connection, kek: KeyEncryptionKey) -> None:
        super().__init__(driver)
        self._kek = kek

    async def claim(self, requests: Sequence[Request], expected: Sequence[Reply]) -> list[Claimed]:
        wanted = [(*_key(request), request.body_hash) for request in requests]
        claims = await claim_many(self._driver, wanted, [(each.status, _stored(each)) for each in expected])
        return [_claimed(claim) for claim in claims]

    async def file(self, prepared: Sequence[Prepared], submitted: Mapping[str, int]) -> dict[UUID, UUID]:
        binding = partial(self._bound, prepared, submitted)
        many = sum(len(each.emitted) for each in prepared) > MANY
        text, arguments, sent = await asyncio.to_thread(binding) if many else binding()
        filed = await self._driver.fetch(text, *arguments)
        note_filing(self._driver, [(row["party"], row["arrival"]) for row in filed])
        if len(filed) == len(prepared):
            gather_edges(self._driver, sent)
            return {}
        new = {row["referral_id"] for row in filed}
        gather_edges(self._driver, bind_sent([each for each in prepared if each.referral_id in new]))
        return await self._taken([each for each in prepared if each.referral_id not in new])

    def _bound(
        self, prepared: Sequence[Prepared], submitted: Mapping[str, int]
    ) -> tuple[str, Sequence[object], UnplacedEdges]:
        """Return the statement that files with its arguments, and the edges that the last step inserts."""
        keys = [DataKey.generate() for _ in prepared]
        at = [places(each.referral_id, each.origin) for each in prepared]
        contents = zip(prepared, keys, at, strict=True)
        sealed = [protect(each.content, key, content) for each, key, (_, content) in contents]
        wrapped = [wrap(key, self._kek, place) for key, (place, _) in zip(keys, at, strict=True)]
        referrals = _REFERRAL.rows(
            prepared,
            party=[each.origin for each in prepared],
            facts=[to_json(each.facts).decode() for each in prepared],
            decision=[to_json(each.decision).decode() for each in prepared],
            content=sealed,
            wrapped_key=wrapped,
        )
        deadlines = new_rows(clocked_of(prepared), find_law(self._driver))
        counts = _SUBMITTED.rows(list(submitted), party=list(submitted), submitted=list(submitted.values()))
        text, *arguments = _FILE.bind(
            ids=[each.referral_id for each in prepared],
            parties=[each.origin for each in prepared],
            references=[each.external_ref for each in prepared],
            referrals=referrals,
            edges=EDGE.rows(unsent_rows(prepared)),
            deadlines=bind_rows(deadlines),
            counts=counts,
            filed=FILED,
        )
        return text, arguments, bind_sent(prepared)

    async def correct(self, answers: Sequence[tuple[Request, Reply]]) -> None:
        stored = [(*_key(request), reply.status, _stored(reply)) for request, reply in answers]
        await store_many(self._driver, stored)

    async def forget(self, requests: Sequence[Request]) -> None:
        await forget_many(self._driver, [_key(request) for request in requests])

    async def send(self, drafts: Sequence[Draft]) -> None:
        send(self._driver, drafts)

    async def _taken(self, others: Sequence[Prepared]) -> dict[UUID, UUID]:
        rows = await self._driver.fetch(
            _EXISTING, [each.origin for each in others], [each.external_ref for each in others]
        )
        existing: dict[tuple[str, str], UUID] = {
            (row["party"], row["external_ref"]): row["referral_id"] for row in rows
        }
        return {each.referral_id: existing[each.origin, each.external_ref] for each in others}


class PostgresFilings:
    """Where intake opens its transactions, on the database of an instance."""

    def __init__(self, database: Database, kek: KeyEncryptionKey) -> None:
        self._database = database
        self._kek = kek

    @asynccontextmanager
    async def open(self, parties: Sequence[str], role: Role) -> AsyncIterator[PostgresFiling]:
        async with self._database.transaction(RowScope(parties, role, "submit"), keeps_plans=True) as session:
            yield PostgresFiling(session.driver, self._kek)


def places(referral_id: UUID, party: str) -> tuple[bytes, bytes]:
    """Return the places of a referral's wrapped key and of its content."""
    place = Place("referral", str(referral_id), party)
    return place.column("wrapped_key"), place.column("content")


def clocked_of(decided: Sequence[Prepared | Again]) -> list[Clocked]:
    """What clocks look at of the edges of these decisions that were sent."""
    return [
        Clocked(
            edge_id=emitted.edge_id,
            party=each.origin,
            subject=each.referral_id,
            told_by=emitted.notice_id or each.referral_id,
            origin=each.origin,
            recipient=emitted.recipient,
            purpose=emitted.purpose,
            rules=tuple(emitted.rules),
            acknowledge_h=emitted.edge.terms.deadlines.get("acknowledge_h"),
            act_h=emitted.edge.terms.deadlines.get("act_h"),
            begun_at=coarse(decided_at(each)),
        )
        for each in decided
        for emitted in each.emitted
    ]


def _key(request: Request) -> tuple[str, bytes]:
    """Whose key it is, and its hash: the submissions of a request are one party's."""
    return request.submissions[0].party.id, request.key_hash


def _stored(answer: Reply) -> bytes:
    """An answer as it is kept with its key: the place it names, a line end, its body."""
    return to_json({"location": answer.location}) + b"\n" + answer.body


def _claimed(claim: Claim) -> Claimed:
    if claim.kind is ClaimKind.NEW:
        return None
    if claim.twin_of is not None:
        return Twin(claim.twin_of)
    if claim.kind is ClaimKind.REUSED or claim.answer is None or claim.status is None:
        return Refused("idempotency_key_reused", "the key was used with another body")
    head, _, body = claim.answer.partition(b"\n")
    return Reply(claim.status, body, json.loads(head)["location"])
