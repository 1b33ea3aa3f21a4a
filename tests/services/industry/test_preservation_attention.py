"""An agency's preservation request is on the provider's attention list until it is answered."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from shared.kernel.authority import Role
from shared.kernel.ids import uuid7
from shared.party.attention_item import ListPlace
from shared.party.preservation.store.preservations import unanswered_waits
from shared.runtime.database.transactions import RowScope
from tests.services.deliveries import AGENCY, LOCATION, PROVIDER
from tests.services.industry.provider import Providers
from tests.services.industry.test_preservation_before_removal import PRESERVED, answer, asked

#: A place without notices of other tests.
PLACE = f"{LOCATION}/attention"
BEGINNING = ListPlace(-1, datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))


async def listed(
    providers: Providers, ids: set[UUID], above: ListPlace = BEGINNING, *, rank_max: int = 1
) -> list[ListPlace]:
    """Return these requests, among all that wait in the database."""
    async with providers.database.transaction(RowScope([PROVIDER], Role.ANALYST, "read")) as session:
        found = await unanswered_waits(session.driver, PROVIDER, above, rank_max=rank_max, limit=10_000)
    found = [each for each in found if each.row.subject in ids]
    assert all((each.row.party, each.row.reasons) == (AGENCY, ("preservation_unanswered",)) for each in found)
    return [each.place for each in found]


async def test_a_request_stands_there_until_it_is_answered(providers: Providers) -> None:
    first, second = sorted([uuid7(), uuid7()])
    await providers.receive(asked(second, location=PLACE), asked(first, location=PLACE))
    both = {first, second}
    places = await listed(providers, both)
    assert [place.id for place in places] == [first, second]
    assert await listed(providers, both, places[0]) == places[1:]
    assert await listed(providers, both, rank_max=0) == []
    await answer(providers, first, PRESERVED)
    assert await listed(providers, both) == places[1:]
