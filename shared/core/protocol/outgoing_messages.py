"""From a decision's edges to the addressed messages that carry them, followed by the fact for audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from pydantic_core import to_json

from shared.core.canonical import Json
from shared.core.contracts.items import AnswerTrack
from shared.core.contracts.registry import NOTICE_ISSUED, REFERRAL_OFFERED, MessageType
from shared.core.errors import Defect, Refused
from shared.core.ids import coarse_uuid7, uuid4
from shared.core.protocol.decision_fact import FactBody, commitment, decided_fact, due_times, edge_salt
from shared.core.protocol.items import told_again
from shared.core.protocol.message import Addressing, Draft, compose
from shared.core.protocol.minimise import notice_record, referral_record
from shared.core.protocol.origin import EdgeAnswer, answered_so_far
from shared.core.protocol.preservation import Hours
from shared.core.protocol.read_capabilities import CANNOT_READ, PeerReads, form_for
from shared.core.protocol.second_review import SecondReview
from shared.core.routing.directory_index import PartyEntry
from shared.core.routing.engine import RoutedEdge, RoutingResult
from shared.core.vocabulary.referral import PriorityLevel
from shared.core.vocabulary.routing import PartyKind, WorkReason


class AddressedEdge(NamedTuple):
    """One edge, its id, its message and the destination.

    `items` are the origin's own numbers of all items that its recipient ever had; `gone` are those that it has lost.
    """

    edge: RoutedEdge
    edge_id: UUID
    message_id: UUID
    instance: str
    notice_id: UUID | None
    items: tuple[int, ...] = ()
    gone: tuple[int, ...] = ()
    revision: int = 1

    @property
    def recipient(self) -> str:
        return self.edge.recipient

    @property
    def purpose(self) -> str:
        return self.edge.terms.purpose

    @property
    def reason(self) -> str:
        return self.edge.terms.reason

    @property
    def rules(self) -> Sequence[str]:
        return self.edge.terms.rules


class DeferredEdge(NamedTuple):
    """An edge that is not sent yet, because its recipient cannot read the message. No message is written."""

    edge: RoutedEdge
    edge_id: UUID


class ScheduledEdge(NamedTuple):
    """An edge that is not sent yet, because a hold is possible until its window ends.

    No message is written.
    """

    edge: RoutedEdge
    edge_id: UUID
    window_ends: datetime
    issue_at: datetime


# Not frozen, for the same reason as a draft.
@dataclass(slots=True)
class MessageSet:
    """The messages of one decision.

    `work_reason` is the reason why a person must check the referral, None if none.
    """

    outcome: RoutingResult
    referral_id: UUID
    emitted: tuple[AddressedEdge, ...]
    letters: tuple[Draft, ...]
    waiting: tuple[DeferredEdge, ...]
    planned: tuple[ScheduledEdge, ...]
    work_reason: WorkReason | None
    traceparent: str | None
    revision: int = 1

    def drafts(
        self, facts: Json, origin: PartyEntry, *, at: datetime, body_sha256: str, superseded: Sequence[UUID] = ()
    ) -> tuple[Draft, ...]:
        """Return the messages and, last, the fact for audit.

        It has the whole decision, and reasons for unsent edges. Raises `Refused("sealed_too_large")` for a decision
        that exceeds one record.
        """
        outcome = self.outcome
        stated = FactBody(
            referral_id=self.referral_id,
            origin=origin.id,
            body_sha256=body_sha256,
            disposition=outcome.disposition.value,
            decision=outcome.ref,
            salt=outcome.salt,
            facts=facts,
            edges=[(each.edge_id, each.recipient, each.purpose, each.edge.digest) for each in self.emitted],
            not_sent=outcome.not_sent,
            superseded=superseded,
            work_reason=self.work_reason,
            revision=self.revision,
        )
        fact = decided_fact(
            stated,
            instance=origin.instance,
            directory=outcome.setting.directory,
            exercise=outcome.setting.exercise,
            at=at,
            traceparent=self.traceparent,
        )
        return (*self.letters, fact)


# Not frozen, for the same reason as a draft.
@dataclass(slots=True, kw_only=True)
class MessageContext:
    """The common data of all messages of one decision: its record, readable versions, time and trace."""

    outcome: RoutingResult
    record: Json
    reads: PeerReads
    referral_id: UUID
    at: datetime
    traceparent: str | None
    #: The second review of a record above its budget.
    released: SecondReview | None = None
    #: Hours of hold windows, if edges must wait for them.
    windows: Hours | None = None
    #: Edges that are issued again, by (recipient, purpose).
    known: Mapping[tuple[str, str], KnownEdge] = field(default_factory=dict)
    #: The referral's revision, as new edges carry it.
    revision: int = 1


class KnownEdge(NamedTuple):
    """An edge that its recipient already had, at `instance`. It keeps its ids and its answers.

    `revision` is the revision of this message; a notice counts its own. `items` is as in `AddressedEdge`: numbers stay
    the same. Earlier answers are included if the edge goes to another instance, or if `tells` is set. `restored`: the
    instance lost them.
    """

    edge_id: UUID
    notice_id: UUID | None
    instance: str
    answered: EdgeAnswer
    revision: int = 1
    items: tuple[int, ...] = ()
    tells: bool = True
    restored: bool = False


def write_letters(writing: MessageContext, edges: Sequence[RoutedEdge]) -> MessageSet:
    """Address `edges` of the decision.

    No message is written if the recipient has no sealing key at this time. Edges whose recipient cannot read the
    message wait. Edges with a hold window are planned.
    """
    written: list[tuple[AddressedEdge, Draft]] = []
    waiting: list[DeferredEdge] = []
    planned = _planned(writing, edges)
    outcome = writing.outcome
    for edge in edges:
        if any(each.edge is edge for each in planned):
            continue
        try:
            written.append(_addressed(edge, writing))
        except Refused as error:
            if error.code == CANNOT_READ:
                waiting.append(DeferredEdge(edge, uuid4()))
            elif error.code != "recipient_unknown":
                raise
    work_reason = outcome.work_reason
    if len(written) + len(waiting) + len(planned) < len(edges):
        work_reason = WorkReason.UNDELIVERABLE
    elif waiting:
        work_reason = WorkReason.RECIPIENT_CANNOT_READ
    emitted, letters = tuple(each for each, _ in written), tuple(letter for _, letter in written)
    return MessageSet(
        outcome,
        writing.referral_id,
        emitted,
        letters,
        tuple(waiting),
        planned,
        work_reason=work_reason,
        traceparent=writing.traceparent,
        revision=writing.revision,
    )


def _planned(writing: MessageContext, edges: Sequence[RoutedEdge]) -> tuple[ScheduledEdge, ...]:
    """Return the notices with a hold window.

    If no agency has an edge, no hold is possible and the window is over. Edges that the recipient already had are not
    delayed.
    """
    windows, at = writing.windows, writing.at
    windowed = [edge for edge in edges if edge.terms.hold_window_h is not None and edge_key(edge) not in writing.known]
    if windows is None or not windowed:
        return ()
    told = any(_kind(writing, edge) == PartyKind.LAW_ENFORCEMENT for edge in writing.outcome.edges)
    planned = []
    for edge in windowed:
        if _kind(writing, edge) == PartyKind.INDUSTRY:
            ends = windows.ends(at, edge.terms.hold_window_h or 0)
            planned.append(ScheduledEdge(edge, uuid4(), ends, windows.issue_at(ends, at, cleared=not told)))
    return tuple(planned)


def edge_key(edge: RoutedEdge) -> tuple[str, str]:
    """Return (recipient, purpose). Among a referral's open edges this pair is unique."""
    return edge.recipient, edge.terms.purpose


