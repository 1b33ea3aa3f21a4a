"""What an origin sees of its referrals: status with three ticks, pages, and the work list."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg

from shared.exchange.acts import AnswerState
from shared.exchange.origin import ReferralState
from shared.kernel.clock import rfc3339
from shared.kernel.errors import not_found
from shared.runtime.http.paging import next_cursor, read_cursor

_ONE = """
SELECT referral_id, external_ref, revision, state, work_reason, accepted_at, withdrawn_at
FROM referral WHERE referral_id = $1
"""
_EDGES = """
SELECT e.recipient, e.purpose, e.reason, e.rules, e.notice_id, e.answer, e.answer_detail,
       coalesce(s.outcome, CASE WHEN o.sequence IS NULL THEN 'queued' ELSE 'sent' END) AS delivery, s.code,
       CASE WHEN e.withdrawal_id IS NOT NULL
            THEN coalesce(ws.outcome, CASE WHEN wo.sequence IS NULL THEN 'queued' ELSE 'sent' END) END AS withdrawal
FROM edge AS e LEFT JOIN outbox AS o USING (message_id) LEFT JOIN sent AS s USING (message_id)
LEFT JOIN outbox AS wo ON wo.message_id = e.withdrawal_id LEFT JOIN sent AS ws ON ws.message_id = e.withdrawal_id
WHERE e.referral_id = $1 AND e.state = 'emitted' ORDER BY e.recipient, e.purpose
"""
_PAGE = """
SELECT referral_id, external_ref, revision, state, work_reason, accepted_at, withdrawn_at FROM referral
WHERE ($1::text IS NULL OR state = $1) AND ($2::uuid IS NULL OR referral_id < $2)
ORDER BY referral_id DESC LIMIT $3
"""
_WORK = """
SELECT referral_id, external_ref, state, work_reason, accepted_at FROM referral
WHERE work_reason IS NOT NULL AND state <> 'withdrawn' AND ($1::text IS NULL OR work_reason = $1)
  AND ($2::uuid IS NULL OR referral_id < $2)
ORDER BY referral_id DESC LIMIT $3
"""


async def show(driver: asyncpg.Connection, referral_id: UUID) -> dict[str, Any]:
    """One referral with its edges. Raises `Refused("not_found")` for absent and foreign ids alike.

    The ticks of a withdrawn referral count who has been told of the withdrawal, and who has acknowledged it.
    """
    row = await driver.fetchrow(_ONE, referral_id)
    if row is None:
        raise not_found()
    edges = [_edge(edge) for edge in await driver.fetch(_EDGES, referral_id)]
    if row["state"] == ReferralState.WITHDRAWN:
        delivered = sum(edge["withdrawal"] == "applied" for edge in edges)
        acknowledged = sum(edge["answer"] == AnswerState.WITHDRAWAL_ACKNOWLEDGED for edge in edges)
    else:
        delivered = sum(edge["delivery"] == "applied" for edge in edges)
        acknowledged = sum(edge["answer"] != AnswerState.NONE for edge in edges)
    ticks = {"accepted": True, "delivered": f"{delivered}/{len(edges)}", "acknowledged": f"{acknowledged}/{len(edges)}"}
    return _referral(row) | {"ticks": ticks, "edges": edges}


async def page(driver: asyncpg.Connection, *, state: str | None, cursor: str | None, limit: int) -> dict[str, Any]:
    """The party's referrals, newest first."""
    rows = await driver.fetch(_PAGE, state, read_cursor(cursor), limit + 1)
    return {"items": [_referral(row) for row in rows[:limit]], "next": next_cursor(rows, limit, "referral_id")}


async def work(driver: asyncpg.Connection, *, reason: str | None, cursor: str | None, limit: int) -> dict[str, Any]:
    """The work list: referrals that went nowhere, each with the named reason."""
    rows = await driver.fetch(_WORK, reason, read_cursor(cursor), limit + 1)
    items = [
        {
            "referral_id": str(row["referral_id"]),
            "external_ref": row["external_ref"],
            "state": row["state"],
            "work_reason": row["work_reason"],
            "since": rfc3339(row["accepted_at"]),
        }
        for row in rows[:limit]
    ]
    return {"items": items, "next": next_cursor(rows, limit, "referral_id")}


def _referral(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "referral_id": str(row["referral_id"]),
        "external_ref": row["external_ref"],
        "revision": row["revision"],
        "state": row["state"],
        "work_reason": row["work_reason"],
        "accepted_at": rfc3339(row["accepted_at"]),
        "withdrawn_at": rfc3339(row["withdrawn_at"]) if row["withdrawn_at"] else None,
    }


def _edge(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "recipient": row["recipient"],
        "purpose": row["purpose"],
        "reason": row["reason"],
        "rules": row["rules"],
        "delivery": row["delivery"],
        "code": row["code"],
        "withdrawal": row["withdrawal"],
        "answer": row["answer"],
        "answer_detail": row["answer_detail"],
        "notice_id": str(row["notice_id"]) if row["notice_id"] else None,
    }
