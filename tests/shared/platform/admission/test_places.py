"""A pool's places: shares nest, a key always gets its first place, and waiting requests take turns by principal."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.platform.admission.budgets import (
    BudgetExceeded,
    PlacePool,
    Principal,
    Shares,
    note_principal,
    read_address,
    read_principal,
)

ONE, TWO, OTHER = Principal("a.example", "1"), Principal("a.example", "2"), Principal("b.example", "1")
ADDRESS = Principal(None, "192.0.2.1")


def pool(*, holder: int = 2, party: int = 3, instance: int = 4, waiting: int = 0, wait_s: float = 60) -> PlacePool:
    return PlacePool("bodies", Shares(holder, party, instance, waiting=waiting, wait_s=wait_s))


async def taken(places: PlacePool, stack: AsyncExitStack, *principals: Principal) -> list[bool]:
    """Take a place for each; return whether it was granted."""
    granted = []
    for principal in principals:
        try:
            await stack.enter_async_context(places.place(principal))
        except BudgetExceeded:
            granted.append(False)
        else:
            granted.append(True)
    return granted


async def test_a_key_has_its_share_of_its_partys_share_of_all() -> None:
    places = pool()
    async with AsyncExitStack() as stack:
        assert await taken(places, stack, ONE, ONE, ONE) == [True, True, False], "of the key"
        assert await taken(places, stack, TWO, TWO) == [True, False], "of the party"
        assert await taken(places, stack, OTHER, OTHER) == [True, False], "of the instance"
    assert (places.held, places.of_holder, places.of_party) == (0, {}, {})


async def test_a_key_gets_its_first_place_whatever_others_hold_and_an_address_does_not() -> None:
    places = pool(holder=4, party=4, instance=4)
    async with AsyncExitStack() as stack:
        assert await taken(places, stack, ONE, ONE, ONE, ONE) == [True] * 4
        assert await taken(places, stack, TWO, OTHER, ADDRESS) == [True, True, False]
    places = pool(holder=1, party=1, instance=3)
    async with AsyncExitStack() as stack:
        others = [ADDRESS._replace(holder=f"192.0.2.{n}") for n in (2, 3, 4)]
        assert await taken(places, stack, *others) == [True] * 3, "addresses are no party"


async def test_what_waits_gets_the_place_that_becomes_free_and_principals_take_turns() -> None:
    places, order = pool(holder=1, party=9, instance=9, waiting=2), list[Principal]()

    async def use(principal: Principal) -> None:
        async with places.place(principal):
            order.append(principal)
            await asyncio.sleep(0)

    await asyncio.gather(*(use(each) for each in (ONE, ONE, ONE, TWO, TWO)))
    assert order == [ONE, TWO, ONE, TWO, ONE]
    assert (places.held, places.waiting) == (0, 0)


@pytest.mark.timing
async def test_a_wait_ends_with_a_refusal_that_names_the_budget() -> None:
    places = pool(holder=1, waiting=1, wait_s=0.01)
    async with places.place(ONE):
        with pytest.raises(BudgetExceeded) as refused:
            async with places.place(ONE):
                pass
    assert refused.value.headers["RateLimit-Policy"] == '"bodies";q=1'
    assert refused.value.headers["Retry-After"] == "1"
    assert (places.held, places.waiting) == (0, 0)


async def test_a_wait_that_is_cancelled_when_its_turn_comes_gives_the_place_back() -> None:
    places, release = pool(holder=1, waiting=1), asyncio.Event()

    async def use(event: asyncio.Event) -> None:
        async with places.place(ONE):
            await event.wait()

    first = asyncio.create_task(use(release))
    await asyncio.sleep(0)
    second = asyncio.create_task(use(asyncio.Event()))
    await asyncio.sleep(0)
    release.set()
    await asyncio.sleep(0)  # the first leaves and grants the turn; the second has not run yet
    second.cancel()
    await asyncio.wait([first, second])
    assert (places.held, places.waiting) == (0, 0)


@pytest.mark.parametrize("waits_behind", [0, 1])
async def test_a_wait_that_is_cancelled_as_a_place_becomes_free_keeps_none(waits_behind: int) -> None:
    places = pool(holder=1, waiting=3)

    async def use(event: asyncio.Event) -> None:
        async with places.place(ADDRESS):
            await event.wait()

    for _ in range(10):
        release = asyncio.Event()
        first = asyncio.create_task(use(release))
        await asyncio.sleep(0)
        second, *behind = (asyncio.create_task(use(release)) for _ in range(1 + waits_behind))
        await asyncio.sleep(0)
        # All in the next step: the first leaves, one more asks, and the second ends its wait.
        release.set()
        behind.append(asyncio.create_task(use(release)))
        second.cancel()
        await asyncio.gather(first, *behind)
    assert (places.held, places.of_holder, places.of_party, places.waiting) == (0, {}, {}, 0)


@given(st.lists(st.tuples(st.sampled_from([ONE, TWO, OTHER, ADDRESS]), st.booleans()), max_size=60))
async def test_no_share_is_exceeded_but_by_first_places(steps: list[tuple[Principal, bool]]) -> None:
    places = pool()
    stacks: dict[Principal, list[AsyncExitStack]] = {}
    for principal, enters in steps:
        if enters:
            stack = AsyncExitStack()
            if (await taken(places, stack, principal))[0]:
                stacks.setdefault(principal, []).append(stack)
        elif stacks.get(principal):
            await stacks[principal].pop().aclose()
        assert places.held == sum(map(len, stacks.values()))
        assert all(count <= 2 for count in places.of_holder.values())
        assert places.held <= 4 + 3, "first places of the three keys come on top"
    for held in stacks.values():
        for each in held:
            await each.aclose()
    assert (places.held, places.of_holder, places.of_party) == (0, {}, {})


@pytest.mark.parametrize(
    ("client", "holder"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::"),
        (None, ""),
        (("testclient", 1), ""),
    ],
)
def test_an_address_is_a_principal_until_the_key_is_known(client: tuple[str, int] | None, holder: str) -> None:
    scope: dict[str, Any] = {"client": client}
    assert read_principal(scope) == read_address(scope) == Principal(None, holder)
    note_principal(scope, ONE)
    assert (read_principal(scope), read_address(scope)) == (ONE, Principal(None, holder))