def _kind(writing: MessageContext, edge: RoutedEdge) -> str:
    recipient = writing.outcome.setting.directory.party(edge.recipient)
    return "" if recipient is None else recipient.kind


def clear_of(edge: RoutedEdge, *, edge_id: UUID, salt: str, at: datetime) -> Json:
    """Return the clear fields of a message that carries `edge`: only ids and due times."""
    return {"edge_id": str(edge_id), "commitment": commitment(salt, edge.digest)} | due_times(edge.terms.deadlines, at)


def sealed_of(
    edge: RoutedEdge,
    outcome: RoutingResult,
    *,
    record: Json,
    salt: str,
    again: AnswerTrack | None = None,
    released: SecondReview | None = None,
) -> Json:
    """Return the sealed part of a message that carries `edge`: data to derive it again, and the record."""
    told: Json = {} if again is None else {"again": again.model_dump(mode="json", exclude_defaults=True)}
    told |= {} if released is None else {"released_by": released.as_told(edge.recipient)}
    # The order matters: edge and record are stored exactly as serialized here (`shared.core.protocol.message`).
    return {"decision": outcome.ref, **told, "edge": edge.as_json(), "salt": salt, "record": record}


def _addressed(edge: RoutedEdge, writing: MessageContext) -> tuple[AddressedEdge, Draft]:
    outcome, directory = writing.outcome, writing.outcome.setting.directory
    recipient = directory.party(edge.recipient)
    if recipient is None:
        raise Defect("edge_without_recipient")
    known = writing.known.get(edge_key(edge))
    edge_id = uuid4() if known is None else known.edge_id
    salt = edge_salt(outcome.salt, edge_id)
    cut = _cut(edge, writing, recipient.kind, known=known)
    addressing = Addressing(
        subject=cut.notice_id or writing.referral_id,
        sender=str(edge.facts["origin"]),
        recipient=edge.recipient,
        directory=directory,
        exercise=outcome.setting.exercise,
        at=writing.at,
        decided_at=writing.at,
        traceparent=writing.traceparent,
        released=writing.released is not None,
        is_p0=_is_p0(edge, cut.record),
        origin=writing.referral_id,
    )
    clear = cut.named | clear_of(edge, edge_id=edge_id, salt=salt, at=writing.at)
    again = None
    if known is not None and (known.tells or known.instance != recipient.instance):
        here = known.instance == recipient.instance  # another instance has lost nothing
        so_far = answered_so_far(known.answered, own=cut.items, gone=cut.gone, restored=known.restored and here)
        told = told_again(so_far, [item["n"] for item in cut.record["items"]], directory)
        again = told.model_copy(update={"moved": not here})
    sealed = sealed_of(edge, outcome, record=cut.record, salt=salt, again=again, released=writing.released)
    form = form_for(cut.message, writing.reads.of(recipient.instance, directory), clear, sealed=sealed)
    letter = compose(form, clear, addressing, sealed=to_json(sealed))
    where = letter.message_id, letter.recipient_instance, cut.notice_id
    return AddressedEdge(edge, edge_id, *where, cut.items, cut.gone, cut.revision), letter


