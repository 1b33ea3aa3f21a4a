"""A provider's own report, held against a count of what it is shown of its notices, by a program that stands alone."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

from shared.kernel.clock import SystemClock
from tests.acceptance.programs import foreign
from tests.journeys.answered import Asked
from tests.support.running import PROVIDER, referral

#: Of all that is filed in this exchange.
KIND = referral()["incident_kind"]
#: The ten cells that are counted, in a row of the template.
COUNTED = slice(5, 15)


async def shown_notices(asked: Asked) -> list[dict[str, Any]]:
    """All notices of the provider, opened, each with its timeline."""
    found, cursor = [], ""
    while cursor is not None:
        page = await asked.get(PROVIDER, f"/v1/notices?limit=100{cursor and f'&cursor={cursor}'}")
        for each in page["items"]:
            path = f"/v1/notices/{each['notice_id']}"
            timeline = (await asked.get(PROVIDER, f"{path}/timeline"))["items"]
            found.append(await asked.get(PROVIDER, path) | {"timeline": timeline})
        cursor = page["next"]
    return found


async def reported_twice(asked: Asked) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """What the service reports of this year's exercises, and what the program counts; by category."""
    await asked.exchange.until_taken()
    today = SystemClock().now().date()
    period = {"since": (today - timedelta(days=300)).isoformat(), "until": today.isoformat()}
    query = "&".join(f"{name}={value}" for name, value in period.items())
    text = await asked.get(PROVIDER, f"/v1/statistics/dsa-notices?{query}&exercises=true")
    ran = foreign(
        "recount_notices.py", {"notices": await shown_notices(asked), "exercises": True, "erased": KIND} | period
    )
    assert ran.returncode == 0, ran.stderr
    _, *rows = csv.reader(io.StringIO(text, newline=""))
    return {row[3]: row[COUNTED] for row in rows}, json.loads(ran.stdout)
