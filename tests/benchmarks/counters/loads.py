"""The loads whose cost is counted: referrals in batches of 100, in single posts, and whole lives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from client.views import EdgeView, ReferralView
from shared.core.clock import SystemClock, rfc3339
from shared.core.vocabulary.routing import PartyKind
from tests.benchmarks import input as filing
from tests.benchmarks import load
from tests.benchmarks.measure import delivered
from tests.support.running import Exchange

PARTY: Final = "hotline-nl.example"
BATCH: Final = 100
#: Batches come one after the other. Otherwise intake would sometimes put those of several connections into one
#: transaction.
CONNECTIONS_BATCH, CONNECTIONS_SINGLE = 1, 32
#: Parties that answer at the same time.
_ANSWERING: Final = 4
#: Acts by the folder of the subject: the acknowledgements, then the answers.
_ACKNOWLEDGED: Final = {"cases": "accept", "inbox": "accept", "notices": "acknowledge"}
_ANSWERED: Final[Mapping[str, tuple[str, Mapping[str, JsonValue]]]] = {
    "cases": (
        "outcome",
        {"outcome": "closed", "close_reason": "other", "child_identified": "no", "child_safeguarded": "no"},
    ),
    "inbox": ("assess", {"assessed": [{"assessment": "baseline"}, {"action": "removed"}]}),
    "notices": ("answer", {"items": [{"action": "removed"}]}),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a referral at one recipient: the recipient, the folder of its kind below /v1, and its id."""

    recipient: str
    folder: str
    subject_id: str


class Loads:
    """Submits referrals of one party with two recipients each. None is submitted twice."""

    def __init__(self, exchange: Exchange, distinct: int) -> None:
        self._exchange = exchange
        documents = filing.documents_of(exchange.state)
        self._directory = documents.directory
        self._pool = filing.Pool(filing.referrals_with_fan_out(documents, PARTY, distinct))
        self._key = exchange.parties[PARTY]

    async def file(self, count: int, *, batch: int, run: str) -> list[str]:
        """Submit `count` referrals in batches, or singly if `batch` is 1; return their references when delivered."""
        posts = self._pool.posts(count, batch=batch, run=run)
        connections = CONNECTIONS_SINGLE if batch == 1 else CONNECTIONS_BATCH
        posted = await load.closed_loop(self._key.url, self._key.key, posts, connections=connections)
        _check_accepted(posted)
        refs = [ref for each in posted for ref in each.post.refs]
        messages = await delivered(self._exchange, refs)
        assert sum(map(len, messages.values())) == count * filing.FAN_OUT
        return refs

    async def subjects(self, refs: Sequence[str]) -> list[Subject]:
        """List the subjects of these referrals at their recipients, from the party's own view of each."""
        admin = await self._exchange.admin("hotline")
        rows = await admin.fetch("SELECT referral_id FROM referral WHERE external_ref = ANY($1::text[])", list(refs))
        await admin.close()
        client = self._exchange.client(PARTY)
        shown = [await client.show(row["referral_id"]) for row in rows]
        return [self._subject(each, edge) for each in shown for edge in each.edges]

    async def acknowledge(self, subjects: Sequence[Subject]) -> None:
        """Have each recipient acknowledge its subjects, one after the other."""
        await self._act(subjects, {folder: (act, {}) for folder, act in _ACKNOWLEDGED.items()})

    async def answer(self, subjects: Sequence[Subject]) -> None:
        """Have each recipient give its final answer, one after the other."""
        at = {"items": [{"action": "removed", "effective_at": rfc3339(SystemClock().now())}]}
        await self._act(subjects, {**_ANSWERED, "notices": ("answer", at)})

    def _subject(self, shown: ReferralView, edge: EdgeView) -> Subject:
        if edge.notice_id is not None:
            return Subject(edge.recipient, "notices", str(edge.notice_id))
        recipient = self._directory.party(edge.recipient)
        is_agency = recipient is not None and recipient.kind == PartyKind.LAW_ENFORCEMENT
        folder = "cases" if is_agency else "inbox"
        return Subject(edge.recipient, folder, str(shown.referral_id))

    async def _act(self, subjects: Sequence[Subject], acts: Mapping[str, tuple[str, Mapping[str, Any]]]) -> None:
        by_party: dict[str, list[load.Post]] = {}
        for each in subjects:
            act, said = acts[each.folder]
            path = f"/v1/{each.folder}/{each.subject_id}:{act}"
            post = load.Post(path, f"{act}-{each.subject_id}", json.dumps(said).encode(), ())
            by_party.setdefault(each.recipient, []).append(post)
        turns = asyncio.Semaphore(_ANSWERING)

        async def at_desk(party: str, posts: Sequence[load.Post]) -> None:
            key = self._exchange.parties[party]
            async with turns:
                _check_accepted(await load.closed_loop(key.url, key.key, posts, connections=1))

        await asyncio.gather(*(at_desk(party, posts) for party, posts in by_party.items()))


def _check_accepted(posted: Sequence[load.Posted]) -> None:
    """Raises `AssertionError` unless each post was accepted."""
    refused = [(each.status, each.post.path) for each in posted if each.status not in (200, 202)]
    assert not refused, refused[:3]
