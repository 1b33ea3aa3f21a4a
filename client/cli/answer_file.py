"""A table of answers: its columns, and its acts, sent in batches. `docs/bulk.md` describes them.

All lines with one subject and act form one act, accepted or refused whole. Each act has a key derived from the file and
its lines: the same file sent again does nothing twice, and refused acts are tried again. The service validates the
values, not this module.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from pydantic import JsonValue

from client.api import CausewayClient, in_batches
from client.cli.settings import decode_line, keep_private
from client.problem import ApiProblem
from client.views import BatchResult
from shared.core.acts.act import Subject
from shared.core.canonical import canonical_json
from shared.core.codes import find_remedy
from shared.core.errors import CausewayError, Refused, Unavailable
from shared.core.vocabulary.answers import HotlineAssessment, NoticeAction
from shared.formats.referral_table import ReferralTable

Cells = Mapping[str, str]
#: The column of the act, and the column of the codes for an item.
ACT: Final = "act"
ANSWER: Final = "answer"
_NUMBERS: Final = frozenset({"n", "round"})
_KEPT: Final = {"kept_class": "retention", "kept_basis": "basis", "kept_until": "until"}


@dataclass(frozen=True, slots=True)
class ActColumns:
    """The columns of one act.

    `listed` is the list to which each line adds; None if a line has the whole act. `cells` are its columns, by the
    resulting field; with `words`, the column `answer` has the codes.
    """

    cells: Mapping[str, str]
    listed: str | None = None
    words: bool = False


#: By subject: the column of its id, the default act of a line, and the columns of each act.
SUBJECTS: Final[Mapping[Subject, tuple[str, str | None, Mapping[str, ActColumns]]]] = {
    Subject(name): (each["id"], each["act"], {act: ActColumns(**takes) for act, takes in each["acts"].items()})
    for name, each in json.loads(Path(__file__).with_name("answer_columns.json").read_text(encoding="utf-8")).items()
}


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """The content of one line: its subject, its act, and either statements about items or the whole act."""

    subject_id: UUID
    act: str
    listed: str | None
    said: tuple[dict[str, JsonValue], ...]


def columns(subject: Subject) -> frozenset[str]:
    """Return the columns that a table of answers to such subjects may have."""
    named, _, acts = SUBJECTS[subject]
    return frozenset({named, ACT, ANSWER}).union(*(act.cells for act in acts.values()))


def answer(subject: Subject, cells: Cells) -> AnswerRow:
    """Parse a line. Raises `Refused` naming the column: `cell_missing`, `cell_not_id`, `cell_not_of_act` …"""
    named, usual, acts = SUBJECTS[subject]
    act = cells.get(ACT, usual)
    if act is None or act not in acts:
        raise Refused("act_unknown", f"one of {', '.join(acts)}", field=f"/{ACT}")
    known = acts[act]
    for column in cells:
        if column not in {named, ACT, *known.cells} and not (known.words and column == ANSWER):
            raise Refused("cell_not_of_act", "leave it empty: the act does not use it", field=f"/{column}")
    subject_id = _id(cells, named)
    said = {field: _value(column, field, cells[column]) for column, field in known.cells.items() if column in cells}
    if known.listed is None:
        return AnswerRow(subject_id, act, None, (_kept(said) if act == "acknowledge_withdrawal" else said,))
    if not known.words:
        return AnswerRow(subject_id, act, known.listed, (said,))
    words = tuple(word.strip() for word in cells.get(ANSWER, "").split(";") if word.strip())
    if not words:
        raise Refused("cell_missing", "give at least one code", field=f"/{ANSWER}")
    return AnswerRow(subject_id, act, known.listed, tuple(said | _word(subject, word) for word in words))


def column_at(subject: Subject, act: str, pointer: str | None) -> str | None:
    """Return the column of a problem's pointer; the position in a list is ignored."""
    known = SUBJECTS[subject][2][act]
    parts = [part for part in (pointer or "").split("/") if part]
    if known.listed is not None and parts[:1] == [known.listed]:
        parts = parts[2:]
    words = ("action", "rejection", "assessment") if known.words else ()
    fields = {field: column for column, field in known.cells.items()} | dict.fromkeys(words, ANSWER)
    return next((fields[part] for part in parts if part in fields), ANSWER if known.words else None)


