"""An origin's referrals in PostgreSQL: pages, one referral with its edges, and withdrawals to send again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.core.contracts.base import NextCursor
from shared.core.contracts.holds import ShownHold
from shared.core.envelope.datakeys import reveal, unwrap
from shared.core.protocol.message import Draft
from shared.core.protocol.origin import ReferralState
from shared.core.vocabulary.referral import WithdrawalReason
from shared.delivery.sending import send
from shared.features.filing.ports import Addressee, MissedWithdrawal, StoredReferral
from shared.features.filing.rules import (
    EdgeStatus,
    GivenAnswer,
    ListedReferral,
    ReferralPage,
    SentEdge,
    ShownReferral,
    ShownRevision,
    Ticks,
    UnroutedReferral,
    WorkPage,
    ticks,
)
from shared.features.filing.store.edge_rows import reference_place
from shared.features.filing.store.intake import places, read_trace
from shared.features.record_access.store import PartyStore, RecordStore
from shared.features.search.rules import ListFilter
from shared.platform.database import pages
from shared.platform.database.columns import Statement
from shared.platform.database.failure_isolation import ClaimedBatch

_REVISIONS: Final = """
SELECT revision, cause, at FROM referral_revision WHERE referral_id = $1
UNION ALL SELECT revision, cause, coalesce(amended_at, accepted_at) FROM referral WHERE referral_id = $1
ORDER BY revision
"""


async def revisions(driver: asyncpg.Connection, referral_id: UUID) -> tuple[ShownRevision, ...]:
    """Return the revisions of a referral, oldest first."""
    return tuple(ShownRevision.model_validate(dict(row)) for row in await driver.fetch(_REVISIONS, referral_id))


#: Referrals that one page reads when the list is limited to one recipient. Rows that fit the other filters may be rare.
LOOKED_AT_MAX: Final = 200

_SHOWN: Final = (
    "r.referral_id, r.external_ref, r.revision, r.state, r.unrouted_reason AS work_reason, r.accepted_at, "
    "r.withdrawn_at, r.arrival"
)
_FITS: Final = (
    "({state} IS NULL OR r.state = {state}) AND ({level} IS NULL OR r.priority_rank = 0)"
    f" AND {pages.within('r.accepted_at', since='{since}', until='{until}')}"
)
#: Matches by the party's reference, by the referral's id, or by the id of one of its notices.
_NAMED: Final = """
ARRAY(SELECT referral_id FROM referral WHERE party = {party} AND external_ref = {reference}
      UNION SELECT {id} UNION SELECT referral_id FROM edge WHERE notice_id = {id})
"""
_TAKEN: Final = {
    "party": "text",
    "state": "text",
    "level": "text",
    "since": "timestamptz",
    "until": "timestamptz",
    "reference": "text",
    "id": "uuid",
    "below": "bigint",
    "most": "bigint",
}
BOUNDS: Final = pages.bounds_of_period("referral", "accepted_at")
#: The bounds without a period.
EVER: Final = 0, pages.NUMBER_MAX
# The query names the party, although row-level security does so too, so that an index returns the rows in order.
PAGE: Final = Statement(
    f"""
SELECT {_SHOWN} FROM referral AS r
WHERE r.party = {{party}} AND r.arrival >= {{low}} AND r.arrival < {{high}}
  AND ({{below}} IS NULL OR r.arrival < {{below}}) AND {_FITS}
  AND ({{reference}} IS NULL OR r.referral_id = ANY({_NAMED}))
ORDER BY r.arrival DESC LIMIT {{most}}
""",
    **_TAKEN,
    low="bigint",
    high="bigint",
)
# Edges have referral ids and no arrivals. Ids have the order of filing, so the page continues below the last id. `fits`
# tells whether a row matches the other filters.
SENT: Final = Statement(
    f"""
