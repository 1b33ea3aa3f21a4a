"""Withdrawals that an instance of their recipient does not know, in PostgreSQL: they are sent there again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from shared.exchange.message import Draft
from shared.party.origin.records import Filed, TakenBack, Told
from shared.party.stores import PartyStore
from shared.party.taking import Taking
from shared.runtime.delivery.sending import send
from shared.vocabulary.referral import WithdrawalReason

#: An edge that an amendment has taken back keeps no reason of its own.
_TAKEN_BACK: Final = """
SELECT e.*, at.instance AS place FROM (
    SELECT e.edge_id, e.referral_id, e.party, e.recipient, e.notice_id, e.instance, e.missing, e.untold, r.state,
           r.exercise, r.traceparent, coalesce(r.withdrawn_reason, 'other') AS withdrawn_reason
    FROM edge AS e JOIN referral AS r USING (referral_id)
    WHERE (e.missing OR e.untold <> '{}') AND (r.state = 'withdrawn' OR e.taken_back)
      AND r.referral_id <> ALL($2::uuid[])
    ORDER BY e.referral_id LIMIT $1 FOR UPDATE OF e, r
) AS e, unnest(e.untold || CASE WHEN e.missing THEN ARRAY[e.instance] END) AS at (instance)
"""
_TOLD_AGAIN: Final = """
UPDATE edge AS e SET missing = false, untold = '{}', withdrawal_id = coalesce(t.message_id, e.withdrawal_id),
    withdrawal_receipt = CASE WHEN t.message_id IS NULL THEN e.withdrawal_receipt END
FROM unnest($1::uuid[], $2::uuid[]) AS t (edge_id, message_id) WHERE e.edge_id = t.edge_id
"""


class PostgresMissing(PartyStore):
    """Withdrawals that an instance of their recipient does not know, for the instance itself."""

    async def taken_back(self, taking: Taking) -> list[TakenBack]:
        """Of edges, locked, each place that does not know."""
        rows = await self._driver.fetch(_TAKEN_BACK, taking.limit, taking.passed_over)
        return [
            TakenBack(
                row["edge_id"],
                row["referral_id"],
                row["party"],
                Told(row["recipient"], row["notice_id"], row["place"], row["place"] == row["instance"]),
                Filed(row["state"], row["exercise"], row["traceparent"]),
                WithdrawalReason(row["withdrawn_reason"]),
            )
            for row in taking.take(rows)
        ]

    async def tell_again(self, told: Sequence[tuple[TakenBack, Draft | None]]) -> None:
        """Send these withdrawals; None: nobody is left to be told, so it is let be."""
        by: dict[UUID, UUID | None] = {each.edge_id: None for each, _ in told}
        by |= {each.edge_id: draft.message_id for each, draft in told if draft is not None and each.told.there}
        send(self._driver, [draft for _, draft in told if draft is not None])
        await self._driver.execute(_TOLD_AGAIN, list(by), list(by.values()))
