"""The steps of the demo, over HTTP as a party takes them.

Data that HTTP does not show is read as an accountant.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final
from uuid import UUID

import asyncpg
import httpx

from client.api import CausewayClient, in_batches, stated
from client.problem import ApiProblem
from client.views import DeadlineView
from deploy.accounting.book import Reconciliation
from deploy.accounting.run import reconciled
from deploy.accounting.streams import IN_FLIGHT
from deploy.sample.generator import SampledReferral
from deploy.scenarios.player import PartyKey
from deploy.site.endpoints import Endpoints
from deploy.site.settings import AUDIT, KINDS, keeps_referrals
from shared.core.canonical import Json, canonical_json
from shared.core.vocabulary.referral import WithdrawalReason
from shared.core.vocabulary.routing import PartyKind

#: Parties that submit or read at the same time; each sends its own referrals in batches.
AT_ONCE: Final = 8
#: Sample parties receive their subjects at once and collect them for a second.
QUIET_S: Final = 3.0
SETTLED_S_MAX: Final = 240.0
#: The number of fully answered referrals whose ticks are read as their origins see them.
SHOWN_MAX: Final = 20

_IN_FLIGHT = "SELECT coalesce(sum(last - acked), 0)::bigint AS n FROM stream"
_ANSWERS = "SELECT answer, count(*) AS n FROM edge WHERE state = 'emitted' GROUP BY answer"
_RECIPIENTS = """
SELECT recipient, purpose, count(*) AS n FROM edge WHERE state IN ('emitted', 'planned') GROUP BY recipient, purpose
"""
_WORK = """
SELECT disposition, unrouted_reason, count(*) AS n FROM referral WHERE unrouted_reason IS NOT NULL GROUP BY 1, 2
"""
#: A referral that a provider acted on and an agency accepted: the one whose flow is shown. If there is none yet, on a
#: slow machine, one that both received.
_SHOWCASE = """
SELECT referral_id, party FROM edge WHERE state = 'emitted' GROUP BY referral_id, party
ORDER BY bool_or(answer = 'actioned') AND bool_or(answer IN ('closed', 'outcome')) DESC,
         bool_or(answer = 'actioned') AND bool_or(answer = 'accepted') DESC,
         bool_or(purpose = 'takedown') AND bool_or(purpose = 'investigation') DESC,
         bool_or(answer = 'actioned') DESC, count(*) DESC, referral_id LIMIT 1
"""
_FEEDBACK: Final = """
SELECT recipient, count(*) FILTER (WHERE answer <> 'accepted') AS told, count(*) AS accepted FROM edge
WHERE state = 'emitted' AND answer IN ('accepted', 'ongoing', 'closed') AND recipient = ANY($1) GROUP BY recipient
"""
_ANSWERED = """
SELECT referral_id, party, count(*) AS edges, count(*) FILTER (WHERE answer <> 'none') AS answered,
       count(*) FILTER (WHERE recipient = ANY($1)) AS to_hotlines,
       count(*) FILTER (WHERE recipient = ANY($1) AND answer <> 'none') AS by_hotlines
