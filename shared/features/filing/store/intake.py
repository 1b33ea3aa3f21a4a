"""Filing in PostgreSQL: key claims, referrals, edges and counts, in bulk.

The same statement debits the daily quotas of all parties of a transaction.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from shared.core.acts.act import Subject
from shared.core.acts.states import event_type
from shared.core.authority import Role
from shared.core.contracts.referral import ReferralRecord
from shared.core.envelope.datakeys import DataKey, KeyEncryptionKey, RowRef, protect, reveal, unwrap, wrap
from shared.core.errors import Refused
from shared.core.protocol.prepare import Prepared
from shared.core.routing.clocks import LawAt
from shared.delivery.gate import DEBIT, DEBIT_END, SPENT, bind_spent
from shared.features.filing.ports import Claimed, ReferredCase, Repeat
from shared.features.filing.rules import HttpReply, Request
from shared.features.filing.store.edge_rows import EDGE, UnplacedEdges, bind_sent, gather_edges, unsent_rows
from shared.features.record_access.store import RecordStore
from shared.platform.database.columns import BoundRows, Columns, Statement, compress, decompress
from shared.platform.database.feed import BEGIN_ELSEWHERE, note_filing
from shared.platform.database.idempotency import CLAIM, CLAIM_KEYS, ClaimKind, KeyClaim, bind_claims, read_claims
from shared.platform.database.transactions import Database, RowScope
from shared.platform.timers.timers import begin_like, end, find_law

#: A statement for more edges is bound in a thread.
MANY: Final = 100


#: The event of a filing for the filing party.
FILED: Final = event_type(Subject.REFERRAL, "submit")

_REFERRAL = Columns.of(
    Prepared,
    without=(
        "origin",
        "emitted",
        "waiting",
        "planned",
        "drafts",
        "cut",
        "respelled",
        "spent",
        "items",
        "facts",
        "decision",
    ),
    party="text",
    priority="text",
    decided="bytea",
    wrapped_key="bytea",
    body_sha256="bytea",
    traceparent="bytea",
)

_SUBMITTED = Columns[str]({"party": "text", "submitted": "bigint"})

# One statement, because each statement costs a round trip. Each part acts only if the parts before it succeeded: keys
# are claimed, then quotas debited, then feeds locked by party. So a referral gets its number at insertion, and a free
# reference stays free.
_FILE = Statement(
    f"""WITH {BEGIN_ELSEWHERE}, claimed AS ({CLAIM_KEYS}), debited AS (
    {DEBIT} WHERE (SELECT count(*) FROM claimed) = {{keys}} {DEBIT_END}
), fitting AS MATERIALIZED (
    SELECT (SELECT count(*) FROM claimed) = {{keys}} AND NOT EXISTS (
        SELECT FROM debited JOIN {{rooms}} USING (party) WHERE debited.bits > rooms.bits
    ) AS all_fit
), numbered AS MATERIALIZED (
    SELECT filing, number FROM number_filings(
        {{ids}}, CASE WHEN (SELECT all_fit FROM fitting) THEN {{parties}} ELSE '{{{{}}}}' END, {{references}}
    )
), free AS MATERIALIZED (
    SELECT all_fit AND (SELECT count(*) FROM numbered) = cardinality({{ids}}) AS all_free FROM fitting
), filed AS (
    INSERT INTO referral ({{referrals.names}}, revision, arrival)
    SELECT {{referrals.values}}, 1, numbered.number
    FROM {{referrals}} JOIN numbered ON numbered.filing = referrals.referral_id WHERE (SELECT all_free FROM free)
    RETURNING referral_id, party, state, priority_rank, arrival
), journal AS (
    INSERT INTO act (party, number, type, subject, at, detail)
    SELECT party, arrival, {{filed}}, referral_id, now(), jsonb_build_object('state', state) FROM filed
), edged AS (
    INSERT INTO edge ({{edges.names}}, priority_rank)
    SELECT {{edges.values}}, filed.priority_rank FROM {{edges}} JOIN filed USING (referral_id)
), counted AS (
    INSERT INTO intake_count AS c (party, submitted, accepted, refused)
    SELECT counts.party, submitted, accepted, submitted - accepted
    FROM {{counts}}
    CROSS JOIN LATERAL (SELECT count(*) AS accepted FROM filed WHERE filed.party = counts.party) AS a
    ORDER BY counts.party
    ON CONFLICT (party) DO UPDATE SET submitted = c.submitted + excluded.submitted,
        accepted = c.accepted + excluded.accepted, refused = c.refused + excluded.refused
)
SELECT party, key_hash, NULL::bigint AS bits, NULL::uuid AS filing, NULL::bigint AS number FROM claimed
UNION ALL SELECT party, NULL, bits, NULL, NULL FROM debited
UNION ALL SELECT NULL, NULL, NULL, filing, number FROM numbered
""",
    claims=CLAIM,
    keys="bigint",
    day="date",
    spent=SPENT,
    rooms=SPENT,
    ids="uuid[]",
    parties="text[]",
    references="text[]",
    referrals=_REFERRAL,
    edges=EDGE,
    counts=_SUBMITTED,
    filed="text",
)

_EXISTING = """
SELECT party, external_ref, referral_id FROM referral
JOIN unnest($1::text[], $2::text[]) AS k(party, external_ref) USING (party, external_ref)
"""


class FilingBatch(NamedTuple):
    """The content of one filing transaction: referrals, submission counts by party, and debits.

    `rooms` are what these parties may have used after it.
    """

    prepared: Sequence[Prepared]
    submitted: Mapping[str, int]
    day: date
    debits: Mapping[str, int]
    rooms: Mapping[str, int]


class FilingConflict(NamedTuple):
    """The reason why a filing failed: claims that are not all new, exceeded quotas, or taken references.

    `spent` includes all debits. `taken` has the id of the referral that has the reference.
    """

    claims: Sequence[Claimed] = ()
    spent: Mapping[str, int] = {}
    taken: Mapping[UUID, UUID] = {}


class PostgresFiling(RecordStore):
    """One filing transaction. Content is stored text under a data key per referral; deleting the key erases it."""

    async def file(self, replies: Sequence[tuple[Request, HttpReply]], filing: FilingBatch) -> FilingConflict | None:
        keys = [(*_key(request), request.body_hash) for request, _ in replies]
        claims = partial(bind_claims, keys, [(reply.status, _stored(reply)) for _, reply in replies])
        binding = partial(_bind, filing, claims, self._kek, law_at=find_law(self._driver))
        many = sum(len(each.emitted) for each in filing.prepared) > MANY
        values, sent = await asyncio.to_thread(binding) if many else binding()
        count = len({key[:2] for key in keys})
        rows = await self._driver.fetch(*_FILE.bind(keys=count, **values))
        new = {(row["party"], row["key_hash"]) for row in rows if row["key_hash"] is not None}
        if len(new) < len(keys):
            return FilingConflict(claims=[_claimed(claim) for claim in await read_claims(self._driver, keys, new)])
        spent = {row["party"]: row["bits"] for row in rows if row["bits"] is not None}
        if any(bits > filing.rooms[party] for party, bits in spent.items()):
            return FilingConflict(spent=spent)
        numbers = {row["filing"]: row["number"] for row in rows if row["filing"] is not None}
        if others := [each for each in filing.prepared if each.referral_id not in numbers]:
            return FilingConflict(taken=await self._taken(others))
        note_filing(self._driver, [(each.origin, numbers[each.referral_id]) for each in filing.prepared])
        gather_edges(self._driver, sent)
        return None

    async def _taken(self, others: Sequence[Prepared]) -> dict[UUID, UUID]:
        references = [each.external_ref for each in others]
        rows = await self._driver.fetch(_EXISTING, [each.origin for each in others], references)
        existing = {(row["party"], row["external_ref"]): row["referral_id"] for row in rows}
        return {each.referral_id: existing[each.origin, each.external_ref] for each in others}


class PostgresFilings:
    """The transactions of the intake, on the database of an instance."""

    def __init__(self, database: Database, kek: KeyEncryptionKey) -> None:
        self._database = database
        self._kek = kek

    @asynccontextmanager
    async def open(self, parties: Sequence[str], role: Role) -> AsyncIterator[PostgresFiling]:
        async with self._database.transaction(RowScope(parties, role, "submit"), keeps_plans=True) as session:
            yield PostgresFiling(session.driver, self._kek)


def _bind(
    filing: FilingBatch, claims: Callable[[], BoundRows[str]], kek: KeyEncryptionKey, *, law_at: LawAt | None
) -> tuple[dict[str, object], UnplacedEdges]:
    """Return values of `_FILE`, and the edges that the last step inserts."""
    prepared, submitted = filing.prepared, filing.submitted
    keys = [DataKey.generate() for _ in prepared]
    at = [places(each.referral_id, each.origin) for each in prepared]
    contents = zip(prepared, keys, at, strict=True)
    parties = [each.origin for each in prepared]
    referrals = _REFERRAL.rows(
        prepared,
        party=parties,
        priority=[each.facts["priority"] for each in prepared],
        decided=[compress(to_json({"facts": each.facts, "decision": each.decision})) for each in prepared],
        content=[protect(compress(each.content), key, content) for each, key, (_, content) in contents],
        wrapped_key=[wrap(key, kek, place) for key, (place, _) in zip(keys, at, strict=True)],
        body_sha256=[bytes.fromhex(each.body_sha256) for each in prepared],
        traceparent=[each.traceparent and bytes.fromhex(each.traceparent.replace("-", "")) for each in prepared],
    )
    values: dict[str, object] = {
        "claims": claims(),
        "day": filing.day,
        "spent": bind_spent(filing.debits),
        "rooms": bind_spent(filing.rooms),
        "ids": [each.referral_id for each in prepared],
        "parties": parties,
        "references": [each.external_ref for each in prepared],
        "referrals": referrals,
        "edges": EDGE.rows(unsent_rows(prepared)),
        "counts": _SUBMITTED.rows(list(submitted), party=list(submitted), submitted=list(submitted.values())),
        "filed": FILED,
    }
    return values, bind_sent(prepared, law_at)


def places(referral_id: UUID, party: str) -> tuple[bytes, bytes]:
    """Return the places of a referral's wrapped key and of its content."""
    place = RowRef("referral", str(referral_id), party)
    return place.column("wrapped_key"), place.column("content")


