"""A persistent sender: it posts referrals under idempotency keys and repeats each request until it is answered."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from time import monotonic
from typing import Any, Final, Self

import httpx

from deploy.sample.generator import SampledReferral, sample_referrals
from tests.support.running import Exchange

#: Sent together in one `:batch`; others are posted alone.
BATCH_MAX: Final = 20
ATTEMPT_S_MAX: Final = 10.0
PAUSE_S: Final = 0.25
#: Statuses that are no answer to the referral: the same request is sent again.
_AGAIN: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Post:
    """One request: one party's referrals under one key."""

    party: str
    key: str
    referrals: tuple[dict[str, Any], ...]


@dataclass(slots=True)
class Tally:
    """The sender's final results: its own side of the account."""

    posted: int = 0
    accepted: dict[tuple[str, str], str] = field(default_factory=dict)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)
    attempts: int = 0
    attempts_failed: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    answered_s: list[float] = field(default_factory=list)

    def __or__(self, other: Tally) -> Tally:
        """Return the results of two senders together."""
        return Tally(
            posted=self.posted + other.posted,
            accepted=self.accepted | other.accepted,
            refused=self.refused | other.refused,
            withdrawn=self.withdrawn | other.withdrawn,
            attempts=self.attempts + other.attempts,
            attempts_failed=self.attempts_failed + other.attempts_failed,
            statuses={
                each: self.statuses.get(each, 0) + other.statuses.get(each, 0)
                for each in self.statuses | other.statuses
            },
            answered_s=self.answered_s + other.answered_s,
        )


def posts(count: int, seed: int, *, batch_max: int = BATCH_MAX) -> Iterator[Post]:
    """Yield `count` sampled referrals of many hotlines and providers, alone and in batches, in a seeded order."""
    drawn = random.Random(seed)
    sampled = sample_referrals(start=date(2026, 3, 15), end=date(2026, 4, 20), count=count, seed=seed, dirty=0.01)
    held: dict[str, list[SampledReferral]] = {}
    wanted: dict[str, int] = {}
    for each in sampled:
        party = each.origin
        held.setdefault(party, []).append(each)
        if len(held[party]) >= wanted.setdefault(party, drawn.choice((1, 1, batch_max))):
            yield _post(party, held.pop(party))
            del wanted[party]
    for party, rest in held.items():
        yield _post(party, rest)


class Sender:
    """Posts for all parties of one exchange, `at_once` requests at a time."""

    def __init__(self, exchange: Exchange, *, at_once: int = 16, withdrawn_share: float = 0.05, seed: int = 1) -> None:
        self.tally = Tally()
        self._drawn = random.Random(seed)
        self._withdrawn_share = withdrawn_share
        self._keys = exchange.parties
        self._turn = asyncio.Semaphore(at_once)
        limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
        # An attempt begins when it has a connection. With a time-out for that wait, a slow machine causes many repeats,
        # and httpx loses connections until none is left.
        timeout = httpx.Timeout(ATTEMPT_S_MAX, pool=None)
        self._http = httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False)

    async def send(self, wanted: Iterable[Post]) -> None:
        """Post all, and withdraw a share of them at once; return when each request has its answer."""
        async with asyncio.TaskGroup() as group:
            for post in wanted:
                await self._turn.acquire()
                group.create_task(self._until_answered(post)).add_done_callback(lambda _: self._turn.release())

    async def send_paced(self, wanted: Iterable[Post], per_s: float) -> None:
        """Post at a steady rate, whether or not earlier posts were answered.

        Answers are timed from the planned moment.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as group:
            for turn, post in enumerate(wanted):
                await asyncio.sleep(began + turn / per_s - loop.time())
                group.create_task(self._until_answered(post))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def _until_answered(self, post: Post) -> None:
        self.tally.posted += len(post.referrals)
        path, content = _request(post)
        began = monotonic()
        answer = await self.repeated(post.party, path, content, key=post.key)
        self.tally.answered_s.append(monotonic() - began)
        body = answer.json()
        results = [body | {"status": answer.status_code}] if len(post.referrals) == 1 else body["results"]
        for referral, result in zip(post.referrals, results, strict=True):
            self._note(post.party, referral["external_ref"], result)
            if "referral_id" in result and self._drawn.random() < self._withdrawn_share:
                await self._withdraw(post.party, result["referral_id"])

    async def _withdraw(self, party: str, referral_id: str) -> None:
        path, content = f"/v1/referrals/{referral_id}:withdraw", b'{"reason":"filed_in_error"}'
        answer = await self.repeated(party, path, content, key=f"withdraw-{referral_id}")
        assert answer.status_code == httpx.codes.ACCEPTED, answer.status_code
        self.tally.withdrawn.add(referral_id)

    async def repeated(self, party: str, path: str, content: bytes, *, key: str) -> httpx.Response:
        """Send the same request under the same key until it is answered."""
        access = self._keys[party]
        headers = {"Authorization": f"Bearer {access.key}", "Content-Type": "application/json", "Idempotency-Key": key}
        while True:
            answer = await self._attempt(access.url + path, content, headers)
            if answer is not None:
                return answer
            await asyncio.sleep(PAUSE_S)

    async def _attempt(self, url: str, content: bytes, headers: dict[str, str]) -> httpx.Response | None:
        self.tally.attempts += 1
        try:
            answer = await self._http.post(url, content=content, headers=headers)
        except httpx.TransportError:
            self.tally.attempts_failed += 1
            return None
        self.tally.statuses[answer.status_code] = self.tally.statuses.get(answer.status_code, 0) + 1
        return None if answer.status_code in _AGAIN else answer

    def _note(self, party: str, external_ref: str, result: dict[str, Any]) -> None:
        if result["status"] == httpx.codes.ACCEPTED:
            self.tally.accepted[party, external_ref] = result["referral_id"]
        else:
            problem = result.get("problem", result)
            self.tally.refused[party, external_ref] = str(problem.get("code"))


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of `values` do not exceed; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _request(post: Post) -> tuple[str, bytes]:
    if len(post.referrals) == 1:
        return "/v1/referrals", json.dumps(post.referrals[0]).encode()
    return "/v1/referrals:batch", json.dumps({"referrals": list(post.referrals)}).encode()


def _post(party: str, sampled: Sequence[SampledReferral]) -> Post:
    referrals = tuple(each.referral for each in sampled)
    return Post(party, f"load-{referrals[0]['external_ref']}", referrals)
