"""Measurements of a run: latencies to the recipients' and audit's commits, and whether the run counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import monotonic
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import asyncpg
import httpx

from deploy.site.endpoints import Endpoints
from tests.benchmarks.load import Posted
from tests.benchmarks.stage import Stage

RECIPIENTS = ("hotline", "law_enforcement", "industry")
#: Number of messages in the sample that is queried during delivery.
_SAMPLE = 100
_AT = "extract(epoch FROM pg_xact_commit_timestamp(t.xmin))::float8 AS at"
_HELD = """
SELECT a.message_id, {at} FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS a (message_id, subject, party)
JOIN received AS t ON t.subject = a.subject AND t.party = a.party
"""
_AUDITED = "SELECT t.message_id, {at} FROM entry AS t WHERE verified AND message_id = ANY($1::uuid[])"
_INBOXES = (("law_enforcement", "inbox"), ("hotline", "inbox"), ("industry", "notices"))


class Carried(NamedTuple):
    """A message with an edge: its id, and its subject and party at the recipient."""

    message_id: UUID
    subject: UUID
    party: str


class Served(Protocol):
    """A running exchange, regardless of its starter."""

    @property
    def endpoints(self) -> Endpoints:
        """Return the addresses of its servers."""
        ...


async def delivered(stage: Served, refs: Sequence[str], *, patience_s: float = 180.0) -> dict[str, list[Carried]]:
    """Wait until recipients have all edges of these referrals and audit their messages; return them by reference.

    Only a sample is queried during delivery, since queries for all of them would take a good part of the measured
    machine. At the end all are counted.
    """
    owner = await asyncpg.connect(_superuser(stage, "hotline"))
    rows = await owner.fetch(
        "SELECT r.external_ref, e.message_id, coalesce(e.notice_id, e.referral_id) AS subject, e.recipient "
        "FROM edge AS e JOIN referral AS r USING (referral_id) WHERE r.external_ref = ANY($1::text[])",
        list(refs),
    )
    await owner.close()
    messages: dict[str, list[Carried]] = {}
    for row in rows:
        carried = Carried(row["message_id"], row["subject"], row["recipient"])
        messages.setdefault(row["external_ref"], []).append(carried)
    wanted = [each for carried in messages.values() for each in carried]
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


async def _found(connections: Mapping[str, asyncpg.Connection], asked: Sequence[Carried]) -> dict[str, int]:
    return {name: len(await _rows(each, name, asked, at="0 AS at")) for name, each in connections.items()}


def _is_all(found: Mapping[str, int], asked: Sequence[Carried]) -> bool:
    return sum(found[name] for name in RECIPIENTS) == len(asked) == found["audit"]


async def latencies(
    stage: Stage, posted: Sequence[Posted], messages: Mapping[str, Sequence[Carried]]
) -> dict[str, Any]:
    """p50 and p99, in milliseconds: accept, accept → recipient's committed row, accept → audit's entry."""
    accepted_at = {ref: each.answered_at for each in posted for ref in each.post.refs}
    wanted = {each: accepted_at[ref] for ref, carried in messages.items() for each in carried}
    received, audited = await _commits(stage, list(wanted))
    return {
        "accept_ms": _quantiles([each.seconds for each in posted]),
        "to_recipient_ms": _quantiles([received[each.message_id] - at for each, at in wanted.items()]),
        "to_audit_ms": _quantiles([audited[each.message_id] - at for each, at in wanted.items()]),
    }


async def open_some(stage: Stage, filed: Callable[[str], Mapping[str, Any]], *, share: float = 0.01) -> int:
    """Have recipients open a share of their received records through their API, and compare them with the submissions.

    `filed` returns the referral under an external reference.
    """
    references = await _references(stage)
    keys = {each["party"]: each for each in json.loads((stage.state / "parties.json").read_text())}
    opened = 0
    async with httpx.AsyncClient(trust_env=False) as http:
        for instance, path in _INBOXES:
            connection = await asyncpg.connect(_superuser(stage, instance))
            query = "SELECT subject, party FROM received WHERE random() < $1 LIMIT 100"
            rows = await connection.fetch(query, share)
            await connection.close()
            for row in rows:
                key, original = keys[row["party"]], filed(references[row["subject"]])
                headers = {"Authorization": f"Bearer {key['key']}"}
                answer = await http.get(f"{key['url']}/v1/{path}/{row['subject']}", headers=headers)
                assert answer.status_code == httpx.codes.OK
                assert _holds(answer.json()["record"], original), "the opened record differs from the submission"
                opened += 1
    return opened


def _holds(record: Mapping[str, Any], original: Mapping[str, Any]) -> bool:
    """Return whether the opened record matches the submission: in its order, with each item for its recipient."""
    opened, filed = ([item["locator"] for item in each["items"]] for each in (record, original))
    remaining = iter(filed)
    return bool(opened) and all(locator in remaining for locator in opened)


async def _references(stage: Stage) -> dict[Any, str]:
    """Return the external reference of each referral and notice id."""
    connection = await asyncpg.connect(_superuser(stage, "hotline"))
    rows = await connection.fetch(
        "SELECT coalesce(e.notice_id, e.referral_id) AS subject, r.external_ref FROM edge AS e "
        "JOIN referral AS r USING (referral_id)"
    )
    await connection.close()
    return {row["subject"]: row["external_ref"] for row in rows}


async def _commits(stage: Stage, asked: Sequence[Carried]) -> tuple[dict[UUID, float], dict[UUID, float]]:
    received: dict[UUID, float] = {}
    for instance in RECIPIENTS:
        received |= await _commit_times(stage, instance, asked)
    return received, await _commit_times(stage, "audit", asked)


async def _commit_times(stage: Stage, instance: str, asked: Sequence[Carried]) -> dict[UUID, float]:
    connection = await asyncpg.connect(_superuser(stage, instance))
    try:
        return {row["message_id"]: row["at"] for row in await _rows(connection, instance, asked, at=_AT)}
    finally:
        await connection.close()


async def _rows(
    connection: asyncpg.Connection, instance: str, asked: Sequence[Carried], *, at: str
) -> list[asyncpg.Record]:
    """Return the messages that audit has read with a valid proof, or whose edge has passed the recipient's guard."""
    ids, subjects, parties = zip(*asked, strict=True) if asked else ((), (), ())
    if instance == "audit":
        return await connection.fetch(_AUDITED.format(at=at), ids)
    return await connection.fetch(_HELD.format(at=at), ids, subjects, parties)


def _superuser(stage: Served, instance: str) -> str:
    """Return the administrator's database address. It bypasses row-level security and is no part of the exchange."""
    admin = stage.endpoints.database_admin_url
    return admin.rpartition("/")[0] + f"/causeway_{instance}"


def _quantiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return {"p50": round(1000 * median(ordered), 1), "p99": round(1000 * p99, 1)}