def _key(request: Request) -> tuple[str, bytes]:
    """Return the party and hash of an idempotency key. All submissions of a request belong to one party."""
    return request.submissions[0].party.id, request.key_hash


def _stored(answer: HttpReply) -> bytes:
    """Return the stored form of an answer: its location, a line end, its body."""
    return to_json({"location": answer.location}) + b"\n" + answer.body


def _claimed(claim: KeyClaim) -> Claimed:
    if claim.kind is ClaimKind.NEW:
        return None
    if claim.twin_of is not None:
        return Repeat(claim.twin_of)
    if claim.kind is ClaimKind.REUSED or claim.answer is None or claim.status is None:
        return Refused("idempotency_key_reused", "the key was used with another body")
    head, _, body = claim.answer.partition(b"\n")
    return HttpReply(claim.status, body, json.loads(head)["location"])


def read_trace(stored: bytes | None) -> str | None:
    """Return the `traceparent` whose digits are stored."""
    digits = (stored or b"").hex()
    return f"{digits[:2]}-{digits[2:34]}-{digits[34:50]}-{digits[50:]}" if stored else None


def opened(row: asyncpg.Record, kek: KeyEncryptionKey) -> ReferralRecord:
    """Return the content of a row of referrals. Its `wrapped_key` opens it."""
    return ReferralRecord.model_validate_json(revealed(row, kek))