def _is_p0(edge: RoutedEdge, told: Json) -> bool:
    """Return whether the edge or its record shows the recipient that a child is at risk.

    The lane must not reveal a priority that the message itself withholds.
    """
    levels = edge.facts.get("priority"), told.get("priority", {}).get("level")
    return PriorityLevel.P0_CHILD_AT_RISK.value in levels


class _Cut(NamedTuple):
    """The part of the record for one recipient, and the ids of its message.

    The other fields are as in `AddressedEdge`.
    """

    message: MessageType
    named: Json
    record: Json
    revision: int
    notice_id: UUID | None = None
    items: tuple[int, ...] = ()
    gone: tuple[int, ...] = ()


def _cut(edge: RoutedEdge, writing: MessageContext, kind: str, *, known: KnownEdge | None) -> _Cut:
    terms, whole = edge.terms, writing.record
    before = () if known is None else known.items
    if kind != PartyKind.INDUSTRY:
        record = referral_record(whole, kind, edge.items, withheld=terms.withheld, hash_kinds=terms.hash_kinds)
        revision = writing.revision if known is None else known.revision
        named: Json = {"referral_id": str(writing.referral_id), "revision": revision}
        items, gone = _ever(before, [item["n"] for item in record["items"]])
        return _Cut(REFERRAL_OFFERED, named, record, revision, None, items, gone)
    # A notice has its own id: industry never sees a referral id, an earlier time or a referral's revision.
    present = [whole["items"][position]["n"] for position in edge.items]
    items, gone = _ever(before, present)
    record = notice_record(
        whole,
        edge.items,
        numbers=[items.index(n) + 1 for n in present],
        withheld=terms.withheld,
        hash_kinds=terms.hash_kinds,
    )
    revision = 1 if known is None else known.revision
    notice_id = (None if known is None else known.notice_id) or coarse_uuid7(writing.at)
    named = {"notice_id": str(notice_id)} | ({} if revision == 1 else {"revision": revision})
    return _Cut(NOTICE_ISSUED, named, record, revision, notice_id, items, gone)


def _ever(before: Sequence[int], present: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the numbers of all items that a recipient ever had, in order, and of those that it lost."""
    items = (*before, *(n for n in present if n not in before))
    return items, tuple(n for n in items if n not in present)


class StaleEdge(NamedTuple):
    """An edge whose decision was rejected as stale, and its message; none if the edge waited.

    `law` names the documents of its decision at `decided_at`. `tried` is the number of rejections that count. With
    `known`, its recipient has moved, or has answered from its former instance: the edge keeps its ids.
    """

    edge_id: UUID
    message_id: UUID | None
    law: str
    decided_at: datetime
    tried: int
    known: KnownEdge | None = None


class EdgeFates(NamedTuple):
    """The result for stale edges and for new edges that wait. The fields are as in `Redecision`."""

    waiting: tuple[DeferredEdge, ...]
    unread: tuple[UUID, ...]
    superseded: list[UUID]
    dropped: tuple[StaleEdge, ...]


def left_of(letters: MessageSet, stale: Mapping[tuple[str, str], StaleEdge]) -> EdgeFates:
    waiting = {edge_key(each.edge): each for each in letters.waiting}
    unread = {key for key, each in stale.items() if key in waiting and each.known is not None}
    # An edge that waited and still waits was never sent, so it is not superseded.
    stays = unread | {key for key, each in stale.items() if key in waiting and each.message_id is None}
    found = waiting.keys() | {(each.recipient, each.purpose) for each in letters.emitted}
    return EdgeFates(
        tuple(each for key, each in waiting.items() if key not in unread),
        tuple(stale[key].edge_id for key in unread),
        sorted(each.edge_id for key, each in stale.items() if key not in stays),
        tuple(each for key, each in stale.items() if key not in found),
    )
