"""Verbs that are too long for the default test run: each checks a whole demo or many kills, and returns a figure.

A verb raises `AssertionError` if the check fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from deploy.sample.generator import DEMO_COUNT
from tests.acceptance.demonstration import (
    ALTERED,
    ANSWERS,
    Aftermath,
    Demonstration,
    aftermath,
    counted,
    recounted,
    run_demo,
)
from tests.acceptance.flows import instances_of

REFERRALS = DEMO_COUNT
DEMO_S_MAX = 900.0
#: Seconds from the demo's beginning until its instances are ready, and until all is done.
READY_S_MAX, END_S_MAX = 12.0, 60.0
_READY = re.compile(r"^ready after ([\d.]+) s$", re.MULTILINE)


class WholeDemo:
    """The demo at its full size, run once, when the first verb needs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def demo(self) -> Demonstration:
        return run_demo(self.folder, REFERRALS, timeout_s=DEMO_S_MAX)

    @cached_property
    def after(self) -> Aftermath:
        return aftermath(self.demo)


def the_demo_runs(whole: WholeDemo) -> str:
    report = whole.demo.report
    assert sum(report["filed"]["states"].values()) == report["filed"]["count"] == REFERRALS
    assert min(report["answers"].get(answer, 0) for answer in ANSWERS) > 0, report["answers"]
    assert report["answers"].get("withdrawal_acknowledged", 0) > 0
    assert report["work_lists"]
    answers = ", ".join(f"{answer} {report['answers'][answer]}" for answer in ANSWERS)
    seconds, found = report["seconds"], _READY.search(whole.demo.ran.stderr)
    assert found is not None
    ready_s = float(found[1])
    assert ready_s <= READY_S_MAX, f"ready after {ready_s} s"
    assert seconds["end"] <= END_S_MAX, f"end after {seconds['end']} s"
    return (
        f"{REFERRALS} filed; {answers}; ready after {ready_s} s, first answer after {seconds['first_answer']} s, end "
        f"after {seconds['end']} s"
    )


def the_demo_prints_a_flow(whole: WholeDemo) -> str:
    messages, instances = whole.demo.messages, instances_of(whole.demo.messages, whole.demo.state / "directory.json")
    assert len(messages) >= 8
    assert len(instances) >= 3
    assert any(each["rules"] for each in messages)
    return f"{len(messages)} messages over {len(instances)} instances"


def the_demo_is_recounted(whole: WholeDemo) -> str:
    ours = counted(whole.demo)
    assert ours in recounted(whole.demo)
    edges = sum(count for purposes in ours["recipients"].values() for count in purposes.values())
    return f"{edges} edges to {len(ours['recipients'])} recipients: equal"


def the_demo_adds_up(whole: WholeDemo) -> str:
    accounts = whole.after.accounts
    for found in (whole.demo.report["accounting"], accounts):
        assert [found[name]["difference"] for name in ("I", "II", "III", "IV")] == [0, 0, 0, 0], found["differences"]
    assert whole.after.accounts_code == 0
    return (
        f"(I) {accounts['I']['submitted']} submitted, (II) {accounts['II']['numbered']} messages, "
        f"(III) {accounts['III']['edges']} edges: differences 0, 0, 0"
    )


def the_demos_flow_is_read_again(whole: WholeDemo) -> str:
    messages, again = whole.demo.messages, whole.after.again
    assert again.digests == [each["digest"] for each in messages]
    assert again.verdicts == ["ok"] * len(messages)
    return f"{len(messages)} of {len(messages)} digests equal and proofs verified"


def the_demos_decisions_are_derived_again(whole: WholeDemo) -> str:
    """The control is included: the altered decisions, each of which is named."""
    found, altered = whole.after.decisions, whole.after.decisions_altered
    accepted = whole.after.accounts["I"]["accepted"]
    assert len({referral_id for referral_id, _ in found}) == accepted >= REFERRALS
    assert [each for each in found.values() if each is not None] == []
    named = sum(each is not None for each in altered.values())
    assert (named, len(altered)) == (ALTERED, len(found))
    return f"{len(found)} decisions of {accepted} referrals derived alike; {named} of {ALTERED} altered ones named"


def the_demos_month_is_recounted(whole: WholeDemo) -> str:
    for ours, theirs in whole.after.months:
        assert ours == theirs
    counts = [count for ours, _ in whole.after.months for measures in ours.values() for count, _ in measures.values()]
    assert sum(counts) > REFERRALS
    return f"{len(counts)} numbers of what {sum(counts)} things came to: equal, medians included"


def the_demos_stories_are_recounted(whole: WholeDemo) -> str:
    stories, after = whole.demo.report["stories"], whole.after
    assert [each for story in stories for each in story["differences"]] == []
    assert after.timelines == []
    assert after.timelines_edited != []
    timelines = sum(len(story["timelines"]) for story in stories)
    return f"{len(stories)} stories, {timelines} timelines: 0 differences; one act left out is noticed"


def the_demos_lists_are_recounted(whole: WholeDemo) -> str:
    found, edited = whole.after.lists, whole.after.lists_edited
    assert (found["missing"], found["extra"]) == ([], [])
    assert (len(edited["missing"]), len(edited["extra"])) == (1, 1)
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(found["by_reason"].items()))
    return f"{found['expected']} rows ({reasons}): 0 missing, 0 extra"


def the_demos_feedback_is_recounted(whole: WholeDemo) -> str:
    found = whole.after.lists
    assert (found["unnamed"], found["rates_differ"]) == ([], [])
    assert found["accepted"] > found["without_feedback"] > 0
    told = found["accepted"] - found["without_feedback"]
    return f"{found['accepted']} accepted, {told} with feedback, {found['without_feedback']} due by name; rates equal"


def the_demos_ticks_are_recounted(whole: WholeDemo) -> str:
    said, found = whole.demo.report["ticks"], whole.after.lists["ticks"]
    assert found == {name: said[name] for name in found}
    assert found["to_hotlines"] == found["by_hotlines"] > 0
    assert 0 < found["answered_by_all"] < found["referrals"]
    assert said["shown"]
    for each in said["shown"]:
        assert each["acknowledged"] == each["delivered"] == {"done": each["edges"], "of": each["edges"]}
    return (
        f"{found['by_hotlines']} of {found['to_hotlines']} offers answered; the ticks of {found['answered_by_all']} of "
        f"{found['referrals']} referrals are n of n"
    )


VERBS: Mapping[str, Callable[[WholeDemo], str]] = {
    verb.__name__: verb
    for verb in (
        the_demo_runs,
        the_demo_prints_a_flow,
        the_demo_is_recounted,
        the_demo_adds_up,
        the_demos_flow_is_read_again,
        the_demos_decisions_are_derived_again,
        the_demos_month_is_recounted,
        the_demos_stories_are_recounted,
        the_demos_lists_are_recounted,
        the_demos_feedback_is_recounted,
        the_demos_ticks_are_recounted,
    )
}