def revealed(row: asyncpg.Record, kek: KeyEncryptionKey) -> bytes:
    """Return the stored JSON, for callers that need only some members of it."""
    wrapped, content = places(row["referral_id"], row["party"])
    return decompress(reveal(row["content"], unwrap(row["wrapped_key"], kek, wrapped), content))


# An agency that this origin has already sent the referral answers on that edge. If the referral was withdrawn
# meanwhile, the withdrawal is sent to the agency (`missing`).
_REFER: Final = """
INSERT INTO edge (edge_id, instance, referral_id, party, recipient, purpose, reason, rules, items, dropped_items,
                  revision, document_digests, decided_at, priority_rank, is_retracted, is_missing, state)
SELECT $2, $4, e.referral_id, e.party, $3, e.purpose, e.reason, coalesce(e.rules, string_to_array(e.clock_rules, ',')),
       e.items, e.dropped_items, e.revision, e.document_digests, e.decided_at, e.priority_rank,
       r.state = 'withdrawn', r.state = 'withdrawn', 'referred'
FROM edge AS e JOIN referral AS r USING (referral_id) WHERE e.edge_id = $1 AND NOT EXISTS (
    SELECT FROM edge AS had WHERE had.referral_id = e.referral_id AND had.recipient = $3
      AND had.state IN ('emitted', 'waiting', 'referred'))
ON CONFLICT DO NOTHING RETURNING NOT is_retracted
"""

_EXIST: Final = "SELECT edge_id FROM edge WHERE edge_id = ANY($1::uuid[])"

_UNREFER: Final = """
UPDATE edge SET state = 'dropped'
WHERE edge_id = $1 AND referral_id = $2 AND recipient = $3 AND state = 'referred' AND acts = 0 RETURNING true
"""


class ReferredEdges(RecordStore):
    """The edges on which agencies answer that a case was referred to."""

    async def exist(self, edge_ids: Collection[UUID]) -> Collection[UUID]:
        """Return the existing ones of these edges, of any party and in any state."""
        return frozenset(row["edge_id"] for row in await self._driver.fetch(_EXIST, list(edge_ids)))

    async def refer(self, referred: ReferredCase) -> None:
        """Add an edge for another agency, like that of the first. Its deadlines begin now.

        An agency that already has the referral answers as before.
        """
        of = referred.of, referred.edge, referred.agency
        if await self._driver.fetchval(_REFER, *of, referred.instance):  # a withdrawn referral has no deadlines
            await begin_like(self._driver, referred.of, referred.edge, recipient=referred.agency, at=referred.at)

    async def unrefer(self, edge: UUID, referral_id: UUID, *, agency: str) -> None:
        """End the edge of an agency that could not take a referred case, with its deadlines."""
        if await self._driver.fetchval(_UNREFER, edge, referral_id, agency):
            await end(self._driver, [edge])
