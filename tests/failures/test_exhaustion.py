"""The costliest bodies that a party may post, at the highest rate: other parties and monitoring are hardly affected."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.failures.exhaustion import GROWTH_KIB_MAX, Api, exhausted, served_alone
from tests.failures.split import SplitExchange

pytestmark = pytest.mark.long

SECONDS = 6.0
#: The goal is twice; deadlines of tests are ten times the goal.
RATIO_MAX = 20.0


@pytest.fixture(scope="module")
def api(intake: SplitExchange) -> Iterator[Api]:
    with served_alone(intake) as served:
        yield served


@pytest.mark.timing
@pytest.mark.parametrize("attack", ["dearest_bodies", "refused_bodies"])
async def test_the_dearest_bodies_of_one_party_hold_up_neither_the_others_nor_who_watches(
    api: Api, attack: str, record_property: Callable[[str, object], None]
) -> None:
    found = await exhausted(api, attack, seconds=SECONDS)
    record_property("figure", found.line())
    assert set(found.statuses) <= {200, 422, 429, 503}
    assert set(found.lives) == {200}
    assert found.ratio <= RATIO_MAX
    assert found.grown_kib <= GROWTH_KIB_MAX
