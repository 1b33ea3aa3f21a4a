"""The rules of all recipients for items that other parties send them, and the values of their store. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.core.acts.act import Act, CaseState, Offering, Subject, Track
from shared.core.acts.states import WITHDRAWAL_NOTED, TrackState, answer_of, begins, follow, rows_of, shown
from shared.core.acts.table import AMEND
from shared.core.authority import Authority, Role
from shared.core.clock import rfc3339
from shared.core.contracts import answers
from shared.core.contracts.base import Contract, EventTime, Flag, Instant, NextCursor, PartyId, Uuid
from shared.core.contracts.holds import HoldState
from shared.core.contracts.items import AnswerTrack
from shared.core.contracts.referral import NoticeRecord, ReferralRecord, Revision
from shared.core.contracts.registry import MessageType
from shared.core.errors import Refused
from shared.core.ids import time_of
from shared.core.protocol import findings, items
from shared.core.protocol.clocks import EdgeStep
from shared.core.protocol.items import ItemLog
from shared.core.protocol.message import Received
from shared.core.protocol.retention_grounds import after_amendment, folded, handed
from shared.core.vocabulary.answers import AnswerState, ItemFound, WithdrawalFate
from shared.core.vocabulary.preservation import HoldBasis, HoldScope
from shared.core.vocabulary.referral import PriorityLevel
from shared.core.vocabulary.routing import Purpose
from shared.features.search.rules import EVERYTHING, ListFilter

#: The key of an item: its subject (referral or notice id) and the party to which it was sent.
ItemKey = tuple[UUID, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldItem:
    """An offer, case or notice as its state machine sees it. Answers go to the party `sender`.

    `revision` is the newest one; a notice counts its own revisions. `purposes` maps each purpose of the item to its
    current revision; only some kinds of recipients permit more than one. `numbers` are the item numbers. `acts` counts
    the acts of the party, and `said` holds the stored words of these acts. `reported` counts those that the sender
    repeated, because the party did them at another instance before it moved.
    """

    subject_id: UUID
    party: str
    sender: str
    exercise: bool
    state: str
    purposes: Mapping[str, int] = field(default_factory=dict)
    numbers: tuple[int, ...] = ()
    acts: int = 0
    reported: int = 0
    said: Mapping[str, object] = field(default_factory=dict)
    revision: int = 1
    #: The party that passed it on, if that is not the sender.
    passed_by: str | None = None
    #: Its record was erased, possibly by an act that a restored database has lost.
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientKind:
    """The properties in which one kind of recipient differs from the others.

    `audience` completes the code of a refusal: `message_not_for_agencies`. `again` handles an item that is sent once
    more: it returns the new item or raises `Refused`. If it is None, a repeated item is always refused. `further` are
    the acts of features outside the core.
    """

    subject: Subject
    audience: str
    authority: Authority
    again: Callable[[HeldItem, Received], HeldItem] | None = None
    further: tuple[Act, ...] = ()
    #: Acts by the messages that others may send; acts that amend; messages that begin an item; its first state.
    arriving: Mapping[MessageType, Act] = field(init=False)
    amending: Mapping[MessageType, Act] = field(init=False)
    beginning: frozenset[MessageType] = field(init=False)
    first: str = field(init=False)

    def __post_init__(self) -> None:
        rows = [row for row in (*rows_of(self.subject), *self.further) if row.track is Track.OFFER]
        once, more = [row for row in rows if row.name != AMEND], [row for row in rows if row.name == AMEND]
        object.__setattr__(self, "arriving", {row.message: row for row in once if row.message is not None})
        beginning = frozenset(row.message for row in rows if row.message is not None and begins(row))
        object.__setattr__(self, "beginning", beginning)
        # A message that begins an item amends it if its revision is higher.
        object.__setattr__(self, "amending", {message: row for message in beginning for row in more})
        object.__setattr__(self, "first", shown(self.subject, TrackState(Offering.OPEN.value)))


def applied(recipient: RecipientKind, item: HeldItem | None, message: Received) -> HeldItem:
    """Return the item after a message of its sender. Raises `Refused` with the code for the sender's receipt."""
    row = recipient.arriving.get(message.message)
    if row is None:
        raise Refused(f"message_not_for_{recipient.audience}")
    if message.message in recipient.beginning:
        return _begun(recipient, item, message)
    if item is None or item.sender != message.sender:
        # Only the sender may move an item. Any other party gets the answer for an absent item.
        raise Refused(f"{recipient.subject}_unknown")
    following = follow(row, item.state, message.clear)
    if isinstance(message.clear, answers.ItemsCheckedClear):
        return _checked(item, message.clear, at=message.sent_at)
    if isinstance(message.clear, answers.TransferOfferedClear | answers.ClaimGrantedClear):
        return replace(item, state=following, said=folded(item.said, handed(message.clear)))
    return replace(item, state=following)


def require_role(row: Act, role: Role) -> None:
    """Check that the role may ever do this act, before any lookup. Raises `Refused("forbidden")`."""
    if role not in row.roles:
        raise Refused("forbidden", "the role may not do this", status=403)


