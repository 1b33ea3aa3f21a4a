"""The journal of erasures: a file beside the key-encryption key, outside the database and its backups.

One line of JSON for each erasure and each end of an access: its number, when, whose and what. A digest covers the line
and the digest before it, so that a line that is altered or left out is found. A line is on disk before the erasure
commits; one whose writing was cut short never counted. A line that says `kept` takes those before it back that never
committed.

Trust: whoever can write the file can take its end away; the place that the database has kept then lies beyond it, and
the instance does not start. Whoever restores the database and cuts the file at once is not found here.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple
from uuid import UUID

from shared.kernel.clock import rfc3339
from shared.kernel.errors import Refused

#: The members of a line that its digest covers, after the digest of the line before it.
_FIELDS: Final = ("n", "at", "fate", "kind", "subject", "party")


class Erased(NamedTuple):
    """One record: its kind (offer, case, notice, referral), the id of its subject, and whose it was."""

    kind: str
    subject: UUID
    party: str


class Kept(NamedTuple):
    """One record that is kept although a line says that it was erased: its erasure never committed."""

    kind: str
    subject: UUID
    party: str


class Ended(NamedTuple):
    """One access that has ended: its kind (api_key, person, webhook), 128 bits that name it, and whose it was."""

    kind: str
    subject: UUID
    party: str


class Forgotten(NamedTuple):
    """One record that was erased, as the last step that sends learns of it. It is no line of the journal."""

    subject: UUID
    party: str


#: What a line says, by its `fate`.
Line = Erased | Kept | Ended
_FATES: Final[dict[str, type[Line]]] = {"erased": Erased, "kept": Kept, "ended": Ended}


class Place(NamedTuple):
    """A place in the journal: so many lines, and the digest of the last of them; 0 and nothing at its beginning."""

    lines: int
    digest: str


BEGINNING: Final = Place(0, "")


class Journal:
    """The journal of one instance. Any number of processes may write it. All of it blocks."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def end(self) -> Place:
        """The place of its last line. Raises `OSError`, and `Refused("erasure_journal_altered")` where it is none."""
        with self._locked() as file:
            return self._end(file)

    def append(self, said: Sequence[Line], at: datetime) -> tuple[Place, Place]:
        """Add lines, and have them on disk; the places before and behind them.

        Raises `OSError`, and `Refused("erasure_journal_altered")` where its last line is none.
        """
        with self._locked() as file:
            before = self._end(file)
            place, lines = before, list[bytes]()
            for each in said:
                place, line = _written(place, each, at)
                lines.append(line)
            file.seek(0, os.SEEK_END)
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())
        return before, place

    def after(self, place: Place) -> tuple[list[Erased | Ended], Place]:
        """What was erased behind a place and not kept after that, what ended there, and the place of the end.

        Raises `Refused`: `erasure_journal_lost` where it ends before that place, `erasure_journal_altered` where a
        line is not the one that was written.
        """
        found, end = dict[Erased | Ended, None](), BEGINNING
        with self._locked() as file:
            for end, said in _read(file):
                if end.lines == place.lines and end.digest != place.digest:
                    raise _altered()
                if end.lines <= place.lines:
                    continue
                if isinstance(said, Kept):
                    found.pop(Erased(*said), None)
                else:
                    found[said] = None
        if end.lines < place.lines:
            raise Refused("erasure_journal_lost", "it ends before what this database knows of it: put it back")
        return list(found), end

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        """The file, made where there is none, and nobody else at it; a line that was cut short is taken off."""
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
            _mend(file)
            yield file

    def _end(self, file: BinaryIO) -> Place:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return BEGINNING
        file.seek(max(0, size - _LINE_MAX))
        return _place(file.read().splitlines()[-1])


#: Bytes of one line, at most.
_LINE_MAX: Final = 1024


def _mend(file: BinaryIO) -> None:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LINE_MAX))
    tail = file.read()
    cut = len(tail) - (tail.rfind(b"\n") + 1)
    if cut:
        file.truncate(size - cut)
    file.seek(0)


def _written(before: Place, line: Line, at: datetime) -> tuple[Place, bytes]:
    fate = next(fate for fate, of in _FATES.items() if isinstance(line, of))
    values = (before.lines + 1, rfc3339(at), fate, line.kind, str(line.subject), line.party)
    said = dict(zip(_FIELDS, values, strict=True))
    place = Place(before.lines + 1, _digest(before.digest, said))
    return place, json.dumps(said | {"digest": place.digest}, separators=(",", ":")).encode() + b"\n"


def _read(file: BinaryIO) -> Iterator[tuple[Place, Line]]:
    before = BEGINNING
    for line in file:
        place = _place(line)
        said = json.loads(line)
        covered = {name: said.get(name) for name in _FIELDS}
        if place != (before.lines + 1, _digest(before.digest, covered)):
            raise _altered()
        yield place, _FATES[said["fate"]](said["kind"], UUID(said["subject"]), said["party"])
        before = place


def _place(line: bytes) -> Place:
    try:
        said = json.loads(line)
        return Place(int(said["n"]), str(said["digest"]))
    except (ValueError, KeyError, TypeError):
        raise _altered() from None


def _digest(before: str, said: dict[str, object]) -> str:
    return sha256(f"{before}\n{json.dumps(said, separators=(',', ':'))}".encode()).hexdigest()


def _altered() -> Refused:
    return Refused("erasure_journal_altered", "a line of it is not the one that was written: put it back")
