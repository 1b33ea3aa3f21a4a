"""An origin's edges in PostgreSQL, for the instance itself: answers of recipients, and repeated decisions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Final
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from shared.core.envelope.datakeys import protect, unwrap
from shared.core.protocol.clocks import EdgeStep
from shared.core.protocol.origin import UNFINISHED, EdgeAnswer, ReferralState
from shared.core.protocol.outgoing_messages import KnownEdge, StaleEdge
from shared.core.protocol.prepare import Redecision
from shared.core.protocol.second_review import SecondReview
from shared.delivery.sending import send
from shared.features.filing.ports import (
    FINAL,
    ActResult,
    AnswerAct,
    EdgeUpdate,
    OpenEdge,
    Receipt,
    Retry,
    StaleReferral,
)
from shared.features.filing.rules import PAUSES
from shared.features.filing.store.edge_rows import EDGE, clocked_of, edge_rows, keep_acts, read_answer, reference_place
from shared.features.filing.store.intake import ReferredEdges, opened, places, read_trace
from shared.platform.database.columns import BoundRows, Columns, Statement, decompress
from shared.platform.database.failure_isolation import ClaimedBatch
from shared.platform.timers import store as deadlines
from shared.platform.timers.timers import clock, count_steps, end

_TOLD: Final = TypeAdapter(tuple[EdgeAnswer, ...])
_ADD = Statement(
    """
INSERT INTO edge ({rows.names}, priority_rank) SELECT {rows.values}, r.priority_rank FROM {rows}
  JOIN referral AS r USING (referral_id)
""",
    rows=EDGE,
)
_ANSWERABLE = """
SELECT e.edge_id, e.referral_id, e.notice_id, e.party, e.recipient, e.answer, e.answer_detail,
       e.acts, e.items, e.dropped_items, e.revision, e.instance, e.previous_instances, e.sent_answers,
       r.state = 'withdrawn' OR e.is_retracted AS withdrawn FROM edge AS e JOIN referral AS r USING (referral_id)
WHERE e.state IN ('emitted', 'referred')
  AND ((e.notice_id IS NULL AND e.referral_id = ANY($1::uuid[])) OR e.notice_id = ANY($1::uuid[]))
ORDER BY e.referral_id, e.edge_id FOR UPDATE OF e
"""
#: A notice that replaces another is new to its provider. For a referral, the answers carry over to the new edge.
_CARRY = """
UPDATE edge AS e SET redecide_attempts = old.redecide_attempts,
       answer = CASE WHEN e.notice_id IS NULL THEN old.answer ELSE e.answer END,
       answer_detail = CASE WHEN e.notice_id IS NULL THEN old.answer_detail END,
       answered_at = CASE WHEN e.notice_id IS NULL THEN old.answered_at END,
       acts = CASE WHEN e.notice_id IS NULL THEN old.acts ELSE 0 END,
       acts_notified = CASE WHEN e.notice_id IS NULL THEN old.acts ELSE 0 END
FROM edge AS old WHERE old.edge_id = ANY($1::uuid[]) AND e.state = 'emitted'
  AND e.referral_id = old.referral_id AND e.recipient = old.recipient AND e.purpose = old.purpose
"""
_ANSWERED: Final = Columns[UUID](
    {"edge_id": "uuid", "answer": "text", "detail": "text", "acts": "integer", "sent_answers": "text", "retell": "bool"}
)
# An edge with a final answer from a recipient's old instance stays there. The new instance need not read it.
_ANSWER = Statement(
    f"""
