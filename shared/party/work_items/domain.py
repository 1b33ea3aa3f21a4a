"""What is shown of work items, and what is said of one."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from shared.contracts.base import Contract, Instant, NextCursor, PartyId, Uuid
from shared.contracts.items import ItemNumber, ItemOutcome, OtherHost, Round
from shared.contracts.preserving import SAID_BESIDE_MAX, PreservationBeside
from shared.exchange.act import NoticeState
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
