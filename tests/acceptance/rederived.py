"""Every decision that audit received, derived again from Kafka's records by audit's rules."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, Final
from unittest.mock import patch
from uuid import UUID

from deploy.accounting.run import reconciled
from deploy.site.endpoints import Endpoints
from services.audit.domain import decisions
from services.audit.domain.entries import AuditDecision
from shared.core.contracts.facts import DecidedReferral
from shared.core.protocol.decision_fact import ReadDecision

#: Changes that a forger could make to a decision's sealed part.
Alter = Callable[[dict[str, Any]], object]
ALTERATIONS: Final[Sequence[Alter]] = (
    lambda stated: stated["edges"][0].__setitem__(3, "A" * 43),
    lambda stated: stated["edges"].append(stated["edges"][0]),
    lambda stated: stated["decision"].update(policy="0" * 64),
    lambda stated: stated["facts"].update(origin="nobody.example"),
)
#: Audit's objection to each decided revision of a referral, or None if it derives the same result.
Judged = dict[tuple[UUID, int], str | None]


def judged_again(endpoints: Endpoints, altered: int = 0) -> Judged:
    """Read all of Kafka again and judge the decisions. The first `altered` ones with edges are changed before that."""
    left, found, read, derived = [altered], Judged(), decisions.read_decided, decisions.Judge._derived

    def altering(plaintext: bytes, count: int) -> list[ReadDecision | ValueError]:
        told = json.loads(plaintext)
        for each in told["decisions"]:
            if each["edges"] and left[0]:
                left[0] -= 1
                ALTERATIONS[left[0] % len(ALTERATIONS)](each)
        return read(json.dumps(told).encode(), count)

    def noting(judge: decisions.Judge, told: DecidedReferral, decided: ReadDecision | ValueError) -> AuditDecision:
        kept = derived(judge, told, decided)
        found.setdefault((told.referral_id, told.revision), kept.problem)
        return kept

    with patch.object(decisions, "read_decided", altering), patch.object(decisions.Judge, "_derived", noting):
        asyncio.run(reconciled(endpoints, everything=True))
    return found
