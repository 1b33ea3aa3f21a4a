"""A table of answers: its columns, and its acts, sent in batches. `docs/bulk.md` describes them.

The lines about one subject by one act are one act, taken or refused whole. Each act has a key that the file and its
lines make: the same file sent again does nothing twice, and what was refused is tried again. What the values mean is
judged by the service, not here.
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
from shared.exchange.act import Subject
from shared.formats.referral_table import Table
from shared.kernel.canonical import canonical_json
from shared.kernel.codes import find_remedy
from shared.kernel.errors import CausewayError, Refused, Unavailable
from shared.vocabulary.answers import HotlineAssessment, NoticeAction

Cells = Mapping[str, str]
#: The column that names the act, and the one whose words are said of an item.
ACT: Final = "act"
ANSWER: Final = "answer"
_NUMBERS: Final = frozenset({"n", "round"})
_KEPT: Final = {"kept_class": "retention", "kept_basis": "basis", "kept_until": "until"}


@dataclass(frozen=True, slots=True)
class ActColumns:
    """What one act takes: `listed` is the list to which each line adds, None where a line says the whole.

    `cells` are its columns, by the field that each becomes; with `words`, the column `answer` has the words.
    """

    cells: Mapping[str, str]
    listed: str | None = None
    words: bool = False


#: Of each subject: the column of its id, the act that a line is where it names none, and what each act takes.
SUBJECTS: Final[Mapping[Subject, tuple[str, str | None, Mapping[str, ActColumns]]]] = {
    Subject(name): (each["id"], each["act"], {act: ActColumns(**takes) for act, takes in each["acts"].items()})
    for name, each in json.loads(Path(__file__).with_name("answer_columns.json").read_text(encoding="utf-8")).items()
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one line says: of which subject, by which act, and either statements of items or the whole."""

    subject_id: UUID
    act: str
    listed: str | None
    said: tuple[dict[str, JsonValue], ...]


def columns(subject: Subject) -> frozenset[str]:
    """The columns that a table of answers to such subjects may have."""
    named, _, acts = SUBJECTS[subject]
    return frozenset({named, ACT, ANSWER}).union(*(act.cells for act in acts.values()))


def answer(subject: Subject, cells: Cells) -> Answer:
    """What a line says. Raises `Refused` naming the column: `cell_missing`, `cell_not_id`, `cell_not_of_act` …"""
    named, usual, acts = SUBJECTS[subject]
    act = cells.get(ACT, usual)
    if act is None or act not in acts:
        raise Refused("act_unknown", f"one of {', '.join(acts)}", field=f"/{ACT}")
    known = acts[act]
    for column in cells:
        if column not in {named, ACT, *known.cells} and not (known.words and column == ANSWER):
            raise Refused("cell_not_of_act", "leave it empty where the act does not take it", field=f"/{column}")
    subject_id = _id(cells, named)
    said = {field: _value(column, field, cells[column]) for column, field in known.cells.items() if column in cells}
    if known.listed is None:
        return Answer(subject_id, act, None, (_kept(said) if act == "acknowledge_withdrawal" else said,))
    if not known.words:
        return Answer(subject_id, act, known.listed, (said,))
    words = tuple(word.strip() for word in cells.get(ANSWER, "").split(";") if word.strip())
    if not words:
        raise Refused("cell_missing", "say at least one word", field=f"/{ANSWER}")
    return Answer(subject_id, act, known.listed, tuple(said | _word(subject, word) for word in words))


def column_at(subject: Subject, act: str, pointer: str | None) -> str | None:
    """The column that a pointer of a problem leads to: of a list, whatever its place there is."""
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
        raise Refused("cell_missing", "each line names what it is about", field=f"/{named}")
    try:
        return UUID(cells[named])
    except ValueError:
        raise Refused("cell_not_id", "an id as causeway inbox lists it", field=f"/{named}") from None


def _value(column: str, field: str, cell: str) -> JsonValue:
    if field not in _NUMBERS:
        return cell
    if not (cell.isascii() and cell.isdigit() and len(cell) <= 4):
        raise Refused("cell_not_integer", "digits only", field=f"/{column}")
    return int(cell)


