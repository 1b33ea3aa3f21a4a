"""Attention items in stores filled by SQL, and their queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from shared.core.vocabulary.referral import PriorityLevel

P0: Final = PriorityLevel.P0_CHILD_AT_RISK.value
#: Seven in five hundred are cases with a child at risk; one of them is still open.
PRIORITY: Final = "CASE WHEN i % 500 BETWEEN 1 AND 7 THEN 'p0_child_at_risk' ELSE 'p2_normal' END"
#: Answers, two for each edge.
ANSWERED: Final = """
INSERT INTO answer_act (subject, sender, act, number, answer, details, at)
SELECT coalesce(notice_id, referral_id), recipient, gen_random_uuid(), k, 'ongoing', '{{}}', decided_at
FROM edge, generate_series(1, 2) AS k
"""
#: Outcomes of agencies, two for each case.
CASE_ACTS: Final = """
INSERT INTO case_act (referral_id, party, number, state, details, at)
SELECT subject, party, k, 'ongoing', '{{"outcome": "arrest"}}', received_at
FROM received, generate_series(1, 2) AS k
"""


def asked(party: str, *rank_max: int, end: datetime, limit: int) -> Iterator[tuple[str, Sequence[object]]]:
    """Yield queries for the list's start and for its parts from the middle of their time on.

    Origins have ranks up to one.
    """
    for after in (end - timedelta(days=3650), end - timedelta(days=365)):
        for rank in (-1, 0, 1)[: 3 if rank_max else 1]:
            ranked = (rank,) if rank_max else ()
            yield f"behind {rank} and {after:%Y}", (party, *ranked, after, UUID(int=0), *rank_max, limit)
