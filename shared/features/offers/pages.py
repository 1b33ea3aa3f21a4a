"""Pages of the offers to a hotline."""

from __future__ import annotations

from typing import Final

from shared.features.received.api import ItemRoutes
from shared.features.workspace.pages.subjects import SubjectKind

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