class AnswerCodes(NamedTuple):
    """The words that an act sends, and the words that decide the next state.

    For answers about items, the second is the combined result of all answers so far.
    """

    sent: Contract | None
    deciding: Contract | None


def words_of(item: HeldItem, said: Contract | None) -> AnswerCodes:
    """Return the words that this statement sends. Raises `Refused` as `items.answered` and `items.disowned` do."""
    before = ItemLog.kept(item.said)
    answer: Contract
    match said:
        case answers.NoticeStatements():
            stated = items.answered(said.items, item.numbers, before)
            answer = answers.ItemAnswers(items=stated.answers)
        case answers.NoticeDisowning():
            stated = items.disowned(said.disowned, item.numbers, before)
            answer = answers.DisownedItems(disowned=stated.disowned)
        case answers.Reinstatement():
            stated = items.reinstated(said.reinstated, item.numbers, before)
            answer = answers.ReinstatedItems(reinstated=stated.reinstated)
        case answers.OfferFindings():
            found = findings.found_in(item.said)
            assessed = findings.stated(said.assessed, item.numbers, found)
            return AnswerCodes(
                answers.AssessedItems(assessed=assessed), findings.fold_offer(item.numbers, [*found, *assessed])
            )
        case answers.WithdrawalAnswer(fate=WithdrawalFate.KEPT) if item.gone:
            raise Refused("nothing_to_keep", "the record was erased: answer erased", field="/fate", status=409)
        case _:
            return AnswerCodes(said, said)
    return AnswerCodes(answer, items.fold(item.numbers, before + stated))


def written(
    message: MessageType, item: HeldItem, said: Contract | None, *, act: UUID
) -> tuple[Contract, Contract | None]:
    """Return the clear and the sealed part of an answer. Words that have a field in the sealed part go there."""
    words = {} if said is None else {name: getattr(said, name) for name in type(said).model_fields}
    subject_id = item.subject_id
    named = {"referral_id": subject_id, "notice_id": subject_id, "revision": item.revision} | words
    named |= {"act": act, "number": item.acts + 1}
    clear = message.clear(**{name: value for name, value in named.items() if name in message.clear.model_fields})
    if message.sealed is None:
        return clear, None
    hidden = {name: words[name] for name in message.sealed.model_fields if words.get(name) is not None}
    return clear, message.sealed(**hidden) if hidden else None


#: The answers of an agency that has accepted a case.
_TAKEN_UP: Final = frozenset({AnswerState.ACCEPTED, AnswerState.ONGOING, AnswerState.CLOSED})
_TAKEN_BACK: Final = frozenset({Offering.WITHDRAWN.value, *WITHDRAWAL_NOTED})


def _checked(item: HeldItem, clear: answers.ItemsCheckedClear, *, at: datetime) -> HeldItem:
    """Store the sender's checks in the item; an item that reappeared makes the notice open again.

    `at` is the time of the message. Raises `Refused` with `time_ahead` or `time_early`, and as `items.check_found`.
    """
    for place, each in enumerate(clear.checked):
        items.check_time(each.at, at, field=f"/checked/{place}/at", since=time_of(item.subject_id))
    found = ItemLog(checks=clear.checked)
    items.check_found(clear.checked, item.numbers, ItemLog.kept(item.said))
    state, said = item.state, folded(item.said, found.words())
    if any(each.found is ItemFound.REAPPEARED for each in clear.checked):
        state = items.fold(item.numbers, ItemLog.kept(said)).items.value
    return replace(item, state=state, said=said)


def _begun(recipient: RecipientKind, item: HeldItem | None, message: Received) -> HeldItem:
    """Return the item that a message begins, or that the party had begun before it moved to this instance."""
    assert message.edge is not None
    purpose = message.edge.purpose.value
    if item is not None:
        known = item.purposes.get(purpose)
        if known is not None and revision_of(message) > known:
            return _amended(recipient, item, message, purpose=purpose)
        if known is not None and message.again is not None:
            return _taken_up(recipient, item, message, again=message.again)
        if recipient.again is None:
            raise Refused(f"{recipient.subject}_exists")
        return recipient.again(item, message)
    begun = HeldItem(
        subject_id=message.subject_id,
        party=message.recipient,
        sender=message.filed_by,
        exercise=message.exercise,
        state=recipient.first,
        purposes={purpose: revision_of(message)},
        numbers=numbers_of(message),
        revision=revision_of(message),
        passed_by=None if message.filed_by == message.sender else message.sender,
    )
    return begun if message.again is None else _answered(recipient, begun, message, again=message.again)


def _amended(recipient: RecipientKind, item: HeldItem, message: Received, *, purpose: str) -> HeldItem:
    """Return the item with its amended content. The party's answers stay, and are applied to the new content."""
    # A later revision comes from the same parties as the first one.
    if (item.sender, item.passed_by or item.sender) != (message.filed_by, message.sender):
        raise Refused(f"{recipient.subject}_exists")
    state = follow(recipient.amending[message.message], item.state)
    numbers, revision = numbers_of(message), revision_of(message)
    purposes = {**item.purposes, purpose: revision}
    if (answer := answer_of(recipient.subject, state)) is not None:
        after = after_amendment(answer, item.said, numbers=numbers)
        state = shown(recipient.subject, TrackState(Offering.OPEN.value, after.value))
    newest = max(item.revision, revision)
    amended = replace(item, state=state, numbers=numbers, revision=newest, purposes=purposes)
    return amended if message.again is None else _taken_up(recipient, amended, message, again=message.again)


