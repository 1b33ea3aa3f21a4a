"""The accountant's queries about an origin's referrals, by their ids."""

from __future__ import annotations

from deploy.accounting import views
from deploy.accounting.book import opened
from deploy.site.endpoints import DatabaseEndpoint
from shared.kernel.ids import uuid7
from tests.services.hotline.origin import Origin
from tests.support.builders import HOTLINE


async def test_which_of_these_it_has_and_which_edges_are_of_them(origin: Origin, endpoint: DatabaseEndpoint) -> None:
    referral_id = await origin.file()
    async with opened(endpoint.accountant_url, kind="hotline", name="hotline") as book:
        edges = [
            row["edge_id"] for row in await book.fetch("SELECT edge_id FROM edge WHERE referral_id = $1", referral_id)
        ]
        kept = await book.fetch(views.REFERRALS_OF, [referral_id, uuid7()])
        of_it = await book.fetch(views.EDGES_OF, edges, [referral_id])
        of_none = await book.fetch(views.EDGES_OF, edges, [uuid7()])
    assert [tuple(row) for row in kept] == [(HOTLINE, "routed", 1)]
    assert edges
    assert sorted(row["edge_id"] for row in of_it) == sorted(edges)
    assert of_none == []