WITH answered AS (
    UPDATE edge AS e SET answer = a.answer, answer_detail = a.detail::jsonb, acts = a.acts,
           sent_answers = a.sent_answers::jsonb, answered_at = CASE WHEN e.acts = a.acts THEN e.answered_at
               ELSE {{at}} END, redecide_at = CASE WHEN a.retell THEN {{at}} ELSE e.redecide_at END,
           is_unreadable = e.is_unreadable AND (e.is_missing OR a.answer = ANY({{unfinished}})),
               {deadlines.SET_COUNTED.format(row="e")} FROM {{a}} LEFT JOIN {{counted}} ON counted.edge_id = a.edge_id
    WHERE e.edge_id = a.edge_id RETURNING e.referral_id, old.is_unreadable AND NOT new.is_unreadable AS stays
) SELECT DISTINCT referral_id FROM answered WHERE stays
""",  # noqa: S608 - our own constant
    a=_ANSWERED,
    counted=deadlines.COUNTED,
    at="timestamptz",
    unfinished="text[]",
)
_JUDGED = """
SELECT a.subject, a.sender, a.act, a.code FROM answer_act AS a
JOIN unnest($1::uuid[], $2::text[], $3::uuid[]) AS k(subject, sender, act) USING (subject, sender, act)
"""
_WRAPPED = """
SELECT referral_id, wrapped_key FROM referral WHERE referral_id = ANY($1::uuid[]) AND wrapped_key IS NOT NULL
"""
#: Edges with all columns that a repeated decision needs.
ALL = """
SELECT e.edge_id, e.message_id, e.recipient, e.purpose, e.notice_id, e.items, e.answer, e.answer_detail, e.acts,
       e.document_digests AS law, e.decided_at, e.redecide_attempts AS tried, e.is_missing, e.revision,
           e.previous_message_ids IS NOT NULL AS carried, r.revision AS of,
       e.instance, e.previous_instances IS NOT NULL AS moved, r.referral_id, r.party, r.exercise, r.state,
       r.body_sha256, r.disposition, r.decided, r.content, r.traceparent, r.filed_by, r.reviewed_by, r.wrapped_key
FROM edge AS e JOIN referral AS r USING (referral_id)
"""
_OPEN = "e.state = 'emitted' AND NOT (e.is_retracted AND r.state <> 'withdrawn') AND"
_FOUND = f"{ALL} WHERE {_OPEN}"
_TRIED = """
SELECT e.edge_id, e.message_id, e.document_digests AS law, e.decided_at, e.redecide_attempts AS tried
FROM edge AS e JOIN referral AS r USING (referral_id)
"""
_REFUSED = f"{_TRIED} WHERE {_OPEN} e.message_id = ANY($1::uuid[]) ORDER BY r.referral_id FOR UPDATE OF e, r"
#: Subjects in retry backoff are skipped.
_TAKEN = "r.referral_id <> ALL($3::uuid[])"
# Rows that another transaction has locked are skipped and read again later.
_WAITING = f"""
{ALL} WHERE e.state = 'waiting' AND e.edge_id > $1 AND {_TAKEN} ORDER BY e.edge_id LIMIT $2
FOR UPDATE OF e, r SKIP LOCKED
"""
#: The edges that may still be answered, written as in their index. Most edges at an old instance have a final answer.
_UNANSWERED = "e.answer IN ('" + "', '".join(sorted(UNFINISHED)) + "')"
_LIES_THERE = f"""e.recipient = $1 AND e.instance = $2 AND {_TAKEN} AND e.state = 'emitted' AND {_UNANSWERED}
  AND NOT e.is_unreadable AND NOT e.is_retracted AND r.state <> 'withdrawn'"""
#: Any of them: an index with an order would cost every edge.
_LEFT_BEHIND = f"""
{ALL} WHERE {_LIES_THERE} AND e.edge_id = ANY (ARRAY(
    SELECT e.edge_id FROM edge AS e JOIN referral AS r USING (referral_id) WHERE {_LIES_THERE} LIMIT $4))
ORDER BY r.referral_id FOR UPDATE OF e, r
"""  # noqa: S608 - our own constant
#: An edge is repeated once an hour and incarnation. A restored peer causes a new one. A wrong clock wrote a time ahead.
_MISSING = f"""
{_FOUND} e.is_missing AND NOT e.is_unreadable AND r.state <> 'withdrawn' AND r.referral_id <> ALL($2::uuid[])
  AND (e.repeated_at BETWEEN now() - interval '1 hour' AND now() + interval '5 minutes'
       AND e.incarnation = (SELECT s.incarnation FROM stream_pair AS s WHERE s.peer = e.instance)) IS NOT TRUE
