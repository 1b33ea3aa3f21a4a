"""Every story ends as its file says, at each side, on a running exchange."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deploy.scenarios.player import ObservedTimeline, over_http, play
from deploy.scenarios.story import Scenario, stories
from tests.journeys.parties import Party
from tests.support.running import Exchange

STORIES = [story for story in stories() if not story.hours]


def told(exchange: Exchange, seen: ObservedTimeline) -> list[tuple[int, str]]:
    """Return the output of `causeway timeline` for the subject."""
    return [(each["number"], each["type"]) for each in Party(exchange, seen.party).told("timeline", str(seen.subject))]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_a_story_comes_out_as_it_is_told(
    exchange: Exchange, story: Scenario, record_property: Callable[[str, object], None]
) -> None:
    async with over_http(exchange.parties) as stage:
        played = await play(story, stage)
    record_property("timelines", len(played.timelines))
    shown = [told(exchange, each) for each in played.timelines[:1]]
    assert shown == [[(entry.number, entry.type) for entry in each.entries] for each in played.timelines[:1]]
    assert not played.differences, "\n".join(played.differences)


async def test_a_story_that_comes_out_otherwise_is_noticed(exchange: Exchange) -> None:
    """Negative control: another reason at the end of a line, and an act with another answer."""
    (declined,) = (each for each in STORIES if each.name == "declined")
    first, *others = declined.timeline
    wrong = first.model_copy(update={"shows": (first.shows[0], first.shows[1].replace("no_capacity", "no_crime"))})
    refused = [each.model_copy(update={"code": "not_found"}) for each in declined.step]
    async with over_http(exchange.parties) as stage:
        edited = await play(declined.model_copy(update={"timeline": (wrong, *others)}), stage, patience_s=60)
        otherwise = await play(declined.model_copy(update={"step": tuple(refused)}), stage, patience_s=60)
    (difference,) = edited.differences
    assert difference.startswith("hotline of it: ")
    assert "reason=no_capacity" in difference
    assert otherwise.differences == ("step 1: hotline referral.submit: 202 ",)
