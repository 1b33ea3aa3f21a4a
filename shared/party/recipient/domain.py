"""What every recipient decides about items that others send it, and what its store gives and takes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.contracts.answers import (
    AssessedItems,
    ClaimGrantedClear,
    DisownedItems,
    ItemAnswers,
    ItemsCheckedClear,
    NoticeDisowning,
    NoticeStatements,
    OfferFindings,
    ReinstatedItems,
    Reinstatement,
    TransferOfferedClear,
    WithdrawalAnswer,
)
from shared.contracts.base import Contract, EventTime, Flag, Instant, NextCursor, PartyId, Uuid
from shared.contracts.holds import HoldState
from shared.contracts.items import AnsweredSoFar
from shared.contracts.referral import NoticeRecord, ReferralRecord, Revision
from shared.contracts.registry import MessageType
from shared.exchange import findings, items
from shared.exchange.act import Act, CaseState, Offered, Subject, Track
from shared.exchange.acts import AMEND
from shared.exchange.clocks import Happened
from shared.exchange.items import Said
from shared.exchange.message import Received
from shared.exchange.retention_grounds import after_amendment, folded, handed
from shared.exchange.states import WITHDRAWAL_NOTED, Standing, answer_of, begins, follow, rows_of, shown
from shared.kernel.authority import Authority, Role
from shared.kernel.clock import rfc3339
from shared.kernel.errors import Refused
from shared.party.list_filter import EVERYTHING, Sought
from shared.vocabulary.answers import AnswerState, ItemFound, WithdrawalFate
from shared.vocabulary.preservation import HoldBasis, HoldScope
from shared.vocabulary.referral import PriorityLevel
from shared.vocabulary.routing import Purpose

#: An item is known by its subject (referral or notice id) and the party it was sent to.
ItemKey = tuple[UUID, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An offer, case or notice as its state machine sees it; `sender` is the party that answers go to.

    `revision` is the newest one, of a notice its own. `purposes` are those that it was sent for, each with the revision
    that stands for it: more than one only where a recipient permits that. `numbers` are those of its items, `acts` how
    many its party has done, `said` the words of these acts as they are kept. `told` of the acts are those that its
    sender told of, since its party did them elsewhere until it moved.
    """

    subject_id: UUID
    party: str
    sender: str
    exercise: bool
    state: str
    purposes: Mapping[str, int] = field(default_factory=dict)
    numbers: tuple[int, ...] = ()
    acts: int = 0
    told: int = 0
    said: Mapping[str, object] = field(default_factory=dict)
    revision: int = 1
    #: Who has passed it on, where that was not its sender.
    passed_by: str | None = None
    #: Whether its record was erased, maybe by what a restored database has forgotten.
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientKind:
    """What sets one kind of recipient apart. Whatever is not said here is the same for all.

    `audience` completes the code of a refusal: `message_not_for_agencies`. `again` is what becomes of an item that is
    sent once more: it returns the item, or raises `Refused`; None refuses it always.
    """

    subject: Subject
    audience: str
    authority: Authority
    again: Callable[[Item, Received], Item] | None = None
    #: What others may send, which of it amends an item, what begins one, and the state that it begins in.
    arriving: Mapping[MessageType, Act] = field(init=False)
    amending: Mapping[MessageType, Act] = field(init=False)
    beginning: frozenset[MessageType] = field(init=False)
    first: str = field(init=False)

    def __post_init__(self) -> None:
        rows = [row for row in rows_of(self.subject) if row.track is Track.OFFER]
        once, more = [row for row in rows if row.name != AMEND], [row for row in rows if row.name == AMEND]
        object.__setattr__(self, "arriving", {row.message: row for row in once if row.message is not None})
        beginning = frozenset(row.message for row in rows if row.message is not None and begins(row))
        object.__setattr__(self, "beginning", beginning)
        # Whatever begins one amends it, under a higher revision.
        object.__setattr__(self, "amending", {message: row for message in beginning for row in more})
        object.__setattr__(self, "first", shown(self.subject, Standing(Offered.OPEN.value)))