WITH sent AS MATERIALIZED (
    SELECT DISTINCT e.referral_id FROM edge AS e
    WHERE e.party = {{party}} AND e.recipient = {{to}} AND e.state IN ('emitted', 'referred', 'waiting', 'planned')
      AND ({{below}} IS NULL OR e.referral_id < (
          SELECT referral_id FROM referral WHERE party = {{party}} AND arrival >= {{below}} ORDER BY arrival LIMIT 1))
      AND ({{lowest}} IS NULL OR e.referral_id >= {{lowest}}) AND ({{highest}} IS NULL OR e.referral_id < {{highest}})
      AND ({{reference}} IS NULL OR e.referral_id = ANY({_NAMED}))
    ORDER BY e.referral_id DESC LIMIT {{most}}
)
SELECT {_SHOWN}, {_FITS} AS fits
FROM sent JOIN referral AS r USING (referral_id) ORDER BY r.referral_id DESC
""",
    **_TAKEN,
    to="text",
    lowest="uuid",
    highest="uuid",
)


def page_of(
    party: str, sought: ListFilter, bounds: tuple[int, int] = EVER, *, state: str | None, below: int | None, most: int
) -> tuple[object, ...]:
    """Bind `PAGE`; `bounds` are the numbers of the period."""
    low, high = bounds
    return PAGE.bind(**_taken(party, sought, state=state, below=below, most=most), low=low, high=high)


def sent_of(party: str, sought: ListFilter, *, state: str | None, below: int | None, most: int) -> tuple[object, ...]:
    """Bind `SENT`."""
    lowest, highest = pages.ids_of_period(sought.since, sought.until)
    taken = _taken(party, sought, state=state, below=below, most=most)
    return SENT.bind(**taken, to=sought.party, lowest=lowest, highest=highest)


async def find_page(
    driver: asyncpg.Connection, party: str, sought: ListFilter, *, state: str | None, cursor: str | None, limit: int
) -> tuple[list[asyncpg.Record], NextCursor]:
    """Return the rows of a page and the next cursor. With one recipient, a page may be short before the last."""
    below = pages.read_cursor(cursor)
    if sought.party is None:
        period = sought.since, sought.until
        bounds = await driver.fetchrow(BOUNDS, party, *period) if any(period) else EVER
        rows = await driver.fetch(*page_of(party, sought, bounds, state=state, below=below, most=limit + 1))
        return rows[:limit], pages.next_cursor(rows, limit)
    wide = limit + 1 if state is None and sought.priority is None else max(limit + 1, LOOKED_AT_MAX)
    looked = await driver.fetch(*sent_of(party, sought, state=state, below=below, most=wide))
    rows = [row for row in looked if row["fits"]]
    if len(rows) > limit or len(looked) < wide:
        return rows[:limit], pages.next_cursor(rows, limit)
    return rows, pages.cursor_of(looked[-1]["arrival"])


def _taken(party: str, sought: ListFilter, *, state: str | None, below: int | None, most: int) -> dict[str, object]:
    return {
        "party": party,
        "state": state,
        "level": sought.priority,
        "since": sought.since,
        "until": sought.until,
        "reference": sought.reference,
        "id": sought.id,
        "below": below,
        "most": most,
    }


_ONE = """
SELECT referral_id, external_ref, revision, state, unrouted_reason AS work_reason, accepted_at, withdrawn_at
FROM referral WHERE referral_id = $1
"""
# A message of an earlier incarnation was delivered. Otherwise its number shows its delivery.
_EDGES = """
SELECT e.recipient, e.purpose, e.reason, coalesce(e.rules, string_to_array(e.clock_rules, ',')) AS rules,
       e.notice_id, e.answer, e.answer_detail, CASE WHEN e.state = 'planned' THEN e.issue_due_at END AS issue_at,
       CASE WHEN e.state IN ('waiting', 'planned') THEN e.state
            WHEN e.receipt_outcome IS NOT NULL THEN e.receipt_outcome
            WHEN open.outcome IS NOT NULL THEN replace(open.outcome, 'dead', 'parked')
            WHEN e.number > s.sent THEN 'queued' WHEN e.number > s.acked THEN 'sent' ELSE 'applied' END AS delivery,
       CASE WHEN e.state = 'waiting' THEN 'recipient_cannot_read' ELSE coalesce(e.receipt_code, open.code) END AS code,
       CASE WHEN e.withdrawal_id IS NULL THEN NULL
            WHEN e.withdrawal_receipt IS NOT NULL THEN e.withdrawal_receipt
            WHEN e.withdrawal_number > w.sent THEN 'queued' WHEN e.withdrawal_number > w.acked THEN 'sent'
            ELSE 'applied' END AS withdrawal
