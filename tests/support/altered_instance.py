"""An instance with shorter pauses, and a wrong clock if one is given, as a program of its own.

    python -m tests.support.altered_instance [--clock FILE] [--nights FILE] KIND --instance NAME …

Pauses of minutes take seconds. `--clock` shifts the machine's clock by the seconds in the file, which is read at each
use. It also makes a document heartbeat late after five seconds. `--nights` for the nightly check of each pair, as many
more nights have passed as its file says.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from deploy.serve import serve
from shared.core.clock import SystemClock
from shared.delivery import upkeep_loop
from shared.delivery.upkeep_loop import UpkeepLoop
from shared.features.filing import effects
from shared.features.filing.service import redecide
from shared.messaging import acks, resync, resync_steps
from shared.platform.kafka import documents
from tests.support.faults import serving_arguments

HASTY: Final = ("-m", "tests.support.altered_instance")
#: The pauses that affect a time limit, and a sixtieth of each.
PAUSES: Final[tuple[tuple[ModuleType, str, object], ...]] = (
    (acks, "ACK_PAUSE", timedelta(seconds=1 / 6)),
    (acks, "GAP_ACK_PAUSE", timedelta(seconds=1 / 60)),
    (acks, "PROBE_PAUSE_S", 1),
    (acks, "PROBE_PAUSE_MAX_S", 60),
    (acks, "RETURN_PAUSE", timedelta(seconds=1 / 6)),
    (acks, "SAME_RETURN_PAUSE", timedelta(seconds=1)),
    (acks, "URGENT_RETURN_PAUSE", timedelta(seconds=1 / 30)),
    (acks, "STILL_PAUSE", timedelta(seconds=1)),
    (acks, "INCARNATION_PAUSE", timedelta(seconds=60)),
    (resync, "HOLDINGS_PAUSE", timedelta(seconds=60)),
    (resync_steps, "SHARE_PAUSE", timedelta(seconds=50)),
    (upkeep_loop, "TEND_S", 0.2),
    (effects, "LOOK_EVERY_S", 0.2),
    (redecide, "PAUSES", tuple(pause / 60 for pause in redecide.PAUSES)),
)


def hasten() -> None:
    """Shorten all pauses that affect a time limit to a sixtieth, also where another module imported them."""
    for where, name, value in PAUSES:
        for module in [each for each in sys.modules.values() if vars(each).get(name) is getattr(where, name)]:
            setattr(module, name, value)


def with_clock(file: Path) -> tuple[str, ...]:
    """Return the program of an instance whose clock is shifted by the seconds in the file. The file must exist."""
    return (*HASTY, "--clock", str(file))


def shift(file: Path) -> None:
    machine: Callable[[SystemClock], datetime] = SystemClock.now

    def now(self: SystemClock) -> datetime:
        return machine(self) + timedelta(seconds=float(file.read_text()))

    setattr(SystemClock, "now", now)  # noqa: B010 - no instance is meant to have another
    setattr(documents, "BEAT_TOLERANCE", timedelta(seconds=5))  # noqa: B010


def with_nights(file: Path) -> tuple[str, ...]:
    """The program of an instance for whose nightly checks so many more nights have passed; it must be there."""
    return (*HASTY, "--nights", str(file))


def count_nights(file: Path) -> None:
    check, hour = UpkeepLoop.check_pairs, upkeep_loop.NIGHT_HOUR

    def check_pairs(self: UpkeepLoop) -> Coroutine[Any, Any, None]:
        setattr(upkeep_loop, "NIGHT_HOUR", hour - 24 * int(file.read_text()))  # noqa: B010
        return check(self)

    setattr(UpkeepLoop, "check_pairs", check_pairs)  # noqa: B010


def main() -> int:
    arguments = serving_arguments()
    arguments.add_argument("--clock", type=Path)
    arguments.add_argument("--nights", type=Path)
    given = arguments.parse_args()
    hasten()
    if given.clock is not None:
        shift(given.clock)
    if given.nights is not None:
        count_nights(given.nights)
    return serve(given.kind, given.instance, given.only)


if __name__ == "__main__":
    sys.exit(main())
