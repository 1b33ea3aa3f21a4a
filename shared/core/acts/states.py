"""States that parties see, possible acts in each, and events of acts, derived from the rows of `acts`.

A store holds only the visible state. This is sufficient as long as no visible state covers two pairs of tracks
with different futures, which is checked on the first use of the transitions.

An event notifies a party of one act that concerns it, with the subject and codes. Webhooks send the events of the feed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

from shared.core.acts.act import (
    ACTORS,
    ASKED_BY_AGENCIES,
    SERVICE,
    Act,
    AskState,
    CaseState,
    Cause,
    Move,
    NoticeState,
    Offering,
    OfferState,
    PreservationState,
    Subject,
    Track,
    any_of,
)
from shared.core.acts.table import ACTS
from shared.core.authority import Permit, Role, state_forbids
from shared.core.contracts.base import Contract
from shared.core.vocabulary.answers import AnswerState
from shared.core.vocabulary.code import Code

#: The states before the recipient's first answer.
_UNANSWERED: Final[Mapping[Subject, str]] = MappingProxyType(
    {
        Subject.OFFER: OfferState.OFFERED.value,
        Subject.CASE: CaseState.OFFERED.value,
        Subject.NOTICE: NoticeState.ISSUED.value,
        Subject.PRESERVATION: PreservationState.REQUESTED.value,
    }
)
_COLLECTIONS: Final[Mapping[Subject, str]] = MappingProxyType(
    {
        Subject.REFERRAL: "referrals",
        Subject.OFFER: "inbox",
        Subject.NOTICE: "notices",
        Subject.PRESERVATION: "preservations",
    }
)
#: The roles that may read the subjects of their party.
LOOKING: Final = frozenset({Role.ANALYST, Role.MACHINE, Role.VIEWER})
_OFFERED: Final = tuple(Offering)
_BY_NAME: Final = {(each.subject, each.name): each for each in ACTS}
#: States of the origin's track that are shown instead of an answer.
_PREVAILS: Final = any_of(Offering.TRANSFERRED, Offering.GONE, Offering.WITHDRAWN)
#: The answers to a withdrawal.
WITHDRAWAL_NOTED: Final = frozenset({AnswerState.WITHDRAWAL_ACKNOWLEDGED, AnswerState.RECORD_ERASED})


class TrackState(NamedTuple):
    """Both tracks of a subject. A referral at its origin has only the first."""

    offered: str
    answer: str = AnswerState.NONE.value


def rows_of(subject: Subject) -> tuple[Act, ...]:
    """The acts on a subject, in the order of the table."""
    return tuple(row for row in ACTS if row.subject is subject)


def personal(subject: Subject) -> tuple[Act, ...]:
    """Return the acts that a party's people and machines do on their subjects."""
    return tuple(row for row in rows_of(subject) if row.cause in (Cause.PERSON, Cause.SECOND_PERSON))


def row(subject: Subject, name: str) -> Act:
    """Return one act by its name. Raises `KeyError` if the subject has no such act."""
    return _BY_NAME[subject, name]


def collection(act: Act) -> str:
    """Return the collection under `/v1` in which the act's route finds its subject."""
    if act.subject is Subject.CASE:
        # A withdrawn referral is not a case to work on. It is found in the inbox, where it arrived.
        return "inbox" if Offering.WITHDRAWN.value in act.needs else "cases"
    return _COLLECTIONS[act.subject]


def shown(subject: Subject, standing: TrackState) -> str:
    """Return the state that a party sees: the fold of both tracks."""
    if subject is Subject.REFERRAL:
        return standing.offered
    if standing.answer in WITHDRAWAL_NOTED:
        return standing.answer
    if standing.offered in _PREVAILS or (
        standing.offered == Offering.CLAIMABLE.value and standing.answer != AnswerState.CLAIMED.value
    ):
        return standing.offered
    if (standing.offered, standing.answer) == (AskState.EXTENDED.value, PreservationState.PRESERVED.value):
        return PreservationState.EXTENSION_REQUESTED.value
    return _UNANSWERED[subject] if standing.answer == AnswerState.NONE.value else standing.answer


