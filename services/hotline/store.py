"""The hotline's own table: offers made to it. Content is kept only under a data key per referral and party.

Trust: whoever can write this table can hide an offer from the hotline; origin and audit still show that it was
sent and receipted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.hotline.ports import Offer, OfferPage, OpenedOffer
from shared.exchange.message import Received
from shared.party.recipient.domain import item_numbers
from shared.party.recipient.store.items import ItemTable, NewItem, PostgresOneEdgeItems, Views, new_items
from shared.runtime.database.columns import Columns, Statement

_TABLE: Final = ItemTable(
    name="offer",
    subject="referral_id",
    sender="origin",
    shown="referral_id, origin, purpose, exercise, state, edge, numbers, received_at, priority, revision, said",
    numbers="numbers",
)
_NEW: Final = Columns.of(NewItem, numbers="smallint[]")
_ADD: Final = Statement(
    """
INSERT INTO offer (referral_id, party, origin, exercise, purpose, edge, content, evidence, wrapped_key, state,
                   priority, numbers, revision)
SELECT subject_id, party, sender, exercise, purpose, edge::jsonb, content, evidence, wrapped_key, 'offered', priority,
       string_to_array(numbers, chr(31))::smallint[], revision
FROM {new}
""",
    new=_NEW,
)


class PostgresOffers(PostgresOneEdgeItems):
    """The offers made to hotlines, within one transaction."""

    table = _TABLE
    views = Views(Offer, OfferPage, OpenedOffer)

    async def add(self, messages: Sequence[Received]) -> None:
        if messages:
            new = new_items(messages, self._kek, table=self.table.contents)
            rows = _NEW.rows(new, numbers=[item_numbers(each) for each in messages])
            await self._driver.execute(*_ADD.bind(new=rows))
