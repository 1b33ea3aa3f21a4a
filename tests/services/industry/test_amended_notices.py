"""A notice is amended: its record is another, what was said of it stays said, and the clock of its items goes on."""

from __future__ import annotations

from shared.kernel.ids import uuid7
from tests.services.deliveries import issued
from tests.services.industry.provider import Providers
from tests.services.industry.test_notices import ACTION


async def test_an_amended_notice_keeps_what_was_answered_and_asks_for_what_is_new(providers: Providers) -> None:
    notice_id = uuid7()
    await providers.receive(issued(notice_id))
    await providers.act("answer", ACTION, notice_id)
    assert await providers.receive(issued(notice_id, items=2, revision=2)) == [None]
    shown = await providers.show(notice_id)
    assert (shown["state"], shown["numbers"], shown["revision"]) == ("in_part", [1, 2], 2)
    assert len(shown["record"]["items"]) == 2
    assert {each["n"] for each in shown["items"]} == {1}
