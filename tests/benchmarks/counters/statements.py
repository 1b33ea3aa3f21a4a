"""Statements and round trips, read from the log of the PostgreSQL server.

The server's own extension for this (`pg_stat_statements`) is not among its binaries. While a load is counted, the
server logs each statement (`log_statement`), without the values of parameters. It also logs one line for each message
of the protocol (`log_duration`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg

#: Settings of a counted server. Vacuum runs by the clock, and so do checkpoints: neither belongs to a referral.
_COUNTED: Final = {
    "log_line_prefix": "counted %c %u ",
    "log_statement": "all",
    "log_duration": "on",
    "log_parameter_max_length": "0",
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
}
#: Time in which idle backends learn of new settings, seconds.
_RELOADED_S: Final = 0.5
_LINE: Final = re.compile(
    r"^counted (?P<session>\S+) (?P<user>\S*) LOG:  "
    r"(?P<kind>execute|statement|duration)(?: (?P<name>[^:]+))?: (?P<text>.*)"
)


@dataclass(slots=True)
class Transaction:
    """One transaction, or one statement outside any: its statements, and their round trips."""

    statements: int = 0
    trips: int = 0
    text: str = ""


@dataclass(slots=True)
class _Session:
    """The state of a session within its transaction. `last` is the prepared statement that it executed last."""

    open: Transaction = field(default_factory=Transaction)
    inside: bool = False
    last: str = ""
    #: Duration lines of the transaction, and those that its statements explain.
    worked_on: int = 0
    explained: int = 0
    #: Prepared statements that the session has executed, and how many of them this transaction executed first.
    executed: set[str] = field(default_factory=set)
    first_executed: int = 0


@asynccontextmanager
async def counted_server(admin: asyncpg.Connection) -> AsyncIterator[None]:
    """Have the server log all statements within this context, without scheduled vacuums and checkpoints."""
    try:
        for name, value in _COUNTED.items():
            await admin.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        await _reload(admin)
        yield
    finally:
        for name in _COUNTED:
            await admin.execute(f"ALTER SYSTEM RESET {name}")
        await _reload(admin)


async def _reload(admin: asyncpg.Connection) -> None:
    await admin.execute("SELECT pg_reload_conf()")
    await asyncio.sleep(_RELOADED_S)


def read_from(log: Path, start: int, end: int) -> Iterator[str]:
    """Return the lines of a log between two of its lengths in bytes."""
    with log.open("rb") as opened:
        opened.seek(start)
        yield from opened.read(end - start).decode(errors="replace").splitlines(keepends=True)


def transactions(lines: Iterable[str], users: Set[str]) -> list[Transaction]:
    """Return the transactions of `users`, from the lines of a log, in the order in which they ended.

    A round trip is a simple statement, a statement that is prepared, or an execution. Consecutive executions of one
    prepared statement are one trip: the driver sends many sets of arguments together. A connection prepares each
    statement once, and that trip is not counted: it belongs to the connection. A repeated preparation is counted.
    """
    sessions: dict[str, _Session] = {}
    ended: list[Transaction] = []
    reading: _Session | None = None
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            if reading is not None and line.startswith("\t"):
                reading.open.text += line  # a statement of several lines
            continue
        reading = None
        if found["user"] not in users:
            continue
        session = sessions.setdefault(found["session"], _Session())
        if found["kind"] == "duration":
            session.worked_on += 1
            if session.open.statements and not session.inside:
                ended.append(_ended(session))
            continue
        reading = session
        _began(session, found["kind"], found["name"] or "", found["text"])
    ended += [_ended(session) for session in sessions.values() if session.open.statements]
    return ended


def _began(session: _Session, kind: str, name: str, text: str) -> None:
    simple = kind == "statement"
    session.open.statements += 1
    session.open.text += f"{text}\n"
    # A simple statement is one message; an execution is bound first, and is two.
    session.explained += 1 if simple else 2
    if simple or name != session.last:
        session.open.trips += 1
    session.last = "" if simple else name
    if not simple and text not in session.executed:
        session.executed.add(text)
        session.first_executed += 1
    if simple and text.startswith("BEGIN"):
        session.inside = True
    elif simple and text.startswith(("COMMIT", "ROLLBACK")) and not text.startswith("ROLLBACK TO"):
        session.inside = False


def _ended(session: _Session) -> Transaction:
    """Close the transaction of a session. Each message beyond its statements prepared one, in a trip."""
    done = session.open
    done.trips += max(0, session.worked_on - session.explained - session.first_executed)
    session.open, session.last = Transaction(), ""
    session.worked_on = session.explained = session.first_executed = 0
    return done
