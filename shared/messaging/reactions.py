"""Reactions to the outcomes and exceptions of own messages at a peer. Everything is pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from shared.messaging.exceptions import NamedMessage, Outcome, OutcomeKind, RefusalCode
from shared.messaging.ports import LINES_MAX, OperatorKind, OperatorLine, OwnTrack, Side
from shared.messaging.streams import SUBJECT_ROLES, WireRole

#: Refusals that the whole state answers.
RESENT: Final = frozenset({RefusalCode.UNKNOWN, RefusalCode.GAP, RefusalCode.DEAD})
#: Adoptions from one message after which a subject that is unknown here is not adopted.
ADOPTED_MAX: Final = 500
#: Lines for subjects and acts that are unknown here, from the outcomes of one message.
LISTED_MAX: Final = 20


@dataclass(slots=True)
class Actions:
    """Effects on the tracks that are shared with one peer. Each list has a subject once.

    `lines_max`: the lines after which one line of the peer stands for further subjects and acts that are unknown here.
    """

    peer: str
    lines_max: int = LINES_MAX
    states: dict[UUID, None] = field(default_factory=dict)
    withdrawals: dict[UUID, None] = field(default_factory=dict)
    adoptions: dict[UUID, None] = field(default_factory=dict)
    answers: dict[UUID, None] = field(default_factory=dict)
    decisions: dict[UUID, None] = field(default_factory=dict)
    sent: dict[UUID, None] = field(default_factory=dict)
    erased: dict[UUID, None] = field(default_factory=dict)
    lines: dict[OperatorLine, None] = field(default_factory=dict)

    def list_subject(self, kind: OperatorKind, subject: UUID, act: UUID | None = None) -> None:
        """Put a subject, or an act on it, on the operator's list."""
        is_listed = kind is OperatorKind.BEHIND or len(self.lines) < self.lines_max
        line = OperatorLine(kind, self.peer, subject, act)
        self.lines[line if is_listed else OperatorLine(OperatorKind.UNKNOWN, self.peer)] = None

    def adopt(self, subject: UUID, own: OwnTrack | None) -> None:
        """Adopt the peer's tombstone. A withdrawal that this side does not know goes on the operator's list.

        After `ADOPTED_MAX` adoptions, unknown subjects wait for the next resync; one line of the peer says so.
        """
        if own is not None and own.is_withdrawn:
            return
        if own is None:
            if len(self.adoptions) >= ADOPTED_MAX:
                self.lines[OperatorLine(OperatorKind.UNKNOWN, self.peer)] = None
                return
            self.list_subject(OperatorKind.UNKNOWN, subject)
        if own is None or not own.is_erased:
            self.list_subject(OperatorKind.BEHIND, subject)
        self.adoptions[subject] = None

    def count_sent(self) -> int:
        """Return how many subjects are to be sent again."""
        return len(self.withdrawals) + len(self.states) + len(self.answers)

    def limit_sent(self, subjects_max: int) -> None:
        """Keep this number of the subjects to send, withdrawals first."""
        left = max(0, subjects_max)
        for subjects in (self.withdrawals, self.states, self.answers):
            for subject in list(subjects)[left:]:
                del subjects[subject]
            left -= len(subjects)


def side_of(role: WireRole) -> Side:
    """Return the side of a message that this instance sent: its own subject, or an answer."""
    return Side.ANSWERED if role is WireRole.ANSWER else Side.HELD


def react(actions: Actions, outcome: Outcome, own: OwnTrack | None) -> None:
    """Add the reaction to an outcome of an own message. `own`: the subject, or the answers, as known here."""
    named = outcome.named
    subject = named.subject
    if subject is None:
        return
    if outcome.kind is not OutcomeKind.REFUSED:
        add_differences(actions, named, own)
    elif outcome.code == RefusalCode.ERASED:
        if own is not None and named.role is not WireRole.ANSWER:
            actions.erased[subject] = None
    elif named.role is WireRole.ANSWER:
        if outcome.code == RefusalCode.UNKNOWN:
            actions.list_subject(OperatorKind.UNKNOWN, subject)
        elif outcome.code in RESENT and own is not None and own.acts:
            actions.answers[subject] = None
    elif own is None:
        actions.list_subject(OperatorKind.UNKNOWN, subject)
    elif outcome.code == RefusalCode.WITHDRAWN:
        actions.adopt(subject, own)
    elif not own.is_withdrawn:
        _react_to_state(actions, outcome, own)


def _react_to_state(actions: Actions, outcome: Outcome, own: OwnTrack) -> None:
    is_current = outcome.named.content == own.content
    if outcome.code in RESENT:
        if own.is_placed:
            actions.states[own.subject] = None
    elif outcome.code == RefusalCode.LAW and is_current:
        actions.decisions[own.subject] = None
    elif outcome.code == RefusalCode.BEHIND and is_current and own.revision <= (outcome.held or 0):
        actions.list_subject(OperatorKind.BEHIND, own.subject)


def add_differences(actions: Actions, named: NamedMessage, own: OwnTrack | None) -> None:
    """List the subject, revision, content and acts that the peer names and this side does not know.

    A subject that the peer names was sent there once, even if this side was restored since.
    """
    subject = named.subject
    if subject is None or named.role not in SUBJECT_ROLES:
        return
    is_state = named.role is WireRole.STATE
    if own is not None and own.is_erased:
        if is_state and own.is_withdrawn:
            _note_sent(actions, own)
        return
    if is_state and own is None:
        actions.list_subject(OperatorKind.UNKNOWN, subject)
    elif is_state and own is not None:
        if not own.is_withdrawn and _is_ahead(named.revision or 0, named.content, own):
            actions.list_subject(OperatorKind.BEHIND, subject)
        _note_sent(actions, own)
    known: tuple[UUID, ...] = own.acts if own is not None else named.acts if is_state else ()
    for act in set(named.acts).difference(known):
        actions.list_subject(OperatorKind.ACT, subject, act)


def _is_ahead(revision: int, content: bytes | None, own: OwnTrack) -> bool:
    return revision > own.revision or (revision == own.revision and content != own.content)


def _note_sent(actions: Actions, own: OwnTrack) -> None:
    if own.was_sent:
        return
    actions.sent[own.subject] = None
    if own.is_withdrawn:
        actions.withdrawals[own.subject] = None
    elif own.is_placed:
        actions.states[own.subject] = None
