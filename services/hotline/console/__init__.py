"""The console of a hotline: offers to it. Its own referrals have the pages of every origin."""

from __future__ import annotations

from typing import Final

from shared.party.console.subjects import SubjectKind
from shared.party.recipient.api import ItemRoutes

FOLDERS: Final = (__file__,)


def offers(routes: ItemRoutes) -> SubjectKind:
    """Return the pages of offers to a hotline."""
    return SubjectKind(
        path="offers",
        title="Offered to us",
        one="offer",
        routes=routes,
        numbers=lambda _: (),
        rows="offer_rows.html",
        body="offer_body.html",
        record="one_record.html",
    )
