"""The house: rooms, one row per act, migrations that can be followed."""

from __future__ import annotations

from tests.acceptance.line import Line, tests_of

_TIMING = "tests/architecture/test_timing.py"

HOUSE = (
    Line(
        "Arrows between packages and rooms point one way, and each contract is shown red",
        ("tests/architecture/test_arrows.py",),
    ),
    Line(
        "Modules have at most 400 lines, functions at most 50, and each rule finds what it forbids",
        ("tests/architecture/test_modules.py",),
    ),
    Line(
        "No kept file names a registry, a path of the machine it was made on, or unfinished work",
        ("tests/architecture/test_text.py",),
    ),
    Line(
        "Every test whose outcome hangs on the clock is marked as such, and a frozen process stands before a test "
        "goes on",
        (
            *tests_of(_TIMING, "test_every_test_that_looks_at_the_clock_is_marked", "test_a_planted_test_is_found"),
            "tests/failures/test_frozen.py",
        ),
    ),
)
