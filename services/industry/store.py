"""The providers' own table: notices issued to them. Content is kept only under a data key per notice and party.

Trust: whoever can write this table can hide a notice from its provider or misstate its progress here; the notifier
and audit still show that it was sent and receipted, and what was answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from services.industry.ports import NoticePage, OpenedNotice, ShownNotice
from shared.contracts.referral import NoticeRecord
from shared.exchange.message import Received
from shared.party.preservation.store.locations import (
    NoticeLocation,
    ProviderPreservations,
    add_notice_locations,
    end_notice_locations,
    token,
)
from shared.party.recipient.domain import Item, item_numbers
from shared.party.recipient.store.items import ItemTable, NewItem, PostgresOneEdgeItems, Views, new_items
from shared.runtime.database.columns import Columns, Statement

_TABLE: Final = ItemTable(
    name="notice",
    subject="notice_id",
    sender="contact",
    shown="notice_id, contact, purpose, exercise, state, language, edge, numbers, received_at, priority, revision, "
    "said",
    numbers="numbers",
)
_NEW: Final = Columns.of(NewItem, language="text", numbers="smallint[]")
_ADD: Final = Statement(
    """
INSERT INTO notice (notice_id, party, contact, exercise, purpose, edge, content, evidence, wrapped_key, language,
                    numbers, state, priority, revision)
SELECT subject_id, party, sender, exercise, purpose, edge::jsonb, content, evidence, wrapped_key, language,
       string_to_array(numbers, chr(31))::smallint[], 'issued', priority, revision FROM {new}
""",
    new=_NEW,
)


class PostgresNotices(PostgresOneEdgeItems):
    """The notices issued to providers, within one transaction."""

    table = _TABLE
    views = Views(ShownNotice, NoticePage, OpenedNotice)

    async def add(self, messages: Sequence[Received]) -> None:
        if messages:
            languages = [message.sealed.language for message in messages]  # type: ignore[union-attr]
            new = new_items(messages, self._kek, table=self.table.contents)
            rows = _NEW.rows(new, language=languages, numbers=[item_numbers(each) for each in messages])
            await self._driver.execute(*_ADD.bind(new=rows))
            await self._locate(messages)

    async def amend(self, messages: Sequence[Received], items: Sequence[Item]) -> None:
        await super().amend(messages, items)
        await self._locate(messages)

    async def erase(self, item: Item) -> None:
        await super().erase(item)
        await end_notice_locations(self._driver, item.subject_id, item.party)

    @property
    def preservations(self) -> ProviderPreservations:
        """What agencies want kept of what these notices are about, in the same transaction."""
        return ProviderPreservations(self._driver, self._kek)

    async def _locate(self, messages: Sequence[Received]) -> None:
        """Keep where items lie; of those that a notice had before it is kept already."""
        await add_notice_locations(self._driver, [row for each in messages for row in self._located(each)])

    def _located(self, message: Received) -> Iterator[NoticeLocation]:
        assert isinstance(message.sealed, NoticeRecord)
        notice_id, party = UUID(message.subject), message.recipient
        for item in message.sealed.items:
            yield NoticeLocation(notice_id, party, item.n, token(item.locator, self._kek, party))
