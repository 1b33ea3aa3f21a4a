"""How audit reads each partition, as its accountant sees it."""

from __future__ import annotations

from typing import NamedTuple

from deploy.accounting import views
from deploy.accounting.book import opened
from deploy.site.endpoints import Endpoints
from deploy.site.kinds import AUDIT
from shared.kernel.clock import rfc3339


class AuditedTopic(NamedTuple):
    """One partition: its state and since when, the next offset to read, losses, and numbers that audit lacks."""

    topic: str
    partition: int
    state: str
    since: str
    next_offset: int
    losses: int
    holes: int


async def topic_states(endpoints: Endpoints) -> list[AuditedTopic]:
    """Every partition, the troubled first. Raises `Unavailable`."""
    found = []
    for name in endpoints.databases:
        if endpoints.kind(name) == AUDIT:
            async with opened(endpoints.database(name).accountant_url, kind=AUDIT) as book:
                rows = await book.fetch(views.TOPICS)
            found += [
                AuditedTopic(
                    row["topic"],
                    row["partition"],
                    row["state"],
                    rfc3339(row["since"]),
                    row["next_offset"] or 0,
                    row["losses"],
                    row["holes"],
                )
                for row in rows
            ]
    return found
