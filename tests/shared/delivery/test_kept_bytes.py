"""At the limit of stored bytes new states are refused, and all other messages are sent."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Any, cast

import pytest

from shared.core.contracts.registry import NOTICE_ACKNOWLEDGED, REFERRAL_WITHDRAWN
from shared.core.errors import Unavailable
from shared.delivery.gate import KeptBytesBound
from tests.shared.delivery.toy_instances import fact, offer

BOUND = 1000


class Driver:
    """A driver whose other connection answers with the number of bytes in the tables, once it is `free`."""

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self.looks, self.database, self.free = 0, self, asyncio.Event()
        self.free.set()

    async def fetch(self, statement: str) -> list[dict[str, int]]:
        self.looks += 1
        await self.free.wait()
        return [{"bytes": self.kept}]


def of(message: Any) -> Any:
    made = offer("a", "b")
    return type(made)(**{name: getattr(made, name) for name in made.__slots__} | {"message": message})


async def other_tasks() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def checked(bound: KeptBytesBound, driver: Any, *gathered: Any) -> None:
    """Check a transaction once the sum is read that the one before began."""
    await asyncio.wait_for(bound.check(driver, [offer("a", "b")]), 30)
    await other_tasks()
    await bound.check(driver, gathered)


@pytest.mark.parametrize(("kept", "is_refused"), [(0, False), (BOUND - 1, False), (BOUND, True)])
async def test_a_state_is_refused_at_the_bound(kept: int, is_refused: bool) -> None:
    bound, driver = KeptBytesBound(BOUND), Driver(kept)
    with pytest.raises(Unavailable, match="streams_full") if is_refused else nullcontext():
        await checked(bound, driver, fact("a", "b"), offer("a", "b"))
    assert driver.looks == 1


OTHERS = (
    offer("a", "b", is_p0=True),
    fact("a", "b"),
    of(REFERRAL_WITHDRAWN),
    of(NOTICE_ACKNOWLEDGED),
    "of the journal",
)


@pytest.mark.parametrize("gathered", [[], *([each] for each in OTHERS)])
async def test_other_messages_are_sent_at_the_bound(gathered: list[Any]) -> None:
    await checked(KeptBytesBound(BOUND), Driver(BOUND), *gathered)


async def test_states_are_sent_again_once_readers_are_back() -> None:
    bound, driver = KeptBytesBound(BOUND, look_s=0), Driver(BOUND)
    with pytest.raises(Unavailable):
        await checked(bound, driver, offer("a", "b"))
    driver.kept = 0
    await other_tasks()
    await bound.check(cast(Any, driver), [offer("a", "b")])


async def test_no_transaction_waits_for_another_connection() -> None:
    """Earlier, all connections could wait for one more, and every state was then refused."""
    bound, driver = KeptBytesBound(BOUND), Driver(0)
    driver.free.clear()
    await checked(bound, driver, offer("a", "b"))
