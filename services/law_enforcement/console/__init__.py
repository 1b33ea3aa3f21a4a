"""The web door of an agency: what was offered to it, and what it makes of that."""

from __future__ import annotations

from typing import Final

from services.law_enforcement.domain import AGENCY
from services.law_enforcement.store import PostgresCases
from services.law_enforcement.use_cases import act_on_case
from shared.party.console.subjects import SubjectKind

CASES: Final = SubjectKind(
    path="inbox",
    title="Inbox",
    one="referral",
    recipient=AGENCY,
    items=PostgresCases,
    act_on=act_on_case,
    numbers=lambda _: (),
    rows="case_rows.html",
    body="case_body.html",
    record="case_record.html",
)
FOLDERS: Final = (__file__,)
