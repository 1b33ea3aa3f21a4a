"""What follows from the rows of `acts`: states a party is shown, where each act may come in, and what is told of it.

A store keeps the shown state alone. That is enough as long as no shown state hides two standings with different
futures, which is checked when the first move is asked for.

An event tells a party of one act that concerns it: which, on what, and codes. Webhooks are sent what the feed shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

from shared.contracts.base import Contract
from shared.contracts.registry import MessageType
from shared.exchange.act import (
    ACTORS,
    ASKED_BY_AGENCIES,
    SERVICE,
    Act,
    Asked,
    CaseState,
    Cause,
    Move,
    NoticeState,
    Offered,
    OfferState,
    PreservationState,
    Subject,
    Track,
    any_of,
)
from shared.exchange.acts import ACTS
from shared.kernel.authority import Permit, Role, state_forbids
from shared.vocabulary.answers import AnswerState
from shared.vocabulary.code import Code

#: What a recipient is shown before it has answered.
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
#: The roles that look at what their party has.
LOOKING: Final = frozenset({Role.ANALYST, Role.MACHINE, Role.VIEWER})
_OFFERED: Final = tuple(Offered)
#: What is shown whatever was answered.
_PREVAILS: Final = any_of(Offered.TRANSFERRED, Offered.GONE, Offered.WITHDRAWN)
#: The answers to a withdrawal.
WITHDRAWAL_NOTED: Final = frozenset({AnswerState.WITHDRAWAL_ACKNOWLEDGED, AnswerState.RECORD_ERASED})


class Standing(NamedTuple):
    """Both tracks of a subject. A referral at its origin has the first alone."""

    offered: str
    answer: str = AnswerState.NONE.value


def rows_of(subject: Subject) -> tuple[Act, ...]:
    """The acts on a subject, in the order of the table."""
    return tuple(row for row in ACTS if row.subject is subject)


def personal(subject: Subject) -> tuple[Act, ...]:
    """The acts that a party's people and machines do on a subject they have."""
    return tuple(row for row in rows_of(subject) if row.cause in (Cause.PERSON, Cause.SECOND_PERSON))


def row(subject: Subject, name: str) -> Act:
    """One act by its name. Raises `KeyError` where the subject has none of it."""
    return _by_name()[subject, name]


def collection(act: Act) -> str:
    """The collection under `/v1` in which the act's route finds its subject."""
    if act.subject is Subject.CASE:
        # A referral that was taken back is no case to work on: it lies in the inbox, where it came in.
        return "inbox" if Offered.WITHDRAWN.value in act.needs else "cases"
    return _COLLECTIONS[act.subject]


def rows_for(message: MessageType, track: Track) -> tuple[Act, ...]:
    """The rows that a message tells of: one for each kind of subject that it can be about."""
    return tuple(each for each in ACTS if each.message is message and each.track is track)


def shown(subject: Subject, standing: Standing) -> str:
    """The one state that a party is shown: the fold of both tracks."""
    if subject is Subject.REFERRAL:
        return standing.offered
    if standing.answer in WITHDRAWAL_NOTED:
        return standing.answer
    if standing.offered in _PREVAILS or (
        standing.offered == Offered.CLAIMABLE.value and standing.answer != AnswerState.CLAIMED.value
    ):
        return standing.offered
    if (standing.offered, standing.answer) == (Asked.EXTENDED.value, PreservationState.PRESERVED.value):
        return PreservationState.EXTENSION_REQUESTED.value
    return _UNANSWERED[subject] if standing.answer == AnswerState.NONE.value else standing.answer


def answer_of(subject: Subject, state: str) -> AnswerState | None:
    """The answer that is shown as `state`; None where it shows that the origin has taken it back."""
    found = {shown(subject, each): each.answer for each in standings(subject) if each.offered == Offered.OPEN.value}
    return AnswerState(found[state]) if state in found else None


@cache
def standings(subject: Subject) -> frozenset[Standing]:
    """Every standing that the rows can lead to."""
    found: set[Standing] = set()
    coming = {Standing(move.to) for each in rows_of(subject) for move in each.moves if not move.before}
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
    """Every state that a party can be shown."""
    return frozenset(shown(subject, standing) for standing in standings(subject))


def may_come_in(act: Act) -> frozenset[str]:
    """The shown states in which an act may come; for one that begins its subject, those it begins in."""
    begun = frozenset(shown(act.subject, Standing(move.to)) for move in act.moves if not move.before)
    return begun or frozenset(state for (each, state) in _transitions() if each is act)


def steps(act: Act, state: str) -> tuple[tuple[Move, str], ...]:
    """The moves of an act in one shown state, each with the state it leads to; none where it may not come."""
    return _transitions().get((act, state), ())


def follow(act: Act, state: str, said: Contract | None = None) -> str:
    """The shown state after `act`, by the codes it says. Raises `Refused("state_forbids")` where it may not come."""
    for move, following in steps(act, state):
        if says(move, said):
            return following
    raise state_forbids()


def answer_follows(
    message: MessageType, present: AnswerState, said: Contract, *, offered: Offered
) -> AnswerState | None:
    """The origin's copy of the answer track after a message; None where no row lets it come.

    It is checked against that track. Of the origin's own, no more than this: an answer may cross a later move of it on
    the way, and none comes before the move that it needs.
    """
    for each in rows_for(message, Track.ANSWER):
        needed = min((_OFFERED.index(Offered(state)) for state in each.needs), default=0)
        for move in each.moves:
            if present.value in move.before and says(move, said) and _OFFERED.index(offered) >= needed:
                return AnswerState(move.to)
    return None


