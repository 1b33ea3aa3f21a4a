"""The demo on a small sample; `python -m tests.acceptance` runs it whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.demo.run import SHOWN
from deploy.scenarios.story import stories
from tests.acceptance.demonstration import Demonstration, counted, recounted, run_demo, without_a_rule
from tests.acceptance.flows import instances_of

Record = Callable[[str, object], None]

REFERRALS = 150


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demonstration:
    return run_demo(tmp_path_factory.mktemp("demo"), REFERRALS, timeout_s=600)


def test_the_demo_prints_counts_work_lists_one_flow_and_addresses(demo: Demonstration) -> None:
    printed = demo.ran.stdout
    for title in (
        "Recipients with the most referrals",
        "Answers of recipients",
        "Unrouted referrals",
        "The flow of referral",
    ):
        assert title in printed
    assert all(f"{url}/openapi.json" in printed for url in demo.report["urls"].values())
    assert sum(demo.report["filed"]["states"].values()) == demo.report["filed"]["count"] == REFERRALS
    assert all(row["reason"] and row["count"] > 0 for row in demo.report["work_lists"])


def test_links_into_the_consoles_are_printed_before_anything_is_filed(demo: Demonstration) -> None:
    before, _, _ = demo.ran.stderr.partition("submitting ")
    links = re.findall(r"^(\S+), once within ten minutes: (http://127\.0\.0\.1:\d+)/console/in/\S{43}$", before, re.M)
    assert {party for party, _ in links} == set(SHOWN)
    assert {address for _, address in links} <= set(demo.report["urls"].values())
    assert "until this demo" in before


def test_the_demos_flow_crosses_three_instances_in_eight_messages_or_more(demo: Demonstration) -> None:
    assert len(demo.messages) >= 8
    assert len(instances_of(demo.messages, demo.state / "directory.json")) >= 3
    assert any(each["rules"] for each in demo.messages)
    assert any(each["type"].endswith("_withdrawn.v1") for each in demo.messages)


def test_the_demos_counts_equal_a_recount_of_its_input(demo: Demonstration, record_property: Record) -> None:
    assert counted(demo) in recounted(demo)
    record_property(
        "figure", f"{REFERRALS} referrals, {sum(r['count'] for r in demo.report['recipients'])} edges equal"
    )


def test_a_recount_by_another_law_is_noticed(demo: Demonstration, tmp_path: Path) -> None:
    """The control of the test above."""
    used = next(rule for each in demo.messages for rule in each["rules"])
    edited = without_a_rule(demo, used, tmp_path)
    assert counted(demo) not in recounted(demo, policy=edited)


def test_the_demo_plays_every_story_and_each_comes_out_as_it_is_told(demo: Demonstration) -> None:
    told = {story["name"]: story["differences"] for story in demo.report["stories"]}
    played = [story for story in stories() if not story.hours]
    assert told == {story.name: [] for story in played}
    assert all(line in demo.ran.stdout for story in played for shows in story.timeline for line in shows.shows)


def test_the_demos_accounts_add_up(demo: Demonstration) -> None:
    """`python -m tests.acceptance` also inspects the demo's servers after it starts them again."""
    assert [demo.report["accounting"][name]["difference"] for name in ("I", "II", "III", "IV")] == [0, 0, 0, 0]
