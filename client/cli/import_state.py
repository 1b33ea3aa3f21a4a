"""The files beside an import: its state, the signed acceptances, and the report of refused rows.

`FILE.state` has one JSON line for each finished batch. Whoever can modify it can make a run leave rows out or send them
again; sent again, they are still not created twice, because the service holds the idempotency keys and the references.
Whoever can modify the acceptances can lose some or add lines that do not verify; nobody can make one that does. No file
holds a value of a row.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pydantic import JsonValue, TypeAdapter

from client.cli.private_file import add_private, keep_private, read_whole_lines
from client.cli.rows import RowError, RowFormat, RowResult
from shared.formats.referral_table import column_at
from shared.kernel.canonical import canonical_json
from shared.kernel.errors import Refused

_ROWS: Final = TypeAdapter(list[RowResult])
#: What is kept of a row.
_KEPT: Final = {"__all__": {"row", "state", "referral_id", "existing", "errors"}}


class ImportState:
    """The finished rows of one run. A run is one file's bytes, origin, service and key; any other starts afresh."""

    def __init__(
        self, path: Path, acceptances: AcceptanceFile, *, file_sha256: str, origin: str | None, url: str, key: str
    ) -> None:
        """Read the state in `path`. A last line that a crash cut off is dropped: its batch is sent again."""
        self._path = path
        self._acceptances = acceptances
        self.run = _digest("\n".join((file_sha256, origin or "", url, _digest(key))))
        self._results: dict[int, RowResult] = {}
        for line in read_whole_lines(path):
            try:
                entry = json.loads(line)
                if entry["run"] == self.run:
                    self._results.update((each.row, each) for each in _ROWS.validate_python(entry["results"]))
            except (ValueError, LookupError, TypeError):
                raise Refused("state_unreadable", "remove FILE.state to start over: nothing is created twice") from None

    def __contains__(self, row: int) -> bool:
        return row in self._results

    def results(self) -> list[RowResult]:
        """Every finished row, in order."""
        return [self._results[row] for row in sorted(self._results)]

    def add(self, results: list[RowResult]) -> None:
        """Keep the results of one batch. When this returns they are on the disk, and the batch is not sent again.

        Acceptances first: a batch that is kept is not sent again, and the service gives its acceptances once.
        """
        self._acceptances.keep(result.acceptance for result in results if result.acceptance is not None)
        if lasting := [result for result in results if not result.passing]:
            kept = _ROWS.dump_python(lasting, mode="json", include=_KEPT, exclude_defaults=True)
            entry = json.dumps({"run": self.run, "results": kept}, separators=(",", ":"))
            add_private(self._path, entry.encode() + b"\n")
            self._results.update((result.row, result) for result in lasting)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


#: An acceptance as the service gave it: it is checked when it is needed, with a directory (`causeway verify`).
Given = dict[str, JsonValue]


class AcceptanceFile:
    """The acceptances of one file of referrals. The same one is kept once, however often the service repeats it."""

    def __init__(self, path: Path) -> None:
        """Whatever is in the file stays, but for a last line that a crash cut off: its service is asked again."""
        self.path = path
        self._kept = set(read_whole_lines(path))

    @classmethod
    def beside(cls, file: Path, chosen: Path | None = None) -> AcceptanceFile:
        """`FILE.acceptances.jsonl`, or the one that was chosen instead."""
        return cls(chosen or file.with_name(f"{file.name}.acceptances.jsonl"))

    def keep(self, acceptances: Iterable[Given]) -> None:
        """Add those that are not there. When this returns they are on the disk."""
        lines = [line for line in map(canonical_json, acceptances) if line not in self._kept]
        if lines:
            add_private(self.path, b"".join(line + b"\n" for line in lines))
            self._kept.update(lines)


_COLUMNS = ("row", "column", "field", "code", "rule", "remedy")


def write_report(file: Path, row_format: RowFormat, errors: Sequence[RowError]) -> Path | None:
    """Write the report in one step, or remove an earlier one when there is nothing to report (then None).

    It is `FILE.errors.csv` for a table, `FILE.errors.jsonl` for the rest.
    """
    text = io.StringIO()
    if row_format is RowFormat.CSV:
        table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows({"row": each.row, **each.told(), "column": column_at(each.field)} for each in errors)
    else:
        text.writelines(json.dumps({"row": each.row, **each.told()}) + "\n" for each in errors)
    path = file.with_name(f"{file.name}.errors.{'csv' if row_format is RowFormat.CSV else 'jsonl'}")
    return keep_private(path, text.getvalue().encode() if errors else None)