def applied(recipient: RecipientKind, item: Item | None, message: Received) -> Item:
    """The item after a message of its sender. Raises `Refused` with the code that the sender is told."""
    row = recipient.arriving.get(message.message)
    if row is None:
        raise Refused(f"message_not_for_{recipient.audience}")
    if message.message in recipient.beginning:
        return _begun(recipient, item, message)
    if item is None or item.sender != message.sender:
        # Only the sender may move what it has sent: for anybody else it is not there.
        raise Refused(f"{recipient.subject}_unknown")
    following = follow(row, item.state, message.clear)
    if isinstance(message.clear, ItemsCheckedClear):
        return _checked(item, message.clear, at=message.sent_at)
    if isinstance(message.clear, TransferOfferedClear | ClaimGrantedClear):
        return replace(item, state=following, said=folded(item.said, handed(message.clear)))
    return replace(item, state=following)


def require_role(row: Act, role: Role) -> None:
    """Raises `Refused("forbidden")` for a role that never may, before anything is looked up for it."""
    if role not in row.roles:
        raise Refused("forbidden", "the role may not do this", status=403)


class Words(NamedTuple):
    """What an act tells, and what of it decides where its subject moves: of items, what all answers make of them."""

    told: Contract | None
    deciding: Contract | None


def words_of(item: Item, said: Contract | None) -> Words:
    """What is told when this is said of an item. Raises `Refused` as `answered` and `disowned` of items do."""
    match said:
        case NoticeStatements():
            before = Said.kept(item.said)
            stated = items.answered(said.items, item.numbers, before)
            return Words(ItemAnswers(items=stated.answers), items.fold(item.numbers, before + stated))
        case NoticeDisowning():
            before = Said.kept(item.said)
            stated = items.disowned(said.disowned, item.numbers, before)
            return Words(DisownedItems(disowned=stated.disowned), items.fold(item.numbers, before + stated))
        case Reinstatement():
            before = Said.kept(item.said)
            stated = items.reinstated(said.reinstated, item.numbers, before)
            return Words(ReinstatedItems(reinstated=stated.reinstated), items.fold(item.numbers, before + stated))
        case OfferFindings():
            found = findings.found_in(item.said)
            assessed = findings.stated(said.assessed, item.numbers, found)
            return Words(AssessedItems(assessed=assessed), findings.fold_offer(item.numbers, [*found, *assessed]))
        case WithdrawalAnswer(fate=WithdrawalFate.KEPT) if item.gone:
            raise Refused("nothing_to_keep", "its record was erased: say so", field="/fate", status=409)
        case _:
            return Words(said, said)


def written(message: MessageType, item: Item, said: Contract | None, *, act: UUID) -> tuple[Contract, Contract | None]:
    """The clear and the sealed part of an answer. What the sealed part has a place for goes there, if it was said."""
    words = {} if said is None else {name: getattr(said, name) for name in type(said).model_fields}
    subject_id = item.subject_id
    named = {"referral_id": subject_id, "notice_id": subject_id, "revision": item.revision} | words
    named |= {"act": act, "number": item.acts + 1}
    clear = message.clear(**{name: value for name, value in named.items() if name in message.clear.model_fields})
    if message.sealed is None:
        return clear, None
    hidden = {name: words[name] for name in message.sealed.model_fields if words.get(name) is not None}
    return clear, message.sealed(**hidden) if hidden else None


def item_numbers(message: Received) -> list[str]:
    """The numbers of a record's items. Of the record they alone are kept in the clear: whoever answers names them."""
    return [str(n) for n in numbers_of(message)]


#: What an agency has answered once it has accepted a case.
_TAKEN_UP: Final = frozenset({AnswerState.ACCEPTED, AnswerState.ONGOING, AnswerState.CLOSED})
_TAKEN_BACK: Final = frozenset({Offered.WITHDRAWN.value, *WITHDRAWAL_NOTED})