def answer_of(subject: Subject, state: str) -> AnswerState | None:
    """Return the answer that is shown as `state`, or None if the state shows an act of the origin."""
    found = {shown(subject, each): each.answer for each in standings(subject) if each.offered == Offering.OPEN.value}
    return AnswerState(found[state]) if state in found else None


@cache
def standings(subject: Subject) -> frozenset[TrackState]:
    """Return every standing that the rows can reach."""
    found: set[TrackState] = set()
    coming = {TrackState(move.to) for each in rows_of(subject) for move in each.moves if not move.before}
    while coming:
        found |= coming
        coming = {
            following
            for standing in coming
            for each in rows_of(subject)
            for move in each.moves
            if (following := _moved(each, move, standing)) is not None
        } - found
    return frozenset(found)


def states(subject: Subject) -> frozenset[str]:
    """Return every state that a party can see."""
    return frozenset(shown(subject, standing) for standing in standings(subject))


def may_come_in(act: Act) -> frozenset[str]:
    """Return the visible states in which an act is possible.

    For an act that begins its subject: its first states.
    """
    begun = frozenset(shown(act.subject, TrackState(move.to)) for move in act.moves if not move.before)
    return begun or frozenset(_transitions(act))


def steps(act: Act, state: str) -> tuple[tuple[Move, str], ...]:
    """Return the moves of an act in one visible state, each with the next state.

    Empty if the act is not possible.
    """
    return _transitions(act).get(state, ())


def follow(act: Act, state: str, said: Contract | None = None) -> str:
    """Return the visible state after `act`, by its codes.

    Raises `Refused("state_forbids")` if it is not possible.
    """
    for move, following in steps(act, state):
        if says(move, said):
            return following
    raise state_forbids()


def answer_follows(
    rows: Iterable[Act], present: AnswerState, said: Contract, *, offered: Offering
) -> AnswerState | None:
    """Return the origin's copy of the answer track after a message with these rows, or None if none allows it.

    The message is checked against that track. In the origin's own track, the required move must have happened.
    An answer may cross a later move of the origin, but it cannot precede the move that it needs.
    """
    for each in rows:
        needed = min((_OFFERED.index(Offering(state)) for state in each.needs), default=0)
        for move in each.moves:
            if present.value in move.before and says(move, said) and _OFFERED.index(offered) >= needed:
                return AnswerState(move.to)
    return None


def permits(subject: Subject, track: Track | None = None) -> Iterator[Permit]:
    """Yield the permits of one subject: its acts, reading it, and applying messages.

    For a subject with acts of both sides, `track` is the one that the service's parties write.
    """
    every = states(subject)
    yield Permit(subject.value, "read", LOOKING, every)
    yield Permit(subject.value, "apply", SERVICE, every)
    for each in personal(subject):
        if track in (None, each.track):
            yield permit(each)


def permit(act: Act) -> Permit:
    """Return the permit of one act."""
    return Permit(act.subject.value, act.name, act.roles, may_come_in(act))


def codes_of(said: Contract | None) -> frozenset[Code]:
    """Return the codes among the fields of an act, including those in lists."""
    words = () if said is None else (getattr(said, name) for name in type(said).model_fields)
    each = (part for word in words for part in (word if isinstance(word, tuple) else (word,)))
    return frozenset(part for part in each if isinstance(part, Code))


def says(move: Move, said: Contract | None) -> bool:
    """Return whether a move applies to an act: the act has one of its codes, or the move has none."""
    told = {(type(code), code) for code in codes_of(said)}
    return not move.codes or any((type(code), code) in told for code in move.codes)


def finished(subject: Subject) -> frozenset[str]:
    """Return the visible states in which the recipient can give no further answer.

    The origin may still withdraw. A withdrawn subject is finished once that is acknowledged, also if retained.
    """
    answering = [each for each in personal(subject) if each.track is Track.ANSWER and not reopens(each)]
    waiting = {state for each in answering for state in may_come_in(each)} | {_UNANSWERED[subject]}
    return states(subject) - waiting


