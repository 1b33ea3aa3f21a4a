"""Work items: open notices grouped by the tokens of their locations, in PostgreSQL.

Notices are grouped when the provider reads them, and never before. An arriving notice is stored in the same way for
known and new locations, without a lookup. So a notifier cannot find out whether a location is known. A token belongs to
one party and is made with a key of its instance; it is also the id of the work item. Lists group by one form of
locations. An id is found by any known form.

This module also converts an answer about a work item to the answers of its single notices; that part is pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from shared.core.acts.act import Act, NoticeState, Subject
from shared.core.acts.states import may_come_in, row
from shared.core.contracts.answers import DisowningStatement, ItemStatement, NoticeDisowning, NoticeStatements
from shared.core.contracts.base import Contract, Instant, NextCursor, PartyId, Uuid
from shared.core.contracts.items import ItemNumber, ItemOutcome, OtherHost, Round
from shared.core.contracts.preservation_api import SAID_BESIDE_MAX, PreservationReply
from shared.core.errors import not_found
from shared.core.protocol.items import ItemLog
from shared.core.protocol.locations import FORMS, GROUPED_BY
from shared.core.vocabulary.referral import PriorityLevel
from shared.party.bulk.store import BatchedAct
from shared.party.stores import PartyStore
from shared.platform.database.pages import read_row, row_cursor

#: The most open items of one location that are shown, and answered at once.
MEMBERS_MAX: Final = 100
#: The most outcomes in one answer about a location.
OUTCOMES_MAX: Final = 10


class OpenItem(Contract):
    """Item `n` of a notice that waits for an answer, with its round and the notifier."""

    notice_id: Uuid
    n: ItemNumber
    round: Round
    notifier: PartyId
    state: NoticeState
    priority: PriorityLevel | None
    received_at: Instant


class WorkItem(Contract):
    """The open items about one location, from one or several notifiers. Its id is this provider's own.

    At most a hundred items are shown, the oldest first.
    """

    work_item: Uuid
    items: Annotated[tuple[OpenItem, ...], Field(min_length=1, max_length=MEMBERS_MAX)]


class WorkItemPage(Contract):
    """Work items: first those with a child at risk, then by the newest notice. A page may have fewer than requested."""

    items: tuple[WorkItem, ...]
    next: NextCursor


class WorkStatements(Contract):
    """The outcomes for one location. They answer each open item about it; each notifier hears of its own items only.

    If an outcome took effect before a notice was received, its notifier is sent the time of receipt instead.
    """

    outcomes: Annotated[tuple[ItemOutcome, ...], Field(min_length=1, max_length=OUTCOMES_MAX)]
    #: Answers to agencies that have requested preservation of this content. No notifier sees them.
    preservations: Annotated[tuple[PreservationReply, ...], Field(max_length=SAID_BESIDE_MAX)] = ()


class WorkDisowning(OtherHost):
    """The provider does not host the content at this location."""


def lines_of(item: WorkItem, row: Act, said: WorkStatements | WorkDisowning) -> list[BatchedAct]:
    """Return one act for each notice about its open items at the location, as if there were no other notice."""
    lines: list[BatchedAct] = []
    for _, own in groupby(sorted(item.items, key=_by_notice), key=attrgetter("notice_id")):
        items = list(own)
        told = _disowned(items, said) if isinstance(said, WorkDisowning) else _answered(items, said, first=not lines)
        lines.append(BatchedAct(len(lines), row, items[0].notice_id, told))
    return lines


def _by_notice(item: OpenItem) -> tuple[datetime, UUID, int]:
    return item.received_at, item.notice_id, item.n


def _answered(items: Sequence[OpenItem], said: WorkStatements, *, first: bool) -> Contract:
    """Return the answer of one notice. Preservation requests are answered once, with the first notice."""
    stated = [
        ItemStatement(n=each.n, round=each.round, **_outcome(outcome, each.received_at))
        for each in items
        for outcome in said.outcomes
    ]
    return NoticeStatements(items=tuple(stated), preservations=said.preservations if first else ())


def _outcome(said: ItemOutcome, received_at: datetime) -> dict[str, object]:
    """Return the words of an outcome. A time before the notice would show its notifier that an earlier one exists."""
    words = {name: getattr(said, name) for name in ItemOutcome.model_fields}
    if said.effective_at is not None and said.effective_at < received_at:
        # Event times are in whole seconds. Rounding up keeps this one from being before the notice.
        words["effective_at"] = received_at.replace(microsecond=0) + timedelta(seconds=received_at.microsecond > 0)
    return words


def _disowned(items: Sequence[OpenItem], said: WorkDisowning) -> Contract:
    return NoticeDisowning(disowned=tuple(DisowningStatement(n=each.n, suggested=said.suggested) for each in items))


#: The states in which a notice has open items, as in the index.
_OPEN: Final = ", ".join(f"'{state}'" for state in sorted(may_come_in(row(Subject.NOTICE, "answer"))))
#: No open notice above the notice $ALIAS is about the location.
_FIRST: Final = f"""
NOT EXISTS (
    SELECT FROM notice_location AS o JOIN received AS m ON m.subject = o.notice_id AND m.party = o.party
    WHERE o.party = l.party AND o.version = l.version AND o.token = l.token AND o.n = ANY(m.item_numbers)
      AND m.state IN ({_OPEN}) AND (m.sort_key, m.subject) > (n.sort_key, n.subject)
)
"""
#: The open notices that lead a work item: the first in list order of those about its location.
_LEADING: Final = f"""
SELECT n.subject, n.sort_key FROM received AS n
WHERE n.party = $1 AND n.kind = 'notice' AND n.state IN ({_OPEN})
  AND ($2::bigint IS NULL OR (n.sort_key, n.subject) < ($2, $5::uuid))
  AND EXISTS (
    SELECT FROM notice_location AS l
    WHERE l.notice_id = n.subject AND l.party = n.party AND l.n = ANY(n.item_numbers) AND l.version = $4 AND {_FIRST}
)
ORDER BY n.sort_key DESC, n.subject DESC LIMIT $3
"""
_LED: Final = f"""
SELECT l.token FROM received AS n JOIN notice_location AS l ON l.notice_id = n.subject AND l.party = n.party
WHERE n.party = $1 AND n.subject = ANY($2::uuid[]) AND l.n = ANY(n.item_numbers) AND l.version = $3 AND {_FIRST}
GROUP BY l.token ORDER BY max(n.sort_key) DESC, min(l.n), l.token
"""
_PLACES: Final = """
SELECT DISTINCT token FROM notice_location WHERE party = $1 AND notice_id = ANY($2::uuid[]) AND version = $3
"""
_OPEN_ITEMS: Final = f"""
SELECT t.token, i.* FROM unnest($2::bytea[]) AS t (token) CROSS JOIN LATERAL (
    SELECT n.subject AS notice_id, l.n, n.sender AS notifier, n.state, n.priority, n.received_at, n.answers
    FROM notice_location AS l JOIN received AS n ON n.subject = l.notice_id AND n.party = l.party
    WHERE l.party = $1 AND l.version = ANY($3::integer[]) AND l.token = t.token
      AND n.state IN ({_OPEN}) AND l.n = ANY(n.item_numbers)
    ORDER BY n.received_at, n.subject, l.n LIMIT {MEMBERS_MAX}
) AS i
"""


class PostgresWorkItems(PartyStore):
    """The work items of providers, within one transaction."""

    async def page(self, party: str, *, cursor: str | None, limit: int) -> WorkItemPage:
        """Return the work items that the newest open notices lead, for at most `limit` notices after `cursor`."""
        below, beside = (None, None) if cursor is None else read_row(cursor)
        leading = await self._driver.fetch(_LEADING, party, below, limit + 1, GROUPED_BY, beside)
        led = await self._driver.fetch(_LED, party, [each["subject"] for each in leading[:limit]], GROUPED_BY)
        items = await self._items(party, [each["token"] for each in led], [GROUPED_BY])
        return WorkItemPage(items=tuple(items), next=row_cursor(leading[limit - 1]) if len(leading) > limit else None)

    async def one(self, party: str, work_item: UUID) -> WorkItem:
        """Return one work item. Raises `Refused("not_found")` if it has no open item or belongs to another party."""
        found = await self._items(party, [work_item.bytes], [*FORMS])
        if not found:
            raise not_found()
        return found[0]

    async def beside(self, party: str, notices: Sequence[UUID]) -> dict[UUID, list[UUID]]:
        """Return, for each notice that shares a work item with other notices, these others, the oldest first."""
        places = await self._driver.fetch(_PLACES, party, list(notices), GROUPED_BY)
        found = defaultdict[UUID, list[UUID]](list)
        for work_item in await self._items(party, [each["token"] for each in places], [GROUPED_BY]):
            members = list(dict.fromkeys(item.notice_id for item in work_item.items))
            for one in set(members) & set(notices):
                found[one] += [other for other in members if other != one and other not in found[one]]
        return {one: others for one, others in found.items() if others}

    async def _items(self, party: str, tokens: Sequence[bytes], versions: Sequence[int]) -> list[WorkItem]:
        """Return the work item of each token that has open items. The tokens are of one of the form `versions`."""
        rows = await self._driver.fetch(_OPEN_ITEMS, party, list(tokens), list(versions)) if tokens else []
        found = defaultdict[bytes, list[OpenItem]](list)
        for each in rows:
            said = ItemLog.kept(each["answers"])
            if each["n"] not in said.numbers():
                told = {name: each[name] for name in OpenItem.model_fields if name != "round"}
                found[each["token"]].append(OpenItem.model_validate(told | {"round": said.round_of(each["n"])}))
        return [WorkItem(work_item=UUID(bytes=token), items=tuple(found[token])) for token in tokens if token in found]
