"""What a provider reports of itself, over HTTP."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from client.api import CausewayClient


async def dsa_notices(client: CausewayClient, *, since: date, until: date, exercises: bool) -> bytes:
    """The notices of a period as rows of Implementing Regulation (EU) 2024/2835, part 4: CSV."""
    query = {"since": since.isoformat(), "until": until.isoformat()} | ({"exercises": "true"} if exercises else {})
    return await client.raw("/v1/statistics/dsa-notices", "text/csv", query)
