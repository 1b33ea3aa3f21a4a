"""A provider's notices in the format of Implementing Regulation (EU) 2024/2835, part 4."""

from __future__ import annotations

import csv
import io
from datetime import date

from shared.core.vocabulary.referral import IncidentKind
from shared.formats.dsa_notices import CATEGORY, COLUMNS, KEYWORDS, OTHER, ReportedNotice, format_csv

#: The template's header as published, including its two names that end with a space.
HEADER = (
    'Applicability,Service,Reporting period,Category of illegal content,"Description of the sub-category '
    '""Other""",Number of notices received ,Number of notices received from Trusted flaggers,Number of '
    "specific items of information included in the total number of notices,Number of specific items of "
    "information included in the total number of notices by Trusted Flaggers (Trusted Flagger "
    "notices),Median time to take action,Median time to take action (Trusted Flagger notices),Number of "
    "actions taken on the basis of the law,Number of actions taken on the basis of the law (Trusted Flagger "
    "notices),Number of actions taken on the basis of the terms and conditions of the service,Number of "
    "actions taken on the basis of the terms and conditions of the service (Trusted Flagger "
    "notices),Contextual information on Number of notices received ,Contextual information on Number of "
    "notices received from Trusted flaggers,Contextual information on Number of specific items of "
    "information included in the total number of notices,Contextual information on Number of specific items "
    "of information included in the total number of notices by Trusted Flaggers (Trusted Flagger "
    "notices),Contextual information on Median time to take action,Contextual information on Median time to "
    "take action (Trusted Flagger notices),Contextual information on Number of actions taken on the basis of "
    "the law,Contextual information on Number of actions taken on the basis of the law (Trusted Flagger "
    "notices),Contextual information on Number of actions taken on the basis of the terms and conditions of "
    "the service,Contextual information on Number of actions taken on the basis of the terms and conditions "
    "of the service (Trusted Flagger notices)"
)
CSAM, GROOMING = IncidentKind.CSAM, IncidentKind.GROOMING
NOTICES = (
    ReportedNotice(CSAM, flagged=True, items=3, actions=2, minutes=60),
    ReportedNotice(CSAM, flagged=False, items=1, actions=0, minutes=None),
    ReportedNotice(CSAM, flagged=False, items=1, actions=1, minutes=600),
    ReportedNotice(GROOMING, flagged=False, items=2, actions=2, minutes=90),
    ReportedNotice(None, flagged=False, items=4, actions=0, minutes=None),
)


def table(*notices: ReportedNotice) -> dict[str, list[str]]:
    """Return the cells of each row by its category."""
    text = format_csv(notices, since=date(2026, 1, 1), until=date(2026, 6, 30)).decode()
    assert text.count("\r\n") == text.count("\n") == 6
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert tuple(header) == COLUMNS
    return {row[3]: row for row in rows}


def test_the_header_is_that_of_the_template() -> None:
    (header,) = csv.reader([HEADER])
    assert tuple(header) == COLUMNS
    assert len(header) == 25


def test_every_kind_of_incident_has_its_sub_category() -> None:
    assert KEYWORDS.keys() == set(IncidentKind)


def test_the_category_counts_every_notice_and_a_sub_category_those_of_its_kinds() -> None:
    rows = table(*NOTICES)
    assert rows[CATEGORY][5:15] == ["5", "1", "11", "3", "1.50", "1.00", "5", "2", "", ""]
    assert rows["KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL"][5:15] == ["3", "1", "5", "3", "1.00", "1.00", "3", "2", "", ""]
    assert rows["KEYWORD_GROOMING_SEXUAL_ENTICEMENT_MINORS"][5:11] == ["1", "0", "2", "0", "1.50", ""]
    assert rows[OTHER][5:15] == ["0", "0", "0", "0", "", "", "0", "0", "", ""]


def test_what_the_exchange_does_not_know_is_empty_and_not_none() -> None:
    for row in table(*NOTICES).values():
        assert row[1] == ""
        assert row[2] == "2026-01-01/2026-06-30"
        assert [cell for name, cell in zip(COLUMNS, row, strict=True) if "terms and conditions" in name] == [""] * 4
    assert "TOTAL" not in table(*NOTICES)