def _word(subject: Subject, word: str) -> dict[str, JsonValue]:
    if subject is Subject.OFFER:
        return {"assessment" if word in set(HotlineAssessment) else "action": word}
    return {"action" if word in set(NoticeAction) else "rejection": word}


def _id(cells: Cells, named: str) -> UUID:
    if named not in cells:
        raise Refused("cell_missing", "each line needs the id of its subject", field=f"/{named}")
    try:
        return UUID(cells[named])
    except ValueError:
        raise Refused("cell_not_id", "use an id as causeway inbox lists it", field=f"/{named}") from None


def _value(column: str, field: str, cell: str) -> JsonValue:
    if field not in _NUMBERS:
        return cell
    if not (cell.isascii() and cell.isdigit() and len(cell) <= 4):
        raise Refused("cell_not_integer", "use digits only", field=f"/{column}")
    return int(cell)


def _kept(said: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the fate of a withdrawn record: erased, unless a line gives the grounds for retention."""
    kept: dict[str, JsonValue] = {field: said[field] for field in _KEPT.values() if field in said}
    fate = said.get("fate", "kept" if kept else "erased")
    return {"fate": fate} | ({"kept": kept} if kept else {})


#: Called after each batch with the number of finished acts and of refused lines.
OnProgress = Callable[[int, int], None]
_BOM: Final = b"\xef\xbb\xbf"
_BESIDE: Final = Refused("beside_refused", "all lines about one subject are accepted or refused together")


class LineError(NamedTuple):
    """The reason why a line is refused. It never contains values of the line."""

    line: int
    column: str | None
    code: str
    rule: str | None
    remedy: str | None


class _ActKey(NamedTuple):
    subject_id: UUID
    act: str


@dataclass(slots=True)
class AnswerEntry:
    """All lines of a file with one subject and act. `lines` has the line number of each statement."""

    key: _ActKey
    listed: str | None
    said: list[dict[str, JsonValue]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def body(self, named: str) -> dict[str, JsonValue]:
        """Return the body of the act."""
        said: dict[str, JsonValue] = dict(self.said[0]) if self.listed is None else {self.listed: list(self.said)}
        return {named: str(self.key.subject_id), "act": self.key.act} | said


@dataclass(frozen=True, slots=True)
class FileResult:
    """The end of a run. `stopped` has the reason of an early end: a new run does nothing twice."""

    lines: int
    errors: tuple[LineError, ...]
    stopped: CausewayError | None = None

    @property
    def refused(self) -> frozenset[int]:
        """Return the refused lines."""
        return frozenset(error.line for error in self.errors)


class AnswerFile:
    """One file, read once."""

    def __init__(self, path: Path, subject: Subject) -> None:
        """Read the file. Raises `Refused` for an empty file, and for a bad first line."""
        self.path = path
        self.subject = subject
        data = path.read_bytes()
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._lines = [line.removesuffix(b"\r") for line in data.removeprefix(_BOM).split(b"\n")]
        if not self._lines[0].strip():
            raise Refused("file_empty", "a file with answers in it: is it the right one?", status=400)
        self._table = ReferralTable.from_first_line(decode_line(self._lines[0]), columns(subject), page="docs/bulk.md")

    @property
    def lines(self) -> int:
        """Return the number of lines of the file, at most."""
        return len(self._lines)

    def entries(self) -> tuple[list[AnswerEntry], list[LineError], int]:
        """Return the acts in the order of their first lines, errors of unreadable lines, and the number of lines.

        If a line cannot be read, the other lines about its subject are refused too.
        """
        entries: dict[_ActKey, AnswerEntry] = {}
        errors: list[LineError] = []
        spoilt: set[UUID] = set()
        count = 0
        for number, line in enumerate(self._lines[1:], 2):
            if not line.strip():
                continue
            count += 1
            try:
                _add(entries, number, answer(self.subject, self._table.cells(decode_line(line))))
            except Refused as error:
                errors.append(_error(number, (error.field or "").lstrip("/") or None, error.code, rule=error.detail))
                spoilt |= self._named(line)
        beside = [entry for key, entry in entries.items() if key.subject_id in spoilt]
        errors += [_error(line, None, _BESIDE.code) for entry in beside for line in sorted(set(entry.lines))]
        return [entry for key, entry in entries.items() if key.subject_id not in spoilt], errors, count

    def keep_refused(self, refused: frozenset[int]) -> Path | None:
        """Write the refused lines unchanged, below the first line of the file; without any, write no file."""
        lines = [self._lines[0], *(self._lines[number - 1] for number in sorted(refused))]
        data = b"".join(line + b"\n" for line in lines)
        return keep_private(self.path.with_name(f"{self.path.name}.refused.csv"), data if refused else None)

    def keep_errors(self, errors: Sequence[LineError]) -> Path | None:
        """Write the reasons of refused lines; without any, write no file and return None."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([LineError._fields, *errors])
        path = self.path.with_name(f"{self.path.name}.errors.csv")
        return keep_private(path, text.getvalue().encode() if errors else None)

    def _named(self, line: bytes) -> set[UUID]:
        """Return the subject of an unreadable line, if the line contains one."""
        try:
            return {UUID(self._table.cells(decode_line(line)).get(SUBJECTS[self.subject][0], ""))}
        except (Refused, ValueError):
            return set()


async def answer_file(file: AnswerFile, client: CausewayClient, *, on_progress: OnProgress) -> FileResult:
    """Send every act of a file, 100 at a time."""
    entries, errors, count = file.entries()
    named, done = SUBJECTS[file.subject][0], 0
    for batch in in_batches(entries):
        bodies = [entry.body(named) for entry in batch]
        keyed = [body | {"key": _key(file.sha256, body)} for body in bodies]
        try:
            results = await client.answer_many(file.subject, keyed)
        except (ApiProblem, Unavailable) as error:
            return FileResult(count, tuple(sorted(errors)), error)
        for entry, result in zip(batch, results, strict=True):
            errors += _refusals(file.subject, entry, result)
        done += len(batch)
        on_progress(done, len({error.line for error in errors}))
    return FileResult(count, tuple(sorted(errors)))


def _refusals(subject: Subject, entry: AnswerEntry, result: BatchResult) -> Iterator[LineError]:
    """Yield one error for each rule that a line breaks.

    The other lines of a refused act get `beside_refused`.
    """
    if result.problem is None:
        return
    problem = ApiProblem.from_body(result.status, result.problem.model_dump(mode="json"))
    reported = set[int]()
    for pointer, rule in problem.errors or ((problem.field or "", None),):
        lines = [_line_at(entry, pointer)] if _line_at(entry, pointer) else sorted(set(entry.lines))
        for line in lines:
            reported.add(line)
            yield _error(line, column_at(subject, entry.key.act, pointer), problem.code, rule=rule)
    yield from (_error(line, None, _BESIDE.code) for line in sorted(set(entry.lines) - reported))


def _line_at(entry: AnswerEntry, pointer: str) -> int:
    """Return the line of a pointer's statement; 0 if there is none."""
    parts = pointer.split("/")
    listed = len(parts) > 2 and parts[1] == entry.listed and parts[2].isdigit()
    return entry.lines[int(parts[2])] if listed and int(parts[2]) < len(entry.lines) else 0


def _add(entries: dict[_ActKey, AnswerEntry], number: int, read: AnswerRow) -> None:
    key = _ActKey(read.subject_id, read.act)
    if read.listed is None and key in entries:
        raise Refused("line_repeated", "one line has the whole act", field="/act")
    entry = entries.setdefault(key, AnswerEntry(key, read.listed))
    entry.said += read.said
    entry.lines += [number] * len(read.said)


def _error(line: int, column: str | None, code: str, *, rule: str | None = None) -> LineError:
    return LineError(line, column, code, rule or None, find_remedy(code))


def _key(file_sha256: str, body: dict[str, JsonValue]) -> str:
    return "line-" + hashlib.sha256(canonical_json({"file": file_sha256, "answer": body})).hexdigest()[:48]
