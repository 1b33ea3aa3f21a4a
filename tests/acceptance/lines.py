"""The promises of the finished work, grouped by topic. The tables are in `tests.acceptance.promises`.

To add a promise, add one line to a table there.
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
from tests.acceptance.promises.stays_up import STAYS_UP
from tests.acceptance.promises.stories import STORIES

#: In the order in which the work was finished: `make acceptance`.
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
    "It stays up": STAYS_UP,
    "Acts and time": ACTS,
}
#: Long promises, with one verb each: `make acceptance-long`.
LONG_LINES: tuple[Line, ...] = LONG