ORDER BY r.referral_id LIMIT $1 FOR UPDATE OF e, r
"""  # noqa: S608 - our own constant
_UNREAD = f"""
{_FOUND} e.is_unreadable AND r.state <> 'withdrawn' AND e.edge_id > $1 AND {_TAKEN} ORDER BY e.edge_id LIMIT $2
FOR UPDATE OF e, r SKIP LOCKED
"""
# `sent_answers` stays until an answer arrives from the new instance, which knows only these answers. An edge that is
# decided again after a refusal keeps its count of attempts.
_REISSUE = Statement(
    """
UPDATE edge AS e SET message_id = again.message_id, document_digests = again.document_digests,
    decided_at = again.decided_at, redecide_attempts = CASE WHEN e.redecide_at IS NULL THEN 0
        ELSE e.redecide_attempts END, repeated_at = CASE WHEN e.is_missing THEN now() ELSE e.repeated_at END,
    redecide_at = NULL, is_missing = false, is_unreadable = false, acts_notified = e.acts, receipt_outcome = NULL,
    receipt_code = NULL, receipted_at = NULL, previous_message_ids = e.previous_message_ids || e.message_id,
    instance = again.instance, reason = again.reason, rules = string_to_array(again.rules, chr(31)),
    items = string_to_array(again.items, chr(31))::smallint[],
    dropped_items = string_to_array(again.dropped_items, chr(31))::smallint[], revision = again.revision,
    previous_instances = CASE WHEN e.instance = again.instance THEN e.previous_instances
                            ELSE array_remove(e.previous_instances, again.instance) || e.instance END,
    sent_answers = CASE WHEN e.instance = again.instance THEN e.sent_answers ELSE jsonb_build_array(jsonb_build_object(
               'state', e.answer, 'detail', coalesce(e.answer_detail, '{{}}'), 'acts', e.acts)) END
FROM {again} WHERE e.edge_id = again.edge_id
""",
    again=EDGE,
)
_WAITS = f"AND {_TAKEN} ORDER BY e.redecide_at LIMIT $2 FOR UPDATE OF e, r SKIP LOCKED"
#: Includes edges whose time lies further ahead than any pause: a clock that was ahead wrote it. A UNION, because an OR
#: would read all waiting edges.
_DUE = f"""
WITH passed AS ({_FOUND} e.redecide_at <= $1 {_WAITS}), ahead AS ({_FOUND} e.redecide_at > $4 {_WAITS})
TABLE passed UNION ALL TABLE ahead LIMIT $2
"""
_LATER = """
UPDATE edge AS e SET redecide_attempts = t.redecide_attempts, redecide_at = t.redecide_at
FROM unnest($1::uuid[], $2::int[], $3::timestamptz[]) AS t (edge_id, redecide_attempts, redecide_at)
WHERE e.edge_id = t.edge_id
"""
_RETIRE = """
UPDATE edge SET state = $2, redecide_at = NULL, is_missing = false, is_unreadable = false
WHERE edge_id = ANY($1::uuid[])
"""
_LEAVE = "UPDATE edge SET is_unreadable = true, redecide_at = NULL WHERE edge_id = ANY($1::uuid[])"
# A waiting edge resolves without a person, so its reason never replaces one that needs a person.
_TO_WORK_LIST = """
UPDATE referral AS r SET unrouted_reason = w.reason FROM unnest($1::uuid[], $2::text[]) AS w(referral_id, reason)
WHERE r.referral_id = w.referral_id
  AND (w.reason <> 'recipient_cannot_read' OR coalesce(r.unrouted_reason, 'waiting') IN ('deferred', 'waiting',
      'parked'))