def _kept(said: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """What became of what was withdrawn: erased, unless a line says why it is kept."""
    kept: dict[str, JsonValue] = {field: said[field] for field in _KEPT.values() if field in said}
    fate = said.get("fate", "kept" if kept else "erased")
    return {"fate": fate} | ({"kept": kept} if kept else {})


#: Told after each batch: how many acts are done with, and how many lines were refused so far.
OnProgress = Callable[[int, int], None]
_BOM: Final = b"\xef\xbb\xbf"
_BESIDE: Final = Refused("beside_refused", "what is said of one subject is taken or refused whole")


class LineError(NamedTuple):
    """Why a line is refused. Never holds anything that it says."""

    line: int
    column: str | None
    code: str
    rule: str | None
    remedy: str | None


class _ActKey(NamedTuple):
    subject_id: UUID
    act: str


@dataclass(slots=True)
class Entry:
    """What the lines of a file say of one subject by one act. `lines` has the line of each statement."""

    key: _ActKey
    listed: str | None
    said: list[dict[str, JsonValue]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def body(self, named: str) -> dict[str, JsonValue]:
        """The act as it is posted."""
        said: dict[str, JsonValue] = dict(self.said[0]) if self.listed is None else {self.listed: list(self.said)}
        return {named: str(self.key.subject_id), "act": self.key.act} | said


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. `stopped` says why it ended early: run again, it does nothing twice."""

    lines: int
    errors: tuple[LineError, ...]
    stopped: CausewayError | None = None

    @property
    def refused(self) -> frozenset[int]:
        """The lines that were refused."""
        return frozenset(error.line for error in self.errors)


class AnswerFile:
    """One file, read once."""

    def __init__(self, path: Path, subject: Subject) -> None:
        """Raises `Refused` for an empty file, and for a bad first line."""
        self.path = path
        self.subject = subject
        data = path.read_bytes()
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._lines = [line.removesuffix(b"\r") for line in data.removeprefix(_BOM).split(b"\n")]
        if not self._lines[0].strip():
            raise Refused("file_empty", "a file with answers in it: is it the right one?", status=400)
        self._table = Table.from_first_line(decode_line(self._lines[0]), columns(subject), page="docs/bulk.md")

    @property
    def lines(self) -> int:
        """How many lines the file has, at most."""
        return len(self._lines)

    def entries(self) -> tuple[list[Entry], list[LineError], int]:
        """The acts in the order of their first lines, why other lines cannot be read, and how many lines there are.

        Where a line cannot be read, whatever is said beside it of the same subject is refused, too.
        """
        entries: dict[_ActKey, Entry] = {}
        errors: list[LineError] = []
        spoilt: set[UUID] = set()
        count = 0
        for number, line in enumerate(self._lines[1:], 2):
            if not line.strip():
                continue
            count += 1
            try:
                _add(entries, number, self._answer(line))
            except Refused as error:
                errors.append(_error(number, (error.field or "").lstrip("/") or None, error.code, rule=error.detail))
                spoilt |= self._named(line)
        beside = [entry for key, entry in entries.items() if key.subject_id in spoilt]
        errors += [_error(line, None, _BESIDE.code) for entry in beside for line in sorted(set(entry.lines))]
        return [entry for key, entry in entries.items() if key.subject_id not in spoilt], errors, count

    def keep_refused(self, refused: frozenset[int]) -> Path | None:
        """Write the lines that were refused, as they stand, under the first line; None, and no file, without any."""
        lines = [self._lines[0], *(self._lines[number - 1] for number in sorted(refused))]
        data = b"".join(line + b"\n" for line in lines)
        return keep_private(self.path.with_name(f"{self.path.name}.refused.csv"), data if refused else None)

    def keep_errors(self, errors: Sequence[LineError]) -> Path | None:
        """Write why lines were refused; None, and no file, where none was."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([LineError._fields, *errors])
        path = self.path.with_name(f"{self.path.name}.errors.csv")
        return keep_private(path, text.getvalue().encode() if errors else None)

    def _answer(self, line: bytes) -> Answer:
        return answer(self.subject, self._table.cells(decode_line(line)))

    def _named(self, line: bytes) -> set[UUID]:
        """The subject that a line which cannot be read is about, if that much can."""
        try:
            return {UUID(self._table.cells(decode_line(line)).get(SUBJECTS[self.subject][0], ""))}
        except (Refused, ValueError):
            return set()


async def answer_file(file: AnswerFile, client: CausewayClient, *, on_progress: OnProgress) -> Ended:
    """Send every act of a file, 100 at a time."""
    entries, errors, count = file.entries()
    named, done = SUBJECTS[file.subject][0], 0
    for batch in in_batches(entries):
        bodies = [entry.body(named) for entry in batch]
        keyed = [body | {"key": _key(file.sha256, body)} for body in bodies]
        try:
            results = await client.answer_many(file.subject, keyed)
        except (ApiProblem, Unavailable) as error:
            return Ended(count, tuple(sorted(errors)), error)
        for entry, result in zip(batch, results, strict=True):
            errors += _refusals(file.subject, entry, result)
        done += len(batch)
        on_progress(done, len({error.line for error in errors}))
    return Ended(count, tuple(sorted(errors)))


def _refusals(subject: Subject, entry: Entry, result: BatchResult) -> Iterator[LineError]:
    """One error for each rule that a line breaks; of an act that was refused, each other line is told that it was."""
    if result.problem is None:
        return
    problem = ApiProblem.from_body(result.status, result.problem.model_dump(mode="json"))
    told = set[int]()
    for pointer, rule in problem.errors or ((problem.field or "", None),):
        lines = [_line_at(entry, pointer)] if _line_at(entry, pointer) else sorted(set(entry.lines))
        for line in lines:
            told.add(line)
            yield _error(line, column_at(subject, entry.key.act, pointer), problem.code, rule=rule)
    yield from (_error(line, None, _BESIDE.code) for line in sorted(set(entry.lines) - told))


def _line_at(entry: Entry, pointer: str) -> int:
    """The line of the statement that a pointer leads to; 0 where it leads to none."""
    parts = pointer.split("/")
    listed = len(parts) > 2 and parts[1] == entry.listed and parts[2].isdigit()
    return entry.lines[int(parts[2])] if listed and int(parts[2]) < len(entry.lines) else 0


def _add(entries: dict[_ActKey, Entry], number: int, read: Answer) -> None:
    key = _ActKey(read.subject_id, read.act)
    if read.listed is None and key in entries:
        raise Refused("line_repeated", "one line says all of it", field="/act")
    entry = entries.setdefault(key, Entry(key, read.listed))
    entry.said += read.said
    entry.lines += [number] * len(read.said)


def _error(line: int, column: str | None, code: str, *, rule: str | None = None) -> LineError:
    return LineError(line, column, code, rule or None, find_remedy(code))


def _key(file_sha256: str, body: dict[str, JsonValue]) -> str:
    return "line-" + hashlib.sha256(canonical_json({"file": file_sha256, "answer": body})).hexdigest()[:48]
