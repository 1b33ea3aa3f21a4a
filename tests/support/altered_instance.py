"""An instance with one thing otherwise, as a program of its own: shorter pauses, or a clock that is off.

    python -m tests.support.altered_instance [--hasty] [--clock FILE] KIND --instance NAME [--only PART] …

`--hasty`: what is repeated after a minute or five is repeated after seconds. `--clock`: the machine's clock is off by
as many seconds as the file says, whatever it says at that moment; and after five seconds a beat is late.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from deploy.serve import serve
from services.audit.store import marks
from shared.kernel.clock import SystemClock
from shared.party.origin import bus
from shared.party.origin.use_cases import again
from shared.runtime.instance import machinery
from shared.runtime.kafka import beat
from shared.runtime.post import sent_book
from shared.runtime.post.talk_loop import Speaker
from shared.runtime.post.turns import TalkSettings

HASTY = ("-m", "tests.support.altered_instance", "--hasty")


def hasten() -> None:
    """A sixtieth of the pauses for which a promise has time; none is left out."""
    talk = TalkSettings(news_s=0.5, repeat_s=2.0, poll_s=0.5)
    for where, name, value in (
        (machinery, "Speaker", partial(Speaker, settings=talk)),
        (sent_book, "HOLE_AGE", timedelta(seconds=1)),
        (sent_book, "UNRECEIPTED_AGE", timedelta(seconds=5)),
        (marks, "NEWS_S", 1),
        (marks, "HOLES_S", 2),
        (bus, "LOOK_EVERY_S", 0.2),
        (again, "PAUSES", tuple(pause / 60 for pause in again.PAUSES)),
    ):
        setattr(where, name, value)


def with_clock(file: Path) -> tuple[str, ...]:
    """The program of an instance whose clock is off by what the file says; it must be there."""
    return (*HASTY, "--clock", str(file))


def shift(file: Path) -> None:
    machine: Callable[[SystemClock], datetime] = SystemClock.now

    def now(self: SystemClock) -> datetime:
        return machine(self) + timedelta(seconds=float(file.read_text()))

    setattr(SystemClock, "now", now)  # noqa: B010 - no instance is meant to have another
    setattr(beat, "BEAT_TOLERANCE", timedelta(seconds=5))  # noqa: B010


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--hasty", action="store_true")
    arguments.add_argument("--clock", type=Path)
    arguments.add_argument("kind")
    arguments.add_argument("--instance", required=True)
    arguments.add_argument("--only", action="append", default=[])
    given = arguments.parse_args()
    if given.hasty:
        hasten()
    if given.clock is not None:
        shift(given.clock)
    return serve(given.kind, given.instance, given.only)


if __name__ == "__main__":
    sys.exit(main())
