"""What finished work must show, line by line, by what was finished: the tables stand in `tests.acceptance.promises`.

A new promise is one line more in a table there.
"""

from __future__ import annotations

from tests.acceptance.line import Line
from tests.acceptance.promises.acts import ACTS
from tests.acceptance.promises.console import CONSOLE
from tests.acceptance.promises.console_accounts import PEOPLE
from tests.acceptance.promises.delivery import DELIVERY
from tests.acceptance.promises.faults_and_bounds import FAULTS_AND_BOUNDS
from tests.acceptance.promises.format import FORMAT
from tests.acceptance.promises.house import HOUSE
from tests.acceptance.promises.law import LAW
from tests.acceptance.promises.long import LONG
from tests.acceptance.promises.main_flow import MAIN_FLOW
from tests.acceptance.promises.stories import STORIES

#: In the order in which it was finished: `make acceptance`.
LINES: dict[str, tuple[Line, ...]] = {
    "The main flow": MAIN_FLOW,
    "Faults, guard, budgets, observation": FAULTS_AND_BOUNDS,
    "Delivery": DELIVERY,
    "The house": HOUSE,
    "The format": FORMAT,
    "The law": LAW,
    "People": PEOPLE,
    "The consoles": CONSOLE,
    "After sending": STORIES,
    "Acts and time": ACTS,
}
#: What takes long, a verb each: `make acceptance-long`.
LONG_LINES: tuple[Line, ...] = LONG
