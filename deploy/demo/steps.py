"""The steps of the demo, over HTTP as any party takes them; what HTTP does not tell is read as an accountant."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final
from uuid import UUID

import asyncpg
import httpx

from client.api import BATCH_MAX, CausewayClient
from deploy.sample.generator import SampledReferral
from deploy.site.endpoints import Endpoints
from deploy.site.kinds import AUDIT, KINDS, keeps_referrals
from shared.kernel.canonical import canonical_json
from shared.vocabulary.referral import WithdrawalReason

#: Parties that file at the same time; each sends its own referrals in batches.
FILING_AT_ONCE: Final = 8
FILING_S_MAX: Final = 30.0
#: Sample parties hear of what comes at once and gather it for a second.
QUIET_S: Final = 3.0
SETTLED_S_MAX: Final = 240.0

_IN_FLIGHT = "SELECT coalesce(sum(in_flight), 0)::bigint AS n FROM stream_account"
_ANSWERS = "SELECT answer, count(*) AS n FROM edge WHERE state = 'emitted' GROUP BY answer"
_RECIPIENTS = """
SELECT recipient, purpose, count(*) AS n FROM edge WHERE state IN ('emitted', 'planned') GROUP BY recipient, purpose
"""
_WORK = "SELECT disposition, work_reason, count(*) AS n FROM referral WHERE work_reason IS NOT NULL GROUP BY 1, 2"
#: A referral that a provider acted on and an agency took up: the one whose flow is worth following. While none is, on
#: a slow machine, one that both have.
_SHOWCASE = """
SELECT referral_id, party FROM edge WHERE state = 'emitted' GROUP BY referral_id, party
ORDER BY bool_or(answer = 'actioned') AND bool_or(answer IN ('closed', 'outcome')) DESC,
         bool_or(answer = 'actioned') AND bool_or(answer = 'accepted') DESC,
         bool_or(purpose = 'takedown') AND bool_or(purpose = 'investigation') DESC,
         bool_or(answer = 'actioned') DESC, count(*) DESC, referral_id LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Key:
    """A sample party's way in."""

    url: str
    key: str


@dataclass(frozen=True, slots=True)
class Accountants:
    """The instances' databases as their accountants see them; logged in once, since that costs more than a look."""

    endpoints: Endpoints
    connections: Mapping[str, asyncpg.Connection]

    async def read(self, instances: Sequence[str], query: str, *arguments: object) -> list[asyncpg.Record]:
        """The rows of a query of each of these instances."""
        return [row for instance in instances for row in await self.connections[instance].fetch(query, *arguments)]


@asynccontextmanager
async def accountants(endpoints: Endpoints) -> AsyncIterator[Accountants]:
    async with AsyncExitStack() as opened:
        connections: dict[str, asyncpg.Connection] = {}
        for instance in endpoints.instances:
            connections[instance] = await asyncpg.connect(endpoints.database(instance).accountant_url)
            opened.push_async_callback(connections[instance].close)
        yield Accountants(endpoints, connections)


async def import_referrals(
    sampled: Sequence[SampledReferral], keys: dict[str, Key], say: Callable[[str], None]
) -> dict[str, int]:
    """File every referral as its origin, in batches; return how many ended in which state."""
    by_origin: dict[str, list[dict[str, Any]]] = {}
    for each in sampled:
        by_origin.setdefault(each.origin, []).append(each.referral)
    states: dict[str, int] = {}
    done = 0
    turn = asyncio.Semaphore(FILING_AT_ONCE)

    async def file(party: str, referrals: list[dict[str, Any]]) -> None:
        nonlocal done
        async with turn, CausewayClient(keys[party].url, keys[party].key, http=http) as client:
            for start in range(0, len(referrals), BATCH_MAX):
                batch = referrals[start : start + BATCH_MAX]
                results = await client.submit_batch(batch, key=hashlib.sha256(canonical_json(batch)).hexdigest())
                for result in results:
                    state = result.state or "refused"
                    states[state] = states.get(state, 0) + 1
                if (done + len(batch)) // 500 > done // 500:
                    say(f"  {done + len(batch)} of {len(sampled)} filed")
                done += len(batch)

    # One for all parties: each would read all the authorities of this system.
    async with httpx.AsyncClient(timeout=FILING_S_MAX, trust_env=False) as http, asyncio.TaskGroup() as group:
        for party, referrals in by_origin.items():
            group.create_task(file(party, referrals))
    return states


