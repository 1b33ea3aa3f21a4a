"""Amendments in PostgreSQL: a referral and its edges before and after an amendment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from shared.core.envelope.datakeys import DataKey, KeyEncryptionKey, RowRef, protect, reveal, unwrap
from shared.core.protocol.amend import AmendmentResult, CurrentEdge
from shared.core.protocol.items import ItemLog
from shared.core.protocol.retention_grounds import after_amendment
from shared.core.vocabulary.answers import AnswerState
from shared.core.vocabulary.referral import AmendmentCause
from shared.features.amendments.ports import AmendableReferral, RevisionContent, WrongProvider
from shared.features.filing.ports import Addressee
from shared.features.filing.store.edges import PostgresEdges, known_edge
from shared.features.filing.store.intake import places, read_trace
from shared.features.record_access.store import RecordStore
from shared.platform.database.columns import Statement, compress, decompress

_FIND: Final = """
SELECT r.referral_id, r.party, r.external_ref, r.exercise, r.state, r.revision, r.content, r.body_sha256, r.traceparent,
       r.last_item_number, r.wrapped_key FROM referral AS r WHERE r.referral_id = $1 FOR UPDATE
"""
_EDGES: Final = """
SELECT edge_id, recipient, purpose, notice_id, items, dropped_items, answer, answer_detail, acts, decided_at,
       is_missing, revision,
       instance, previous_instances, previous_instances IS NOT NULL AS moved, state = 'waiting' AS waits,
       state = 'planned' AS planned, is_retracted
FROM edge WHERE referral_id = $1 AND state IN ('emitted', 'waiting', 'planned') ORDER BY edge_id FOR UPDATE
"""
_DISOWNED: Final = """
SELECT recipient, answer_detail, items, dropped_items FROM edge
WHERE referral_id = $1 AND notice_id = $2 AND state = 'emitted' AND NOT is_retracted
"""
_KEEP: Final = """
INSERT INTO referral_revision (referral_id, revision, party, cause, at, body_sha256, priority, decided, content)
SELECT referral_id, revision, party, cause, coalesce(amended_at, accepted_at), body_sha256, priority, decided, $2
FROM referral WHERE referral_id = $1
"""
# An agency that a case was referred to answers about the items that the first agency has now. The first agency forwards
# the change.
_PASSED_ON: Final = """
UPDATE edge AS other SET items = first.items, dropped_items = first.dropped_items, revision = first.revision
FROM edge AS first
WHERE other.referral_id = $1 AND other.state = 'referred' AND first.referral_id = $1 AND first.state = 'emitted'
  AND first.answer = 'referred' AND first.notice_id IS NULL AND first.purpose = other.purpose
"""
# Reasons from single messages stay until their recipients send another outcome.
_AMEND: Final = Statement(
    """
UPDATE referral SET revision = revision + 1, state = {state}, content = {content}, priority = {priority},
    decided = {decided}, body_sha256 = {body_sha256}, last_item_number = {numbered}, cause = {cause},
    amended_at = {at}, unrouted_reason = coalesce({reason}, CASE
        WHEN unrouted_reason IN ('deferred', 'waiting', 'parked', 'recipient_ahead') THEN unrouted_reason END)
