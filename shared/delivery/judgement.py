"""The judgement on taken messages before the features see them: withdrawn, repeated or fresh. Pure.

A repeated edge or act has no second effect. An edge with other content needs a higher revision.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple
from uuid import UUID

from shared.core.contracts.case_referral import CaseReferredClear
from shared.core.contracts.referral import EdgeClear
from shared.core.envelope.base64url import to_base64url
from shared.core.protocol.message import Received
from shared.core.protocol.record_table import SUBJECT_WITHDRAWN, Fate, row_for
from shared.delivery.tracks import EdgeRevision, TrackChange, TrackKey, TrackRow, TrackSide
from shared.messaging.exceptions import NamedMessage, Outcome, OutcomeKind, RefusalCode, TakenMessage
from shared.messaging.streams import WireRole
from shared.messaging.tracks import key_of, parties_of

ACCEPT_DEFECT: Final = "accept_defect"
HANDLER_DEFECT: Final = "handler_defect"
REVISION_NOT_ABOVE: Final = "revision_not_above"
#: The code of a message that waits for the act or the edge before it.
ACT_AWAITED: Final = "act_awaited"

#: The codes of an arrival without a fault of its writer, which sends no corrected one.
_OWN_DEFECTS: Final = frozenset({None, ACCEPT_DEFECT, HANDLER_DEFECT})
#: The outcome of a message by the fate of its code.
_KINDS: Final = {
    Fate.SKIP: OutcomeKind.DEAD,
    Fate.PARK: OutcomeKind.DEAD,
    Fate.DEFER: OutcomeKind.DEFERRED,
    Fate.WAIT: OutcomeKind.WAITING,
    Fate.REFUSE: OutcomeKind.REFUSED,
    Fate.MOVE: OutcomeKind.MOVED,
}


# Not frozen: each message has one, and a frozen class costs three times as much.
@dataclass(slots=True)
class Arrival:
    """A taken message after `accept`. If it was rejected, `code` is the reason, and `received` is None."""

    taken: TakenMessage
    named: NamedMessage
    received: Received | None = None
    code: str | None = None
    edge: EdgeRevision | None = None

    @property
    def key(self) -> TrackKey | None:
        """The row of `track` that the message is about."""
        named = self.named
        if named.subject is None or named.role is WireRole.FACT:
            return None
        side = TrackSide.ANSWERS if named.role is WireRole.ANSWER else TrackSide.HELD
        return TrackKey(self.taken.writer, side, named.subject)


class KnownOutcome(NamedTuple):
    """The outcome of a message that is not passed to a feature. `code` None: applied, without an effect.

    `held`: the revision that is held, with `revision_not_above`. `like`: the earlier message of this batch with the
    same edge or act; the features' answer on it applies here, too. `below`: an earlier message of this batch with the
    same or a higher revision of the edge; if the features refuse it, this message is judged again.
    """

    code: str | None = None
    held: int | None = None
    like: UUID | None = None
    below: UUID | None = None


class _SentHere(NamedTuple):
    message_id: UUID
    edge: EdgeRevision


class Judgement:
    """The judge of one batch's messages, in order. `tracks`: the state before the batch."""

    def __init__(self, tracks: Mapping[TrackKey, TrackRow], *, is_day_closed: Callable[[UUID], bool]) -> None:
        self._acts = {key: frozenset(row.acts) for key, row in tracks.items()}
        self._withdrawn = {key for key, row in tracks.items() if row.is_withdrawn and key.side is TrackSide.HELD}
        self._edges = {key: row.edges for key, row in tracks.items()}
        self._is_day_closed = is_day_closed
        #: The edges and acts of this batch that the features see.
        self._edges_here: dict[tuple[UUID, UUID], list[_SentHere]] = {}
        self._acts_here: dict[tuple[TrackKey, tuple[UUID, ...]], UUID] = {}

    def forget(self, refused: Container[UUID]) -> None:
        """Forget messages that the features have refused. Later messages are judged again without them."""
        for sent in self._edges_here.values():
            sent[:] = [each for each in sent if each.message_id not in refused]
        self._acts_here = {key: at for key, at in self._acts_here.items() if at not in refused}

    def judge(self, each: Arrival) -> KnownOutcome | None:
        """Return the outcome of a message if it is known; None if the features must decide."""
        key, role = each.key, each.named.role
        if key is not None and self._is_day_closed(key.subject):
            return KnownOutcome(RefusalCode.ERASED)
        is_late = key is not None and key in self._withdrawn
        if each.received is None:
            code = each.code or ""
            is_over = is_late and row_for(code).fate in (Fate.DEFER, Fate.WAIT)
            return KnownOutcome(SUBJECT_WITHDRAWN if is_over else code)
        if key is None:
            return None
        if role is WireRole.WITHDRAWAL:
            self._withdrawn.add(key)
            return KnownOutcome() if is_late else None
        if is_late and each.received.edge is not None:
            return KnownOutcome(SUBJECT_WITHDRAWN)
        known = self._find_act(each, key) if each.edge is None else self._find_edge(each, key, each.edge)
        # An edge that is issued again carries the answers so far, too: only the features know whether they have these.
        is_more = each.received.again is not None
        return None if known is not None and known.code is None and is_more else known

    def _find_act(self, each: Arrival, key: TrackKey) -> KnownOutcome | None:
        acts = each.named.acts
        if not acts:
            return None
        if self._acts.get(key, frozenset()).issuperset(acts):
            return KnownOutcome()
        first = self._acts_here.setdefault((key, acts), each.named.message_id)
        return None if first == each.named.message_id else KnownOutcome(like=first)

    def _find_edge(self, arrival: Arrival, key: TrackKey, edge: EdgeRevision) -> KnownOutcome | None:
        held = self._find_held(key, edge.edge_id)
        if held is not None:
            if held.content == edge.content:
                return KnownOutcome()
            if edge.revision < held.revision:
                acts = arrival.named.acts
                is_before = bool(acts) and self._acts.get(key, frozenset()).issuperset(acts)
                return KnownOutcome() if is_before else KnownOutcome(REVISION_NOT_ABOVE)
            if edge.revision == held.revision:
                return KnownOutcome(REVISION_NOT_ABOVE, held.revision)
        sent = self._edges_here.setdefault((key.subject, edge.edge_id), [])
        for other in sent:
            if other.edge.content == edge.content:
                return None if other.message_id == arrival.named.message_id else KnownOutcome(like=other.message_id)
        if sent and edge.revision <= sent[-1].edge.revision:
            last = sent[-1]
            is_same = edge.revision == last.edge.revision
            return KnownOutcome(REVISION_NOT_ABOVE, last.edge.revision if is_same else None, below=last.message_id)
        sent.append(_SentHere(arrival.named.message_id, edge))
        return None

    def _find_held(self, key: TrackKey, edge_id: UUID) -> EdgeRevision | None:
        """Return the revision of an edge that was held before the batch."""
        held = self._edges.get(key, {}).get(to_base64url(edge_id.bytes))
        revision, _, content = (held or "").partition(" ")
        return EdgeRevision(edge_id, int(revision), content) if held else None

    def list_changes(self, pairs: Iterable[tuple[Arrival, Outcome]]) -> list[TrackChange]:
        """Return the changes that applied messages make to tracks: of each edge, the highest revision is held."""
        changes: dict[TrackKey, TrackChange] = {}
        for arrival, outcome in pairs:
            key, received, edge = arrival.key, arrival.received, arrival.edge
            if outcome.kind is not OutcomeKind.APPLIED or key is None or received is None:
                continue
            role = arrival.named.role
            parties = parties_of(role, received.sender, received.recipient)
            change = changes.setdefault(key, TrackChange(key, received.subject_id, *parties))
            change.is_withdrawn |= role is WireRole.WITHDRAWAL
            change.acts |= dict.fromkeys(arrival.named.acts)
            if edge is not None:
                held = change.edges.get(edge.edge_id) or self._find_held(key, edge.edge_id)
                if held is None or held.revision < edge.revision:
                    change.edges[edge.edge_id] = edge
        return list(changes.values())


