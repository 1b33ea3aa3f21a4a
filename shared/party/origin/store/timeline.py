"""What recipients have said of one referral, act by act, in PostgreSQL: the words of its timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from shared.exchange.origin import ReferralState
from shared.party.said import Said

# Edges to one recipient for several purposes are answered together.
_WORDS: Final = """
SELECT DISTINCT a.sender, a.act, a.number, a.answer, a.said
FROM edge AS e JOIN answer_act AS a ON a.subject = coalesce(e.notice_id, e.referral_id) AND a.sender = e.recipient
WHERE e.party = $1 AND e.referral_id = $2 AND e.state IN ('emitted', 'referred') AND a.code IS NULL
  AND a.answer IS NOT NULL
ORDER BY a.number
"""

_WITHDRAWN: Final = "SELECT withdrawn_reason FROM referral WHERE party = $1 AND referral_id = $2"


async def referral_words(driver: asyncpg.Connection, party: str, referral_id: UUID) -> Sequence[Said]:
    """Why it was taken back, and the codes of each answer that was applied, each recipient's in its order."""
    rows = await driver.fetch(_WORDS, party, referral_id)
    reason = await driver.fetchval(_WITHDRAWN, party, referral_id)
    own = [] if reason is None else [Said(None, ReferralState.WITHDRAWN, {"reason": reason})]
    return own + [Said(row["sender"], row["answer"], row["said"] or {}) for row in rows]
