"""Why rows were refused, in a file beside the import: row, field, code, rule, remedy, and nothing that a row says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from client.cli.rows import RowError, RowFormat
from shared.formats.referral_table import column_at

_COLUMNS = ("row", "column", "field", "code", "rule", "remedy")


def report_path(file: Path, row_format: RowFormat) -> Path:
    """`FILE.errors.csv` for a table, `FILE.errors.jsonl` for the rest."""
    return file.with_name(f"{file.name}.errors.{'csv' if row_format is RowFormat.CSV else 'jsonl'}")


def write_report(file: Path, row_format: RowFormat, errors: Sequence[RowError]) -> Path | None:
    """Write the report in one step, or remove an earlier one when there is nothing to report (then None)."""
    path = report_path(file, row_format)
    if not errors:
        path.unlink(missing_ok=True)
        return None
    text = (
        _as_csv(errors) if row_format is RowFormat.CSV else "".join(json.dumps(_told(error)) + "\n" for error in errors)
    )
    written = path.with_name(path.name + ".part")
    written.write_text(text, encoding="utf-8")
    written.replace(path)
    return path


def _as_csv(errors: Sequence[RowError]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows({**_told(error), "column": column_at(error.field)} for error in errors)
    return text.getvalue()


def _told(error: RowError) -> dict[str, object]:
    return {"row": error.row, "field": error.field, "code": error.code, "rule": error.rule, "remedy": error.remedy}
