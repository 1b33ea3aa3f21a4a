"""Promises about a referral after it was sent: stories, acts that cross, deadlines, and attention items."""

from __future__ import annotations

from tests.acceptance.line import line

STORIES = (
    line(
        "The demo plays every story, and each timeline equals the databases and audit, by an independent program",
        verb="the_demos_stories_are_recounted",
    ),
    line(
        "Every declined, rejected, refused, deferred, dead-lettered, disowned or undeliverable edge of the demo is an "
        "attention item of its party. So is every open one with a child at risk: 0 missing, 0 extra",
        verb="the_demos_lists_are_recounted",
    ),
    line(
        "Each accepted case of the demo has feedback or is due by name at its agency; rates equal a recount",
        verb="the_demos_feedback_is_recounted",
    ),
    line(
        "Every hotline edge of the demo is answered. A referral shows n of n answers, as the recipients' tables do",
        verb="the_demos_ticks_are_recounted",
    ),
    line(
        "Every story ends as its file says, at each side, and a different end is noticed",
        "tests/journeys/test_scenarios.py",
        "tests/deploy/scenarios/test_story_files.py",
    ),
    line(
        "Every order of up to four acts per side, and 10,000 longer ones of several subjects at once, ends with both "
        "sides equal. No lawful act is refused because another crossed it, and every unlawful one has its code. With "
        "one shared state instead of tracks lawful acts are refused",
        "tests/shared/core/protocol/test_tracks.py",
    ),
    line(
        "Over 80 virtual hours each clock of a notice becomes overdue when the policy says so. Until it is done, it is "
        "an attention item by its name. Other data gives another ladder without a line of code",
        "tests/services/industry/test_overdue.py",
        "tests/services/hotline/test_attention.py",
        "tests/journeys/test_overdue_story.py",
    ),
)
