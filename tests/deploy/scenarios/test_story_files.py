"""Stories are data: each file is one, with existing acts, and states the result for each party."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from client.views import TimelineEntry
from deploy.scenarios.player import line
from deploy.scenarios.story import Scenario, ScenarioStep, filled, referral_like, stories
from shared.catalog import CATALOG
from shared.core.ids import uuid7
from shared.core.vocabulary.referral import IncidentKind

STORIES = stories()
ROOT = Path(__file__).parents[3]
PARTIES = ROOT / "deploy" / "directory" / "parties.json"


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_it_is_of_acts_that_there_are_and_of_sample_parties(story: Scenario) -> None:
    deeds = [step for step in story.step if isinstance(step, ScenarioStep)]
    assert [deed.does for deed in deeds if deed.path is None and deed.row is None] == []
    for deed in deeds:
        assert deed.row is None or deed.row in CATALOG.personal(deed.row.subject)
    known = {party["id"] for party in json.loads(PARTIES.read_bytes())["parties"]}
    assert set(story.parties.values()) <= known
    assert {each.of for each in story.timeline} <= {each.of for each in deeds} | {n for d in deeds for n in d.names}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_it_is_listed(story: Scenario) -> None:
    assert f"`{story.name}`" in (ROOT / "docs" / "stories.md").read_text("utf-8")


def test_a_file_with_a_party_that_is_none_or_a_word_that_is_none_is_refused() -> None:
    story = STORIES[0].model_dump(by_alias=True)
    for wrong in ({"parties": {"nobody": "x.example"}}, {"plot": "none"}):
        with pytest.raises(ValidationError):
            Scenario.model_validate(story | wrong)


def test_referrals_are_drawn_with_the_storys_names_and_changes() -> None:
    (filed,) = (each for story in STORIES if story.name == "declined" for each in story.filed.values())
    changed = filed.model_copy(update={"changes": {"incident_kind": IncidentKind.GROOMING.value}})
    body = referral_like(changed, names={"provider": "provider-012.example", "n": "17"})
    assert (body["external_ref"], body["incident_kind"]) == ("story-17", "csem_grooming")
    assert filled({"a": ["{n}", 1, None]}, {"n": "2"}) == {"a": ["2", 1, None]}


def test_a_line_names_parties_as_the_story_does_and_leaves_out_times_and_ids() -> None:
    said = {
        "items": [{"n": 1, "action": "removed", "effective_at": "2026-05-04T11:59:00Z"}],
        "act": str(uuid7()),
        "kept": {"until": "2030-01-01", "basis": "legal_hold"},
        "reason": "no_crime",
    }
    entry = TimelineEntry.model_validate(
        {"number": 1, "type": "notice.answer", "subject": uuid7(), "at": "2026-05-04T12:00:00Z", "state": "actioned"}
        | {"by": "p.example", "said": said}
    )
    wanted = "notice.answer actioned by provider 1:action=removed basis=legal_hold until=2030-01-01 reason=no_crime"
    assert line(entry, {"p.example": "provider"}) == wanted
    bare = entry.model_copy(update={"state": None, "by": None, "said": None})
    assert line(bare, {}) == "notice.answer"