FROM edge JOIN referral USING (referral_id, party)
WHERE referral.state <> 'withdrawn' AND edge.state IN ('emitted', 'referred', 'waiting', 'planned')
GROUP BY referral_id, party ORDER BY referral_id
"""


@dataclass(frozen=True, slots=True)
class Steps:
    """A running exchange: the parties' keys, and its databases as their accountants see them.

    One HTTP client serves all parties, because each would read all certificate authorities of this system. The
    connections stay open, because a login costs more than a query.
    """

    endpoints: Endpoints
    keys: Mapping[str, PartyKey]
    http: httpx.AsyncClient
    connections: Mapping[str, asyncpg.Connection]

    async def read(self, query: str, *arguments: object, kinds: Sequence[str] = ()) -> list[asyncpg.Record]:
        """Return the rows of a query of each instance of these kinds; of the origins if none is given."""
        named = self.endpoints.of_kind(*(kinds or filter(keeps_referrals, KINDS)))
        return [row for instance in named for row in await self.connections[instance].fetch(query, *arguments)]

    def client(self, party: str) -> CausewayClient:
        """Return a client with the key of a party."""
        return CausewayClient(*self.keys[party], http=self.http)

    def instances_of(self, kind: str) -> set[str]:
        """Return the addresses of the instances of a kind."""
        return {self.endpoints.address(instance) for instance in self.endpoints.of_kind(kind)}

    async def import_referrals(self, sampled: Sequence[SampledReferral], say: Callable[[str], None]) -> dict[str, int]:
        """Submit every referral as its origin, in batches; return the number of referrals in each state."""
        by_origin: dict[str, list[Json]] = {}
        for each in sampled:
            by_origin.setdefault(each.origin, []).append(each.referral)
        states, turn = Counter[str](), asyncio.Semaphore(AT_ONCE)

        async def file(party: str, referrals: list[Json]) -> None:
            async with turn:
                for batch in in_batches(referrals):
                    key = hashlib.sha256(canonical_json(batch)).hexdigest()
                    results, before = await self.client(party).submit_batch(batch, key=key), states.total()
                    states.update(result.state or "refused" for result in results)
                    if states.total() // 500 > before // 500:
                        say(f"  {states.total()} of {len(sampled)} filed")

        async with asyncio.TaskGroup() as group:
            for party, referrals in by_origin.items():
                group.create_task(file(party, referrals))
        return dict(states)

    async def until_answered(self) -> float:
        """Wait for the first answer of any recipient; return `monotonic` seconds when it was seen."""

        async def is_answered() -> bool:
            return bool((await self.answers()).keys() - {"none"})

        await _until(is_answered, pause_s=0.1)
        return monotonic()

    async def until_settled(self) -> None:
        """Wait until all is sent and answered and nothing has changed for a while, or until the time limit."""
        before, quiet_since = None, monotonic()
        senders = [kind for kind in KINDS if kind != AUDIT]

        async def is_quiet() -> bool:
            nonlocal before, quiet_since
            in_flight = sum(row["n"] for row in await self.read(_IN_FLIGHT, kinds=senders))
            now = (await self.answers(), in_flight)
            if now != before:
                before, quiet_since = now, monotonic()
            return in_flight == 0 and monotonic() - quiet_since > QUIET_S

        await _until(is_quiet)

    async def withdraw_one(self) -> tuple[UUID, int]:
        """Withdraw the shown referral, as its origin, and wait until every recipient has acknowledged.

        Return its id and the number of its recipients.
        """
        shown = (await self.read(_SHOWCASE, kinds=["hotline"]))[0]
        referral_id, client = UUID(str(shown["referral_id"])), self.client(shown["party"])
        await client.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)

        async def is_acknowledged() -> bool:
            return all(edge.answer == "withdrawal_acknowledged" for edge in (await client.show(referral_id)).edges)

        await _until(is_acknowledged)
        return referral_id, len((await client.show(referral_id)).edges)

    async def flow_of(self, referral_id: UUID, recipients: int) -> list[Any]:
        """Return the flow as an auditor reads it, once audit has read the acknowledgement of each of the recipients."""
        auditor = next(party for party, key in self.keys.items() if key.url in self.instances_of(AUDIT))
        messages: list[Any] = []

        async def is_whole() -> bool:
            nonlocal messages
            try:
                purpose = stated("demonstration of one flow")
                found = await self.client(auditor).call("GET", f"/v1/flows/{referral_id}", headers=purpose)
            except ApiProblem:
                found = {}
            listed = found.get("messages")
            messages = list[Any](listed) if isinstance(listed, list) else []
            return sum("withdrawal_acknowledged" in str(each.get("type")) for each in messages) >= recipients

        await _until(is_whole)
        return messages

    async def answers(self) -> dict[str, int]:
        """Return the number of edges of all origins by answer; `none` means no answer."""
        return {answer: count for (answer,), count in (await self._sums(_ANSWERS)).items()}

    async def recipients(self) -> list[Json]:
        """Return the number of referrals for each recipient and purpose."""
        found = sorted((await self._sums(_RECIPIENTS)).items())
        return [{"recipient": to, "purpose": purpose, "count": count} for (to, purpose), count in found]

    async def work_lists(self) -> list[Json]:
        """Return the number of unrouted referrals by disposition and reason."""
        found = sorted((await self._sums(_WORK)).items())
        return [{"list": name, "reason": reason, "count": count} for (name, reason), count in found]

    async def _sums(self, query: str) -> Counter[tuple[str, ...]]:
        """Return the counts of all origins, by the columns before the count."""
        sums = Counter[tuple[str, ...]]()
        for *named, count in await self.read(query):
            sums[tuple(named)] += count
        return sums

    async def ticks(self, hotlines: Sequence[str]) -> Json:
        """Return the number of fully answered referrals, the answers of hotlines, and the first referrals' ticks."""
        rows = await self.read(_ANSWERED, hotlines)
        full = [row for row in rows if row["answered"] == row["edges"]]
        shown = []
        for row in full[:SHOWN_MAX]:
            view = await self.client(row["party"]).show(row["referral_id"])
            ticked = {} if view.ticks is None else view.ticks.model_dump(mode="json")
            shown.append({"referral_id": str(row["referral_id"]), "edges": row["edges"], **ticked})
        return {
            "referrals": len(rows),
            "answered_by_all": len(full),
            "to_hotlines": sum(row["to_hotlines"] for row in rows),
            "by_hotlines": sum(row["by_hotlines"] for row in rows),
            "shown": shown,
        }

    async def lists_of_parties(self) -> Json:
        """Return the attention list and the due feedback of each party except auditors, from its own service."""
        agencies, auditing = self.instances_of(PartyKind.LAW_ENFORCEMENT), self.instances_of(AUDIT)
        turn, found = asyncio.Semaphore(AT_ONCE), Json()

        async def look(party: str, url: str) -> None:
            async with turn:
                client = self.client(party)
                waiting = [row async for page in client.attention() for row in page.items]
                due = await _feedback_due(client) if url in agencies else []
            found[party] = {
                "attention": [row.model_dump(mode="json", exclude_none=True) for row in waiting],
                "feedback_due": [row.model_dump(mode="json") for row in due if row.owed_by == party],
            }

        async with asyncio.TaskGroup() as group:
            for party, key in self.keys.items():
                if key.url not in auditing:
                    group.create_task(look(party, key.url))
        return found

    async def feedback(self, agencies: Sequence[str]) -> dict[str, dict[str, int]]:
        """Return the number of accepted cases of each agency, and of those with feedback."""
        counts: dict[str, Counter[str]] = {}
        for row in await self.read(_FEEDBACK, agencies):
            counts.setdefault(row["recipient"], Counter()).update(accepted=row["accepted"], told=row["told"])
        return {agency: dict(found) for agency, found in sorted(counts.items())}


