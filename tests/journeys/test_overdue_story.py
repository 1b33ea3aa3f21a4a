"""Stories that wait for the policy's clocks, on an exchange of their own, where an hour lasts a second."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.scenarios.player import over_http, play
from deploy.scenarios.story import Scenario, stories
from tests.journeys.test_holds import policy_hour
from tests.support.running import Exchange, running_exchange

pytestmark = pytest.mark.long

STORIES = [story for story in stories() if story.hours]
#: Extra seconds that a step may take besides its hours, on a slow machine.
PATIENCE_S = 300


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with policy_hour(1), running_exchange(tmp_path_factory.mktemp("hurried")) as running:
        yield running


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_it_comes_out_as_it_is_told(hurried: Exchange, story: Scenario) -> None:
    async with over_http(hurried.parties) as stage:
        played = await play(story, stage, patience_s=story.hours + PATIENCE_S)
    assert not played.differences, "\n".join(played.differences)
