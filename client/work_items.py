"""Work items of a provider, as the typed client does them: open notices by where their items lie."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from uuid import UUID

from client.bulk import AnswerResult
from client.calls import Calls
from client.views import Page, View


class OpenItem(View):
    """An item of a notice that waits for an answer."""

    notice_id: UUID
    n: int
    notifier: str
    state: str
    priority: str | None = None
    received_at: str


class WorkItem(View):
    """What is open at one location."""

    work_item: UUID
    items: tuple[OpenItem, ...]


class NoticeResult(AnswerResult):
    """What became of one notice."""

    index: int = 0


class WorkAnswered(View):
    """What became of each notice of a work item."""

    work_item: UUID
    results: tuple[NoticeResult, ...]


class WorkItems(Calls):
    """What a provider looks through and answers work items with."""

    def work_items(self, *, cursor: str | None = None, limit: int = 200) -> AsyncIterator[Page[WorkItem]]:
        """What is to be answered, one entry for each location, page by page."""
        return self.pages("/v1/work-items", Page[WorkItem], cursor, limit=limit)

    async def answer_work_item(
        self, work_item: UUID, said: Mapping[str, object], *, key: str | None = None
    ) -> WorkAnswered:
        """Answer each notice about one location by itself; `said` has the outcomes."""
        return await self.post(f"/v1/work-items/{work_item}:answer", said, key, view=WorkAnswered)

    async def disown_work_item(
        self, work_item: UUID, *, suggested: str | None = None, key: str | None = None
    ) -> WorkAnswered:
        """Say of each notice that what lies at one location is not yours."""
        body: dict[str, object] = {} if suggested is None else {"suggested": suggested}
        return await self.post(f"/v1/work-items/{work_item}:not-ours", body, key, view=WorkAnswered)
