"""The definition of an act: the track of a subject that it moves, its actors and its message.

A subject has one track for each party that writes to it: the origin's (`OFFER`) and the recipient's (`ANSWER`). Only
its writer moves a track. The state that a party sees is one pure fold of both tracks, the same on both sides. Permits,
routes, correspondents, the states in the services' pages and the transitions at both ends are derived from these rows
(`shared.core.acts.states`) or compared with them. Rows hold data only; special cases of fewer than three rows are code.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from shared.core.authority import Role
from shared.core.contracts.base import Contract
from shared.core.contracts.registry import MessageType
from shared.core.vocabulary.answers import AnswerState
from shared.core.vocabulary.code import Code
from shared.core.vocabulary.routing import Disposition


class Subject(StrEnum):
    """The subject of an act: a referral at its origin, or the form of its edge at a kind of recipient."""

    REFERRAL = "referral"
    OFFER = "offer"
    CASE = "case"
    NOTICE = "notice"
    PRESERVATION = "preservation"


#: Requests of an agency to a provider. Both know the same subject, and no origin knows of it.
ASKED_BY_AGENCIES: Final = frozenset({Subject.PRESERVATION})


class Track(StrEnum):
    """The part of a subject that an act moves: the origin's or the recipient's."""

    OFFER = "offer"
    ANSWER = "answer"


class Cause(StrEnum):
    """The cause of an act: a person or machine of the party, or a message about an act of the other side.

    `SECOND_PERSON` is a person, in an act that needs two persons. `TIMER` is the service itself.
    """

    PERSON = "person"
    SECOND_PERSON = "second_person"
    ACT = "act"
    TIMER = "timer"


class Offering(StrEnum):
    """The origin's track: sent, or withdrawn. States follow in this order and never go backwards.

    An unreleased subject was not sent: a second person releases it or drops it for good. A claimable offer waits for a
    hotline to claim it. It is transferred for the hotline whose claim is granted, and gone for all others.
    """

    UNRELEASED = "unreleased"
    DROPPED = "dropped"
    OPEN = "open"
    CLAIMABLE = "claimable"
    TRANSFERRED = "transferred"
    GONE = "gone"
    WITHDRAWN = "withdrawn"


class AskState(StrEnum):
    """An agency's track of a preservation request: open, extended or withdrawn. It never goes backwards."""

    OPEN = "open"
    EXTENDED = "extended"
    WITHDRAWN = "withdrawn"


class OfferState(StrEnum):
    """The states of an offer that a hotline sees."""

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
    """The states of a case that an agency sees."""

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
    """The states of a notice that a provider sees."""

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
    """The states of a preservation, the same for agency and provider. `requested`: it is unanswered."""

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
    """One step of a track: from any of `before` to `to`.

    An empty `before` means that the act begins the subject. With `codes`, the move applies only if the act has one of
    them, or if the fold of its items is one of them (`shared.core.protocol.items`). Such moves precede the move for all
    other codes.
    """

    before: frozenset[str]
    to: str
    codes: frozenset[Code] = frozenset()


class Act(NamedTuple):
    """One row of the table of acts.

    `name` is the permit, the end of the route and the verb. `needs` are the states of the other track, as the actor
    sees it, in which the act is possible; if empty, any state. `message` notifies the other side. `takes` is the body
    of the HTTP request.
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
        """The roles that may do this act."""
        return _ROLES[self.cause]

    @property
    def needs_recent_sign_in(self) -> bool:
        """Whether the console asks for a recent sign-in: for withdrawals and for acts of two people."""
        return self.cause is Cause.SECOND_PERSON or self.name == "withdraw"

    @property
    def stays(self) -> bool:
        """Whether the act leaves its track as it is: a question, a dispute or a hold, for example."""
        return all(move.before == {move.to} for move in self.moves)


#: Roles that act for a party: its people and machines, and its service.
ACTORS: Final = frozenset({Role.ANALYST, Role.MACHINE})
SERVICE: Final = frozenset({Role.SERVICE})
_ROLES: Final[Mapping[Cause, frozenset[Role]]] = {
    Cause.PERSON: ACTORS,
    Cause.SECOND_PERSON: frozenset({Role.ANALYST}),
    Cause.ACT: SERVICE,
    Cause.TIMER: SERVICE,
}

#: Most acts of a recipient need an open offer of the origin.
OPEN: Final = frozenset({Offering.OPEN.value})
#: Notices that were issued stay in force after another hotline has received the referral.
ISSUED: Final = (Disposition.ROUTED, Offering.TRANSFERRED)
#: The answers after which a recipient still works on the subject. None of them is final.
WORKED_ON: Final[Mapping[Subject, tuple[AnswerState, ...]]] = MappingProxyType(
    {
        Subject.OFFER: (AnswerState.NONE, AnswerState.ACCEPTED, AnswerState.IN_PART),
        Subject.CASE: (AnswerState.NONE, AnswerState.ACCEPTED, AnswerState.ONGOING),
        Subject.NOTICE: (AnswerState.NONE, AnswerState.ACKNOWLEDGED, AnswerState.IN_PART, AnswerState.REAPPEARED),
    }
)


def any_of(*states: StrEnum) -> frozenset[str]:
    """Return the values of these states, as a row holds them."""
    return frozenset(state.value for state in states)


def stays(*states: StrEnum) -> tuple[Move, ...]:
    """Return the moves of an act that leaves its track unchanged in any of `states`."""
    return tuple(Move(any_of(state), state.value) for state in states)
