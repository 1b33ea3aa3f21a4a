"""What an act is: what moves a referral, offer, case or notice, who may do it, and what the other side is told.

A subject has one track for each party that writes to it: what its origin does with it (`OFFER`), and what its recipient
makes of it (`ANSWER`). Only its writer moves a track. What a party is shown is one pure fold of both, the same on both
sides. Permits, routes, correspondents, the states in the services' pages and the transitions at both ends are derived
from these rows (`shared.exchange.states`) or compared with them. Data only: what fewer than three rows need is code.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from shared.contracts.base import Contract
from shared.contracts.registry import MessageType
from shared.kernel.authority import Role
from shared.vocabulary.answers import AnswerState
from shared.vocabulary.code import Code
from shared.vocabulary.routing import Disposition


class Subject(StrEnum):
    """What is acted on: a referral at its origin, or what its edge is at each kind of recipient."""

    REFERRAL = "referral"
    OFFER = "offer"
    CASE = "case"
    NOTICE = "notice"
    PRESERVATION = "preservation"


#: What an agency asks of a provider. It is the same subject at both, and no origin knows of it.
ASKED_BY_AGENCIES: Final = frozenset({Subject.PRESERVATION})


class Track(StrEnum):
    """Whose part of a subject an act moves."""

    OFFER = "offer"
    ANSWER = "answer"


class Cause(StrEnum):
    """What makes an act happen: a party's person or machine, or an act of the other side, told by its message.

    A second person is another one of the party than whoever began the subject. A timer is the service itself.
    """

    PERSON = "person"
    SECOND_PERSON = "second_person"
    ACT = "act"
    TIMER = "timer"


class Offered(StrEnum):
    """The origin's track: what was sent stands, or was taken back. In this order, and never back.

    What is unreleased was not sent: a second person releases it, or drops it for good. What is claimable waits for a
    hotline to claim it: it is transferred to the one that does, and gone for all others.
    """

    UNRELEASED = "unreleased"
    DROPPED = "dropped"
    OPEN = "open"
    CLAIMABLE = "claimable"
    TRANSFERRED = "transferred"
    GONE = "gone"
    WITHDRAWN = "withdrawn"


class Asked(StrEnum):
    """An agency's track of what it asks a provider: it stands, longer than at first, or was taken back. Never back."""

    OPEN = "open"
    EXTENDED = "extended"
    WITHDRAWN = "withdrawn"


class OfferState(StrEnum):
    """What a hotline is shown of a referral that was offered to it."""

    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    IN_PART = "in_part"
    CLOSED = "closed"
    CLAIMABLE = "claimable"
    CLAIMED = "claimed"
    TRANSFERRED = "transferred"
    GONE = "gone"
    WITHDRAWN = "withdrawn"
    WITHDRAWAL_ACKNOWLEDGED = "withdrawal_acknowledged"
    RECORD_ERASED = "record_erased"


class CaseState(StrEnum):
    """What an agency is shown of a referral that was offered to it."""

    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    ONGOING = "ongoing"
    CLOSED = "closed"
    REFERRED = "referred"
    WITHDRAWN = "withdrawn"
    WITHDRAWAL_ACKNOWLEDGED = "withdrawal_acknowledged"
    RECORD_ERASED = "record_erased"


class NoticeState(StrEnum):
    """What a provider is shown of a notice that was issued to it."""

    ISSUED = "issued"
    ACKNOWLEDGED = "acknowledged"
    IN_PART = "in_part"
    ACTIONED = "actioned"
    REJECTED = "rejected"
    NOT_OURS = "not_ours"
    REAPPEARED = "reappeared"
    WITHDRAWN = "withdrawn"
    WITHDRAWAL_ACKNOWLEDGED = "withdrawal_acknowledged"
    RECORD_ERASED = "record_erased"


class PreservationState(StrEnum):
    """What agency and provider are shown of a preservation, both alike. `requested`: it is unanswered."""

    REQUESTED = "requested"
    PRESERVED = "preserved"
    REFUSED = "refused"
    NOT_POSSIBLE = "not_possible"
    TOO_LATE = "too_late"
    EXTENSION_REQUESTED = "extension_requested"
    EXTENDED = "extended"
    EXTENSION_REFUSED = "extension_refused"
    ENDED = "ended"
    WITHDRAWN = "withdrawn"
    WITHDRAWAL_ACKNOWLEDGED = "withdrawal_acknowledged"


class Move(NamedTuple):
    """One step of a track: from any of `before` to `to`. No state before: the act begins the subject.

    With `codes`, only where the act says one of them, or, of items, where their fold is one of them
    (`shared.exchange.items`); such moves stand before the one for all other codes.
    """

    before: frozenset[str]
    to: str
    codes: frozenset[Code] = frozenset()


class Act(NamedTuple):
    """One row.

    `name` is the permit, the end of the route and the verb. `needs` are the states of the other track, as the actor
    sees it, in which the act makes sense; none of them: any. `message` tells the other side; `takes` is what the actor
    says over HTTP.
    """

    name: str
    subject: Subject
    track: Track
    cause: Cause
    moves: tuple[Move, ...]
    needs: frozenset[str] = frozenset()
    message: MessageType | None = None
    takes: type[Contract] | None = None

    @property
    def roles(self) -> frozenset[Role]:
        """Who may do it."""
        return _ROLES[self.cause]


#: Who acts for a party: its people and machines; its service by itself.
ACTORS: Final = frozenset({Role.ANALYST, Role.MACHINE})
SERVICE: Final = frozenset({Role.SERVICE})
_ROLES: Final[Mapping[Cause, frozenset[Role]]] = {
    Cause.PERSON: ACTORS,
    Cause.SECOND_PERSON: frozenset({Role.ANALYST}),
    Cause.ACT: SERVICE,
    Cause.TIMER: SERVICE,
}

#: What most acts of a recipient need: its origin's offer stands.
OPEN: Final = frozenset({Offered.OPEN.value})
#: What was issued of a referral runs on when another hotline has it.
ISSUED: Final = (Disposition.ROUTED, Offered.TRANSFERRED)
#: The answers with which a recipient still works on what it was sent: none of them is for good.
WORKED_ON: Final[Mapping[Subject, tuple[AnswerState, ...]]] = MappingProxyType(
    {
        Subject.OFFER: (AnswerState.NONE, AnswerState.ACCEPTED, AnswerState.IN_PART),
        Subject.CASE: (AnswerState.NONE, AnswerState.ACCEPTED, AnswerState.ONGOING),
        Subject.NOTICE: (AnswerState.NONE, AnswerState.ACKNOWLEDGED, AnswerState.IN_PART, AnswerState.REAPPEARED),
    }
)


def any_of(*states: StrEnum) -> frozenset[str]:
    """States as a row has them: in any of which its act may come."""
    return frozenset(state.value for state in states)


def stays(*states: StrEnum) -> tuple[Move, ...]:
    """The moves of an act that leaves its track where it stands, which is one of `states`."""
    return tuple(Move(any_of(state), state.value) for state in states)
