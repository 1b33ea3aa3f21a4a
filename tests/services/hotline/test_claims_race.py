"""Fifty hotlines claim one orphan at once. One claim is granted; the others learn that the referral is gone.

The first transaction to lock the referral gets the grant. Tested with several workers in one process, and with several
processes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.contracts.registry import CLAIM_GONE, CLAIM_GRANTED
from shared.features.transfers import store
from shared.features.transfers.ports import LockedReferral
from shared.features.transfers.store import PostgresTransfers
from shared.instance import parties
from tests.services.hotline.origin import Origin, applied
from tests.services.hotline.transferring import claim, claim_at_once, mandated, orphan, told, transfer
from tests.services.outgoing import placed

RACERS, PROCESSES = 50, 3
ROOT = Path(__file__).parents[3]


async def transferred(origin: Origin) -> tuple[UUID, Sequence[str]]:
    """Transfer a referral; return its id and fifty hotlines that may claim it."""
    racers = mandated(origin.world, RACERS)
    referral_id = await orphan(origin, "NO")
    status, body = await transfer(origin, referral_id)
    assert (status, body["offered"]) == (202, sorted(racers))
    return referral_id, racers


async def assert_one_has_it(origin: Origin, referral_id: UUID, racers: Sequence[str]) -> None:
    said = await placed(origin.database, "hotline", referral_id)
    granted, gone = ([to for kind, to in said if kind == one.type] for one in (CLAIM_GRANTED, CLAIM_GONE))
    assert len(granted) == 1
    assert Counter([*granted, *gone]) == Counter(racers), "each was told, once"
    assert (await origin.show(referral_id))["state"] == "transferred"
    has = await origin.sql(
        "SELECT recipient FROM transfer WHERE referral_id = $1 AND claimed_at IS NOT NULL", referral_id
    )
    claimed = await origin.sql("SELECT FROM edge WHERE referral_id = $1 AND answer = 'claimed'", referral_id)
    assert [row["recipient"] for row in has] == granted
    assert len(claimed) == RACERS, "what was said is kept, whoever has it"


async def test_of_fifty_that_claim_at_once_one_has_it(origin: Origin) -> None:
    referral_id, racers = await transferred(origin)
    assert await claim_at_once(origin, referral_id, racers) == [None] * RACERS
    await assert_one_has_it(origin, referral_id, racers)


async def test_of_fifty_that_claim_at_several_processes_one_has_it(origin: Origin, endpoint: DatabaseEndpoint) -> None:
    referral_id, racers = await transferred(origin)
    working = [await worker() for _ in range(PROCESSES)]
    for place, process in enumerate(working):
        assert process.stdin is not None
        asked = {"url": endpoint.service_url, "referral": str(referral_id), "racers": racers[place::PROCESSES]}
        process.stdin.write(json.dumps(asked).encode() + b"\n")
    for process in working:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    for process in working:  # all processes are ready: start
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
    ended = [await process.communicate() for process in working]
    assert [process.returncode for process in working] == [0] * PROCESSES
    assert sum(len(json.loads(out)) for out, _ in ended) == RACERS
    assert {code for out, _ in ended for code in json.loads(out)} == {None}
    await assert_one_has_it(origin, referral_id, racers)


async def worker() -> asyncio.subprocess.Process:
    """Start a process that applies claims on command."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.services.hotline.claiming",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def test_a_worker_killed_in_mid_grant_has_granted_nothing(origin: Origin, endpoint: DatabaseEndpoint) -> None:
    """The referral is handed over but no hotline was informed. The next worker finds it as it was before."""
    referral_id, (one, other, *_) = await transferred(origin)
    process = await worker()
    assert process.stdin is not None
    assert process.stdout is not None
    asked = {"url": endpoint.service_url, "referral": str(referral_id), "racers": [one], "stops": True}
    process.stdin.write(json.dumps(asked).encode() + b"\ngo\n")
    assert [await process.stdout.readline() for _ in range(2)] == [b"ready\n", b"between\n"]
    process.kill()
    await process.wait()
    assert (await origin.show(referral_id))["state"] == "orphaned"
    # The message is read again, after one that another worker has applied meanwhile.
    assert await applied(origin, claim(referral_id, other), claim(referral_id, one)) == [None, None]
    assert await told(origin, "claim_granted") == [other]
    assert len(await told(origin, "claim_gone")) == RACERS - 1


class Meeting(PostgresTransfers):
    """A store with a meeting point: two workers read one referral at the same time, without the lock."""

    met: asyncio.Barrier

    async def lock(self, referral_ids: Collection[UUID]) -> Mapping[UUID, LockedReferral]:
        held = await super().lock(referral_ids)
        await self.met.wait()
        return held

    async def hand_over(self, held: LockedReferral, to: str, at: datetime) -> None:
        """Hand the referral over without the row that only one worker can insert."""
        await self._driver.execute(store._HAND_OVER, held.referral_id)


async def test_with_the_lock_off_two_have_it(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control with the lock off: both claims are granted."""
    referral_id, (one, other, *_) = await transferred(origin)
    monkeypatch.setattr(store, "_LOCK", store._LOCK.replace("FOR UPDATE", ""))
    monkeypatch.setattr(parties, "PostgresTransfers", type("Two", (Meeting,), {"met": asyncio.Barrier(2)}))
    await asyncio.gather(applied(origin, claim(referral_id, one)), applied(origin, claim(referral_id, other)))
    assert await told(origin, "claim_granted") == sorted((one, other))
