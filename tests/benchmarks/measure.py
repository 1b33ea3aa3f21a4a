"""What is measured of a run: latencies to the recipients' and audit's commits, and whether the run counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import monotonic
from typing import Any, Protocol

import asyncpg
import httpx

from deploy.site.endpoints import Endpoints
from shared.contracts.registry import NOTICE_ISSUED, REFERRAL_OFFERED
from tests.benchmarks.load import Posted
from tests.benchmarks.stage import Stage

RECIPIENTS = ("hotline", "law_enforcement", "industry")
#: So many messages are asked for while they are under way.
_SAMPLE = 100
_CARRYING = [REFERRAL_OFFERED.type, NOTICE_ISSUED.type]
_COMMITTED = """
SELECT message_id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 AS at FROM {table}
WHERE type = ANY($1::text[]) AND message_id = ANY($2::uuid[])
"""

_COUNTED = "SELECT count(*) FROM {table} WHERE type = ANY($1::text[]) AND message_id = ANY($2::uuid[]) AND {counts}"
_INBOXES = (
    ("law_enforcement", "case_file", "referral_id", "inbox"),
    ("hotline", "offer", "referral_id", "inbox"),
    ("industry", "notice", "notice_id", "notices"),
)


class Served(Protocol):
    """A running exchange, whoever started it."""

    @property
    def endpoints(self) -> Endpoints:
        """Where its servers are reached."""
        ...


async def delivered(stage: Served, refs: Sequence[str], *, patience_s: float = 180.0) -> dict[str, list[Any]]:
    """Wait until every message of these referrals is in an inbox and in audit; return reference → message ids.

    Only a sample is asked for while they are under way: asking for all of them again and again takes a good part of the
    machine that is measured. In the end each one is counted.
    """
    owner = await asyncpg.connect(_superuser(stage, "hotline"))
    rows = await owner.fetch(
        "SELECT r.external_ref, e.message_id FROM edge AS e JOIN referral AS r USING (referral_id) "
        "WHERE r.external_ref = ANY($1::text[])",
        list(refs),
    )
    await owner.close()
    messages: dict[str, list[Any]] = {}
    for row in rows:
        messages.setdefault(row["external_ref"], []).append(row["message_id"])
    wanted = [message_id for ids in messages.values() for message_id in ids]
    # Connected once: a new connection costs the server more than the count does.
    connections = {name: await asyncpg.connect(_superuser(stage, name)) for name in (*RECIPIENTS, "audit")}
    deadline = monotonic() + patience_s
    try:
        for asked in (wanted[:: len(wanted) // _SAMPLE + 1], wanted):
            while not _is_all(found := await _found(connections, asked), asked):
                assert monotonic() < deadline, f"of {len(asked)} messages only these were received and audited: {found}"
                await asyncio.sleep(0.05)
        return messages
    finally:
        for connection in connections.values():
            await connection.close()


async def _found(connections: Mapping[str, asyncpg.Connection], asked: Sequence[Any]) -> dict[str, int]:
    return {name: await _count(each, name, asked) for name, each in connections.items()}


def _is_all(found: Mapping[str, int], asked: Sequence[Any]) -> bool:
    return sum(found[name] for name in RECIPIENTS) == len(asked) == found["audit"]


async def latencies(stage: Stage, posted: Sequence[Posted], messages: dict[str, list[Any]]) -> dict[str, Any]:
    """p50 and p99, in milliseconds: accept, accept → recipient's committed row, accept → audit's entry."""
    accepted_at = {ref: each.answered_at for each in posted for ref in each.post.refs}
    wanted = {message_id: accepted_at[ref] for ref, ids in messages.items() for message_id in ids}
    received, audited = await _commits(stage, list(wanted))
    return {
        "accept_ms": _quantiles([each.seconds for each in posted]),
        "to_recipient_ms": _quantiles([received[message_id] - at for message_id, at in wanted.items()]),
        "to_audit_ms": _quantiles([audited[message_id] - at for message_id, at in wanted.items()]),
    }


async def open_some(stage: Stage, filed: Callable[[str], Mapping[str, Any]], *, share: float = 0.01) -> int:
    """Have recipients open a share of what they received through their API, and compare it with what was filed.

    `filed` gives the referral under an external reference.
    """
    references = await _references(stage)
    keys = {each["party"]: each for each in json.loads((stage.state / "parties.json").read_text())}
    opened = 0
    async with httpx.AsyncClient(trust_env=False) as http:
        for instance, table, subject, path in _INBOXES:
            connection = await asyncpg.connect(_superuser(stage, instance))
            query = f"SELECT {subject} AS subject, party FROM {table} WHERE random() < $1 LIMIT 100"
            rows = await connection.fetch(query, share)
            await connection.close()
            for row in rows:
                key, original = keys[row["party"]], filed(references[row["subject"]])
                headers = {"Authorization": f"Bearer {key['key']}"}
                answer = await http.get(f"{key['url']}/v1/{path}/{row['subject']}", headers=headers)
                assert answer.status_code == httpx.codes.OK
                assert _holds(answer.json()["record"], original), "opened, and not what was filed"
                opened += 1
    return opened


def _holds(record: Mapping[str, Any], original: Mapping[str, Any]) -> bool:
    """Whether the opened record is of the filed one: in its order, and each of its items, those for its recipient."""
    opened, filed = ([item["locator"] for item in each["items"]] for each in (record, original))
    remaining = iter(filed)
    return bool(opened) and all(locator in remaining for locator in opened)


async def _references(stage: Stage) -> dict[Any, str]:
    """The external reference of each referral and notice id."""
    connection = await asyncpg.connect(_superuser(stage, "hotline"))
    rows = await connection.fetch(
        "SELECT coalesce(e.notice_id, e.referral_id) AS subject, r.external_ref FROM edge AS e "
        "JOIN referral AS r USING (referral_id)"
    )
    await connection.close()
    return {row["subject"]: row["external_ref"] for row in rows}


async def _count(connection: asyncpg.Connection, instance: str, message_ids: Sequence[Any]) -> int:
    """How many of the messages audit has read with a valid proof, or the recipient has applied: past its guard, too."""
    table, counts = ("entry", "verified") if instance == "audit" else ("inbox", "outcome = 'applied'")
    return int(await connection.fetchval(_COUNTED.format(table=table, counts=counts), _CARRYING, message_ids))


async def _commits(stage: Stage, message_ids: Sequence[Any]) -> tuple[dict[Any, float], dict[Any, float]]:
    received: dict[Any, float] = {}
    for instance in RECIPIENTS:
        received |= await _commit_times(_superuser(stage, instance), "inbox", message_ids)
    return received, await _commit_times(_superuser(stage, "audit"), "entry", message_ids)


async def _commit_times(url: str, table: str, message_ids: Sequence[Any]) -> dict[Any, float]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(_COMMITTED.format(table=table), _CARRYING, list(message_ids))
    finally:
        await connection.close()
    return {row["message_id"]: row["at"] for row in rows}


def _superuser(stage: Served, instance: str) -> str:
    """The bench looks as the administrator: it bypasses row-level security and is no part of the exchange."""
    admin = stage.endpoints.database_admin_url
    assert admin is not None
    return admin.rpartition("/")[0] + f"/causeway_{instance}"


def _quantiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return {"p50": round(1000 * median(ordered), 1), "p99": round(1000 * p99, 1)}