"""
_OFF_WORK_LIST = """
UPDATE referral AS r SET unrouted_reason = NULL
WHERE r.referral_id = ANY($1::uuid[]) AND r.unrouted_reason = 'recipient_cannot_read' AND NOT EXISTS (
      SELECT FROM edge AS e WHERE e.referral_id = r.referral_id AND (e.state = 'waiting' OR e.is_unreadable))
"""
_HEARD = """
SELECT u.message_id FROM unnest($1::uuid[], $2::text[]) AS u (message_id, by)
WHERE EXISTS (SELECT FROM edge AS e WHERE e.message_id = u.message_id AND e.instance = u.by) OR EXISTS (
    SELECT FROM edge AS e WHERE e.withdrawal_id = u.message_id AND u.by = ANY (e.previous_instances || e.instance))
"""
#: A withdrawal's outcome applies to all edges that it withdrew.
_OUTCOMES = """
WITH told AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]) AS u (message_id, outcome, code)
), withdrawals AS (
    UPDATE edge AS e SET withdrawal_receipt = nullif(told.outcome, 'applied')
    FROM told WHERE e.withdrawal_id = told.message_id
) UPDATE edge AS e SET receipt_outcome = nullif(told.outcome, 'applied'), receipt_code = told.code,
    receipted_at = CASE WHEN told.outcome <> 'applied' THEN coalesce(e.receipted_at, $4) END
FROM told WHERE e.message_id = told.message_id
"""
# A referral that is listed as unrouted for another reason keeps that reason, because it needs a person in any case.
_UNFINISHED = """
UPDATE referral AS r SET unrouted_reason = u.outcome
FROM unnest($1::uuid[], $2::text[]) AS u (message_id, outcome) JOIN edge AS e USING (message_id)
WHERE r.referral_id = e.referral_id AND e.state = 'emitted'
  AND (r.unrouted_reason IS NULL OR r.unrouted_reason IN ('deferred', 'waiting', 'parked'))
"""
_OF_MESSAGES = "SELECT DISTINCT referral_id FROM edge WHERE message_id = ANY($1::uuid[])"
_FINISHED = """
UPDATE referral AS r SET unrouted_reason = NULL
WHERE r.referral_id = ANY($1::uuid[]) AND r.unrouted_reason IN ('deferred', 'waiting', 'parked') AND NOT EXISTS (
      SELECT FROM edge AS e WHERE e.referral_id = r.referral_id AND e.state = 'emitted'
        AND e.receipt_outcome IN ('deferred', 'waiting', 'parked'))
