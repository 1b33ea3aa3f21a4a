"""How far the demo's referrals have come: how many recipients have answered, as origins show it by their third tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx

from client.api import CausewayClient
from deploy.demo.steps import Accountants, Key, origins

#: Of so many referrals that everybody has answered the ticks are looked up as their origins see them.
SHOWN_MAX: Final = 20
_ANSWERED = """
SELECT referral_id, party, count(*) AS edges, count(*) FILTER (WHERE answer <> 'none') AS answered,
       count(*) FILTER (WHERE recipient = ANY($1)) AS to_hotlines,
       count(*) FILTER (WHERE recipient = ANY($1) AND answer <> 'none') AS by_hotlines
FROM edge JOIN referral USING (referral_id, party)
WHERE referral.state <> 'withdrawn' AND edge.state IN ('emitted', 'referred', 'waiting', 'planned')
GROUP BY referral_id, party ORDER BY referral_id
"""


async def ticks(books: Accountants, keys: Mapping[str, Key], hotlines: Sequence[str]) -> dict[str, Any]:
    """Of how many referrals all recipients have answered, what hotlines have, and what origins show of the first."""
    rows = await books.read(origins(books.endpoints), _ANSWERED, hotlines)
    full = [row for row in rows if row["answered"] == row["edges"]]
    shown = []
    # One for all parties: each would read all the authorities of this system.
    async with httpx.AsyncClient(timeout=30.0, trust_env=False) as http:
        for row in full[:SHOWN_MAX]:
            key = keys[row["party"]]
            async with CausewayClient(key.url, key.key, http=http) as client:
                view = await client.show(row["referral_id"])
            ticked = {} if view.ticks is None else view.ticks.model_dump(mode="json")
            shown.append({"referral_id": str(row["referral_id"]), "edges": row["edges"], **ticked})
    return {
        "referrals": len(rows),
        "answered_by_all": len(full),
        "to_hotlines": sum(row["to_hotlines"] for row in rows),
        "by_hotlines": sum(row["by_hotlines"] for row in rows),
        "shown": shown,
    }
