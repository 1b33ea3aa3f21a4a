"""The erasure journal: a file in the folder of the key-encryption key, outside the database and its backups.

It has one line of JSON for each erasure and each ended access: number, time, party and subject. A digest covers the
line and the previous digest, so that an altered or missing line is detected. A line is on disk before the erasure
commits; an incomplete line never counted. A line `kept` cancels earlier lines of the record that never committed.

Trust: a process that can write the file can cut off its end. The place that the database stores is then after the end,
and the instance does not start. A restore of the database together with a cut of the file is not detected.

Durable erasures: each is in the journal before its commit, and is repeated in a restored database.

    erase     the key is deleted in the transaction · gathered · last step: a line in the journal, on disk · commit
    restore   the database has an older place in the journal: the lines after it are applied first

A transaction that fails after its line was written has erased nothing; the next start does it. The erasure was already
authorized, and only the commit itself could fail after that point. If the party retains the record before that start, a
line `kept` is on disk before the commit and cancels the other line. No line cancels an erasure that has committed.

Ended access rights are handled in the same way. Endings by the operator's verbs wait in `access_end` for the running
instance.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.core.clock import Clock, rfc3339
from shared.core.errors import Refused, Unavailable
from shared.platform.database.transactions import Database, LastStep, RowScope, gather, write_late

_PLACE: Final = "SELECT line_count, digest FROM erasure_journal_position FOR UPDATE"
_MOVE: Final = "UPDATE erasure_journal_position SET line_count = $1, digest = $2"
_KEEP: Final = """
INSERT INTO erased_record (subject, party) SELECT * FROM unnest($1::uuid[], $2::text[]) ON CONFLICT DO NOTHING
"""
#: A transaction can retain only records whose rows it can see.
_GONE: Final = """
SELECT e.subject, e.party FROM erased_record AS e JOIN unnest($1::uuid[], $2::text[]) AS k (subject, party)
    USING (subject, party)
"""
_WAITS: Final = "SELECT EXISTS (SELECT FROM access_end) AS waits"
_TAKE: Final = "DELETE FROM access_end RETURNING kind, subject, party"
#: The number of records that one statement erases again.
_AT_ONCE: Final = 500


class Erasures:
    """The erasures of one instance. `again` has a statement for each kind, which takes subjects and their parties."""

    def __init__(self, journal: Journal, again: Mapping[str, str], clock: Clock) -> None:
        self._journal = journal
        self._again = again
        self._clock = clock

    def before_commit(self, then: LastStep) -> LastStep:
        """Return the last step of transactions: `then`, which also gets the erasures, and then the journal."""

        async def last_step(driver: asyncpg.Connection, gathered: Sequence[Any]) -> None:
            lines = [each for each in gathered if isinstance(each, Line)]
            others = [each for each in gathered if not isinstance(each, Line)]
            others += _forgotten(lines)
            if others:
                await then(driver, others)
            if lines:
                await write_late(driver)
                await self._note(driver, lines)

        return last_step

    async def _note(self, driver: asyncpg.Connection, lines: Sequence[Line]) -> None:
        """Write lines to the journal and move the place. The lock on the place keeps other erasures from committing."""
        known = JournalEnd(*await driver.fetchrow(_PLACE))
        lines = await _without_gone(driver, lines)
        erased = [each for each in lines if isinstance(each, ErasedRecord)]
        if erased:
            await driver.execute(_KEEP, [each.subject for each in erased], [each.party for each in erased])
        try:
            if (
                all(isinstance(each, KeptRecord) for each in lines)
                and await asyncio.to_thread(self._journal.end) == known
            ):
                return  # every line has committed, so there is none to cancel
            before, after = await asyncio.to_thread(self._journal.append, lines, self._clock.now())
        except OSError:
            raise Unavailable("erasure_journal_unwritable") from None
        except Refused:  # a fault of the journal, and not of these records
            raise Unavailable("erasure_journal_altered") from None
        if before.lines < known.lines:
            raise Unavailable("erasure_journal_lost")
        if before == known:  # otherwise an earlier line was never committed; the next start applies it
            await driver.execute(_MOVE, *after)

    async def apply(self, database: Database) -> int:
        """Apply the journal's lines after this database's place, and return their number.

        Raises `Refused` as `Journal.after` does, and `Unavailable`.
        """
        async with database.transaction() as session:
            place = JournalEnd(*await session.driver.fetchrow(_PLACE))
            lines, end = await asyncio.to_thread(self._journal.after, place)
            for kind, statement in self._again.items():
                of_kind = [each for each in lines if each.kind == kind]
                for start in range(0, len(of_kind), _AT_ONCE):
                    part = of_kind[start : start + _AT_ONCE]
                    subjects, parties = [each.subject for each in part], [each.party for each in part]
                    await session.bind(RowScope(sorted(set(parties)), "service", "apply"))
                    await session.driver.execute(statement, subjects, parties)
                    if isinstance(part[0], ErasedRecord):
                        await session.driver.execute(_KEEP, subjects, parties)
                    gather(session.driver, _forgotten(part))
            if end != place:
                await session.driver.execute(_MOVE, *end)
        return len(lines)


def _forgotten(lines: Sequence[Line]) -> list[ErasureNote]:
    """Return the erasures among the lines, for the tracks and exceptions of messaging."""
    return [ErasureNote(each.subject, each.party) for each in lines if isinstance(each, ErasedRecord)]


async def _without_gone(driver: asyncpg.Connection, lines: Sequence[Line]) -> Sequence[Line]:
    """Return the lines without those `kept` for records that this database has erased."""
    kept = [each for each in lines if isinstance(each, KeptRecord)]
    if not kept:
        return lines
    rows = await driver.fetch(_GONE, [each.subject for each in kept], [each.party for each in kept])
    gone = {(row["subject"], row["party"]) for row in rows}
    return [each for each in lines if not isinstance(each, KeptRecord) or (each.subject, each.party) not in gone]


async def journal_endings(database: Database) -> int:
    """Write the endings of the operator's verbs to the journal, and return their number. Raises `Unavailable`."""
    if not (await database.fetch(_WAITS))[0]["waits"]:
        return 0
    async with database.transaction() as session:
        ended = [AccessEnd(*row) for row in await session.driver.fetch(_TAKE)]
        gather(session.driver, ended)
    return len(ended)


