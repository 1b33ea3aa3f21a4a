"""After a referral was sent: stories, acts that cross, what falls due, and what needs a person."""

from __future__ import annotations

from tests.acceptance.line import Line

STORIES = (
    Line(
        "Every story comes out as its file tells it, at each side, and one that comes out otherwise is noticed",
        ("tests/journeys/test_scenarios.py", "tests/deploy/scenarios/test_story_files.py"),
    ),
    Line(
        "Every order of up to four acts a side, and 10,000 longer ones of several subjects at once, ends alike on both "
        "sides; no lawful act is refused because another crossed it, every unlawful one has its code; with one shared "
        "state instead of tracks lawful acts are refused",
        ("tests/shared/exchange/test_tracks.py",),
    ),
    Line(
        "Over 80 virtual hours each clock of a notice is overdue when the policy says so, by its name on the list of "
        "what needs a person, until it is done; other data is another ladder without a line of code",
        ("tests/services/industry/test_overdue.py",),
    ),
)
