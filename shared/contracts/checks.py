"""What becomes of items after they were answered: what their origin finds, and what a provider reinstates."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.contracts.answers import OnNotice
from shared.contracts.base import Contract, EventTime, Uuid
from shared.contracts.items import ITEMS_MAX, NUMBERED_ONCE, ItemCheck, ItemNumber, Reinstated
from shared.vocabulary.answers import CheckedBy, ItemFound, ReinstateReason


class CheckStatement(Contract):
    """What was found of item `n` of a referral, by its own number. `at`: now, if no time is given."""

    n: ItemNumber
    found: ItemFound
    by: CheckedBy = CheckedBy.PERSON
    at: EventTime | None = None


class ItemChecks(Contract):
    """What was found of items that notices were issued about. What was said removed and is up has reappeared."""

    checked: Annotated[tuple[CheckStatement, ...], Field(min_length=1, max_length=ITEMS_MAX), NUMBERED_ONCE]


class ItemsCheckedClear(Contract):
    """Whoever issued the notice has looked at its items again. What reappeared is to be answered once more."""

    notice_id: Uuid
    act: Uuid
    checked: Annotated[tuple[ItemCheck, ...], Field(min_length=1, max_length=ITEMS_MAX), NUMBERED_ONCE]


class ReinstateStatement(Contract):
    """Item `n` is available again, for this reason; without `n`, every item that was acted on."""

    n: ItemNumber | None = None
    reason: ReinstateReason


class Reinstatement(Contract):
    """The items that are available again, each once."""

    reinstated: Annotated[tuple[ReinstateStatement, ...], Field(min_length=1, max_length=ITEMS_MAX)]


class ReinstatedItems(Contract):
    """The items that are available again, one by one."""

    reinstated: Annotated[tuple[Reinstated, ...], Field(min_length=1, max_length=ITEMS_MAX), NUMBERED_ONCE]


class NoticeReinstatedClear(ReinstatedItems, OnNotice):
    """The provider has made items available again that it had acted on, and says why: each has a new round."""
