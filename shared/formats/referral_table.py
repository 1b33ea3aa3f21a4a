"""Referrals as a table: one line per referral, with flat columns for the common case of one item.

`docs/csv.md` explains the columns. The service checks the values, not this module.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import JsonValue

from shared.core.errors import Refused

_Step = str | int
_SEPARATORS = (",", ";", "\t")


class Column(NamedTuple):
    """The target of a cell as a JSON pointer, and the converter of its text: a key of `_READ`."""

    pointer: str
    read: str

    @property
    def path(self) -> Sequence[_Step]:
        return [int(step) if step.isdecimal() else step for step in self.pointer[1:].split("/")]


def _read_columns() -> dict[str, Column]:
    _, *rows = Path(__file__).with_suffix(".tsv").read_text(encoding="utf-8").splitlines()
    return {name: Column(pointer, read) for name, pointer, read in (row.split("	") for row in rows)}


COLUMNS: Final = _read_columns()
#: Columns about the row itself, not part of the submission.
ASIDE = frozenset({"origin", "label"})
KNOWN = frozenset({*COLUMNS, *ASIDE})


@dataclass(frozen=True, slots=True)
class ReferralTable:
    """The first line, read: the separator, and the columns in their order."""

    separator: str
    columns: tuple[str, ...]

    @classmethod
    def from_first_line(cls, line: str, known: Container[str] = KNOWN, *, page: str = "docs/csv.md") -> ReferralTable:
        """Parse the first line.

        Raises `Refused` for unknown or repeated columns, whose data would be lost silently.
        """
        separator = max(_SEPARATORS, key=line.count)
        columns = tuple(name.strip() for name in _cells(line, separator))
        if not columns:
            raise Refused("columns_missing", "the first line names the columns", field="/columns")
        for position, name in enumerate(columns, 1):
            if name not in known:
                raise Refused("column_unknown", f"{page} lists the columns", field=f"/columns/{position}")
            if name in columns[: position - 1]:
                raise Refused("column_repeated", "name each column once", field=f"/columns/{position}")
        return cls(separator, columns)

    def cells(self, line: str) -> dict[str, str]:
        """Return the non-empty cells of one line by column. Raises `Refused` without the text of a cell."""
        cells = _cells(line, self.separator)
        if len(cells) != len(self.columns):
            raise Refused("cells_do_not_match_columns", f"{len(self.columns)} cells are needed")
        stripped = {column: cell.strip() for column, cell in zip(self.columns, cells, strict=True)}
        return {column: cell for column, cell in stripped.items() if cell}


def submission(cells: dict[str, str]) -> dict[str, JsonValue]:
    """Return the body for the cells of one row. Raises `Refused` with the column's pointer."""
    body: dict[str, JsonValue] = {}
    for name, cell in cells.items():
        if name not in ASIDE:
            column = COLUMNS[name]
            first, *rest = column.path
            body[str(first)] = _put(body.get(str(first)), rest, _READ[column.read](cell, column.pointer))
    return body


def column_at(pointer: str | None) -> str | None:
    """Return the column for a JSON pointer of a submission, or the first column under it.

    A service may include the chosen kind in the pointer (`/items/0/locator/url/value`). It is ignored here.
    """
    if not pointer:
        return None
    above, _, last = pointer.rpartition("/")
    past_kind = f"{above.rpartition('/')[0]}/{last}"
    exact = [name for name, column in COLUMNS.items() if f"{pointer}/".startswith(f"{column.pointer}/")]
    under = [name for name, column in COLUMNS.items() if column.pointer.startswith(f"{pointer}/")]
    past = [name for name, column in COLUMNS.items() if column.pointer == past_kind]
    return next(iter(exact or under or past), None)


def _cells(line: str, separator: str) -> list[str]:
    # One line is one row, so an unclosed quotation mark damages only its own row.
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        raise Refused(
            "csv_unreadable", "end a quoted cell on its own line, and double a quotation mark inside"
        ) from None


def _put(place: JsonValue, path: Sequence[_Step], value: JsonValue) -> JsonValue:
    """Return `place` with `value` at `path`, with the objects and one-element lists on the path."""
    if not path:
        return value
    step, *rest = path
    if isinstance(step, int):
        elements = place if isinstance(place, list) else []
        return [_put(elements[0] if elements else None, rest, value)]
    members = place if isinstance(place, dict) else {}
    return {**members, step: _put(members.get(step), rest, value)}


def _integer(cell: str, pointer: str) -> int:
    if not (cell.isascii() and cell.isdigit() and len(cell) <= 15):
        raise Refused("cell_not_integer", "digits only", field=pointer)
    return int(cell)


def _boolean(cell: str, pointer: str) -> bool:
    known = {"true": True, "false": False}.get(cell.lower())
    if known is None:
        raise Refused("cell_not_boolean", "true or false", field=pointer)
    return known


_READ: dict[str, Callable[[str, str], JsonValue]] = {
    "text": lambda cell, _: cell,
    "list": lambda cell, _: [part.strip() for part in cell.split(";") if part.strip()],
    "integer": _integer,
    "boolean": _boolean,
}