def revision_of(message: Received) -> int:
    """Return the revision of the edge in a message; 1 if the message names none."""
    return getattr(message.clear, "revision", None) or 1


def numbers_of(message: Received) -> tuple[int, ...]:
    """Return the numbers of a record's items. They alone are stored unencrypted, because answers name them."""
    record = message.sealed
    return tuple(item.n for item in record.items) if isinstance(record, ReferralRecord | NoticeRecord) else ()


def _taken_up(recipient: RecipientKind, item: HeldItem, message: Received, *, again: AnswerTrack) -> HeldItem:
    """Apply the reported answers of another instance, unless the party has acted here since.

    Answers that this database has lost in a restore count again, unless the party has done as many acts meanwhile.
    """
    if item.sender != message.sender:
        raise Refused(f"{recipient.subject}_exists")
    forgotten = again.restored and again.number > item.acts
    acted_here = item.acts != item.reported and not again.moved and not forgotten
    if acted_here or again.number < item.acts or item.state in _TAKEN_BACK:
        return item
    return _answered(recipient, item, message, again=again)


def _answered(recipient: RecipientKind, item: HeldItem, message: Received, *, again: AnswerTrack) -> HeldItem:
    state = shown(recipient.subject, TrackState(Offering.OPEN.value, again.answer.value))
    of_items = ItemLog(again.items, again.disowned, again.checked, again.reinstated)
    said = of_items.words() | findings.kept(again.assessed)
    # An accepted case wins over a withdrawal here, too. The message does not state when the case was accepted.
    taken_up = recipient.subject is Subject.CASE and again.answer in _TAKEN_UP
    known = ({"accepted_at": rfc3339(message.sent_at)} if taken_up else {}) | dict(item.said)
    return replace(item, state=state, acts=again.number, reported=again.number, said=known | said)


class ShownItem(Contract):
    """The fields that a party sees of an item of any kind. `revision` is the current one; a notice counts its own."""

    purpose: Purpose
    revision: Revision
    exercise: Flag
    received_at: Instant
    priority: PriorityLevel | None


@dataclass(frozen=True, slots=True)
class ItemQuery:
    """The query of a list: at most `limit` items in `state` (None: any state) after `cursor` that match `sought`.

    `claimed_by` limits the list to the claims of one person, by an opaque name.
    """

    state: str | None = None
    cursor: str | None = None
    limit: int = 50
    sought: ListFilter = EVERYTHING
    claimed_by: str | None = None


class ItemAct(NamedTuple):
    """An act on an item: the state after it, its clear and its sealed words, and its clock steps."""

    item: HeldItem
    following: str
    clear: Contract
    sealed: Contract | None = None
    steps: tuple[EdgeStep, ...] = ()


class RequestedHold(Contract):
    """A hold that this agency has requested. The origin holds until `not_after`; null before it has answered.

    `held` counts the notices that wait, `issued` the notices that were sent before the hold. If the hold came too late,
    `issued_at` is the time of the last notice.
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

    items: tuple[RequestedHold, ...]
    next: NextCursor


class SimilarCase(Contract):
    """Another open case of the agency at the same location, from any origin. `held`: it has a hold."""

    referral_id: Uuid
    origin: PartyId
    state: CaseState
    held: Flag


@dataclass(frozen=True, slots=True)
class OpenHold:
    """A hold that is in force or not answered yet, and the time at which it currently ends."""

    hold_id: UUID
    ends: datetime


@dataclass(frozen=True, slots=True)
class CaseLease:
    """The `number`th lease of a case, held by `actor` until `until`. If `actor` is None, no officer holds the case."""

    number: int
    actor: str | None
    until: datetime

    def is_held(self, at: datetime) -> bool:
        """Return whether an officer holds the case by this lease. After its end any officer may act."""
        return self.actor is not None and at < self.until

    def keeps(self, actor: str, at: datetime) -> bool:
        """Return whether another actor holds the lease, so that this actor has to wait."""
        return self.is_held(at) and self.actor != actor


#: The lease of a case that was never claimed.
UNCLAIMED = CaseLease(0, None, datetime.min.replace(tzinfo=UTC))


def claimed() -> Refused:
    """Return the refusal for a case that another officer holds. The list of cases names the officer and the end."""
    return Refused("case_claimed", "another officer has claimed this case: wait until claimed_until", status=409)


@dataclass(frozen=True, slots=True)
class PassedCase:
    """A case that was passed on by a message: the edge of the other agency, and the state `stood` before.

    `urgent`: by its current record, a child is at risk.
    """

    message_id: UUID
    referral_id: UUID
    party: str
    edge_id: UUID
    stood: str
    urgent: bool = False
