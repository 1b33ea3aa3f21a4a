"""After a referral was sent: stories, acts that cross, what falls due, and what needs a person."""

from __future__ import annotations

from tests.acceptance.line import line

STORIES = (
    line(
        "The demo plays every story, and each timeline equals what databases and audit say, by a program "
        "that imports nothing of the project",
        verb="the_demos_stories_are_recounted",
    ),
    line(
        "Every declined, rejected, refused, deferred, parked, not-ours or undeliverable edge of the demo, "
        "and every one with a child at risk that is open, stands on its party's list: 0 missing, 0 extra",
        verb="the_demos_lists_are_recounted",
    ),
    line(
        "Each accepted case of the demo has feedback or is due by name at its agency; rates equal a recount",
        verb="the_demos_feedback_is_recounted",
    ),
    line(
        "Every hotline edge of the demo is answered, and where all recipients have answered a referral its ticks are "
        "n of n, by the recipients' own tables",
        verb="the_demos_ticks_are_recounted",
    ),
    line(
        "Every story comes out as its file tells it, at each side, and one that comes out otherwise is noticed",
        "tests/journeys/test_scenarios.py",
        "tests/deploy/scenarios/test_story_files.py",
    ),
    line(
        "Every order of up to four acts a side, and 10,000 longer ones of several subjects at once, ends alike on both "
        "sides; no lawful act is refused because another crossed it, every unlawful one has its code; with one shared "
        "state instead of tracks lawful acts are refused",
        "tests/shared/exchange/test_tracks.py",
    ),
    line(
        "Over 80 virtual hours each clock of a notice is overdue when the policy says so, by its name on the list of "
        "what needs a person, until it is done; other data is another ladder without a line of code",
        "tests/services/industry/test_overdue.py",
        "tests/services/hotline/test_overdue.py",
        "tests/journeys/test_overdue_story.py",
    ),
)
