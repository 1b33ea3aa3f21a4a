"""Statistics of notices as CSV (RFC 4180, UTF-8), by part 4 of Annex I to Regulation (EU) 2024/2835.

It contains only rows that the exchange has data for. `docs/statistics.md` explains each column and the empty ones.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

from shared.core.vocabulary.referral import IncidentKind

_WORDS: Final = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
#: The column names of counted values, by the key of the value.
_COUNTED: Final[Mapping[str, str]] = _WORDS["counted"]
_SPELT: Final = [f"{name} " if what == "notices" else name for what, name in _COUNTED.items()]
#: The exact header of the template: one of its names ends with a space, twice.
COLUMNS: Final = (*_WORDS["first"], *_SPELT, *(f"Contextual information on {name}" for name in _SPELT))
CATEGORY: Final = "STATEMENT_CATEGORY_PROTECTION_OF_MINORS"
OTHER: Final = "KEYWORD_OTHER"
#: The sub-category of each kind of incident. This is our interpretation; the Regulation does not define it.
KEYWORDS: Final[Mapping[IncidentKind, str]] = {
    **dict.fromkeys(IncidentKind, OTHER),
    **{IncidentKind(kind): keyword for kind, keyword in _WORDS["keywords"].items()},
}


class ReportedNotice(NamedTuple):
    """The counted values of one notice.

    `minutes` is from receipt to the first action, None without an action. `kind` is None for a notice from before kinds
    were stored. `flagged`: it was sent under Article 22.
    """

    kind: IncidentKind | None
    flagged: bool
    items: int
    actions: int
    minutes: int | None


class NoticeRow(NamedTuple):
    """One row: the notices of a category or sub-category, and those of them that trusted flaggers sent."""

    category: str
    notices: Sequence[ReportedNotice]
    flagged: Sequence[ReportedNotice]

    def cells(self) -> Mapping[str, str]:
        """Return the counted values by key. A value that is not known is absent."""
        found: dict[str, str] = {"notices": f"{len(self.notices)}", "of_flaggers": f"{len(self.flagged)}"}
        for end, counted in (("", self.notices), ("_of_flaggers", self.flagged)):
            found |= {f"items{end}": _sum(each.items for each in counted), f"median{end}": _hours(counted)}
            found[f"law{end}"] = _sum(each.actions for each in counted)
        return {what: found[what] for what in _COUNTED if what in found}


def build_rows(notices: Sequence[ReportedNotice]) -> Sequence[NoticeRow]:
    """Return the category's row with all notices, and rows of sub-categories with notices of known kind."""
    by_keyword: dict[str, list[ReportedNotice]] = {keyword: [] for keyword in KEYWORDS.values()}
    for each in notices:
        if each.kind is not None:
            by_keyword[KEYWORDS[each.kind]].append(each)
    named = [(CATEGORY, notices), *by_keyword.items()]
    return [NoticeRow(name, found, [each for each in found if each.flagged]) for name, found in named]


def format_csv(notices: Sequence[ReportedNotice], *, since: date, until: date) -> bytes:
    """Return the file of a period, whose last day is `until`."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(COLUMNS)
    for row in build_rows(notices):
        description = _WORDS["other_says"] if row.category == OTHER else ""
        known = row.cells()
        counted = [known.get(what, "") for what in _COUNTED]
        context = [_WORDS["context"].get(what, "") if what in known else "" for what in _COUNTED]
        table.writerow([_WORDS["applies"], "", f"{since}/{until}", row.category, description, *counted, *context])
    return text.getvalue().encode()


def _hours(notices: Sequence[ReportedNotice]) -> str:
    minutes = sorted(each.minutes for each in notices if each.minutes is not None)
    return f"{minutes[(len(minutes) - 1) // 2] / 60:.2f}" if minutes else ""


def _sum(numbers: Iterator[int]) -> str:
    return f"{sum(numbers)}"
