"""Error codes: the cause and the remedy of each, read from one table.

A code is stable and public. The place that raises a code names it; a test compares the code with this table. A text is
fixed and never contains a value.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple


class ErrorEntry(NamedTuple):
    """The texts of one code: `cause` names the event and its reason, `remedy` names the reader's next step."""

    cause: str
    remedy: str


def _read(name: str) -> Iterator[list[str]]:
    with Path(__file__).with_name(name).open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        yield from rows


def _families() -> dict[str, dict[str, ErrorEntry]]:
    found: dict[str, dict[str, ErrorEntry]] = {}
    for family, code, cause, remedy in _read("errors.tsv"):
        found.setdefault(family, {})[code] = ErrorEntry(cause, remedy)
    return found


#: The codes of each family, in the order in which a reader meets them.
FAMILIES: Final[Mapping[str, Mapping[str, ErrorEntry]]] = _families()
ERRORS: Final[Mapping[str, ErrorEntry]] = {
    code: entry for family in FAMILIES.values() for code, entry in family.items()
}
#: The remedies of field rules whose names are not clear enough.
RULES: Final[Mapping[str, str]] = {row[0]: row[1] for row in _read("rules.tsv")}


def find_remedy(code: str) -> str | None:
    """Return the remedy of a code, or None if this version does not have the code."""
    entry = ERRORS.get(code)
    return None if entry is None else entry.remedy
