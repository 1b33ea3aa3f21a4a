"""Bodies of POST that are costly to check, within the bound of bytes."""

from __future__ import annotations

import json

from shared.core.ids import uuid7
from tests.support.exchange_world import SUBMISSION

ITEM = SUBMISSION["items"][0]


def large_referrals(references: int = 40) -> bytes:
    """Write a batch of valid referrals, each with the most items, and four hosting places for each item."""
    hosting = [ITEM["hosting"][0] | {"jurisdiction": code} for code in ("NL", "BE", "FR", "DE")]
    items = [
        ITEM | {"locator": {"kind": "url", "value": f"https://images.example/gallery/{n}"}, "hosting": hosting}
        for n in range(10)
    ]
    countries = ["NL", "BE", "FR", "DE", "US", "GB", "AU", "CA"]
    one = SUBMISSION | {"items": items, "user_jurisdictions": countries}
    return json.dumps(
        {"referrals": [one | {"external_ref": f"large-{uuid7().hex[:24]}"} for _ in range(references)]}
    ).encode()


def nested_values(nested: bytes = b"[[[[[]]]]]") -> bytes:
    """Write a batch of 290,000 nested lists."""
    return b'{"referrals":[' + b",".join([nested] * 290_000) + b"]}"


def nested_items(references: int = 100) -> bytes:
    """Write a batch of referrals with 3,600 nested lists each."""
    one = b'{"items":[' + b",".join([b"[[[[]]]]"] * 3_600) + b"]}"
    return b'{"referrals":[' + b",".join([one] * references) + b"]}"
