"""Lines of a batch of acts: their idempotency keys in PostgreSQL, and their grouping.

The keys of lines are stored like those of requests: an act under a known key is not done again. The grouping of lines
that can be done together is pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import asyncpg
from pydantic import Field

from shared.core.acts.act import Act, NoticeState, Subject
from shared.core.acts.states import may_come_in, row
from shared.core.contracts.answers import DisowningStatement, ItemStatement, NoticeDisowning, NoticeStatements
from shared.core.contracts.base import Contract, Instant, NextCursor, PartyId, Uuid
from shared.core.contracts.items import ItemNumber, ItemOutcome, OtherHost, Round
from shared.core.contracts.preservation_api import SAID_BESIDE_MAX, PreservationReply
from shared.core.errors import Refused, not_found
from shared.core.protocol.items import ItemLog
from shared.core.protocol.locations import FORMS, GROUPED_BY
from shared.core.vocabulary.answers import NoticeAction
from shared.core.vocabulary.referral import PriorityLevel
from shared.features.record_access.store import PartyStore
from shared.platform.database.idempotency import ClaimKind, KeyClaim, KeyUse, claim_many, store_many
from shared.platform.database.pages import read_row, row_cursor

_DONE = 202


class KeyedLine(NamedTuple):
    """A line with a key: its place in the batch, the hash of its key, and a hash that equal lines share."""

    place: int
    key: bytes
    same: bytes


class LineKeys:
    """The keys of one batch, within its transaction."""

    def __init__(self, driver: asyncpg.Connection, party: str, lines: Sequence[KeyedLine]) -> None:
        self._driver = driver
        self._party = party
        self._lines = lines
        #: The place of each line that repeats an earlier line under the same key, with the place of the earlier one.
        self.twins: dict[int, int] = {}
        self._claimed: dict[int, KeyUse] = {}

    async def claim(self) -> dict[int, bytes | Refused]:
        """Claim all keys. Return the stored answer or the refusal of each line that must not be done."""
        if not self._lines:
            return {}
        claims = await claim_many(self._driver, [(self._party, each.key, each.same) for each in self._lines])
        settled: dict[int, bytes | Refused] = {}
        for line, claimed in zip(self._lines, claims, strict=True):
            if claimed.kind is ClaimKind.NEW:
                self._claimed[line.place] = (self._party, line.key, line.same)
            elif claimed.twin_of is not None:
                self.twins[line.place] = self._lines[claimed.twin_of].place
            else:
                settled[line.place] = _settled(claimed)
        return settled

    async def keep(self, done: Mapping[int, bytes]) -> None:
        """Store the answer of each line that was done. The keys of all others are free, so that they can be retried."""
        kept = [(use, _DONE, done[place]) for place, use in self._claimed.items() if place in done]
        await store_many(self._driver, kept)


def _settled(claimed: KeyClaim) -> bytes | Refused:
    if claimed.kind is ClaimKind.STORED and claimed.answer is not None:
        return claimed.answer
    return Refused("idempotency_key_reused", "the key was used for another act", field="/key")


#: The acts that write only their subject and the message about it.
_TOGETHER: Final = frozenset(
    [
        "accept",
        "acknowledge",
        "acknowledge_withdrawal",
        "answer",
        "assess",
        "decline",
        "not_ours",
        "outcome",
        "reinstate",
    ]
)


#: The fields that list items. They count towards the work of a line.
_OF_ITEMS: Final = ("items", "assessed", "disowned", "reinstated", "disputed", "about")


@dataclass(frozen=True, slots=True)
class BatchedAct:
    """One act of a batch: its place from 0, its row of the act table, its subject and its content."""

    place: int
    row: Act
    subject_id: UUID
    said: Contract | None

    @property
    def alone(self) -> bool:
        """Whether it writes more than its subject and a message: also a lease, or an answer to an agency."""
        beside = isinstance(self.said, NoticeStatements) and bool(self.said.preservations)
        return beside or self.row.name not in _TOGETHER

    @property
    def removes(self) -> bool:
        """Whether it removes content that an agency may want preserved."""
        said = self.said.items if isinstance(self.said, NoticeStatements) else ()
        return any(each.action is NoticeAction.REMOVED for each in said)

    @property
    def items(self) -> int:
        """The number of statements about items. A statement about all items counts as one."""
        return sum(len(getattr(self.said, name, None) or ()) for name in _OF_ITEMS)


def groups(lines: Sequence[BatchedAct]) -> Iterator[list[BatchedAct]]:
    """Yield the lines in order, in groups of the same act on different subjects. Lines of a group are independent."""
    group: list[BatchedAct] = []
    for line in lines:
        named = {each.subject_id for each in group}
        if group and (line.row is not group[0].row or line.subject_id in named or line.alone or group[0].alone):
            yield group
            group = []
        group.append(line)
    if group:
        yield group


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
    for _, own in groupby(
        sorted(item.items, key=attrgetter("received_at", "notice_id", "n")), key=attrgetter("notice_id")
    ):
        items = list(own)
        body = _disowned(items, said) if isinstance(said, WorkDisowning) else _answered(items, said, first=not lines)
        lines.append(BatchedAct(len(lines), row, items[0].notice_id, body))
    return lines


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
    if said.effective_at is not None:
        words["effective_at"] = max(said.effective_at, received_at)
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
            answers = ItemLog.kept(each["answers"])
            if each["n"] not in answers.numbers():
                fields = {name: each[name] for name in OpenItem.model_fields if name != "round"}
                found[each["token"]].append(OpenItem.model_validate(fields | {"round": answers.round_of(each["n"])}))
        return [WorkItem(work_item=UUID(bytes=token), items=tuple(found[token])) for token in tokens if token in found]
