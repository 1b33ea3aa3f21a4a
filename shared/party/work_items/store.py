"""Open notices by the tokens of their locations, in PostgreSQL: grouped when they are looked at, and never before.

A notice that comes is kept alike whether or not its location is known: nothing is looked up then, so nobody who
notifies could tell. A token is of one party, under a key of its instance; that party has it as the id of a work item.
Lists group by one form of locations; an id is found by whichever known form it was listed by.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from shared.exchange.act import Subject
from shared.exchange.items import Said
from shared.exchange.locations import FORMS, GROUPED_BY
from shared.exchange.states import may_come_in, row
from shared.kernel.errors import not_found
from shared.party.recipient.store.listing import cursor_of, read_cursor
from shared.party.stores import PartyStore
from shared.party.work_items.domain import MEMBERS_MAX, OpenItem, WorkItem, WorkItemPage

#: As the index has it: in these states something is left to be said.
_OPEN: Final = ", ".join(f"'{state}'" for state in sorted(may_come_in(row(Subject.NOTICE, "answer"))))
#: Nothing open that stands above a notice, $ALIAS, is about the location.
_FIRST: Final = f"""
NOT EXISTS (
    SELECT FROM notice_location AS o JOIN received AS m ON m.subject = o.notice_id AND m.party = o.party
    WHERE o.party = l.party AND o.version = l.version AND o.token = l.token AND o.n = ANY(m.numbers)
      AND m.state IN ({_OPEN}) AND (m.place, m.subject) > (n.place, n.subject)
)
"""
#: The open notices that lead a work item: the first, as lists go, of those about its location.
_LEADING: Final = f"""
SELECT n.subject, n.place FROM received AS n
WHERE n.party = $1 AND n.kind = 'notice' AND n.state IN ({_OPEN})
  AND ($2::bigint IS NULL OR (n.place, n.subject) < ($2, $5::uuid))
  AND EXISTS (
    SELECT FROM notice_location AS l
    WHERE l.notice_id = n.subject AND l.party = n.party AND l.n = ANY(n.numbers) AND l.version = $4 AND {_FIRST}
)
ORDER BY n.place DESC, n.subject DESC LIMIT $3
"""
_LED: Final = f"""
SELECT l.token FROM received AS n JOIN notice_location AS l ON l.notice_id = n.subject AND l.party = n.party
WHERE n.party = $1 AND n.subject = ANY($2::uuid[]) AND l.n = ANY(n.numbers) AND l.version = $3 AND {_FIRST}
GROUP BY l.token ORDER BY max(n.place) DESC, min(l.n), l.token
"""
_PLACES: Final = """
SELECT DISTINCT token FROM notice_location WHERE party = $1 AND notice_id = ANY($2::uuid[]) AND version = $3
"""
_OPEN_ITEMS: Final = f"""
SELECT t.token, i.* FROM unnest($2::bytea[]) AS t (token) CROSS JOIN LATERAL (
    SELECT n.subject AS notice_id, l.n, n.sender AS notifier, n.state, n.priority, n.received_at, n.said
    FROM notice_location AS l JOIN received AS n ON n.subject = l.notice_id AND n.party = l.party
    WHERE l.party = $1 AND l.version = ANY($3::integer[]) AND l.token = t.token
      AND n.state IN ({_OPEN}) AND l.n = ANY(n.numbers)
    ORDER BY n.received_at, n.subject, l.n LIMIT {MEMBERS_MAX}
) AS i
"""


class PostgresWorkItems(PartyStore):
    """The work items of providers, within one transaction."""

    async def page(self, party: str, *, cursor: str | None, limit: int) -> WorkItemPage:
        """The work items that the newest open notices lead: of at most `limit` notices, from `cursor` on."""
        below, beside = (None, None) if cursor is None else read_cursor(cursor)
        leading = await self._driver.fetch(_LEADING, party, below, limit + 1, GROUPED_BY, beside)
        led = await self._driver.fetch(_LED, party, [each["subject"] for each in leading[:limit]], GROUPED_BY)
        items = await self._items(party, [each["token"] for each in led], [GROUPED_BY])
        return WorkItemPage(items=tuple(items), next=cursor_of(leading[limit - 1]) if len(leading) > limit else None)

    async def one(self, party: str, work_item: UUID) -> WorkItem:
        """One work item. Raises `Refused("not_found")` where nothing is open there, or it is another's."""
        found = await self._items(party, [work_item.bytes], [*FORMS])
        if not found:
            raise not_found()
        return found[0]

    async def beside(self, party: str, notices: Sequence[UUID]) -> dict[UUID, list[UUID]]:
        """Of each notice that is part of a work item with others, these others, the oldest first."""
        places = await self._driver.fetch(_PLACES, party, list(notices), GROUPED_BY)
        found = defaultdict[UUID, list[UUID]](list)
        for work_item in await self._items(party, [each["token"] for each in places], [GROUPED_BY]):
            members = list(dict.fromkeys(item.notice_id for item in work_item.items))
            for one in set(members) & set(notices):
                found[one] += [other for other in members if other != one and other not in found[one]]
        return {one: others for one, others in found.items() if others}

    async def _items(self, party: str, tokens: Sequence[bytes], versions: Sequence[int]) -> list[WorkItem]:
        """What is open at each location, without those at which nothing is; tokens are by one of these forms."""
        rows = await self._driver.fetch(_OPEN_ITEMS, party, list(tokens), list(versions)) if tokens else []
        found = defaultdict[bytes, list[OpenItem]](list)
        for each in rows:
            said = Said.kept(each["said"])
            if each["n"] not in said.numbers():
                told = {name: each[name] for name in OpenItem.model_fields if name != "round"}
                found[each["token"]].append(OpenItem.model_validate(told | {"round": said.round_of(each["n"])}))
        return [WorkItem(work_item=UUID(bytes=token), items=tuple(found[token])) for token in tokens if token in found]
