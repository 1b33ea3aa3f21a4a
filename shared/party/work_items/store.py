"""Open notices by the tokens of their locations, in PostgreSQL: grouped when they are looked at, and never before.

A notice that comes is kept alike whether or not its location is known: nothing is looked up then, so nobody who
notifies could tell. A token is of one party, under a key of its instance; that party has it as the id of a work item.
Lists group by one form of locations; an id is found by whichever known form it was listed by.

What is shown of work items, what is said of one, and what that says of each notice of it by itself. Pure.
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

from shared.contracts.answers import DisowningStatement, ItemStatement, NoticeDisowning, NoticeStatements
from shared.contracts.base import Contract, Instant, NextCursor, PartyId, Uuid
from shared.contracts.items import ItemNumber, ItemOutcome, OtherHost, Round
from shared.contracts.preservation_api import SAID_BESIDE_MAX, PreservationBeside
from shared.exchange.act import Act, NoticeState, Subject
from shared.exchange.items import Said
from shared.exchange.locations import FORMS, GROUPED_BY
from shared.exchange.states import may_come_in, row
from shared.kernel.errors import not_found
from shared.party.bulk.store import Line
from shared.party.stores import PartyStore
from shared.runtime.database.pages import read_row, row_cursor
from shared.vocabulary.referral import PriorityLevel

#: So many open items of notices are shown of one location, and answered at once.
MEMBERS_MAX: Final = 100
#: So many words are said of a location at once.
OUTCOMES_MAX: Final = 10


class OpenItem(Contract):
    """Item `n` of a notice that waits for an answer, in its round, and who has sent that notice."""

    notice_id: Uuid
    n: ItemNumber
    round: Round
    notifier: PartyId
    state: NoticeState
    priority: PriorityLevel | None
    received_at: Instant


class WorkItem(Contract):
    """What is to be answered about one location: by one notifier or several. Its id is this provider's own.

    At most a hundred items are shown, the oldest first.
    """

    work_item: Uuid
    items: Annotated[tuple[OpenItem, ...], Field(min_length=1, max_length=MEMBERS_MAX)]


class WorkItemPage(Contract):
    """Work items: where a child is at risk first, then by the newest notice. A page may have fewer than asked for."""

    items: tuple[WorkItem, ...]
    next: NextCursor


class WorkStatements(Contract):
    """What became of what lies at one location: said of each open item about it, to each notifier of its own alone.

    What took effect before a notice was received is told to its notifier as if it had been then.
    """

    outcomes: Annotated[tuple[ItemOutcome, ...], Field(min_length=1, max_length=OUTCOMES_MAX)]
    #: Said beside it to agencies that have asked to keep this; no notifier is told of it.
    preservations: Annotated[tuple[PreservationBeside, ...], Field(max_length=SAID_BESIDE_MAX)] = ()


class WorkDisowning(OtherHost):
    """The provider does not host what lies at this location."""


def lines_of(item: WorkItem, row: Act, said: WorkStatements | WorkDisowning) -> list[Line]:
    """One act for each notice, about its open items that lie there: what would be said of it, were there no other."""
    lines: list[Line] = []
    for _, own in groupby(sorted(item.items, key=_by_notice), key=attrgetter("notice_id")):
        items = list(own)
        told = _disowned(items, said) if isinstance(said, WorkDisowning) else _answered(items, said, first=not lines)
        lines.append(Line(len(lines), row, items[0].notice_id, told))
    return lines


def _by_notice(item: OpenItem) -> tuple[datetime, UUID, int]:
    return item.received_at, item.notice_id, item.n


def _answered(items: Sequence[OpenItem], said: WorkStatements, *, first: bool) -> Contract:
    """What agencies want kept is answered once, with the first notice; no notifier is told of it."""
    stated = [
        ItemStatement(n=each.n, round=each.round, **_outcome(outcome, each.received_at))
        for each in items
        for outcome in said.outcomes
    ]
    return NoticeStatements(items=tuple(stated), preservations=said.preservations if first else ())


def _outcome(said: ItemOutcome, received_at: datetime) -> dict[str, object]:
    """The words of an outcome. A time before the notice would tell its notifier that another one was there before."""
    words = {name: getattr(said, name) for name in ItemOutcome.model_fields}
    if said.effective_at is not None and said.effective_at < received_at:
        # Times of what happened are to the second, and this one is not to come before.
        words["effective_at"] = received_at.replace(microsecond=0) + timedelta(seconds=received_at.microsecond > 0)
    return words


def _disowned(items: Sequence[OpenItem], said: WorkDisowning) -> Contract:
    return NoticeDisowning(disowned=tuple(DisowningStatement(n=each.n, suggested=said.suggested) for each in items))


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
        below, beside = (None, None) if cursor is None else read_row(cursor)
        leading = await self._driver.fetch(_LEADING, party, below, limit + 1, GROUPED_BY, beside)
        led = await self._driver.fetch(_LED, party, [each["subject"] for each in leading[:limit]], GROUPED_BY)
        items = await self._items(party, [each["token"] for each in led], [GROUPED_BY])
        return WorkItemPage(items=tuple(items), next=row_cursor(leading[limit - 1]) if len(leading) > limit else None)

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
