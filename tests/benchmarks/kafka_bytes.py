"""`python -m tests.benchmarks.kafka_bytes [--referrals N]`: what a referral weighs on Kafka, and costs in CPU time.

Bytes are those of the topics' segment files, so with headers, proofs, batches and receipts; each referral goes to
`FAN_OUT` recipients. They do not hang on how busy the machine is; the CPU time does a little, so its load is printed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep

from tests.benchmarks import input as filing
from tests.benchmarks import load
from tests.benchmarks.measure import delivered
from tests.benchmarks.stage import Stage, stage

PARTY = "hotline-nl.example"
REFERRALS, WARM = 3_000, 300
BATCH, CONNECTIONS = 100, 4
#: Receipts and what is told of them come after the messages: they have, once nothing has grown for so long.
SETTLED_S, PATIENCE_S = 6.0, 120.0


def main(argv: Sequence[str]) -> int:
    """Measure and print, as JSON."""
    count = int(argv[argv.index("--referrals") + 1]) if "--referrals" in argv else REFERRALS
    with tempfile.TemporaryDirectory(prefix="causeway-bytes-") as folder, stage(Path(folder)) as running:
        print(json.dumps(asyncio.run(_measured(running, count)), indent=2))
    return 0


async def _measured(running: Stage, count: int) -> dict[str, object]:
    pool = filing.Pool(filing.referrals_with_fan_out(filing.documents_of(running.state), PARTY, WARM + count))
    key = next(each for each in json.loads((running.state / "parties.json").read_text()) if each["party"] == PARTY)
    await _filed(running, key, pool.posts(WARM, batch=BATCH, run="warm"))
    bytes_before, cpu_before = _settled(running), running.cpu_s()
    await _filed(running, key, pool.posts(count, batch=BATCH, run="counted"))
    grown = _settled(running) - bytes_before
    used = {name: 1000 * (seconds - cpu_before[name]) / count for name, seconds in running.cpu_s().items()}
    return {
        "referrals": count,
        "fan_out": filing.FAN_OUT,
        "load_average_1_min": round(os.getloadavg()[0], 1),
        "bytes_per_referral": round(grown.total() / count),
        "bytes_per_referral_by_topic": {name: round(each / count) for name, each in sorted(grown.items())},
        "cpu_ms_per_referral": round(sum(used.values()), 2),
        "cpu_ms_per_referral_by_process": {name: round(each, 2) for name, each in sorted(used.items())},
    }


async def _filed(running: Stage, key: dict[str, str], posts: Sequence[load.Post]) -> None:
    posted = await load.closed_loop(key["url"], key["key"], posts, connections=CONNECTIONS)
    refs = [ref for each in posted for ref in each.post.refs]
    assert sum(map(len, (await delivered(running, refs)).values())) == len(refs) * filing.FAN_OUT


def _settled(running: Stage) -> Counter[str]:
    """The bytes of each topic once they stand still: a beat of the operator's, which is another topic's, apart."""
    before, since, deadline = _bytes(running), monotonic(), monotonic() + PATIENCE_S
    while monotonic() - since < SETTLED_S:
        assert monotonic() < deadline, "the topics grow on and on"
        sleep(0.5)
        if (now := _bytes(running)) != before:
            before, since = now, monotonic()
    return before


def _bytes(running: Stage) -> Counter[str]:
    """The bytes of the inboxes' segments on disk, by topic."""
    found: Counter[str] = Counter()
    for segment in (running.state / "kafka/data").glob("causeway.inbox.*/*.log"):
        found[segment.parent.name.rpartition("-")[0]] += segment.stat().st_size
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
