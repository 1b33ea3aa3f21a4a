"""At the limit of stored bytes new states are refused, and all other messages are sent."""

from __future__ import annotations

from typing import Any, cast

import pytest

from shared.core.contracts.registry import NOTICE_ACKNOWLEDGED, REFERRAL_WITHDRAWN
from shared.core.errors import Unavailable
from shared.instance.delivery.sending import KeptBytesBound
from tests.shared.instance.delivery.toy_instances import fact, offer

BOUND = 1000


class Driver:
    """A driver that answers with the number of bytes in the tables."""

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self.looks, self.database = 0, self

    async def fetch(self, statement: str) -> list[dict[str, int]]:
        self.looks += 1
        return [{"bytes": self.kept}]


def of(message: Any) -> Any:
    made = offer("a", "b")
    return type(made)(**{name: getattr(made, name) for name in made.__slots__} | {"message": message})


@pytest.mark.parametrize(("kept", "is_refused"), [(0, False), (BOUND - 1, False), (BOUND, True)])
async def test_a_state_is_refused_at_the_bound(kept: int, is_refused: bool) -> None:
    bound, driver = KeptBytesBound(BOUND), cast(Any, Driver(kept))
    if not is_refused:
        await bound.check(driver, [offer("a", "b")])
        return
    for _ in range(2):
        with pytest.raises(Unavailable, match="streams_full"):
            await bound.check(driver, [fact("a", "b"), offer("a", "b")])
    assert driver.looks == 1


@pytest.mark.parametrize(
    "gathered",
    [
        [offer("a", "b", is_p0=True)],
        [fact("a", "b")],
        [of(REFERRAL_WITHDRAWN)],
        [of(NOTICE_ACKNOWLEDGED)],
        [],
        ["a line of the journal"],
    ],
    ids=["p0", "fact", "withdrawal", "answer", "nothing", "journal"],
)
async def test_other_messages_are_sent_at_the_bound(gathered: list[Any]) -> None:
    driver = cast(Any, Driver(BOUND))
    await KeptBytesBound(BOUND).check(driver, gathered)
    assert driver.looks == 0


async def test_states_are_sent_again_once_readers_are_back() -> None:
    driver = cast(Any, Driver(BOUND))
    bound = KeptBytesBound(BOUND, look_s=0)
    with pytest.raises(Unavailable):
        await bound.check(driver, [offer("a", "b")])
    driver.kept = 0
    await bound.check(driver, [offer("a", "b")])
