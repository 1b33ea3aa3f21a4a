"""What is shown of work items, what is said of one, and what that says of each notice of it by itself. Pure."""

from __future__ import annotations

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
from shared.contracts.preserving import SAID_BESIDE_MAX, PreservationBeside
from shared.exchange.act import Act, NoticeState, Subject
from shared.kernel.authority import Authority, Role
from shared.party.bulk.domain import Line
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


def require_look(authority: Authority, role: Role) -> None:
    """Raises `Refused("forbidden")` for whoever may look at no notice."""
    authority.require(Subject.NOTICE, role, action="read", state=NoticeState.ISSUED)


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
        words["effective_at"] = _next_second(received_at)
    return words


def _next_second(at: datetime) -> datetime:
    """Times of what happened are to the second, and this one is not to come before."""
    return at.replace(microsecond=0) + timedelta(seconds=1 if at.microsecond else 0)


def _disowned(items: Sequence[OpenItem], said: WorkDisowning) -> Contract:
    return NoticeDisowning(disowned=tuple(DisowningStatement(n=each.n, suggested=said.suggested) for each in items))