"""


class PostgresEdges(ReferredEdges):
    """The edges of the parties that the instance serves, for the instance itself."""

    async def answerable(self, subjects: Sequence[UUID]) -> dict[tuple[UUID, str], list[OpenEdge]]:
        found: dict[tuple[UUID, str], list[OpenEdge]] = {}
        for row in await self._driver.fetch(_ANSWERABLE, list(subjects)):
            edge = OpenEdge(
                row["edge_id"],
                row["referral_id"],
                row["party"],
                row["recipient"],
                row["notice_id"] or row["referral_id"],
                read_answer(row["answer"], row["answer_detail"], row["acts"]),
                row["withdrawn"],
                tuple(row["items"]),
                row["instance"],
                tuple(row["previous_instances"] or ()),
                _TOLD.validate_python(row["sent_answers"] or ()),
                frozenset(row["dropped_items"] or ()),
                row["revision"],
            )
            found.setdefault((edge.subject, edge.recipient), []).append(edge)
        return found

    async def judged(self, acts: Sequence[AnswerAct]) -> dict[AnswerAct, str | None]:
        rows = await self._driver.fetch(_JUDGED, *map(list, zip(*acts, strict=True))) if acts else []
        return {AnswerAct(row["subject"], row["sender"], row["act"]): row["code"] for row in rows}

    async def answer(
        self,
        taken: Mapping[UUID, EdgeUpdate],
        judged: Mapping[AnswerAct, ActResult],
        at: datetime,
        *,
        steps: Sequence[EdgeStep],
    ) -> None:
        if judged:
            await keep_acts(self._driver, judged, await self._references(judged), at=at)
        counted = await count_steps(self._driver, steps)
        await deadlines.write(self._driver, [each for each in counted if each.edge.edge_id not in taken])
        if taken:
            answers = [each.answer for each in taken.values()]
            columns = [
                list(taken),
                [each.state.value for each in answers],
                [to_json(each.detail).decode() for each in answers],
                [each.acts for each in answers],
                [to_json(each.forwarded).decode() if each.forwarded else None for each in taken.values()],
                [each.needs_send for each in taken.values()],
            ]
            own = deadlines.bind_counted([each for each in counted if each.edge.edge_id in taken])
            bound = _ANSWER.bind(a=BoundRows(_ANSWERED, columns), counted=own, at=at, unfinished=sorted(UNFINISHED))
            stay = await self._driver.fetch(*bound)
            if stay:
                await self._driver.execute(_OFF_WORK_LIST, [row["referral_id"] for row in stay])

    async def refused(self, message_ids: Sequence[UUID]) -> list[StaleEdge]:
        return [StaleEdge(**row) for row in await self._driver.fetch(_REFUSED, list(message_ids))]

    async def waiting(self, after: UUID, taking: ClaimedBatch) -> list[StaleReferral]:
        rows = await self._driver.fetch(_WAITING, after, taking.limit, taking.passed_over)
        return self.stale_of_all(taking.take(rows))

    async def unread(self, after: UUID, taking: ClaimedBatch) -> list[StaleReferral]:
        rows = await self._driver.fetch(_UNREAD, after, taking.limit, taking.passed_over)
        return self.stale_of_all(taking.take(rows), known=True)

    async def note_outcomes(self, outcomes: Mapping[UUID, Receipt], at: datetime) -> Collection[UUID]:
        rows = await self._driver.fetch(_HEARD, list(outcomes), [each.by for each in outcomes.values()])
        outcomes = {row["message_id"]: outcomes[row["message_id"]] for row in rows}
        values = [each.outcome.value for each in outcomes.values()]
        await self._driver.execute(_OUTCOMES, list(outcomes), values, [each.code for each in outcomes.values()], at)
        unfinished = {key: each.outcome.value for key, each in outcomes.items() if each.outcome not in FINAL}
        if unfinished:
            await self._driver.execute(_UNFINISHED, list(unfinished), list(unfinished.values()))
        if finished := [key for key in outcomes if key not in unfinished]:
            rows = await self._driver.fetch(_OF_MESSAGES, finished)
            await self._driver.execute(_FINISHED, [row["referral_id"] for row in rows])
        return outcomes.keys()

    async def left_behind(self, recipient: str, instance: str, taking: ClaimedBatch) -> list[StaleReferral]:
        rows = await self._driver.fetch(_LEFT_BEHIND, recipient, instance, taking.passed_over, taking.limit)
        return self.stale_of_all(taking.take(rows), known=True)

    async def missing(self, taking: ClaimedBatch) -> list[StaleReferral]:
        rows = await self._driver.fetch(_MISSING, taking.limit, taking.passed_over)
        return self.stale_of_all(taking.take(rows), known=True)

    async def due(self, at: datetime, taking: ClaimedBatch) -> list[StaleReferral]:
        rows = await self._driver.fetch(_DUE, at, taking.limit, taking.passed_over, at + 2 * max(PAUSES))
        return self.stale_of_all(taking.take(rows))

    async def note_tries(self, tries: Sequence[Retry]) -> None:
        ids, counts = [each.edge_id for each in tries], [each.tried for each in tries]
        await self._driver.execute(_LATER, ids, counts, [each.again_at for each in tries])

    async def replace(self, replaced: Collection[UUID], dropped: Collection[UUID], again: Sequence[Redecision]) -> None:
        rows = edge_rows(again)
        known = [row for row in rows if row.edge_id in replaced]
        unread = [edge_id for each in again for edge_id in each.unread]
        superseded = {*replaced} - {row.edge_id for row in known} - {*unread}
        await self._driver.execute(_RETIRE, list(superseded), "superseded")
        await self._driver.execute(_RETIRE, list(dropped), "dropped")
        await self._driver.execute(_LEAVE, unread)
        if known:
            await self._driver.execute(*_REISSUE.bind(again=EDGE.rows(known)))
        if len(rows) > len(known):
            await self._driver.execute(*_ADD.bind(rows=EDGE.rows([row for row in rows if row not in known])))
        if superseded:
            await self._driver.execute(_CARRY, list(superseded))
        await end(self._driver, [*superseded, *dropped])
        await clock(self._driver, clocked_of(again), ())
        send(self._driver, [draft for each in again for draft in each.drafts])
        waiting = {each.referral_id: each.work_reason.value for each in again if each.work_reason is not None}
        await self._driver.execute(_TO_WORK_LIST, list(waiting), list(waiting.values()))
        await self._driver.execute(_OFF_WORK_LIST, [each.referral_id for each in again if each.work_reason is None])
        await self._driver.execute(_FINISHED, [each.referral_id for each in again])

    async def _references(self, judged: Mapping[AnswerAct, ActResult]) -> dict[AnswerAct, bytes]:
        """Return the agencies' case references, encrypted with the record keys. Erasing a record erases them, too."""
        named = {act: each for act, each in judged.items() if each.reference is not None}
        rows = await self._driver.fetch(_WRAPPED, [each.referral_id for each in named.values()]) if named else []
        keys = {row["referral_id"]: row["wrapped_key"] for row in rows}
        kept = {}
        for act, each in named.items():
            if each.referral_id in keys and each.reference is not None:
                key = unwrap(keys[each.referral_id], self._kek, places(each.referral_id, each.party)[0])
                kept[act] = protect(each.reference.encode(), key, reference_place(act.act, each.party))
        return kept

    def stale_of_all(self, rows: Sequence[asyncpg.Record], *, known: bool = False) -> list[StaleReferral]:
        """Return the referrals of these rows of `ALL`, in the order of their ids."""
        by_id = groupby(sorted(rows, key=itemgetter("referral_id")), itemgetter("referral_id"))
        return [self._stale_of(list(each), known=known) for _, each in by_id]

    def _stale_of(self, rows: Sequence[asyncpg.Record], *, known: bool) -> StaleReferral:
        first = rows[0]
        withdrawn = first["state"] == ReferralState.WITHDRAWN
        return StaleReferral(
            first["referral_id"],
            first["party"],
            first["exercise"],
            withdrawn,
            body_sha256=first["body_sha256"].hex(),
            disposition=first["disposition"],
            **from_json(decompress(first["decided"])),
            content=None if withdrawn or first["wrapped_key"] is None else opened(first, self._kek),
            traceparent=read_trace(first["traceparent"]),
            released=SecondReview(first["filed_by"], first["reviewed_by"]) if first["reviewed_by"] else None,
            stale={(row["recipient"], row["purpose"]): stale_edge(row, known) for row in rows},
            revision=first["of"],
        )


def stale_edge(row: asyncpg.Record, known: bool = False) -> StaleEdge:
    """Return an edge for a repeated decision. It keeps its ids if its recipient has it or may have it."""
    stale = StaleEdge(*map(row.get, StaleEdge._fields))
    return stale._replace(known=known_edge(row)) if known or row["moved"] or row["carried"] else stale


def known_edge(row: asyncpg.Record) -> KnownEdge:
    """Return an edge to send again, with the earlier answers if its new instance may not know them."""
    return KnownEdge(
        row["edge_id"],
        row["notice_id"],
        row["instance"],
        read_answer(row["answer"], row["answer_detail"], row["acts"]),
        revision=row["revision"],
        items=tuple(row["items"]),
        tells=row["moved"] or row["is_missing"],
        restored=row["is_missing"],
    )