def permits(subject: Subject, track: Track | None = None) -> Iterator[Permit]:
    """The part of an authorisation table that concerns one subject: its acts, looking at it, and applying messages.

    Of a subject that both sides act on, `track` is the one that the service's parties write.
    """
    every = states(subject)
    yield Permit(subject.value, "read", LOOKING, every)
    yield Permit(subject.value, "apply", SERVICE, every)
    for each in personal(subject):
        if track in (None, each.track):
            yield Permit(subject.value, each.name, each.roles, may_come_in(each))


def codes_of(said: Contract | None) -> frozenset[Code]:
    """The codes among the words of an act, those of its lists too."""
    words = () if said is None else (getattr(said, name) for name in type(said).model_fields)
    each = (part for word in words for part in (word if isinstance(word, tuple) else (word,)))
    return frozenset(part for part in each if isinstance(part, Code))


def says(move: Move, said: Contract | None) -> bool:
    """Whether a move is for what was said: for any of its codes, which are of one list; or for whatever is said."""
    told = {(type(code), code) for code in codes_of(said)}
    return not move.codes or any((type(code), code) in told for code in move.codes)


def finished(subject: Subject) -> frozenset[str]:
    """The shown states of what its recipient has answered for good: no answer of its may come any more.

    Its origin may take it back still. What is withdrawn is finished once that is acknowledged, whether kept or not.
    """
    answering = [each for each in personal(subject) if each.track is Track.ANSWER and not reopens(each)]
    waiting = {state for each in answering for state in may_come_in(each)} | {_UNANSWERED[subject]}
    return states(subject) - waiting


@cache
def final_answers() -> frozenset[str]:
    """The answers after which none comes but that a withdrawal was noted."""
    recipients = [each for each in ACTS if each.track is Track.ANSWER and each.subject not in ASKED_BY_AGENCIES]
    # Whoever has declined or closed it may claim it, once it is asked to; nobody waits for that.
    answering = [each for each in recipients if not reopens(each) and Offered.CLAIMABLE.value not in each.needs]
    moves = [move for each in answering for move in each.moves if move.to not in WITHDRAWAL_NOTED]
    return any_of(*AnswerState) - {state for move in moves for state in move.before}


def reopens(act: Act) -> bool:
    """Whether the act goes back on what was answered for good: it may come, and nobody waits for it."""
    back = (Subject.NOTICE, "reinstate"), (Subject.CASE, "come_back"), (Subject.PRESERVATION, "correct")
    return (act.subject, act.name) in back


def begins(act: Act) -> bool:
    """Whether the act begins its subject."""
    return any(not move.before for move in act.moves)


@cache
def _by_name() -> Mapping[tuple[Subject, str], Act]:
    return {(each.subject, each.name): each for each in ACTS}


@cache
def _transitions() -> Mapping[tuple[Act, str], tuple[tuple[Move, str], ...]]:
    """(act, shown state) → its moves there, each with the shown state that it leads to."""
    found: dict[tuple[Act, str], tuple[tuple[Move, str], ...]] = {}
    for each in ACTS:
        for standing in standings(each.subject):
            followings = [(move, _moved(each, move, standing)) for move in each.moves]
            steps = tuple((move, shown(each.subject, after)) for move, after in followings if after is not None)
            state = shown(each.subject, standing)
            assert found.setdefault((each, state), steps) == steps, f"{state}: two standings with two futures"
    return MappingProxyType({where: steps for where, steps in found.items() if steps})


def _moved(act: Act, move: Move, standing: Standing) -> Standing | None:
    """The standing after one move, if it may come in this one."""
    if act.track is Track.OFFER:
        own, other, after = standing.offered, standing.answer, standing._replace(offered=move.to)
    else:
        own, other, after = standing.answer, standing.offered, standing._replace(answer=move.to)
    seen = not act.needs or other in act.needs
    return after if own in move.before and seen else None


#: An event that has its number: what a feed shows.
NUMBERED: Final = "numbered"
#: Whoever may look at what a party has may look at its feed. It is part of the table of every service that has one.
PERMIT: Final = Permit("event", "read", LOOKING, frozenset({NUMBERED}))


@dataclass(frozen=True, slots=True)
class Event:
    """An act as one party learns of it. `subject` is the id under which this party knows what was acted on.

    `type` is `<subject>.<act>`, as the rows of `acts` name them. `state` is what the subject has come to, `by` the
    party that did it, where that was another.
    """

    party: str
    type: str
    subject: UUID
    state: str | None = None
    by: str | None = None


def event_type(subject: Subject, act: str) -> str:
    """What an event of this act is called, at whichever party."""
    return f"{subject}.{act}"


def happened(row: Act, subject_id: UUID, *, party: str, state: str) -> Event:
    """An act on what `party` holds itself, and the state that it has come to."""
    return Event(party, event_type(row.subject, row.name), subject_id, state=state)


class WebhookState(StrEnum):
    """`paused`: its receiver was away for days, or said that it is gone; a replay begins again. `removed` is final."""

    ACTIVE = "active"
    PAUSED = "paused"
    REMOVED = "removed"


#: What there is to act on.
_STANDING: Final = any_of(WebhookState.ACTIVE, WebhookState.PAUSED)
PERMITS: Final = (
    Permit("webhook", "read", LOOKING, any_of(*WebhookState)),
    Permit("webhook", "submit", ACTORS, any_of(WebhookState.ACTIVE)),
    *(Permit("webhook", action, ACTORS, _STANDING) for action in ("remove", "replay", "rotate", "trigger")),
    Permit("webhook", "apply", SERVICE, _STANDING),
)
#: Types of events about an address: the instance has stopped sending there; and one that means nothing, asked for to
#: see whether it arrives.
PAUSED_EVENT: Final = "webhook.paused"
TEST_EVENT: Final = "webhook.test"