FROM edge AS e
LEFT JOIN stream AS s ON s.peer = e.instance AND s.lane = e.lane AND s.incarnation = e.incarnation
LEFT JOIN stream AS w ON w.peer = e.instance AND w.lane = 0 AND w.incarnation = e.withdrawal_incarnation
LEFT JOIN outcome_open AS open ON open.peer = e.instance AND open.message_id = e.message_id
WHERE e.referral_id = $1 AND e.state IN ('emitted', 'referred', 'waiting', 'planned') ORDER BY e.recipient, e.purpose
"""
#: The same query for several referrals, with the referral id of each row.
_STOOD = _EDGES.replace("SELECT ", "SELECT e.referral_id, ", 1).replace("= $1 AND", "= ANY($1::uuid[]) AND")
# Edges to one recipient for several purposes are answered together.
_ANSWERS = """
SELECT DISTINCT a.subject, a.sender, a.act, a.number, a.answer, a.at, a.details, a.case_reference, e.party,
       r.wrapped_key
FROM edge AS e JOIN answer_act AS a ON a.subject = coalesce(e.notice_id, e.referral_id) AND a.sender = e.recipient
JOIN referral AS r USING (referral_id)
WHERE e.referral_id = $1 AND e.state IN ('emitted', 'referred') AND a.code IS NULL ORDER BY a.number
"""
#: Each relation names the first referral with the location, so the first one has all others.
_RELATED = """
SELECT other_referral_id AS referral_id, kind FROM referral_relation WHERE referral_id = $1 AND party = ANY (
    string_to_array(current_setting('causeway.parties', true), ','))
UNION SELECT referral_id, kind FROM referral_relation WHERE other_referral_id = $1 AND party = ANY (
    string_to_array(current_setting('causeway.parties', true), ',')) ORDER BY 1, 2 LIMIT 100
"""
_HOLDS = """
SELECT h.hold_id AS hold, h.agency, h.scope, h.basis, h.placed_at, h.expires_at AS not_after, h.state, h.ended_at, (
    SELECT count(*) FROM edge AS e, jsonb_path_query(e.answer_detail, '$.items[*] ? (@.action == "already_gone")')
    WHERE e.referral_id = h.referral_id AND e.notice_id IS NOT NULL AND e.state = 'emitted'
      AND e.decided_at >= h.placed_at AND h.state <> 'too_late') AS gone
FROM hold AS h WHERE h.referral_id = $1 ORDER BY h.placed_at, h.hold_id
"""
_WORK = """
SELECT referral_id, external_ref, state, unrouted_reason AS work_reason, accepted_at AS since, arrival FROM referral
WHERE party = $1 AND unrouted_reason IS NOT NULL AND state <> 'withdrawn'
  AND ($2::text IS NULL OR unrouted_reason = $2) AND ($3::bigint IS NULL OR arrival < $3) ORDER BY arrival DESC LIMIT $4
"""
_FIND = "SELECT state, exercise, traceparent FROM referral WHERE referral_id = $1"
_WITHDRAW = """
WITH withdrawn AS (
    UPDATE referral SET state = 'withdrawn', withdrawn_at = $2, withdrawn_reason = $3
    WHERE referral_id = $1 AND state <> 'withdrawn' RETURNING referral_id
), edges AS (
    UPDATE edge SET is_retracted = true, redecide_at = NULL, issue_due_at = CASE WHEN state = 'planned' THEN $2
        ELSE issue_due_at END FROM withdrawn WHERE edge.referral_id = withdrawn.referral_id
)
SELECT referral_id FROM withdrawn
"""
_TOLD = """
SELECT DISTINCT e.recipient, e.notice_id, at.instance, at.instance = e.instance AS is_current
FROM edge AS e, unnest(e.previous_instances || e.instance) AS at (instance)
WHERE e.referral_id = $1 AND e.state IN ('emitted', 'referred') ORDER BY 1, 2, 3
"""
_MARK = """
UPDATE edge AS e SET withdrawal_id = a.withdrawal_id, withdrawal_receipt = NULL
FROM unnest($2::uuid[], $3::text[], $4::uuid[]) AS a(withdrawal_id, recipient, notice_id)
WHERE e.referral_id = $1 AND e.state IN ('emitted', 'referred')
  AND e.recipient = a.recipient AND e.notice_id IS NOT DISTINCT FROM a.notice_id
