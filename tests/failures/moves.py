"""A provider moves live between two instances of two operators, with notices in transit and late answers.

    python -m tests.failures.moves --count 500

The old instance is paused while the provider moves: half of the notices are unread in its topic, and the provider's
answers there are not sent. It continues long after the new instance has received everything.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from client.api import CausewayClient
from deploy.accounting.book import Reconciliation
from deploy.accounting.run import reconciled
from deploy.site.settings import SAMPLE_INSTANCES
from shared.core.clock import SystemClock
from shared.core.contracts.answers import ItemStatement, NoticeStatements
from shared.core.vocabulary.answers import NoticeAction
from tests.failures.verdict import differences_in
from tests.journeys.parties import operated
from tests.support import driver, driver_audit
from tests.support import driver_delivery as delivery
from tests.support.running import HOTLINE, Exchange, referral, running_exchange, until

#: The sample directory lists it at `OLD`.
MOVED: Final = "provider-001.example"
OLD, NEW = "industry", "industry_two"
#: The old instance's work besides its API, in a process of its own, and the origin's process that follows moves.
OLD_AT_WORK, FOLLOWING = "industry-at-work", "hotline-following"
SILENT_S: Final = 3.0


@dataclass(slots=True)
class Aftermath:
    """The state of both sides when no message is in transit.

    Recipients and audit have read and acknowledged every stream. `told_moved`: notices that the old instance answered
    with `moved`.
    """

    filed: int
    at_new_before_following: int
    answered_at_old: int
    edges: dict[UUID, tuple[str, str]] = field(default_factory=dict)
    retired: int = 0
    notices: dict[UUID, str] = field(default_factory=dict)
    exceptions: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    told_moved: int = 0
    old_key_status: int = 0
    accounting: Reconciliation | None = None

    def line(self) -> str:
        return (
            f"moved: {self.filed} notices in transit, {self.answered_at_old} answered late from the old instance, "
            f"{len(self.notices)} at the new one, lost {len(self.edges.keys() - self.notices.keys())}, "
            f"held open {self.exceptions.total()}, refused {self.outcomes['refused']}, "
            f"answered moved {self.told_moved}, "
            f"differences (I)/(II)/(III)/(IV) {differences_in(self.accounting)}"
        )


def start(exchange: Exchange) -> None:
    """Start all instances: the old one in two processes, the origin without the part that follows moves."""
    for instance in SAMPLE_INSTANCES:
        if instance == OLD:
            exchange.serve(OLD, only=("api", "documents"))
            exchange.serve(OLD, only=("relay", "consumer", "documents"), label=OLD_AT_WORK)
        elif instance == "hotline":
            exchange.serve(instance, only=("api", "documents", "relay", "consumer"))
        else:
            exchange.serve(instance)
    for instance in SAMPLE_INSTANCES:
        exchange.wait_ready(instance)


async def move_through(exchange: Exchange, folder: Path, count: int) -> Aftermath:
    """Submit `count` referrals and move their provider meanwhile; return the state of both sides."""
    before = await _file(exchange, count // 2)
    await _until_notices(exchange, OLD, len(before))
    await exchange.until_quiet()
    exchange.stop(OLD_AT_WORK)
    answered = await _answer_at_old(exchange)
    filed = before + await _file(exchange, count - count // 2)
    await until(lambda: _none_unsent(exchange))
    operated(exchange, "directory", "move", MOVED, NEW, "--out", str(folder / "next.json"), "--publish")
    key = operated(exchange, "key", "issue", MOVED)
    async with CausewayClient(key["url"], key["key"]) as provider:
        await _until_served(provider)
        await asyncio.sleep(SILENT_S)
        found = Aftermath(len(filed), len(await _notices(exchange, NEW)), answered)
        exchange.serve("hotline", only=("moves", "documents"), label=FOLLOWING)
        await _until_notices(exchange, NEW, len(filed))
        await _acknowledge_some(provider)
        exchange.serve(OLD, only=("relay", "consumer", "documents"), label=OLD_AT_WORK)
        await exchange.until_quiet()
        # Late answers of the old instance are stored and then forwarded to the new one separately. No message shows
        # that meanwhile.
        await until(lambda: _none_to_follow(exchange))
        await exchange.until_quiet()
        await _answer_the_rest(provider)
    await exchange.until_quiet()
    await exchange.until_audited()
    await _look(exchange, found)
    return found


async def _file(exchange: Exchange, count: int) -> list[UUID]:
    filed = []
    async with exchange.client(HOTLINE) as hotline:
        for _ in range(count):
            posted = referral()
            item = posted["items"][0]
            item["hosting"][0]["provider"] = MOVED
            item["locator"]["value"] = item["locator"]["value"].replace("provider-012.example", MOVED)
            accepted = await hotline.submit(posted)
            assert MOVED in {each.recipient for each in accepted.recipients}
            filed.append(UUID(str(accepted.referral_id)))
    return filed


async def _answer_at_old(exchange: Exchange) -> int:
    """Acknowledge a third and answer a third. The answers are not sent yet."""
    async with exchange.client(MOVED) as provider:
        ids = [each.notice_id async for page in provider.notices() for each in page.items]
        for place, notice_id in enumerate(ids):
            if place % 3 == 0:
                await provider.act_on_notice("acknowledge", notice_id)
            elif place % 3 == 1:
                await provider.act_on_notice("answer", notice_id, _removed())
    return sum(place % 3 < 2 for place in range(len(ids)))


async def _acknowledge_some(provider: CausewayClient) -> None:
    """Acknowledge a fifth, including some that were answered at the old place. The new place's answer counts then."""
    ids = [each.notice_id async for page in provider.notices() for each in page.items]
    for notice_id in ids[::5]:
        await provider.act_on_notice("acknowledge", notice_id)


