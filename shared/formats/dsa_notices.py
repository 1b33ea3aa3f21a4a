"""Notices of a provider as part 4 of Annex I to Implementing Regulation (EU) 2024/2835 has them: CSV, RFC 4180, UTF-8.

A mapping, and only the rows that the exchange knows of: `docs/statistics.md` has each column, and what stays empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from shared.vocabulary.referral import IncidentKind

_APPLIES: Final = "Only for providers of hosting services, including online platforms"
_FLAGGED: Final = " (Trusted Flagger notices)"
_NOTICES: Final = "Number of notices received"
_OF_FLAGGERS: Final = "Number of notices received from Trusted flaggers"
_ITEMS: Final = "Number of specific items of information included in the total number of notices"
_MEDIAN: Final = "Median time to take action"
_LAW: Final = "Number of actions taken on the basis of the law"
_TERMS: Final = "Number of actions taken on the basis of the terms and conditions of the service"
_COUNTED: Final = (
    _NOTICES,
    _OF_FLAGGERS,
    _ITEMS,
    f"{_ITEMS} by Trusted Flaggers{_FLAGGED}",
    _MEDIAN,
    _MEDIAN + _FLAGGED,
    _LAW,
    _LAW + _FLAGGED,
    _TERMS,
    _TERMS + _FLAGGED,
)
#: The header of the template, letter for letter: one of its names ends with a space, twice.
COLUMNS: Final = (
    "Applicability",
    "Service",
    "Reporting period",
    "Category of illegal content",
    'Description of the sub-category "Other"',
    *(f"{name} " if name == _NOTICES else name for name in _COUNTED),
    *(f"Contextual information on {f'{name} ' if name == _NOTICES else name}" for name in _COUNTED),
)
CATEGORY: Final = "STATEMENT_CATEGORY_PROTECTION_OF_MINORS"
OTHER: Final = "KEYWORD_OTHER"
_OTHER_SAYS: Final = "Sexual exploitation of children that is neither material nor solicitation"
_MATERIAL: Final = "KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL"
_SYNTHETIC: Final = "KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL_DEEPFAKE"
_GROOMING: Final = "KEYWORD_GROOMING_SEXUAL_ENTICEMENT_MINORS"
#: The sub-category of each kind of incident: our reading, no instruction of the Regulation.
KEYWORDS: Final[Mapping[IncidentKind, str]] = {
    **dict.fromkeys(IncidentKind, OTHER),
    **dict.fromkeys(map(IncidentKind, ("csam", "self_generated", "live_stream", "molestation", "virtual")), _MATERIAL),
    **dict.fromkeys(map(IncidentKind, ("csem_grooming", "enticement", "sextortion", "obscene_to_minor")), _GROOMING),
    IncidentKind.GENERATIVE_AI: _SYNTHETIC,
}
_CONTEXT: Final = {
    _NOTICES: "Received through Causeway alone",
    _OF_FLAGGERS: "Those that were sent under Article 22 of Regulation (EU) 2022/2065",
    _MEDIAN: "In hours, from receipt to the first action on an item; the lower median",
    _LAW: "All actions on items; on what ground each was decided is not told here",
}


class ReportedNotice(NamedTuple):
    """What is counted of one notice. `minutes` is from receipt to the first action, None where there was none.

    `kind` is None of a notice that came before kinds were kept; `flagged`: it was sent under Article 22.
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
        """What is counted, by the name of its column; what is not there is not known."""
        found: dict[str, str] = {_NOTICES: f"{len(self.notices)}", _OF_FLAGGERS: f"{len(self.flagged)}"}
        found |= {_ITEMS: _sum(each.items for each in self.notices)}
        found |= {f"{_ITEMS} by Trusted Flaggers{_FLAGGED}": _sum(each.items for each in self.flagged)}
        found |= {_MEDIAN: _hours(self.notices), _MEDIAN + _FLAGGED: _hours(self.flagged)}
        found |= {_LAW: _sum(each.actions for each in self.notices)}
        return found | {_LAW + _FLAGGED: _sum(each.actions for each in self.flagged)}


def rows_of(notices: Sequence[ReportedNotice]) -> Sequence[NoticeRow]:
    """The category, which counts every notice, and its sub-categories, which count those whose kind is known."""
    by_keyword: dict[str, list[ReportedNotice]] = {keyword: [] for keyword in KEYWORDS.values()}
    for each in notices:
        if each.kind is not None:
            by_keyword[KEYWORDS[each.kind]].append(each)
    named = [(CATEGORY, notices), *by_keyword.items()]
    return [NoticeRow(name, found, [each for each in found if each.flagged]) for name, found in named]


def written(notices: Sequence[ReportedNotice], *, since: date, until: date) -> bytes:
    """The file of a period, whose last day is `until`."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(COLUMNS)
    for row in rows_of(notices):
        said = _OTHER_SAYS if row.category == OTHER else ""
        known = row.cells()
        counted = [known.get(name, "") for name in _COUNTED]
        context = [_CONTEXT.get(name.removesuffix(_FLAGGED), "") if name in known else "" for name in _COUNTED]
        table.writerow([_APPLIES, "", f"{since}/{until}", row.category, said, *counted, *context])
    return text.getvalue().encode()


def _hours(notices: Sequence[ReportedNotice]) -> str:
    met = sorted(each.minutes for each in notices if each.minutes is not None)
    return f"{met[(len(met) - 1) // 2] / 60:.2f}" if met else ""


def _sum(numbers: Iterator[int]) -> str:
    return f"{sum(numbers)}"
