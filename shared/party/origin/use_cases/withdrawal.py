"""Withdrawal: the origin takes a referral back and tells everyone who was sent it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from shared.contracts.registry import NOTICE_WITHDRAWN, REFERRAL_WITHDRAWN
from shared.exchange.compose import Addressing, compose
from shared.kernel.authority import Authority, Role
from shared.kernel.clock import Clock
from shared.kernel.errors import not_found
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Session
from shared.runtime.post import outbox
from shared.runtime.watch.logs import log
from shared.vocabulary.referral import WithdrawalReason
from shared.vocabulary.routing import Disposition

_FIND = "SELECT exercise, traceparent FROM referral WHERE referral_id = $1"
_WITHDRAW = """
UPDATE referral SET state = 'withdrawn', withdrawn_at = $2, withdrawn_reason = $3
WHERE referral_id = $1 AND state <> 'withdrawn' RETURNING referral_id
"""
_EDGES = "SELECT DISTINCT recipient, notice_id FROM edge WHERE referral_id = $1 AND state = 'emitted' ORDER BY 1, 2"
_MARK = """
UPDATE edge AS e SET withdrawal_id = a.withdrawal_id
FROM unnest($2::uuid[], $3::text[], $4::uuid[]) AS a(withdrawal_id, recipient, notice_id)
WHERE e.referral_id = $1 AND e.state = 'emitted'
  AND e.recipient = a.recipient AND e.notice_id IS NOT DISTINCT FROM a.notice_id
"""


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

    What is withdrawn stays as it is: asking again, for whatever reason, changes nothing and tells nobody.
    Raises `Refused("not_found")` for absent and foreign referrals alike. Every recipient must acknowledge;
    until it has, the edge shows so. One that has left the directory cannot be told: its edge keeps showing it.
    """
    # Whatever was decided may be withdrawn, so one open state stands for all: a role is refused before any look.
    authority.require("referral", role, action="withdraw", state=Disposition.ROUTED)
    row = await session.driver.fetchrow(_FIND, referral_id)
    if row is None:
        raise not_found()
    at = clock.now()
    if await session.driver.fetchval(_WITHDRAW, referral_id, at, reason.value) is None:
        return  # withdrawn before, or by somebody else while we waited for the row
    edges = await session.driver.fetch(_EDGES, referral_id)
    reached = [edge for edge in edges if directory.instance_of(edge["recipient"]) is not None]
    drafts = [
        compose(
            NOTICE_WITHDRAWN if edge["notice_id"] else REFERRAL_WITHDRAWN,
            _named(referral_id, edge["notice_id"]) | {"reason": reason.value},
            Addressing(
                subject=edge["notice_id"] or referral_id,
                sender=party,
                recipient=edge["recipient"],
                directory=directory,
                exercise=row["exercise"],
                at=at,
                traceparent=row["traceparent"],
            ),
        )
        for edge in reached
    ]
    await outbox.enqueue(session.driver, drafts)
    recipients, notices = [each.recipient for each in drafts], [edge["notice_id"] for edge in reached]
    await session.driver.execute(_MARK, referral_id, [each.message_id for each in drafts], recipients, notices)
    if len(reached) < len(edges):
        log("withdrawal_untold", count=len(edges) - len(reached))


def _named(referral_id: UUID, notice_id: UUID | None) -> dict[str, Any]:
    """How a tombstone names what it takes back: to a provider by the notice alone."""
    return {"notice_id": str(notice_id)} if notice_id else {"referral_id": str(referral_id), "revision": 1}
