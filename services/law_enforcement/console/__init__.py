"""The web door of an agency: what was offered to it, and what it makes of that."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from services.law_enforcement.domain import AGENCY
from services.law_enforcement.ports import CaseFields
from services.law_enforcement.store import PostgresCases
from services.law_enforcement.use_cases import act_on_case
from shared.exchange.prepare import Documents
from shared.party.console.subjects import SubjectKind
from shared.party.recipient.ports import Acting, ShownItem

FOLDERS: Final = (__file__,)
PATH, TITLE = "inbox", "Inbox"


async def not_now(found: ShownItem, acting: Acting) -> frozenset[str]:
    """Of holds and leases: what nothing is there for, and what is there already."""
    assert isinstance(found, CaseFields)
    assert isinstance(acting.items, PostgresCases)
    hold = await acting.items.holds.open(found.referral_id, acting.party)
    lease = await acting.items.leases.newest(found.referral_id, acting.party)
    of_holds = {"extend_hold", "release_hold"} if hold is None else {"place_hold"}
    return frozenset(of_holds if lease.stands(acting.at) else of_holds | {"hand_over"})


def cases(documents: Callable[[], Documents]) -> SubjectKind:
    """What was offered to an agency. `documents`: directory and policy in force."""
    return SubjectKind(
        path=PATH,
        title=TITLE,
        one="referral",
        recipient=AGENCY,
        items=PostgresCases,
        act_on=partial(act_on_case, documents=documents),
        numbers=lambda _: (),
        rows="case_rows.html",
        body="case_body.html",
        record="case_record.html",
        bulk=("claim", "hand_over"),
        claimed=True,
        not_now=not_now,
    )