@asynccontextmanager
async def begin_steps(endpoints: Endpoints, keys: Mapping[str, PartyKey]) -> AsyncIterator[Steps]:
    """Open the connections of a demo."""
    async with AsyncExitStack() as opened:
        http = await opened.enter_async_context(httpx.AsyncClient(timeout=30.0, trust_env=False))
        connections: dict[str, asyncpg.Connection] = {}
        for instance in endpoints.instances:
            connections[instance] = await asyncpg.connect(endpoints.database(instance).accountant_url)
            opened.push_async_callback(connections[instance].close)
        yield Steps(endpoints, keys, http, connections)


async def _feedback_due(client: CausewayClient) -> list[DeadlineView]:
    """List the due feedback of each subject of an agency, even if another act is due before it."""
    first = [row async for page in client.due() for row in page.items]
    others = {row.subject for row in first if row.due != "feedback"}
    later = [row for subject in others async for page in client.due(subject=subject) for row in page.items]
    return [row for row in (*first, *later) if row.due == "feedback"]


async def settled_accounts(endpoints: Endpoints) -> Reconciliation:
    """Reconcile once audit has read the last message, or at the time limit."""
    deadline = monotonic() + SETTLED_S_MAX
    while True:
        await asyncio.sleep(1.0)  # audit usually reads the last messages in this time
        found = await reconciled(endpoints)
        if monotonic() > deadline or not (found.differences or found.messages[IN_FLIGHT]):
            return found


async def _until(holds: Callable[[], Awaitable[bool]], pause_s: float = 0.5) -> None:
    """Ask until the answer is yes, or until the time limit; the demo then shows the state at that time."""
    deadline = monotonic() + SETTLED_S_MAX
    while monotonic() < deadline:
        if await holds():
            break
        await asyncio.sleep(pause_s)