#: The members of a line that its digest covers, after the digest of the line before it.
_FIELDS: Final = ("n", "at", "fate", "kind", "subject", "party")


class ErasedRecord(NamedTuple):
    """One erased record: its kind (offer, case, notice, referral), the id of its subject, and its party."""

    kind: str
    subject: UUID
    party: str


class KeptRecord(NamedTuple):
    """One record that is retained although a line states its erasure, because that erasure never committed."""

    kind: str
    subject: UUID
    party: str


class AccessEnd(NamedTuple):
    """One access right that has ended: its kind (api_key, person, webhook), 128 bits that name it, and its party."""

    kind: str
    subject: UUID
    party: str


class ErasureNote(NamedTuple):
    """One erased record, for the last step that sends messages. It is not a line of the journal."""

    subject: UUID
    party: str


#: The type of a line, by its `fate`.
Line = ErasedRecord | KeptRecord | AccessEnd
_FATES: Final[dict[str, type[Line]]] = {"erased": ErasedRecord, "kept": KeptRecord, "ended": AccessEnd}


class JournalEnd(NamedTuple):
    """A place in the journal: the number of lines before it, and the last one's digest; 0 and "" at the beginning."""

    lines: int
    digest: str


BEGINNING: Final = JournalEnd(0, "")


class Journal:
    """The journal of one instance. Several processes may write it. All methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def end(self) -> JournalEnd:
        """Return the place of the last line. Raises `OSError`, and `Refused("erasure_journal_altered")` if invalid."""
        with self._locked() as file:
            return self._end(file)

    def append(self, entries: Sequence[Line], at: datetime) -> tuple[JournalEnd, JournalEnd]:
        """Add lines and write them to disk; return the places before and after them.

        Raises `OSError`, and `Refused("erasure_journal_altered")` if the last line is invalid.
        """
        with self._locked() as file:
            before = self._end(file)
            place, lines = before, list[bytes]()
            for each in entries:
                place, line = _written(place, each, at)
                lines.append(line)
            file.seek(0, os.SEEK_END)
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())
        return before, place

    def after(self, place: JournalEnd) -> tuple[list[ErasedRecord | AccessEnd], JournalEnd]:
        """Return the erasures after a place that no later line cancels, the endings after it, and the end's place.

        Raises `Refused`: `erasure_journal_lost` if the journal ends before that place, `erasure_journal_altered` if a
        line was changed.
        """
        found, end = dict[ErasedRecord | AccessEnd, None](), BEGINNING
        with self._locked() as file:
            for end, line in _read(file):
                if end.lines == place.lines and end.digest != place.digest:
                    raise _altered()
                if end.lines <= place.lines:
                    continue
                if isinstance(line, KeptRecord):
                    found.pop(ErasedRecord(*line), None)
                else:
                    found[line] = None
        if end.lines < place.lines:
            raise Refused("erasure_journal_lost", "it ends before the place that this database stores: restore it")
        return list(found), end

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        """Open and lock the file; create it if it is missing, and cut off an incomplete last line."""
        begun = not self._path.exists()
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if begun:
                folder = os.open(self._path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
            _cut_incomplete_line(file)
            yield file

    def _end(self, file: BinaryIO) -> JournalEnd:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return BEGINNING
        file.seek(max(0, size - _LINE_MAX))
        return _place(file.read().splitlines()[-1])


#: Bytes of one line, at most.
_LINE_MAX: Final = 1024


def _cut_incomplete_line(file: BinaryIO) -> None:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LINE_MAX))
    tail = file.read()
    cut = len(tail) - (tail.rfind(b"\n") + 1)
    if cut:
        file.truncate(size - cut)
    file.seek(0)


def _written(before: JournalEnd, line: Line, at: datetime) -> tuple[JournalEnd, bytes]:
    fate = next(fate for fate, of in _FATES.items() if isinstance(line, of))
    values = (before.lines + 1, rfc3339(at), fate, line.kind, str(line.subject), line.party)
    fields = dict(zip(_FIELDS, values, strict=True))
    place = JournalEnd(before.lines + 1, _digest(before.digest, fields))
    return place, json.dumps(fields | {"digest": place.digest}, separators=(",", ":")).encode() + b"\n"


def _read(file: BinaryIO) -> Iterator[tuple[JournalEnd, Line]]:
    before = BEGINNING
    for line in file:
        place = _place(line)
        fields = json.loads(line)
        covered = {name: fields.get(name) for name in _FIELDS}
        if place != (before.lines + 1, _digest(before.digest, covered)):
            raise _altered()
        yield place, _FATES[fields["fate"]](fields["kind"], UUID(fields["subject"]), fields["party"])
        before = place


def _place(line: bytes) -> JournalEnd:
    try:
        fields = json.loads(line)
        return JournalEnd(int(fields["n"]), str(fields["digest"]))
    except (ValueError, KeyError, TypeError):
        raise _altered() from None


def _digest(before: str, fields: dict[str, object]) -> str:
    return sha256(f"{before}\n{json.dumps(fields, separators=(',', ':'))}".encode()).hexdigest()


def _altered() -> Refused:
    return Refused("erasure_journal_altered", "a line of it was changed: restore the original journal")