def read_edge(received: Received) -> EdgeRevision | None:
    """Return the edge that a message carries, or None.

    Its content is the edge and the record as they came. Values that differ at each sending are left out: the edge's
    own digest, its last member, and time, salt and documents of the decision. 128 bits of its digest
    tell it from other content.
    """
    clear = received.clear
    if not isinstance(clear, EdgeClear) or received.spelt is None:
        return None
    edge, _, _ = received.spelt.edge.rpartition(b',"digest":')
    text = edge + b"}" + received.spelt.record
    return EdgeRevision(clear.edge_id, getattr(clear, "revision", None) or 1, to_base64url(sha256(text).digest()[:16]))


def decide(each: Arrival, known: KnownOutcome | None, refusals: Mapping[UUID, str]) -> Outcome:
    """Return the outcome of a message after the features gave their codes."""
    if known is None:
        known = KnownOutcome(refusals.get(each.named.message_id))
    elif known.like is not None:
        known = KnownOutcome(refusals.get(known.like))
    code = known.code
    if each.named.role is WireRole.WITHDRAWAL and code is not None and code.endswith("_unknown") and each.received:
        code = None  # the subject has not arrived: the withdrawal counts, and the subject is refused when it arrives
    kind = kind_of(code)
    if each.named.role is WireRole.WITHDRAWAL and kind is OutcomeKind.DEAD and each.code not in _OWN_DEFECTS:
        kind = OutcomeKind.REFUSED  # a broken one is not stored: its sender sends a valid one again
    return Outcome(each.named, kind, None if kind is OutcomeKind.APPLIED else code, known.held)


def list_begun_tracks(messages: Iterable[Received]) -> set[UUID]:
    """Return the tracks of the agencies to which these messages pass a case. Their answers may have arrived before."""
    return {
        key_of(each.recipient, each.clear.agency, subject=each.subject_id)
        for each in messages
        if isinstance(each.clear, CaseReferredClear)
    }


def list_awaiting_edges(
    messages: Iterable[Received], fresh: Iterable[Received], refusals: Mapping[UUID, str]
) -> set[UUID]:
    """Return those of a batch's messages that wait for an edge which a fresh message has brought."""
    begun = list_begun_tracks(each for each in fresh if each.message_id not in refusals)
    return {
        each.message_id
        for each in messages
        if refusals.get(each.message_id) == ACT_AWAITED
        and key_of(each.recipient, each.sender, subject=each.subject_id) in begun
    }


def kind_of(code: str | None) -> OutcomeKind:
    """Return the outcome for a code of the record table or of a feature; None is no refusal."""
    if code == RefusalCode.ERASED:
        return OutcomeKind.REFUSED
    return OutcomeKind.APPLIED if code is None else _KINDS[row_for(code).fate]
