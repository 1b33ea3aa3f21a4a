"""The providers' own table: notices issued to them. Content is kept only under a data key per notice and party.

Trust: whoever can write this table can hide a notice from its provider or misstate its progress here; the notifier
and audit still show that it was sent and receipted, and what was answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar
from uuid import UUID

import asyncpg

from services.industry.ports import NoticeEdge, NoticePage, OpenedNotice, ShownNotice
from shared.contracts.referral import NoticeRecord
from shared.exchange.message import Received
from shared.party.recipient.ports import Page
from shared.party.recipient.store import ItemTable, NewItem, PostgresItems, new_items, view
from shared.runtime.database.columns import Columns, Statement

NoticeT = TypeVar("NoticeT", bound=ShownNotice)

_TABLE: Final = ItemTable(
    name="notice",
    subject="notice_id",
    sender="contact",
    shown="notice_id, contact, purpose, exercise, state, language, edge, numbers, received_at, said",
    numbers="numbers",
)
_NEW: Final = Columns.of(NewItem, language="text", numbers="smallint[]")
_ADD: Final = Statement(
    """
INSERT INTO notice (notice_id, party, contact, exercise, purpose, edge, content, wrapped_key, language, numbers,
                    state)
SELECT subject_id, party, sender, exercise, purpose, edge::jsonb, content, wrapped_key, language,
       string_to_array(numbers, chr(31))::smallint[], 'issued' FROM {new}
""",
    new=_NEW,
)


class PostgresNotices(PostgresItems):
    """The notices issued to providers, within one transaction."""

    table = _TABLE

    async def add(self, messages: Sequence[Received]) -> None:
        if messages:
            languages = [message.clear.language for message in messages]  # type: ignore[attr-defined]
            rows = _NEW.rows(
                new_items(messages, self._kek), language=languages, numbers=[_numbers(each) for each in messages]
            )
            await self._driver.execute(*_ADD.bind(new=rows))

    async def page(self, page: Page) -> NoticePage:
        rows, following = await self._page(page)
        return NoticePage(items=tuple(_shown(ShownNotice, row) for row in rows), next=following)

    async def show(self, subject_id: UUID) -> OpenedNotice:
        row = await self._one(subject_id)
        return _shown(OpenedNotice, row, record=self._opened(row, subject_id))


def _numbers(message: Received) -> list[str]:
    """The numbers of a notice's items. Of the record they alone are kept in the clear: whoever answers names them."""
    assert isinstance(message.sealed, NoticeRecord)
    return [str(item.n) for item in message.sealed.items]


def _shown(kind: type[NoticeT], row: asyncpg.Record, **more: object) -> NoticeT:
    """A notice as its provider sees it: of the edge what is listed for it. Whether police may hold it back is not."""
    edge = {name: value for name, value in row["edge"].items() if name in NoticeEdge.model_fields}
    return view(kind, row, edge=edge, **more)