async def until_answered(books: Accountants) -> float:
    """Wait for the first answer of any recipient; return `monotonic` seconds when it was seen."""
    deadline = monotonic() + SETTLED_S_MAX
    while monotonic() < deadline:
        if sum(n for answer, n in (await answers(books)).items() if answer != "none"):
            break
        await asyncio.sleep(0.1)
    return monotonic()


async def until_settled(books: Accountants) -> None:
    """Wait until all is sent and answered and nothing has moved for a while, or patience ends."""
    deadline = monotonic() + SETTLED_S_MAX
    before, quiet_since = None, monotonic()
    while monotonic() < deadline:
        now = (await answers(books), await messages_in_flight(books))
        if now != before:
            before, quiet_since = now, monotonic()
        if now[1] == 0 and monotonic() - quiet_since > QUIET_S:
            return
        await asyncio.sleep(0.5)


async def withdraw_one(books: Accountants, keys: dict[str, Key]) -> UUID:
    """Withdraw the referral whose flow is shown, as its origin, and wait until every recipient has acknowledged."""
    rows = await books.read(books.endpoints.of_kind("hotline"), _SHOWCASE)
    referral_id, party = rows[0]["referral_id"], rows[0]["party"]
    async with CausewayClient(keys[party].url, keys[party].key) as client:
        await client.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
        deadline = monotonic() + SETTLED_S_MAX
        while monotonic() < deadline:
            shown = await client.show(referral_id)
            if all(edge.answer == "withdrawal_acknowledged" for edge in shown.edges):
                break
            await asyncio.sleep(0.5)
    return UUID(str(referral_id))


async def flow_of(endpoints: Endpoints, keys: dict[str, Key], referral_id: UUID) -> list[dict[str, Any]]:
    """The flow as an auditor reads it, once audit has caught up with the last acknowledgement."""
    addresses = [endpoints.address(instance) for instance in endpoints.of_kind(AUDIT)]
    auditor = next(key for key in keys.values() if key.url in addresses)
    headers = {"Authorization": f"Bearer {auditor.key}", "Purpose": "demonstration of one flow"}
    url = f"{auditor.url}/v1/flows/{referral_id}"
    async with httpx.AsyncClient(headers=headers, trust_env=False) as http:
        messages: list[dict[str, Any]] = []
        deadline = monotonic() + SETTLED_S_MAX
        while monotonic() < deadline:
            answer = await http.get(url)
            found = answer.json()["messages"] if answer.status_code == httpx.codes.OK else []
            if found and len(found) == len(messages):
                break
            messages = found
            await asyncio.sleep(0.5)
    return messages


async def answers(books: Accountants) -> dict[str, int]:
    """How many edges of all origins have which answer; `none` is silence."""
    return _summed(await books.read(origins(books.endpoints), _ANSWERS), "answer")


async def recipients(books: Accountants) -> list[dict[str, Any]]:
    """How many referrals each recipient was sent for which purpose."""
    counts: dict[tuple[str, str], int] = {}
    for row in await books.read(origins(books.endpoints), _RECIPIENTS):
        key = (row["recipient"], row["purpose"])
        counts[key] = counts.get(key, 0) + row["n"]
    return [{"recipient": r, "purpose": p, "count": n} for (r, p), n in sorted(counts.items())]


async def work_lists(books: Accountants) -> list[dict[str, Any]]:
    """How many referrals are on which work list, and why."""
    counts: dict[tuple[str, str], int] = {}
    for row in await books.read(origins(books.endpoints), _WORK):
        key = (row["disposition"], row["work_reason"])
        counts[key] = counts.get(key, 0) + row["n"]
    return [{"list": name, "reason": reason, "count": n} for (name, reason), n in sorted(counts.items())]


async def messages_in_flight(books: Accountants) -> int:
    """How many messages of all instances their recipients' instances have not taken."""
    sending = books.endpoints.of_kind(*(kind for kind in KINDS if kind != AUDIT))
    return sum(row["n"] for row in await books.read(sending, _IN_FLIGHT))


def origins(endpoints: Endpoints) -> Sequence[str]:
    """The instances whose parties file referrals."""
    return endpoints.of_kind(*(kind for kind in KINDS if keeps_referrals(kind)))


def _summed(rows: Sequence[asyncpg.Record], column: str) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in rows:
        sums[row[column]] = sums.get(row[column], 0) + row["n"]
    return sums