"""


class PostgresReferrals(RecordStore):
    """The referrals of the acting party. Absent and foreign ones are not found."""

    async def page(
        self, party: str, sought: ListFilter, *, state: str | None, cursor: str | None, limit: int
    ) -> ReferralPage:
        """Return a page of the party's referrals, newest first. With one recipient, a page may be short."""
        rows, following = await find_page(self._driver, party, sought, state=state, cursor=cursor, limit=limit)
        items = tuple(ListedReferral.model_validate(_listed(row)) for row in rows)
        return ReferralPage(items=items, next=following)

    async def show(self, referral_id: UUID) -> ShownReferral | None:
        """Return one referral with its ticks and edges."""
        row = await self._driver.fetchrow(_ONE, referral_id)
        if row is None:
            return None
        answers = await self._driver.fetch(_ANSWERS, referral_id)
        edges = tuple(
            self._edge(referral_id, edge, [each for each in answers if _answers(each, referral_id, edge)])
            for edge in await self._driver.fetch(_EDGES, referral_id)
        )
        holds = [ShownHold.model_validate(dict(each)) for each in await self._driver.fetch(_HOLDS, referral_id)]
        related = [dict(each) for each in await self._driver.fetch(_RELATED, referral_id)]
        further = {
            "ticks": ticks(ReferralState(row["state"]), edges),
            "edges": edges,
            "relations": related,
            "revisions": await revisions(self._driver, referral_id),
            "holds": holds,
        }
        return ShownReferral.model_validate(dict(row) | further)

    async def ticked(self, listed: Sequence[ListedReferral]) -> dict[UUID, Ticks]:
        """Return the ticks of each listed referral."""
        stood: dict[UUID, list[EdgeStatus]] = {each.referral_id: [] for each in listed}
        for row in await self._driver.fetch(_STOOD, list(stood)):
            stood[row["referral_id"]].append(EdgeStatus(row["delivery"], row["withdrawal"], row["answer"]))
        return {each.referral_id: ticks(each.state, stood[each.referral_id]) for each in listed}

    async def work(self, party: str, *, reason: str | None, cursor: str | None, limit: int) -> WorkPage:
        """Return a page of unrouted referrals: those that did not reach every recipient, each with the reason."""
        rows = await self._driver.fetch(_WORK, party, reason, pages.read_cursor(cursor), limit + 1)
        items = tuple(UnroutedReferral.model_validate(_listed(row)) for row in rows[:limit])
        return WorkPage(items=items, next=pages.next_cursor(rows, limit))

    async def find(self, referral_id: UUID) -> StoredReferral | None:
        row = await self._driver.fetchrow(_FIND, referral_id)
        return None if row is None else StoredReferral(row["state"], row["exercise"], read_trace(row["traceparent"]))

    async def withdraw(self, referral_id: UUID, reason: WithdrawalReason, at: datetime) -> bool:
        """Mark a referral withdrawn. Return False if it already was, or if another transaction was faster."""
        return await self._driver.fetchval(_WITHDRAW, referral_id, at, reason.value) is not None

    async def list_addressees(self, referral_id: UUID) -> list[Addressee]:
        """Return the current recipients of a referral, once for each instance that ever got it."""
        return [Addressee(**dict(row)) for row in await self._driver.fetch(_TOLD, referral_id)]

    async def mark_withdrawn(self, referral_id: UUID, withdrawals: Sequence[tuple[UUID, Addressee]]) -> None:
        """Store the withdrawal's message on each edge."""
        await self._driver.execute(
            _MARK,
            referral_id,
            [message_id for message_id, _ in withdrawals],
            [addressee.recipient for _, addressee in withdrawals],
            [addressee.notice_id for _, addressee in withdrawals],
        )

    def _edge(self, referral_id: UUID, row: asyncpg.Record, answers: Sequence[asyncpg.Record]) -> SentEdge:
        shown = GivenAnswer.model_fields  # further words are in the table of the feature that has their message
        timeline = [
            {name: word for name, word in (each["details"] or {}).items() if name in shown}
            | {"answer": each["answer"], "at": each["at"]}
            for each in answers
        ]
        named = [each for each in answers if each["case_reference"] is not None and each["wrapped_key"] is not None]
        reference = self._reference(named[-1], referral_id) if named else None
        return SentEdge.model_validate(dict(row) | {"timeline": timeline, "case_reference": reference})

    def _reference(self, answer: asyncpg.Record, referral_id: UUID) -> str:
        key = unwrap(answer["wrapped_key"], self._kek, places(referral_id, answer["party"])[0])
        return reveal(answer["case_reference"], key, reference_place(answer["act"], answer["party"])).decode()


