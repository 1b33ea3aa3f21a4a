"""`python -m tests.benchmarks.idle`: the cost of an idle exchange, and of audit over a thousand topics.

CPU time of each instance's process, in milliseconds a second. Exit code 1 above `OURS_MS_MAX`, `POSTGRES_MS_MAX` or
`AUDIT_MS_MAX`. Kafka's is only printed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import asyncpg
from confluent_kafka.cimpl import NewTopic

from deploy.site.access import admin_client
from deploy.site.settings import SAMPLE_INSTANCES
from shared.core.protocol.authority import AUDIT, inbox_topic
from tests.benchmarks.quiet import load_average
from tests.benchmarks.stage import Stage, stage

#: Milliseconds of CPU a second: a hundredth of a core for all our processes together, and as much for PostgreSQL.
OURS_MS_MAX: Final = 10.0
POSTGRES_MS_MAX: Final = 10.0
AUDIT_MS_MAX: Final = 50.0
TOPICS: Final = 1_000
#: By then each has stated its first high-water marks, has asked for the others' marks, and has answered them.
SETTLED_S: Final = 90.0
MEASURED_S: Final = 60.0
FOLLOWED_S_MAX: Final = 300.0
_FOLLOWED: Final = "SELECT count(*) FROM partition_state WHERE state = 'reading'"


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks.idle", description=__doc__)
    options.add_argument("--seconds", type=float, default=MEASURED_S, help="how long each is measured (default: 60)")
    seconds: float = options.parse_args().seconds
    with (
        tempfile.TemporaryDirectory(prefix="causeway-idle-") as folder,
        stage(Path(folder), instances=SAMPLE_INSTANCES) as running,
    ):
        sleep(SETTLED_S)
        quiet = used_ms(running, seconds)
        ours = sum(quiet[name] for name in SAMPLE_INSTANCES)
        print(f"idle: ours {ours:.1f}: {told(quiet)} ms of CPU a second; load {load_average()[0]}", flush=True)
        asyncio.run(have_followed(running, TOPICS))
        sleep(SETTLED_S)
        many = used_ms(running, seconds)
    print(f"audit over {TOPICS} more quiet topics: {many[AUDIT]:.1f} ms of CPU a second")
    return int(ours > OURS_MS_MAX or quiet["postgres"] > POSTGRES_MS_MAX or many[AUDIT] > AUDIT_MS_MAX)


def used_ms(running: Stage, seconds: float) -> dict[str, float]:
    """Return the milliseconds of CPU per second of each process, over the next seconds."""
    before, begun = running.cpu_s(), monotonic()
    sleep(seconds)
    after, passed_s = running.cpu_s(), monotonic() - begun
    return {name: 1000 * (used - before[name]) / passed_s for name, used in after.items()}


def told(used: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {ms:.1f}" for name, ms in sorted(used.items()))


async def have_followed(running: Stage, count: int) -> None:
    """Create `count` more topics, which stay empty, and wait until audit reads each of them."""
    topics = [NewTopic(inbox_topic("nobody", f"quiet_{number}"), num_partitions=1) for number in range(count)]
    admin = admin_client(running.endpoints.kafka)  # kept, because its requests end with it
    for made in admin.create_topics(topics, request_timeout=FOLLOWED_S_MAX).values():
        made.result()
    audit = await asyncpg.connect(running.endpoints.database(AUDIT).owner_url)
    try:
        async with asyncio.timeout(FOLLOWED_S_MAX):
            while await audit.fetchval(_FOLLOWED) < count:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(1.0)
    finally:
        await audit.close()


if __name__ == "__main__":
    sys.exit(main())