WHERE referral_id = {referral_id}
""",
    referral_id="uuid",
    state="text",
    content="bytea",
    priority="text",
    decided="bytea",
    body_sha256="bytea",
    numbered="smallint",
    cause="text",
    at="timestamptz",
    reason="text",
)
_RANK: Final = """
UPDATE edge AS e SET priority_rank = r.priority_rank FROM referral AS r
WHERE r.referral_id = $1 AND e.referral_id = $1 AND e.priority_rank <> r.priority_rank
"""
_ANSWER: Final = """
UPDATE edge AS e SET answer = a.answer, revision = a.revision
FROM unnest($1::uuid[], $2::text[], $3::int[]) AS a (edge_id, answer, revision) WHERE e.edge_id = a.edge_id
"""
_TAKE_BACK: Final = """
UPDATE edge SET is_retracted = true, redecide_at = NULL, is_missing = false, is_unreadable = false
WHERE edge_id = ANY($1::uuid[])
"""
_MARK: Final = """
UPDATE edge AS e SET withdrawal_id = a.withdrawal_id, withdrawal_receipt = NULL
FROM unnest($1::uuid[], $2::uuid[]) AS a (edge_id, withdrawal_id) WHERE e.edge_id = a.edge_id
"""
_SAID: Final = """
SELECT v.revision, v.party, v.content, true AS before, r.wrapped_key
FROM referral_revision AS v JOIN referral AS r USING (referral_id)
WHERE v.referral_id = $1 AND r.wrapped_key IS NOT NULL
UNION ALL SELECT revision, party, content, false, wrapped_key
FROM referral WHERE referral_id = $1 AND wrapped_key IS NOT NULL
ORDER BY revision
"""


class PostgresAmendments(RecordStore):
    """The acting party's referrals for amendments. Absent and foreign ones are not found."""

    async def find(self, referral_id: UUID) -> AmendableReferral | None:
        """Return one referral of the acting party in any state, locked until the transaction ends."""
        row = await self._driver.fetchrow(_FIND, referral_id)
        if row is None:
            return None
        edges = sorted(await self._driver.fetch(_EDGES, referral_id), key=lambda each: each["recipient"])
        content = None
        if row["wrapped_key"] is not None:
            key, place = self._key(row)
            content = decompress(reveal(row["content"], key, place))
        return AmendableReferral(
            referral_id,
            **{name: row[name] for name in ("party", "external_ref", "exercise", "state", "revision")},
            body_sha256=row["body_sha256"].hex(),
            traceparent=read_trace(row["traceparent"]),
            content=content,
            numbered=row["last_item_number"],
            edges=tuple(_standing(each) for each in edges if not each["is_retracted"]),
            ended=frozenset(each["recipient"] for each in edges if each["is_retracted"] and each["notice_id"] is None),
        )

    async def disowned(self, referral_id: UUID, notice_id: UUID) -> WrongProvider | None:
        """Return the items that a notice's provider does not host, None without such a current notice."""
        row = await self._driver.fetchrow(_DISOWNED, referral_id, notice_id)
        if row is None:
            return None
        answers = ItemLog.kept(row["answer_detail"] or {})
        sent = set(row["items"]) - set(row["dropped_items"] or ())
        return WrongProvider(row["recipient"], {each.n: each.suggested for each in answers.disowned if each.n in sent})

    async def amend(
        self, found: AmendableReferral, amended: AmendmentResult, *, numbered: int, cause: AmendmentCause, at: datetime
    ) -> None:
        """Store the new revision with its messages, and keep the previous revision."""
        again = amended.again
        row = await self._driver.fetchrow(_FIND, found.referral_id)
        key, place = self._key(row)
        before = revision_place(found.referral_id, found.revision, found.party)
        assert found.content is not None
        await self._driver.execute(_KEEP, found.referral_id, protect(compress(found.content), key, before))
        arguments = _AMEND.bind(
            referral_id=found.referral_id,
            state=again.disposition,
            content=protect(compress(amended.content), key, place),
            priority=amended.facts["priority"],
            decided=compress(to_json({"facts": amended.facts, "decision": amended.decision})),
            body_sha256=bytes.fromhex(amended.body_sha256),
            numbered=numbered,
            cause=cause.value,
            at=at,
            reason=again.work_reason.value if again.work_reason else None,
        )
        await self._driver.execute(*arguments)
        replaced = {each.known.edge_id for each in amended.replaced}
        outdated = {each.known.edge_id for each in amended.outdated}
        await PostgresEdges(self._driver, self._kek).replace(replaced, outdated, [again])
        await self._answers(amended)
        await self._driver.execute(_PASSED_ON, found.referral_id)
        await self._driver.execute(_RANK, found.referral_id)

    async def list_addressees(self, taken_back: Sequence[CurrentEdge]) -> list[Addressee]:
        """Return the recipients of these edges, once for each instance that ever got one."""
        rows = await self._driver.fetch(
            "SELECT DISTINCT e.recipient, e.notice_id, at.instance, at.instance = e.instance AS is_current "
            "FROM edge AS e, unnest(e.previous_instances || e.instance) AS at (instance) "
            "WHERE e.edge_id = ANY($1::uuid[]) ORDER BY 1, 2, 3",
            [each.known.edge_id for each in taken_back],
        )
        return [Addressee(**dict(row)) for row in rows]

    async def take_back(self, taken_back: Sequence[CurrentEdge], withdrawals: Sequence[tuple[UUID, Addressee]]) -> None:
        """Mark these edges as withdrawn by these messages."""
        ids = {(addressee.recipient, addressee.notice_id): message_id for message_id, addressee in withdrawals}
        await self._driver.execute(_TAKE_BACK, [each.known.edge_id for each in taken_back])
        marked = {
            each.known.edge_id: ids[each.recipient, each.known.notice_id]
            for each in taken_back
            if (each.recipient, each.known.notice_id) in ids
        }
        await self._driver.execute(_MARK, list(marked), list(marked.values()))

    async def list_revisions(self, referral_id: UUID) -> Sequence[RevisionContent]:
        """Return the content of each revision, oldest first; none after erasure."""
        return [_read_revision(row, self._kek, referral_id) for row in await self._driver.fetch(_SAID, referral_id)]

    async def _answers(self, amended: AmendmentResult) -> None:
        """Convert the answers to the new content, so that they keep their meaning."""
        emitted = {each.edge_id: each for each in amended.again.emitted}
        ids = [each.known.edge_id for each in amended.replaced]
        rows = await self._driver.fetch(
            "SELECT edge_id, answer, answer_detail, items, dropped_items FROM edge WHERE edge_id = ANY($1::uuid[])", ids
        )
        revisions = {each.known.edge_id: each.known.revision for each in amended.replaced}
        answers = [
            after_amendment(
                AnswerState(row["answer"]),
                row["answer_detail"] or {},
                numbers=[n for n in row["items"] if n not in (row["dropped_items"] or ())],
            ).value
            for row in rows
        ]
        revised = [
            emitted[row["edge_id"]].revision if row["edge_id"] in emitted else revisions[row["edge_id"]] + 1
            for row in rows
        ]
        await self._driver.execute(_ANSWER, [row["edge_id"] for row in rows], answers, revised)

    def _key(self, row: asyncpg.Record) -> tuple[DataKey, bytes]:
        wrapped, content = places(row["referral_id"], row["party"])
        return unwrap(row["wrapped_key"], self._kek, wrapped), content


def _standing(row: asyncpg.Record) -> CurrentEdge:
    return CurrentEdge(
        row["recipient"], row["purpose"], row["decided_at"], known_edge(row), row["waits"], row["planned"]
    )


def revision_place(referral_id: UUID, revision: int, party: str) -> bytes:
    """Return the key place of an earlier revision's content."""
    return RowRef("referral_revision", f"{referral_id}.{revision}", party).column("content")


def _read_revision(row: asyncpg.Record, kek: KeyEncryptionKey, referral_id: UUID) -> RevisionContent:
    wrapped, content_place = places(referral_id, row["party"])
    place = revision_place(referral_id, row["revision"], row["party"]) if row["before"] else content_place
    content = reveal(row["content"], unwrap(row["wrapped_key"], kek, wrapped), place)
    return RevisionContent(row["revision"], decompress(content))