async def _answer_the_rest(provider: CausewayClient) -> None:
    open_ones = [
        each.notice_id
        async for page in provider.notices()
        for each in page.items
        if each.state in ("issued", "acknowledged")
    ]
    for notice_id in open_ones:
        await provider.act_on_notice("answer", notice_id, _removed())


def _removed() -> NoticeStatements:
    removed = ItemStatement(action=NoticeAction.REMOVED, effective_at=SystemClock().now())
    return NoticeStatements(items=(removed,))


async def _all_read(exchange: Exchange, instance: str) -> bool:
    return not await delivery.list_unread_streams(exchange, instance)


async def _none_unsent(exchange: Exchange) -> bool:
    return await delivery.count_unsent_messages(exchange, "hotline", OLD) == 0


async def _none_to_follow(exchange: Exchange) -> bool:
    return await driver.count_edges_to_move(exchange) == 0


async def _until_served(provider: CausewayClient) -> None:
    async def served() -> bool:
        try:
            return bool([page async for page in provider.notices()])
        except Exception:  # not served there yet, by the directory that it has
            return False

    await until(served)


async def _until_notices(exchange: Exchange, instance: str, count: int) -> None:
    async def there() -> bool:
        return len(await _notices(exchange, instance)) >= count

    await until(there)


async def _notices(exchange: Exchange, instance: str) -> dict[UUID, str]:
    return await driver.list_notices(exchange, instance, MOVED)


async def _look(exchange: Exchange, found: Aftermath) -> None:
    edges = await driver.list_edges_to_party(exchange, MOVED)
    found.edges = {row["notice_id"]: (row["instance"], row["answer"]) for row in edges if row["state"] == "emitted"}
    found.retired = len(edges) - len(found.edges)
    found.notices = await _notices(exchange, NEW)
    found.outcomes = Counter(row["outcome"] for row in await delivery.list_edge_outcomes(exchange, "hotline"))
    found.told_moved = await driver_audit.count_audited_outcomes(exchange, OLD, "moved")
    for instance in exchange.senders:
        await until(lambda sender=instance: _all_read(exchange, sender))
        found.exceptions += await delivery.count_exceptions(exchange, instance)
    async with exchange.http(MOVED) as at_old:
        found.old_key_status = (await at_old.get("/v1/notices")).status_code
    found.accounting = await reconciled(exchange.endpoints)


def check(found: Aftermath) -> None:
    """Raises `AssertionError` if anything was lost, or ended in an unexpected state."""
    assert found.at_new_before_following == 0
    assert found.notices.keys() == found.edges.keys()
    assert len(found.edges) == found.filed
    assert found.retired == 0
    assert set(found.edges.values()) == {(NEW, "actioned")}
    assert set(found.notices.values()) == {"actioned"}
    assert found.exceptions.total() == 0
    assert found.outcomes.keys() == {"applied"}
    assert found.told_moved == found.filed - found.filed // 2
    assert found.old_key_status == 401
    assert found.accounting.differences == ()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    count: int = parser.parse_args(arguments).count
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, running_moves(Path(folder)) as exchange:
        found = asyncio.run(move_through(exchange, Path(folder), count))
    check(found)
    print(f"{found.line()}, in {time.monotonic() - began:.0f} s")
    return 0


def running_moves(folder: Path) -> Any:
    """Yield an exchange of five instances, whose processes `start` has started; stop it at the end."""
    return running_exchange(folder / "state", instances=SAMPLE_INSTANCES, start=start)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