def _answers(answer: asyncpg.Record, referral_id: UUID, edge: asyncpg.Record) -> bool:
    """Return whether an answer belongs to this edge."""
    return (answer["subject"], answer["sender"]) == (edge["notice_id"] or referral_id, edge["recipient"])


def _listed(row: asyncpg.Record) -> dict[str, object]:
    """Return the row without the columns that only the cursor needs."""
    return {name: value for name, value in row.items() if name not in ("arrival", "fits")}


#: An edge that an amendment withdrew has no stored reason.
_TAKEN_BACK: Final = """
SELECT e.*, at.instance AS place FROM (
    SELECT e.edge_id, e.referral_id, e.party, e.recipient, e.notice_id, e.instance, e.is_missing,
           e.unnotified_instances, r.state,
           r.exercise, r.traceparent, coalesce(r.withdrawn_reason, 'other') AS withdrawn_reason
    FROM edge AS e JOIN referral AS r USING (referral_id)
    WHERE (e.is_missing OR e.unnotified_instances IS NOT NULL) AND (r.state = 'withdrawn' OR e.is_retracted)
      AND r.referral_id <> ALL($2::uuid[]) ORDER BY e.referral_id LIMIT $1 FOR UPDATE OF e, r
) AS e, unnest(e.unnotified_instances || CASE WHEN e.is_missing THEN ARRAY[e.instance] END) AS at (instance)
"""
_TOLD_AGAIN: Final = """
UPDATE edge AS e SET is_missing = false, unnotified_instances = NULL, withdrawal_id = coalesce(t.message_id,
    e.withdrawal_id), withdrawal_receipt = CASE WHEN t.message_id IS NULL THEN e.withdrawal_receipt END
FROM unnest($1::uuid[], $2::uuid[]) AS t (edge_id, message_id) WHERE e.edge_id = t.edge_id
"""


class PostgresMissing(PartyStore):
    """Withdrawals that an instance of their recipient does not know, for the instance itself."""

    async def taken_back(self, taking: ClaimedBatch) -> list[MissedWithdrawal]:
        """Return each edge, locked, with each instance that does not know its withdrawal."""
        rows = await self._driver.fetch(_TAKEN_BACK, taking.limit, taking.passed_over)
        return [
            MissedWithdrawal(
                row["edge_id"],
                row["referral_id"],
                row["party"],
                Addressee(row["recipient"], row["notice_id"], row["place"], row["place"] == row["instance"]),
                StoredReferral(row["state"], row["exercise"], read_trace(row["traceparent"])),
                WithdrawalReason(row["withdrawn_reason"]),
            )
            for row in taking.take(rows)
        ]

    async def send_again(self, sent: Sequence[tuple[MissedWithdrawal, Draft | None]]) -> None:
        """Send these withdrawals. With None, the recipient is gone, and only the marks are cleared."""
        ids: dict[UUID, UUID | None] = {one.edge_id: None for one, _ in sent}
        ids |= {one.edge_id: draft.message_id for one, draft in sent if draft is not None and one.addressee.is_current}
        send(self._driver, [draft for _, draft in sent if draft is not None])
        await self._driver.execute(_TOLD_AGAIN, list(ids), list(ids.values()))
