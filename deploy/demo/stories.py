"""The demo's stories: played after its main run, and each side's timeline printed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from deploy.scenarios.player import Played, play
from deploy.scenarios.stage import Access, over_http
from deploy.scenarios.story import stories


async def play_stories(state: Path, say: Callable[[str], None]) -> Sequence[dict[str, Any]]:
    """Play all that wait for no hours, beside each other, with the sample parties' own keys; as JSON."""
    parties = json.loads((state / "parties.json").read_text())
    access = {party["party"]: Access(party["url"], party["key"]) for party in parties}
    wanted = [story for story in stories() if not story.hours]
    say(f"playing {', '.join(story.name for story in wanted)}")
    async with over_http(access) as stage:
        return [_as_json(played) for played in await asyncio.gather(*(play(story, stage) for story in wanted))]


def print_stories(found: Sequence[dict[str, Any]]) -> None:
    """Each story: what it tells, and the timeline of each side."""
    console = Console(width=None if Console().is_terminal else 200)
    for story in found:
        console.rule(f"Story: {story['title']}")
        console.print(story["tells"])
        for group in story["groups"]:
            console.print(f"{group['party']}: causeway notice work: {group['work_item']} has {len(group['notices'])}")
        for seen in story["timelines"]:
            console.print(f"{seen['party']}: causeway timeline {seen['subject']}", soft_wrap=True)
            for entry, line in zip(seen["entries"], seen["lines"], strict=True):
                console.print(f"    {entry['at'][11:23]}  {line}", soft_wrap=True)
            for listed in seen["listed"]:
                console.print(f"    on the list of what needs a person: {listed}", soft_wrap=True)
        for difference in story["differences"]:
            console.print(f"NOT AS TOLD: {difference}")


def _as_json(played: Played) -> dict[str, Any]:
    return {
        "name": played.story.name,
        "title": played.story.title,
        "tells": played.story.tells,
        "differences": list(played.differences),
        "groups": [
            {"party": each.party, "work_item": str(each.work_item), "notices": [str(one) for one in each.notices]}
            for each in played.groups
        ],
        "timelines": [
            {
                "party": each.party,
                "subject": str(each.subject),
                "lines": list(each.lines),
                "listed": list(each.listed),
                "entries": [entry.model_dump(mode="json", exclude_none=True) for entry in each.entries],
            }
            for each in played.seen
        ],
    }