def _checked(item: Item, clear: ItemsCheckedClear, *, at: datetime) -> Item:
    """What was found is kept; what is there again makes it open again. `at` is when it was said.

    Raises `Refused`: `time_ahead`, and as `items.check_found`.
    """
    for place, each in enumerate(clear.checked):
        items.check_time(each.at, at, field=f"/checked/{place}/at")
    found = Said(checks=clear.checked)
    items.check_found(clear.checked, item.numbers, Said.kept(item.said))
    state, said = item.state, folded(item.said, found.words())
    if any(each.found is ItemFound.REAPPEARED for each in clear.checked):
        state = items.fold(item.numbers, Said.kept(said)).items.value
    return replace(item, state=state, said=said)


def _begun(recipient: RecipientKind, item: Item | None, message: Received) -> Item:
    """The item that a message begins, or that its party has begun where it was before."""
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
    begun = Item(
        subject_id=UUID(message.subject),
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


def _amended(recipient: RecipientKind, item: Item, message: Received, *, purpose: str) -> Item:
    """The item under the content that follows. What its party has said stays said, and means what it means to that."""
    # What is sent of it once more comes from where it came from before.
    if (item.sender, item.passed_by or item.sender) != (message.filed_by, message.sender):
        raise Refused(f"{recipient.subject}_exists")
    state = follow(recipient.amending[message.message], item.state)
    numbers, revision = numbers_of(message), revision_of(message)
    purposes = {**item.purposes, purpose: revision}
    if (answer := answer_of(recipient.subject, state)) is not None:
        after = after_amendment(answer, item.said, numbers=numbers)
        state = shown(recipient.subject, Standing(Offered.OPEN.value, after.value))
    newest = max(item.revision, revision)
    amended = replace(item, state=state, numbers=numbers, revision=newest, purposes=purposes)
    return amended if message.again is None else _taken_up(recipient, amended, message, again=message.again)


def revision_of(message: Received) -> int:
    """The revision under which an edge is sent: what names none is the first."""
    return getattr(message.clear, "revision", None) or 1


def numbers_of(message: Received) -> tuple[int, ...]:
    """The numbers of a record's items."""
    record = message.sealed
    return tuple(item.n for item in record.items) if isinstance(record, ReferralRecord | NoticeRecord) else ()


def _taken_up(recipient: RecipientKind, item: Item, message: Received, *, again: AnsweredSoFar) -> Item:
    """What was done elsewhere counts here as long as nothing was done here since: then that is what counts.

    What was done here and forgotten counts again, unless as much was done here meanwhile.
    """
    if item.sender != message.sender:
        raise Refused(f"{recipient.subject}_exists")
    forgotten = again.restored and again.number > item.acts
    acted_here = item.acts != item.told and not again.moved and not forgotten
    if acted_here or again.number < item.acts or item.state in _TAKEN_BACK:
        return item
    return _answered(recipient, item, message, again=again)


def _answered(recipient: RecipientKind, item: Item, message: Received, *, again: AnsweredSoFar) -> Item:
    state = shown(recipient.subject, Standing(Offered.OPEN.value, again.answer.value))
    of_items = Said(again.items, again.disowned, again.checked, again.reinstated)
    said = of_items.words() | findings.kept(again.assessed)
    # What wins over a withdrawal wins here, too. When it was accepted is not told: not after this.
    taken_up = recipient.subject is Subject.CASE and again.answer in _TAKEN_UP
    known = ({"accepted_at": rfc3339(message.sent_at)} if taken_up else {}) | dict(item.said)
    return replace(item, state=state, acts=again.number, told=again.number, said=known | said)


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
    """An act on an item: the state that it leads to, what was said, in the clear and sealed, and its clock steps."""

    item: Item
    following: str
    clear: Contract
    sealed: Contract | None = None
    steps: tuple[Happened, ...] = ()


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
