"""An origin with a wrong clock or without new documents: its edges wait, it reports that, and it recovers.

Its pauses are a sixtieth of real ones.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from confluent_kafka.admin import AclOperation

from deploy.operator.documents import publish_file
from deploy.site import installation
from deploy.site.endpoints import STACK_FILE
from deploy.site.open import Site
from shared.core.clock import SystemClock
from tests.failures.delivered import filings, without_right
from tests.failures.load import Sender
from tests.support import driver
from tests.support.altered_instance import with_clock
from tests.support.driver_delivery import count_applied_messages
from tests.support.running import SERVICES, Exchange, running_exchange, until
from tests.support.stack import FOUR

pytestmark = pytest.mark.timing

OFF_S = 360
#: In force for so long that a slow clock does not consider them future documents.
IN_FORCE_FOR = timedelta(hours=1)
DECISIONS_MAX = 4
FILED = 5
#: Messages dated ahead wait until that time.
WAITED_S_MAX = 300.0
#: Younger than its process, and older than a heartbeat that comes every second.
HEARD_S = 4.0


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("clock") / "off_s"
    set_off(file, 0)
    return file


def set_off(clock: Path, off_s: int) -> None:
    """Written at once and whole, since its reader asks for the time continuously."""
    draft = clock.with_suffix(".new")
    draft.write_text(str(off_s))
    draft.replace(clock)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory, clock: Path) -> Iterator[Exchange]:
    """Yield an exchange whose hotline service has its own clock, short pauses, and documents that are not new."""

    def start(exchange: Exchange) -> None:
        for instance in FOUR:
            exchange.serve(instance, program=with_clock(clock) if instance == "hotline" else None)
        for instance in FOUR:
            exchange.wait_ready(instance)

    with pytest.MonkeyPatch.context() as installing:
        installing.setattr(installation, "_HEAD_START", IN_FORCE_FOR)
        with running_exchange(tmp_path_factory.mktemp("origin"), start=start) as exchange:
            yield exchange


async def filed(exchange: Exchange) -> list[UUID]:
    async with Sender(exchange, withdrawn_share=0) as sender:
        await sender.send(filings(FILED))
    return [UUID(each) for each in sender.tally.accepted.values()]


async def decisions(exchange: Exchange, ids: Sequence[UUID]) -> Counter[tuple[str, UUID]]:
    """Return how often each edge was decided."""
    return Counter((row["recipient"], row["referral_id"]) for row in await driver.list_decisions(exchange, ids))


async def applied(exchange: Exchange, ids: Sequence[UUID]) -> int:
    """Return the number of valid edges that their recipients have applied."""
    sent = await driver.list_sent_edges(exchange, ids)
    found = 0
    for instance in SERVICES:
        messages = [row["message_id"] for row in sent if row["instance"] == instance]
        found += await count_applied_messages(exchange, instance, messages)
    return found


async def all_applied(exchange: Exchange, ids: Sequence[UUID]) -> bool:
    """Return whether none of them waits for a decision or for sending."""
    return await applied(exchange, ids) == len(await decisions(exchange, ids))


async def checks(exchange: Exchange) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=exchange.endpoints.http["hotline"], trust_env=False, timeout=60) as http:
        answer = await http.get("/readyz")
    assert answer.status_code == 200
    return {each["name"]: each for each in answer.json()["checks"]}


async def says(exchange: Exchange, reason: str) -> bool:
    return bool((await checks(exchange))["relay"]["reason"] == reason)


@pytest.mark.parametrize("off_s", [pytest.param(OFF_S, marks=pytest.mark.long), -OFF_S])
async def test_edges_wait_while_a_clock_is_off_and_go_by_themselves_when_it_is_right(
    origin: Exchange, clock: Path, off_s: int, record_property: Callable[[str, object], None]
) -> None:
    """Six minutes ahead, and behind: its documents are older than that."""
    set_off(clock, off_s)
    first = await filed(origin)
    await until(partial(says, origin, "clock_off"))
    waiting = await filed(origin)
    await asyncio.sleep(1.0)
    assert await applied(origin, waiting) == 0
    set_off(clock, 0)
    await until(partial(all_applied, origin, first + waiting), seconds_max=OFF_S + WAITED_S_MAX)
    await origin.until_quiet()
    decided = await decisions(origin, first + waiting)
    record_property("decisions", dict(Counter(decided.values())))
    assert len(decided) == 2 * FILED * len(SERVICES)
    assert max(decided.values()) <= DECISIONS_MAX
    assert await applied(origin, first + waiting) == len(decided)
    assert await says(origin, "")


async def test_edges_wait_while_no_document_is_heard_of_and_are_decided_once_more_when_one_was_missed(
    origin: Exchange, record_property: Callable[[str, object], None]
) -> None:
    policy = json.loads((origin.state / "policy.json").read_text())
    body = json.dumps(policy | {"version": policy["version"] + 1}).encode()
    async with driver.document_heartbeat(origin):
        await until(partial(has_heard, origin))
        async with without_right(origin, "hotline", driver.DIRECTORY_TOPIC, AclOperation.READ):
            # The grace period of the policy before it ends in a moment.
            begun = SystemClock().now() - driver.DOCUMENT_TOLERANCE + timedelta(seconds=15)
            published = await asyncio.to_thread(publish_file, site_of(origin), "policy", body, active_from=begun)
            for instance in ("law_enforcement", "industry"):
                await until(partial(driver.has_document, origin, instance, published.digest))
            await until(partial(says, origin, "beat_late"))
            waiting = await filed(origin)
            await asyncio.sleep(max(1.0, (begun + driver.DOCUMENT_TOLERANCE - SystemClock().now()).total_seconds()))
            assert await applied(origin, waiting) == 0
        await until(partial(all_applied, origin, waiting))
        await origin.until_quiet()
    decided = await decisions(origin, waiting)
    record_property("decisions", dict(Counter(decided.values())))
    assert len(decided) == FILED * len(SERVICES)
    assert 1 < max(decided.values()) <= DECISIONS_MAX
    assert await applied(origin, waiting) == len(decided)


def site_of(exchange: Exchange) -> Site:
    return Site(exchange.state / STACK_FILE, exchange.state, exchange.endpoints)


async def has_heard(exchange: Exchange) -> bool:
    """Return whether the origin has received a heartbeat. It was started earlier."""
    return 0 <= (await checks(exchange))["documents"]["age_s"] < HEARD_S
