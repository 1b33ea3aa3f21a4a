"""Withdrawal: the origin takes a referral back and tells everyone who was sent it."""

from __future__ import annotations

from uuid import UUID

from shared.contracts.registry import NOTICE_WITHDRAWN, REFERRAL_WITHDRAWN
from shared.exchange.compose import compose
from shared.exchange.message import Draft
from shared.kernel.authority import Authority, Role, state_forbids
from shared.kernel.clock import Clock
from shared.kernel.errors import not_found
from shared.routing.directory_index import DirectoryIndex
from shared.runtime import outbox
from shared.runtime.database import Session
from shared.vocabulary.referral import WithdrawalReason

_FIND = "SELECT referral_id, state, exercise, traceparent FROM referral WHERE referral_id = $1"
_WITHDRAW = """
UPDATE referral SET state = 'withdrawn', withdrawn_at = $2, withdrawn_reason = $3
WHERE referral_id = $1 AND state <> 'withdrawn' RETURNING referral_id
"""
_EDGES = "SELECT DISTINCT recipient, notice_id FROM edge WHERE referral_id = $1 AND state = 'emitted' ORDER BY 1, 2"


async def withdraw(
    session: Session,
    referral_id: UUID,
    reason: WithdrawalReason,
    *,
    party: str,
    role: Role,
    authority: Authority,
    directory: DirectoryIndex,
    clock: Clock,
) -> None:
    """Mark the referral withdrawn and enqueue a tombstone to each recipient, in the caller's transaction.

    Raises `Refused("not_found")` for absent and foreign referrals alike. Every recipient must acknowledge;
    until it has, the edge shows so.
    """
    row = await session.driver.fetchrow(_FIND, referral_id)
    if row is None:
        raise not_found()
    authority.require("referral", role, action="withdraw", state=row["state"])
    at = clock.now()
    if await session.driver.fetchval(_WITHDRAW, referral_id, at, reason.value) is None:
        raise state_forbids()  # somebody else withdrew it in the meantime
    drafts: list[Draft] = []
    for edge in await session.driver.fetch(_EDGES, referral_id):
        notice_id = edge["notice_id"]
        message = NOTICE_WITHDRAWN if notice_id else REFERRAL_WITHDRAWN
        subject = {"notice_id": str(notice_id)} if notice_id else {"referral_id": str(referral_id), "revision": 1}
        drafts.append(
            compose(
                message,
                subject | {"reason": reason.value},
                subject=notice_id or referral_id,
                sender=party,
                recipient=edge["recipient"],
                directory=directory,
                exercise=row["exercise"],
                at=at,
                traceparent=row["traceparent"],
            )
        )
    await outbox.enqueue(session.driver, drafts)
