"""A party that asks for far more than its budget, in a process of its own so that it does not slow the measurement.

python -m tests.failures.greedy URL PER_S SECONDS < API key      prints the answers as JSON
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any

import httpx

from tests.support.running import referral


async def ask(url: str, key: str, *, per_s: float, seconds: float) -> dict[str, Any]:
    """Post at a steady rate, ignoring requests to wait. `elapsed_s` is the real duration.

    `asked_s` is the time from the first answer to the last request, during which its budget was certainly filled and
    used.
    """
    statuses: Counter[int] = Counter()
    answered_at: list[float] = []
    told_to_wait: list[bool] = []
    loop = asyncio.get_running_loop()
    headers = {"Authorization": f"Bearer {key}"}

    async def post(http: httpx.AsyncClient, number: int) -> None:
        reference = f"greedy-{number}"
        body = referral(external_ref=reference)
        answer = await http.post("/v1/referrals", json=body, headers={"Idempotency-Key": reference})
        statuses[answer.status_code] += 1
        answered_at.append(loop.time())
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            told_to_wait.append(answer.headers["RateLimit-Remaining"] == "0" and int(answer.headers["Retry-After"]) > 0)

    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30.0, trust_env=False) as http:
        began = loop.time()
        async with asyncio.TaskGroup() as group:
            for turn in range(int(per_s * seconds)):
                await asyncio.sleep(began + turn / per_s - loop.time())
                group.create_task(post(http, turn))
            last_at = loop.time()
        elapsed_s, asked_s = loop.time() - began, max(0.0, last_at - answered_at[0])
    return {"statuses": dict(statuses), "told_to_wait": all(told_to_wait), "elapsed_s": elapsed_s, "asked_s": asked_s}


async def ask_elsewhere(url: str, key: str, *, per_s: float, seconds: float) -> dict[str, Any]:
    """Run `ask` in another process. The key goes in by standard input, because all users can read command lines."""
    command = (sys.executable, "-m", "tests.failures.greedy", url, str(per_s), str(seconds))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    printed, _ = await process.communicate(key.encode())
    answered: dict[str, Any] = json.loads(printed)
    return answered | {"statuses": Counter({int(status): n for status, n in answered["statuses"].items()})}


if __name__ == "__main__":
    base, rate, span = sys.argv[1:]
    print(json.dumps(asyncio.run(ask(base, sys.stdin.read(), per_s=float(rate), seconds=float(span)))))
