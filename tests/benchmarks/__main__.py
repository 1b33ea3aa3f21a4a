"""`python -m tests.benchmarks [--json FILE] [--quick]`: measure and print."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from shared.envelope.keys import OpeningKey, SigningKey
from tests.benchmarks import input as filing
from tests.benchmarks import load
from tests.benchmarks.measure import delivered, latencies, open_some
from tests.benchmarks.stage import Stage, stage

PARTY = "hotline-nl.example"
RATES = (50, 100, 200)
SECONDS_PER_RATE = 15
CLOSED_SINGLE, CLOSED_BATCH = 6_000, 12_000
RAW_MESSAGES = 24_000


def main(argv: Sequence[str]) -> int:
    """Run all parts against one stage; print them and write JSON where told."""
    quick = 6 if "--quick" in argv else 1
    with tempfile.TemporaryDirectory(prefix="causeway-bench-") as folder, stage(Path(folder)) as running:
        report = asyncio.run(_measure(running, quick))
        report["raw"] = _raw_limit(running, report["message_bytes"], RAW_MESSAGES // quick)
    for name in ("single", "batch"):
        report[name]["of_raw_limit"] = round(report[name]["messages_per_s"] / report["raw"]["messages_per_s"], 2)
    text = json.dumps(report, indent=2)
    print(text)
    if "--json" in argv:
        Path(argv[argv.index("--json") + 1]).write_text(text)
    return 0


async def _measure(running: Stage, quick: int) -> dict[str, Any]:
    documents = filing.documents_of(running.state)
    referrals = filing.referrals_with_fan_out(documents, PARTY, 200)
    key = next(each for each in json.loads((running.state / "parties.json").read_text()) if each["party"] == PARTY)
    url, api_key = key["url"], key["key"]
    # Everything is warm before anything counts: caches, plans, connections, the JVM.
    await load.closed_loop(url, api_key, filing.posts(referrals, 1000, batch=1, run="warm"), connections=16)
    await delivered(running, [f"warm-{n}" for n in range(1000)])
    report: dict[str, Any] = {"fan_out": filing.FAN_OUT, "open_loop": {}}
    for rate in RATES:
        wanted = filing.posts(referrals, rate * SECONDS_PER_RATE // quick, batch=1, run=f"open{rate}")
        posted = await load.open_loop(url, api_key, wanted, per_second=rate)
        report["open_loop"][str(rate)] = await latencies(running, posted, await _all_delivered(running, posted))
    single = filing.posts(referrals, CLOSED_SINGLE // quick, batch=1, run="single")
    report["single"] = await _throughput(running, url, api_key, single, connections=32)
    batch = filing.posts(referrals, CLOSED_BATCH // quick, batch=100, run="batch")
    report["batch"] = await _throughput(running, url, api_key, batch, connections=4)
    report["opened"] = await open_some(running)
    report["message_bytes"] = await _message_bytes(running)
    return report


async def _throughput(
    running: Stage, url: str, api_key: str, posts: Sequence[load.Post], *, connections: int
) -> dict[str, Any]:
    """Closed loop until everything is delivered and audited: rates, and CPU milliseconds by process."""
    count = sum(len(post.refs) for post in posts)
    before, begun = running.cpu_s(), monotonic()
    posted = await load.closed_loop(url, api_key, posts, connections=connections)
    accepted_s = monotonic() - begun
    await _all_delivered(running, posted)
    delivered_s = monotonic() - begun
    used = {name: seconds - before[name] for name, seconds in running.cpu_s().items()}
    messages = count * filing.FAN_OUT
    return {
        "referrals": count,
        "accepted_per_s": round(count / accepted_s),
        "referrals_per_s": round(count / delivered_s),
        "messages_per_s": round(messages / delivered_s),
        "cpu_ms_per_referral": round(1000 * sum(used.values()) / count, 2),
        "cpu_ms_per_message": round(1000 * sum(used.values()) / messages, 2),
        "cpu_ms_by_process": {name: round(1000 * seconds / count, 2) for name, seconds in sorted(used.items())},
    }


async def _all_delivered(running: Stage, posted: Sequence[load.Posted]) -> dict[str, list[Any]]:
    """Rows = sent, or the run does not count."""
    assert all(each.status in (200, 202) for each in posted), {each.status for each in posted}
    refs = [ref for each in posted for ref in each.post.refs]
    messages = await delivered(running, refs)
    assert sum(map(len, messages.values())) == len(refs) * filing.FAN_OUT
    return messages


async def _message_bytes(running: Stage) -> dict[str, int]:
    """The mean size of what an edge's message carries, clear and sealed plaintext."""
    import asyncpg

    admin = running.endpoints.database_admin_url
    assert admin is not None
    connection = await asyncpg.connect(admin.rpartition("/")[0] + "/causeway_hotline")
    sealed = await connection.fetchval("SELECT avg(octet_length(content))::int FROM offer")
    await connection.close()
    return {"sealed_plaintext": int(sealed), "clear": 1_400}


def _raw_limit(running: Stage, sizes: dict[str, int], count: int) -> dict[str, Any]:
    """The raw limit in the same run, on the same servers, with the four instances idle beside it."""
    kafka, admin = running.endpoints.kafka, running.endpoints.database_admin_url
    signing, opening = SigningKey.generate(), OpeningKey.generate()
    given = "\n".join(
        [
            str(admin),
            kafka.bootstrap_servers,
            "admin",
            kafka.passwords["admin"],
            signing.secret_text(),
            opening.secret_text(),
        ]
    )
    # Audit would read the raw records as well and cost CPU that is not the raw limit's.
    processes = [_raw(role, count, sizes, given) for role in ("consume", "produce")]
    begun = monotonic()
    for process in processes:
        process.wait(timeout=300)
    seconds = monotonic() - begun
    return {"messages": count, "messages_per_s": round(count / seconds)}


def _raw(role: str, count: int, sizes: dict[str, int], given: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tests.benchmarks.raw", role, str(count), str(sizes["sealed_plaintext"])]
    process = subprocess.Popen([*argv, str(sizes["clear"])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(given + "\n")
    process.stdin.close()
    assert process.stdout.readline().strip() == "ready"
    sleep(0.2)
    return process


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