@cache
def final_answers() -> frozenset[str]:
    """Return the answers that only the acknowledgement of a withdrawal can follow."""
    recipients = [each for each in ACTS if each.track is Track.ANSWER and each.subject not in ASKED_BY_AGENCIES]
    # After a decline or close a hotline may claim the offer if asked, but no party waits for that.
    answering = [each for each in recipients if not reopens(each) and Offering.CLAIMABLE.value not in each.needs]
    moves = [move for each in answering for move in each.moves if move.to not in WITHDRAWAL_NOTED]
    return any_of(*AnswerState) - {state for move in moves for state in move.before}


def reopens(act: Act) -> bool:
    """Return whether the act reverses a final answer. Such an act is possible, but no party waits for it."""
    back = (Subject.NOTICE, "reinstate"), (Subject.CASE, "come_back"), (Subject.PRESERVATION, "correct")
    return (act.subject, act.name) in back


def begins(act: Act) -> bool:
    """Return whether the act begins its subject."""
    return any(not move.before for move in act.moves)


@cache
def _transitions(act: Act) -> Mapping[str, tuple[tuple[Move, str], ...]]:
    """Map each visible state to the act's moves there, each with the next visible state."""
    found: dict[str, tuple[tuple[Move, str], ...]] = {}
    for standing in standings(act.subject):
        followings = [(move, _moved(act, move, standing)) for move in act.moves]
        steps = tuple((move, shown(act.subject, after)) for move, after in followings if after is not None)
        state = shown(act.subject, standing)
        assert found.setdefault(state, steps) == steps, f"{state}: two standings with two futures"
    return MappingProxyType({state: steps for state, steps in found.items() if steps})


def _moved(act: Act, move: Move, standing: TrackState) -> TrackState | None:
    """Return the standing after one move, or None if the move is not possible."""
    if act.track is Track.OFFER:
        own, other, after = standing.offered, standing.answer, standing._replace(offered=move.to)
    else:
        own, other, after = standing.answer, standing.offered, standing._replace(answer=move.to)
    seen = not act.needs or other in act.needs
    return after if own in move.before and seen else None


#: The state of an event with a number, as the feed shows it.
NUMBERED: Final = "numbered"
#: Roles that may read a party's subjects may read its feed. Every service with a feed has this permit in its table.
PERMIT: Final = Permit("event", "read", LOOKING, frozenset({NUMBERED}))


@dataclass(frozen=True, slots=True)
class Event:
    """An act as one party learns of it. `subject` is the id under which this party knows the subject.

    `type` is `<subject>.<act>`, as the rows of `acts` name them. `state` is the new state of the subject. `by` is the
    party that did the act, if it was another one.
    """

    party: str
    type: str
    subject: UUID
    state: str | None = None
    by: str | None = None


def event_type(subject: Subject, act: str) -> str:
    """Return the type of an event of this act, the same for every party."""
    return f"{subject}.{act}"


def happened(row: Act, subject_id: UUID, *, party: str, state: str) -> Event:
    """Return the event of an act on a subject of `party`, with the new state."""
    return Event(party, event_type(row.subject, row.name), subject_id, state=state)


class WebhookState(StrEnum):
    """The state of a webhook. `paused`: its receiver failed for days or is gone; a replay resumes.

    `removed`: final.
    """

    ACTIVE = "active"
    PAUSED = "paused"
    REMOVED = "removed"


#: The states in which a webhook can be changed.
_STANDING: Final = any_of(WebhookState.ACTIVE, WebhookState.PAUSED)
PERMITS: Final = (
    Permit("webhook", "read", LOOKING, any_of(*WebhookState)),
    Permit("webhook", "submit", ACTORS, any_of(WebhookState.ACTIVE)),
    *(Permit("webhook", action, ACTORS, _STANDING) for action in ("remove", "replay", "rotate", "trigger")),
    Permit("webhook", "apply", SERVICE, _STANDING),
)
#: Types of events about a webhook: the instance has stopped sending to it; and a test event without meaning, which a
#: party requests to test delivery.
PAUSED_EVENT: Final = "webhook.paused"
TEST_EVENT: Final = "webhook.test"
