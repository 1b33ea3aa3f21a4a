"""The console of an agency: the referrals offered to it, and its acts on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.core.contracts.referral import ReferralRecord
from shared.core.protocol.revision_diff import Record, RevisionDiff, compared
from shared.features.cases.ports import CaseFields, OpenedCase
from shared.features.cases.store.cases import PostgresCases
from shared.features.received.api import ItemRoutes
from shared.features.received.rules import ShownItem
from shared.features.received.service.items import ItemActor
from shared.features.workspace.pages.subjects import SubjectKind

FOLDERS: Final = (__file__,)
PATH, TITLE = "inbox", "Inbox"


async def not_now(found: ShownItem, acting: ItemActor) -> frozenset[str]:
    """Return the acts on holds and leases that are not possible now: nothing to end, or one exists already."""
    assert isinstance(found, CaseFields)
    assert isinstance(acting.items, PostgresCases)
    hold = await acting.items.holds.open(found.referral_id, acting.party)
    lease = await acting.items.leases.newest(found.referral_id, acting.party)
    of_holds = {"extend_hold", "release_hold"} if hold is None else {"place_hold"}
    return frozenset(of_holds if lease.is_held(acting.at) else of_holds | {"hand_over"})


def amended(found: ShownItem) -> Sequence[RevisionDiff]:
    """Compare each earlier revision of an accepted case with the next one, for each purpose."""
    assert isinstance(found, OpenedCase)
    stand = {found.purpose: found.record} | {each.purpose: each.record for each in found.further}
    all_found: list[RevisionDiff] = []
    for purpose, record in stand.items():
        before = [(each.revision, each.record) for each in found.earlier if each.purpose is purpose]
        kept = [(f"revision {revision}", _as_json(each)) for revision, each in sorted(before, key=lambda each: each[0])]
        for_what = f"the current revision for {purpose.replace('_', ' ')}"
        all_found += compared([*kept, (for_what, _as_json(record))])
    return all_found


def _as_json(record: ReferralRecord | None) -> Record | None:
    return None if record is None else record.model_dump(mode="json", exclude_none=True)


def cases(routes: ItemRoutes) -> SubjectKind:
    """Return the properties of the pages of referrals offered to an agency."""
    return SubjectKind(
        path=PATH,
        title=TITLE,
        one="referral",
        routes=routes,
        numbers=lambda _: (),
        rows="case_rows.html",
        body="case_body.html",
        record="case_record.html",
        bulk=("claim", "hand_over"),
        claimed=True,
        not_now=not_now,
        amended=amended,
    )
