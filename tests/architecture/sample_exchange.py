"""A hotline and an agency exchange the messages of the sample feature over Kafka, in a tree that has it.

    python -m tests.architecture.sample_exchange FOLDER

The root of the tree is the working directory. Prints the calls of the agency and of the hotline, before and after the
confirmation, and the agency's timeline, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from client.api import CausewayClient
from shared.core.clock import SystemClock, rfc3339
from tests.support.running import AGENCY, HOTLINE, Exchange, referral, running_exchange

#: The two services that have the feature.
WITH_IT = ("hotline", "law_enforcement")


def started(exchange: Exchange) -> None:
    for each in WITH_IT:
        exchange.serve(each)
    for each in WITH_IT:
        exchange.wait_ready(each)


async def exchanged(exchange: Exchange) -> Mapping[str, Any]:
    async with exchange.client(HOTLINE) as hotline, exchange.client(AGENCY) as agency:
        referral_id = str((await hotline.submit(referral())).referral_id)
        await arrived(agency, f"/v1/inbox/{referral_id}")
        call_at = (SystemClock().now() + timedelta(days=2)).replace(microsecond=0)
        terms = {"call_at": rfc3339(call_at)}
        proposed = await agency.call("POST", f"/v1/cases/{referral_id}:propose-call", body=terms)
        before = [await until(hotline, "proposed"), await until(agency, "proposed")]
        call = {"call": proposed["call"]}
        done = await hotline.call("POST", f"/v1/referrals/{referral_id}:confirm-call", body=call)
        after = [await until(hotline, "confirmed"), await until(agency, "confirmed")]
        shown = await hotline.call("GET", f"/v1/referrals/{referral_id}")
        timeline = await agency.call("GET", f"/v1/inbox/{referral_id}/timeline")
    return {
        "proposed": proposed,
        "before": before,
        "done": done,
        "after": after,
        "referral": shown,
        "timeline": timeline,
    }


async def arrived(client: CausewayClient, path: str) -> None:
    """Wait until a subject has arrived."""
    async with asyncio.timeout(60):
        while True:
            try:
                await client.call("GET", path)
                return
            except Exception:
                await asyncio.sleep(0.1)


async def until(client: CausewayClient, state: str) -> list[Any]:
    """Wait until the party's only call is in a state, and return the party's calls."""
    async with asyncio.timeout(60):
        while True:
            items: Any = (await client.call("GET", "/v1/calls"))["items"]
            if [each["state"] for each in items] == [state]:
                return list(items)
            await asyncio.sleep(0.1)


def main() -> None:
    with running_exchange(Path(sys.argv[1]), start=started) as exchange:
        sys.stdout.write(json.dumps(asyncio.run(exchanged(exchange))))


if __name__ == "__main__":
    main()
