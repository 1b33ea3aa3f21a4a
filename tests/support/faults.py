"""Faults of an instance that no setting has: a wrong clock of its host, or a release older than its peers'.

    python -m tests.support.faults [--clock FILE] [--behind KIND:TYPE] … KIND --instance NAME [--only PART] …

This is `causeway serve` with these faults (`Exchange.serve(…, program=…)`). Within a test, `clock_off` and
`release_behind` activate them for a block. The product has no setting for them: they replace parts of it in this
process.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from unittest.mock import patch

from deploy.serve import serve
from shared.core.acts.catalog import Catalog
from shared.core.clock import SystemClock
from shared.core.contracts.registry import MessageType
from shared.core.errors import Refused
from shared.core.protocol import accept
from shared.core.protocol.record_table import RecordBody


class Behind(StrEnum):
    """How an older release treats a later message."""

    NAME = "name"  # the type is unknown: `type_unknown`
    VERSION = "version"  # only another version is known: `version_unknown`
    BODY = "body"  # the type is known but not its present body: `body_invalid`


def set_clock(file: Path, seconds: float) -> None:
    """Shift the clocks that follow `file`, from now on: ahead of the machine's clock, or behind it if negative."""
    draft = file.with_name(file.name + ".draft")
    draft.write_text(f"{seconds}", encoding="utf-8")
    draft.replace(file)  # atomic, because other processes read the file


@contextmanager
def clock_off(file: Path) -> Iterator[None]:
    """Shift the time that this process reads by the seconds in `file`. Without the file the time is right.

    This affects the whole product, because only `SystemClock` reads the time. Durations, the database and the broker
    have their own clocks, as on a host with a wrong clock.
    """
    right = SystemClock.now

    def now(self: SystemClock) -> datetime:
        try:
            seconds = float(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            seconds = 0.0
        return right(self) + timedelta(seconds=seconds)

    with patch.object(SystemClock, "now", now):
        yield


@contextmanager
def release_behind(unread: Mapping[str, Behind]) -> Iterator[None]:
    """Read records of these types (`causeway.referral_withdrawn.v1`) as an earlier release reads them."""
    misread = {type_ for type_, behind in unread.items() if behind is Behind.BODY}
    knows = accept.message_of

    def message_of(type_text: str, catalog: Catalog) -> MessageType:
        if type_text in unread.keys() - misread:
            code = "type_unknown" if unread[type_text] is Behind.NAME else "version_unknown"
            raise Refused(code, field="ce_type")
        return knows(type_text, catalog)

    reads = accept.read_body

    def read_body(message: MessageType, value: bytes, newest: MessageType) -> RecordBody:
        if message.type in misread:
            raise Refused("body_invalid", "not what the type's schema says in this release")
        return reads(message, value, newest)

    with ExitStack() as stack:
        stack.enter_context(patch.object(accept, "message_of", message_of))
        stack.enter_context(patch.object(accept, "read_body", read_body))
        yield


def serving_arguments() -> argparse.ArgumentParser:
    """Return a parser with the arguments of `causeway serve`."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("kind")
    arguments.add_argument("--instance", required=True)
    arguments.add_argument("--only", action="append", default=[])
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    """Serve an instance with the faults that the command line names."""
    arguments = serving_arguments()
    arguments.add_argument("--clock", type=Path, metavar="FILE", help="see `clock_off`")
    arguments.add_argument("--behind", action="append", default=[], metavar="KIND:TYPE", help="see `release_behind`")
    given = arguments.parse_args(words)
    unread = {type_: Behind(kind) for kind, _, type_ in (each.partition(":") for each in given.behind)}
    with clock_off(given.clock) if given.clock else nullcontext(), release_behind(unread):
        return serve(given.kind, given.instance, given.only)


if __name__ == "__main__":
    sys.exit(main())
