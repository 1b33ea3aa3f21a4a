"""What the demo's parties are shown in the end: what needs a person, what feedback is due, and how much came back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx

from client.api import CausewayClient
from client.views import Due
from deploy.demo.steps import Accountants, Key, origins
from deploy.site.kinds import AUDIT
from shared.vocabulary.routing import PartyKind

_LOOKING_AT_ONCE: Final = 8
_FEEDBACK: Final = """
SELECT recipient, count(*) FILTER (WHERE answer <> 'accepted') AS told, count(*) AS accepted FROM edge
WHERE state = 'emitted' AND answer IN ('accepted', 'ongoing', 'closed') AND recipient = ANY($1) GROUP BY recipient
"""


async def lists_of_parties(books: Accountants, keys: Mapping[str, Key]) -> dict[str, Any]:
    """Of each party but auditors what needs a person and which feedback it owes, as its own door shows it."""
    auditing = {books.endpoints.address(instance) for instance in books.endpoints.of_kind(AUDIT)}
    agencies = {books.endpoints.address(instance) for instance in books.endpoints.of_kind(PartyKind.LAW_ENFORCEMENT)}
    turn, found = asyncio.Semaphore(_LOOKING_AT_ONCE), dict[str, Any]()

    async def look(party: str, key: Key) -> None:
        async with turn, CausewayClient(key.url, key.key, http=http) as client:
            waiting = [row async for page in client.attention() for row in page.items]
            due = await feedback_due(client) if key.url in agencies else []
        found[party] = {
            "attention": [row.model_dump(mode="json", exclude_none=True) for row in waiting],
            "feedback_due": [row.model_dump(mode="json") for row in due if row.owed_by == party],
        }

    async with httpx.AsyncClient(timeout=30.0, trust_env=False) as http, asyncio.TaskGroup() as group:
        for party, key in keys.items():
            if key.url not in auditing:
                group.create_task(look(party, key))
    return found


async def feedback_due(client: CausewayClient) -> list[Due]:
    """List the feedback that is due on each subject of an agency, also where another act is due before it."""
    first = [row async for page in client.due() for row in page.items]
    others = {row.subject for row in first if row.due != "feedback"}
    later = [row for subject in others async for page in client.due(subject=subject) for row in page.items]
    return [row for row in (*first, *later) if row.due == "feedback"]


async def feedback(books: Accountants, agencies: Sequence[str]) -> dict[str, dict[str, int]]:
    """Of each agency how many cases it has accepted, and of how many it has said what came of them."""
    rows = await books.read(origins(books.endpoints), _FEEDBACK, agencies)
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        agency = counts.setdefault(row["recipient"], {"accepted": 0, "told": 0})
        agency["accepted"] += row["accepted"]
        agency["told"] += row["told"]
    return dict(sorted(counts.items()))
