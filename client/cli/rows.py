"""Files of referrals: JSON (one referral), JSONL and CSV, one row per line.

A bad row is a result, never an abort. A JSONL row is a submission, or an object `{"origin", "label", "referral"}`
around one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from pydantic import JsonValue

from client import views
from client.cli.settings import decode_line
from shared.core.codes import RULES, find_remedy
from shared.core.errors import Refused
from shared.core.guard import parse_body
from shared.formats.referral_table import ReferralTable, submission

_BOM = b"\xef\xbb\xbf"
_WRAPPER = frozenset({"origin", "label", "referral"})


class RowFormat(StrEnum):
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class RowError:
    """The reason why a row is refused, and what is `expected`. It never contains values of the row."""

    row: int
    code: str
    field: str | None = None
    rule: str | None = None
    expected: str | None = None

    @property
    def remedy(self) -> str | None:
        """Return the remedy: the schema's expectation, otherwise that of the rule, otherwise that of the code."""
        return self.expected or RULES.get(self.rule or "") or find_remedy(self.code)

    def told(self) -> dict[str, str | None]:
        """Return the error for a report, without its row."""
        return {"field": self.field, "code": self.code, "rule": self.rule, "remedy": self.remedy}


@dataclass(frozen=True, slots=True)
class ImportRow:
    """Row `number` (the line in the file, from 1): a body to send, or the reason why there is none."""

    number: int
    origin: str | None = None
    referral: dict[str, JsonValue] | None = None
    error: RowError | None = None

    def refused(self, code: str, rule: str) -> ImportRow:
        """Return this row as refused."""
        return replace(self, referral=None, error=RowError(self.number, code, rule=rule))


@dataclass(frozen=True, slots=True)
class RowResult:
    """The result of one row: a state, or the errors for which it is refused.

    `existing` rows were submitted before, under their reference. A `passing` error is the service's, not the row's.
    `acceptance` is the signed one. Only a check has `work_reason`, the reason why a row would reach no recipient,
    `recipients`, and the parts that would be `cut`.
    """

    row: int
    state: str | None = None
    referral_id: UUID | None = None
    existing: bool = False
    passing: bool = False
    work_reason: str | None = None
    recipients: tuple[views.RecipientView, ...] = ()
    cut: tuple[views.CutView, ...] = ()
    acceptance: dict[str, JsonValue] | None = None
    errors: tuple[RowError, ...] = ()


class RowFile:
    """One file, read once: its digest and its rows belong to the same bytes."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises `Refused` for a name without .json, .jsonl or .csv, an empty file, a bad first line.
        """
        try:
            self.format = RowFormat(path.suffix.lower().removeprefix("."))
        except ValueError:
            raise Refused("file_format_unknown", "use a name that ends in .csv, .jsonl or .json", status=400) from None
        self.path = path
        self._data = path.read_bytes().removeprefix(_BOM)
        if not self._data.strip():
            raise Refused("file_empty", "a file with a referral in it: is it the right one?", status=400)
        self.sha256 = hashlib.sha256(self._data).hexdigest()
        first = self._data.partition(b"\n")[0].removesuffix(b"\r")
        is_table = self.format is RowFormat.CSV
        self._table = ReferralTable.from_first_line(decode_line(first, "/columns")) if is_table else None
        #: The number of other parties' rows that the last reading of `rows` has left out so far.
        self.left_out = 0

    @property
    def lines(self) -> int:
        """Return the number of lines of the file; the last one need not have a line end."""
        return self._data.count(b"\n") + (not self._data.endswith(b"\n"))

    def rows(self, origin: str | None = None) -> Iterator[ImportRow]:
        """Yield every row; with `origin`, without those that name another. A repeated reference is refused.

        A row without an origin belongs to the reader. Raises `Refused` at the end if every row is another's.
        """
        seen: set[str] = set()
        self.left_out, taken = 0, 0
        for row in self.every_row():
            # Unreadable rows have no known origin: they are shown to every party that imports the file.
            if origin is not None and row.error is None and row.origin not in (None, origin):
                self.left_out += 1
                continue
            taken += 1
            if origin is None and row.origin is not None and row.error is None:
                row = row.refused("origin_not_chosen", "give --origin for rows that name their origin")
            reference = row.referral.get("external_ref") if row.referral is not None else None
            if isinstance(reference, str):
                if reference in seen:
                    row = row.refused("external_ref_repeated", "an earlier row of this file has the same one")
                seen.add(reference)
            yield row
        if self.left_out and not taken:
            raise Refused("origin_has_no_rows", "every row of the file names another origin", status=400)

    def every_row(self) -> Iterator[ImportRow]:
        """Yield every row of the file, of any origin."""
        if self.format is RowFormat.JSON:
            yield _read(1, self._data, _from_json)
            return
        table = self._table
        start = 0
        for number in range(1, self._data.count(b"\n") + 2):
            end = self._data.find(b"\n", start)
            line = self._data[start : end if end >= 0 else len(self._data)].removesuffix(b"\r")
            start = end + 1
            if not line.strip() or (table is not None and number == 1):
                continue
            yield _read(number, line, _from_json if table is None else lambda text: _from_csv(table, text))


def _read(number: int, line: bytes, read: Callable[[bytes], tuple[str | None, dict[str, JsonValue]]]) -> ImportRow:
    try:
        origin, referral = read(line)
    except Refused as refusal:
        return ImportRow(number, error=RowError(number, refusal.code, refusal.field, refusal.detail))
    return ImportRow(number, origin, referral)


def _from_json(line: bytes) -> tuple[str | None, dict[str, JsonValue]]:
    """Return the submission in one JSON text, within the service's limits of a body."""
    row = parse_body("application/json", None, line)
    if "referral" not in row:
        return None, row
    origin, referral = row.get("origin"), row["referral"]
    if not (row.keys() <= _WRAPPER and isinstance(origin, str) and isinstance(referral, dict)):
        raise Refused("row_malformed", "use origin, label and referral, and nothing else")
    return origin, referral


def _from_csv(table: ReferralTable, line: bytes) -> tuple[str | None, dict[str, JsonValue]]:
    cells = table.cells(decode_line(line))
    return cells.get("origin"), submission(cells)
