"""What a recipient's store gives and takes: views of items and holds, acts, leases and passed cases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from shared.contracts.base import Contract, EventTime, Flag, Instant, NextCursor, PartyId, Uuid
from shared.contracts.holds import HoldState
from shared.contracts.referral import Revision
from shared.exchange.act import CaseState
from shared.kernel.errors import Refused
from shared.party.recipient.domain import Item
from shared.party.sought import EVERYTHING, Sought
from shared.vocabulary.holds import HoldBasis, HoldScope
from shared.vocabulary.referral import PriorityLevel
from shared.vocabulary.routing import Purpose


class ShownItem(Contract):
    """What a party is shown of each item, whatever its kind. `revision` is the one that stands, of a notice its own."""

    purpose: Purpose
    revision: Revision
    exercise: Flag
    received_at: Instant
    priority: PriorityLevel | None


@dataclass(frozen=True, slots=True)
class Page:
    """What a list asks for: at most `limit` items in `state` (None: in any), from `cursor` on, of what is `sought`.

    `claimed_by` is the person whose claims alone are wanted, by an opaque name.
    """

    state: str | None = None
    cursor: str | None = None
    limit: int = 50
    sought: Sought = EVERYTHING
    claimed_by: str | None = None


class ItemAct(NamedTuple):
    """An act on an item: the state that it leads to, and what was said, in the clear and sealed."""

    item: Item
    following: str
    clear: Contract
    sealed: Contract | None = None


class AskedHold(Contract):
    """A hold that this agency has asked for. `not_after` is until when the origin holds, null while it has not said.

    `held` notices wait, `issued` went before; of one that came too late, the last at `issued_at`.
    """

    hold: Uuid
    referral_id: Uuid
    origin: PartyId
    scope: HoldScope
    basis: HoldBasis
    state: HoldState
    asked_at: Instant
    asked_until: EventTime
    not_after: EventTime | None
    held: int | None
    issued: int | None
    issued_at: Instant | None
    ended_at: Instant | None


class HoldPage(Contract):
    """The agency's holds, newest first."""

    items: tuple[AskedHold, ...]
    next: NextCursor


class AlikeCase(Contract):
    """Another open case of the agency at the same place, whoever has offered it. `held`: a hold of it stands."""

    referral_id: Uuid
    origin: PartyId
    state: CaseState
    held: Flag


@dataclass(frozen=True, slots=True)
class OpenHold:
    """A hold that its origin holds or has not answered, and when it ends as things stand."""

    hold_id: UUID
    ends: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """The `number`th lease of a case. `actor` has it until `until`; nobody has one that was handed over to nobody."""

    number: int
    actor: str | None
    until: datetime

    def stands(self, at: datetime) -> bool:
        """Whether anybody has the case by it. At its end it is over: then whoever comes first may act."""
        return self.actor is not None and at < self.until

    def keeps(self, actor: str, at: datetime) -> bool:
        """Whether this actor has to wait for another."""
        return self.stands(at) and self.actor != actor


#: Before anybody has claimed a case.
UNCLAIMED = Lease(0, None, datetime.min.replace(tzinfo=UTC))


def claimed() -> Refused:
    """Another one has the case. Who that is, and until when, is in the list of cases, and not in an error."""
    return Refused("case_claimed", "another officer has it: claimed_until says how long", status=409)


@dataclass(frozen=True, slots=True)
class PassedCase:
    """A case that went by a message: on which edge the other agency was to answer, and as what it `stood` before.

    `urgent`: a child is at risk, as its record stands.
    """

    message_id: UUID
    referral_id: UUID
    party: str
    edge_id: UUID
    stood: str
    urgent: bool = False
