"""Sampled referrals as files that `causeway referral import` reads."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deploy.sample.generator import SampledReferral
from shared.formats.referral_table import ASIDE, COLUMNS


def write_jsonl(path: Path, sampled: Iterable[SampledReferral]) -> int:
    """Write one object a line: `origin`, `label` (the dirty code put in, or null) and `referral`. Returns the rows."""
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        for each in sampled:
            line = {"origin": each.origin, "label": each.label, "referral": each.referral}
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            rows += 1
    return rows


def write_csv(path: Path, sampled: Iterable[SampledReferral]) -> int:
    """Write those that a flat table can hold: one item, no reported accounts. Returns the rows.

    The time of an assessment has no column and is left out.
    """
    columns = [*sorted(ASIDE), *COLUMNS]
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        for each in sampled:
            if len(each.referral["items"]) == 1 and not each.referral.get("subject_accounts"):
                table.writerow({"origin": each.origin, "label": each.label or ""} | _cells(each.referral))
                rows += 1
    return rows


def _cells(referral: dict[str, Any]) -> dict[str, str]:
    found = {name: _at(referral, column.path) for name, column in COLUMNS.items()}
    return {name: _text(value) for name, value in found.items() if value is not None}


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value.get(step) if isinstance(step, str) else next(iter(value[step:]), None)
        if value is None:
            return None
    return value


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ";".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
