"""The columns of a table of answers: what a line says, as it is said over HTTP. `docs/bulk.md` describes them.

What the values mean is judged by the service, not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from pydantic import JsonValue

from shared.exchange.act import Subject
from shared.kernel.errors import Refused
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


_WITHDRAWAL: Final = ActColumns({"fate": "fate"} | _KEPT)
_ITEM: Final = {"item": "n"}
#: Of each subject: the column of its id, the act that a line is where it names none, and what each act takes.
SUBJECTS: Final[Mapping[Subject, tuple[str, str | None, Mapping[str, ActColumns]]]] = {
    Subject.NOTICE: (
        "notice_id",
        "answer",
        {
            "answer": ActColumns(
                _ITEM | {"round": "round", "reason": "reason", "effective_at": "effective_at"}, "items", words=True
            ),
            "not_ours": ActColumns(_ITEM | {"suggested": "suggested"}, "disowned"),
            "reinstate": ActColumns(_ITEM | {"reason": "reason"}, "reinstated"),
            "acknowledge": ActColumns({}),
            "acknowledge_withdrawal": _WITHDRAWAL,
        },
    ),
    Subject.OFFER: (
        "referral_id",
        "assess",
        {
            "assess": ActColumns(_ITEM | {"reason": "reason"}, "assessed", words=True),
            "accept": ActColumns({}),
            "decline": ActColumns({"reason": "reason"}),
            "acknowledge_withdrawal": _WITHDRAWAL,
        },
    ),
    Subject.CASE: (
        "referral_id",
        None,
        {
            "accept": ActColumns({"case_reference": "case_reference"}),
            "decline": ActColumns({"reason": "reason"}),
            "outcome": ActColumns(
                {name: name for name in ("outcome", "close_reason", "child_identified", "child_safeguarded")}
            ),
            "acknowledge_withdrawal": _WITHDRAWAL,
        },
    ),
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
        return Answer(subject_id, act, None, (_kept(said) if known is _WITHDRAWAL else said,))
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
    fields = {field: column for column, field in known.cells.items()} | _words_of(known)
    return next((fields[part] for part in parts if part in fields), ANSWER if known.words else None)


def _words_of(known: ActColumns) -> dict[str, str]:
    return dict.fromkeys(("action", "rejection", "assessment"), ANSWER) if known.words else {}


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
