"""What every recipient does with the items sent to it. Each use case checks permission first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from shared.contracts.answers import Erasure, ItemsCheckedClear, NoticeStatements, OnTransfer, WithdrawalAnswer
from shared.contracts.base import Contract
from shared.contracts.evidence import KeptEvidence
from shared.contracts.facts import RecordRevealedClear
from shared.contracts.holds import HoldPlacedClear
from shared.contracts.questions import AnsweredClear, AskedClear, Dispute, DisputedClear, Question
from shared.contracts.referral import ReferralRecord
from shared.contracts.registry import WITHDRAWALS
from shared.exchange.act import Act, Subject
from shared.exchange.acts import STAYING
from shared.exchange.authority import STATEMENT_NOT_YOURS
from shared.exchange.clocks import (
    Clocked,
    Happened,
    answered,
    awaits_claim,
    began_again,
    checked,
    received,
    taken_back,
    told_by,
)
from shared.exchange.evidence import Witness
from shared.exchange.items import check_times
from shared.exchange.message import Addressing, Received, compose_reachable
from shared.exchange.origin import ANSWERS
from shared.exchange.questions import raised, refused_steps
from shared.exchange.questions import steps as steps_of
from shared.exchange.states import Event, answer_of, follow, happened
from shared.kernel.authority import Role
from shared.kernel.errors import Refused, not_found
from shared.kernel.ids import uuid4
from shared.party.questions.store import Between
from shared.party.recipient.domain import (
    Item,
    ItemAct,
    ItemKey,
    Page,
    RecipientKind,
    ShownItem,
    applied,
    require_role,
    words_of,
    written,
)
from shared.party.recipient.store.items import PostgresItems
from shared.party.stores import tell_opened
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.watch.logs import log
from shared.vocabulary.answers import AnswerState, WithdrawalFate
from shared.vocabulary.referral import PriorityLevel
from shared.vocabulary.reveal import RevealReason


class OwnEdges(Protocol):
    """The edges of an originating party's own referrals within one transaction."""

    @property
    def events(self) -> Sequence[Event]:
        """What the answers that were applied mean to their parties."""

    async def apply(self, messages: Sequence[Received]) -> dict[UUID, str]:
        """Apply answers in order; message id → code for each that the state machine refuses."""


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts, when, on what: everything that all acts on items need. `actor` is opaque, for audit."""

    party: str
    role: Role
    actor: str
    items: PostgresItems
    directory: DirectoryIndex
    at: datetime


class ActOn(Protocol):
    """A service's use case for its own acts: what it checks itself, then `use_cases.act`. Returns the new state."""

    async def __call__(self, row: Act, subject_id: UUID, /, *, said: Contract | None, acting: Acting) -> str: ...


async def receive(
    recipient: RecipientKind,
    messages: Sequence[Received],
    *,
    items: PostgresItems,
    edges: OwnEdges | None = None,
    are_new: bool = False,
) -> dict[UUID, str]:
    """Apply a batch in order: what others send and take back and, where the service is an origin too, their answers.

    Returns message id → code for each message that a state machine refuses; the others are applied. `are_new`: no item
    of these messages is expected here, so none is looked for. One that is here nevertheless fails the transaction.
    """
    answers = [message for message in messages if edges is not None and message.message in ANSWERS]
    incoming = [message for message in messages if edges is None or message.message not in ANSWERS]
    are_new = are_new and all(message.message in recipient.beginning for message in incoming)
    before = {} if are_new else await items.lock([UUID(message.subject) for message in incoming])
    now, refusals = dict[ItemKey, Item](before), dict[UUID, str]()
    came, events, taken = _Came(), list[Event](), list[Received]()
    if any(map(_tells_forgotten, incoming)) and not await items.restored():
        # Who has forgotten nothing is not told by others what it has said.
        refusals |= {each.message_id: STATEMENT_NOT_YOURS for each in incoming if _tells_forgotten(each)}
        incoming = [message for message in incoming if message.message_id not in refusals]
    for message in incoming:
        key = (UUID(message.subject), message.recipient)
        if message.moved and key not in now:
            continue  # whatever else would be of it was never taken here: `moved`
        try:
            item = applied(recipient, now.get(key), message)
        except Refused as error:
            refusals[message.message_id] = error.code
            continue
        if message.again is not None and item == now.get(key):
            continue  # its party has done more here than elsewhere, or has it from there already
        taken.append(message)
        amends = came.sort_in(message, now.get(key), item)
        row = (recipient.amending if amends else recipient.arriving)[message.message]
        now[key] = item
        events.append(happened(row, key[0], party=key[1], state=item.state))
    # Before the items: a new one is stored with its deadline.
    await items.clock(*_timed(recipient.subject, taken, _unclaimed(recipient, [*came.new, *came.further], now)))
    await _keep(came, before, now, items=items, count=len(taken))
    await items.heard(taken)
    if edges is not None:
        refusals |= await edges.apply(answers)
        events += edges.events
    await items.note(events)
    return refusals


@dataclass(slots=True)
class _Came:
    """What messages that were taken bring.

    What begins, is for a further purpose, moves, goes on, is amended, or has its origin say what it has found.
    """

    new: list[Received] = field(default_factory=list)
    further: list[Received] = field(default_factory=list)
    changed: dict[ItemKey, tuple[str, str]] = field(default_factory=dict)
    resumed: set[ItemKey] = field(default_factory=set)
    amending: list[Received] = field(default_factory=list)
    heard: set[ItemKey] = field(default_factory=set)

    def sort_in(self, message: Received, known: Item | None, item: Item) -> bool:
        """Note what the message makes of an item, as it was `known` before; whether it amends that."""
        key = _key(message)
        if message.again is not None:
            self.resumed.add(key)
        if isinstance(message.clear, ItemsCheckedClear | OnTransfer):
            self.heard.add(key)
        if known is None:
            self.new.append(message)
        elif item.purposes.keys() != known.purposes.keys():
            self.further.append(message)
        elif item.purposes != known.purposes:
            self.amending.append(message)
            return True
        elif item.state != known.state:
            self.changed[key] = (self.changed.get(key, (known.state, ""))[0], item.state)
        return False


async def _keep(
    came: _Came, before: Mapping[ItemKey, Item], now: Mapping[ItemKey, Item], *, items: PostgresItems, count: int
) -> None:
    amended = {key for key in before if now[key].revision != before[key].revision}
    amended |= {(UUID(message.subject), message.recipient) for message in came.amending}
    brought = came.resumed | came.heard | amended
    items.add(came.new)
    if brought or count > len(came.new):
        await items.write_new()
    await items.add_edges(came.further)
    await items.change({key: moved for key, moved in came.changed.items() if key not in brought})
    await items.resume([now[key] for key in came.resumed])
    await items.hear([now[key] for key in came.heard])
    if amended:
        await items.amend(came.amending, [now[key] for key in amended])


def _key(message: Received) -> ItemKey:
    return UUID(message.subject), message.recipient


def _is_urgent(message: Received) -> bool:
    """Whether a child is at risk, as the record says."""
    record = message.sealed
    return isinstance(record, ReferralRecord) and record.priority.level is PriorityLevel.P0_CHILD_AT_RISK


def _unclaimed(recipient: RecipientKind, new: Sequence[Received], now: Mapping[ItemKey, Item]) -> list[Received]:
    """What brings a case where a child is at risk, and nobody has answered."""
    cases = new if recipient.subject is Subject.CASE else ()
    return [each for each in cases if _is_urgent(each) and now[_key(each)].state == recipient.first]


def _timed(
    subject: Subject, messages: Sequence[Received], unclaimed: Sequence[Received]
) -> tuple[list[Clocked], list[Happened]]:
    """What messages that were taken mean to clocks: edges that begin, and what has happened to them.

    `unclaimed` bring cases where a child is at risk.
    """
    begun, steps = list[Clocked](), list[Happened]()
    for message in messages:
        of = message.recipient, UUID(message.subject), message.filed_by
        if isinstance(message.clear, ItemsCheckedClear):
            steps += [Happened.by(*of, step=step) for step in checked(message.clear.checked, message.sent_at)]
        elif isinstance(message.clear, AnsweredClear):
            steps += [Happened.by(*of, step=step) for step in steps_of(message.clear, 0, message.sent_at)]
        elif message.message in WITHDRAWALS:
            steps += [Happened.by(*of, step=step) for step in taken_back(message.sent_at)]
        elif message.edge is not None:
            begun.append(received(message))
            so_far = AnswerState.NONE if message.again is None else message.again.answer
            steps += [Happened.by(*of, step=step) for step in answered(subject, so_far, message.sent_at)]
    for message in unclaimed:
        of = message.recipient, UUID(message.subject), message.filed_by
        steps += [Happened.by(*of, step=step) for step in awaits_claim(message.sent_at)]
    return begun, steps


def _tells_forgotten(message: Received) -> bool:
    """Whether it says that its recipient has answered and then forgotten it."""
    return message.again is not None and message.again.restored and message.again.number > 0


async def list_items(recipient: RecipientKind, page: Page, acting: Acting) -> Contract:
    """The party's items, newest first, without their records."""
    _require_look(recipient, acting.role)
    return await acting.items.page(acting.party, page)


async def look_at_item(recipient: RecipientKind, subject_id: UUID, acting: Acting) -> ShownItem:
    """One item, its record left closed: nothing of it is told to audit."""
    _require_look(recipient, acting.role)
    return await acting.items.look(subject_id)


async def show_item(
    recipient: RecipientKind, subject_id: UUID, acting: Acting, *, reason: RevealReason | None = None
) -> ShownItem:
    """One item with its opened record. That it was opened, and why, is told to audit, or it is not opened."""
    _require_look(recipient, acting.role)
    shown = await acting.items.show(subject_id)
    opened = RecordRevealedClear(party=acting.party, role=acting.role, actor=acting.actor, reason=reason)
    directory, at = acting.directory, acting.at
    await tell_opened(subject_id, opened, acting.items, exercise=shown.exercise, directory=directory, at=at)
    return shown


async def show_evidence(
    recipient: RecipientKind, subject_id: UUID, acting: Acting, *, witness: Witness
) -> KeptEvidence:
    """What proves that the item was sent, for whoever may look at it. It opens no record, so audit is not told."""
    _require_look(recipient, acting.role)
    records = await acting.items.evidence(subject_id)
    return KeptEvidence(
        version=1, evidence=tuple(witness.state(each, party=acting.party, at=acting.at) for each in records)
    )


async def act(recipient: RecipientKind, row: Act, subject_id: UUID, *, said: Contract | None, acting: Acting) -> str:
    """Move the party's own item, keep what was said, and tell its sender; the new state.

    Raises `Refused`: `forbidden`, `not_found` for absent and foreign items alike, `state_forbids`, `recipient_unknown`
    for what begins something with a sender that has left the directory, and what may not be said of an item.
    """
    require_role(row, acting.role)
    item = (await acting.items.find([subject_id])).get((subject_id, acting.party))
    if item is None:
        raise not_found()
    recipient.authority.require(recipient.subject, acting.role, action=row.name, state=item.state)
    _require_there(row, item, acting.directory)
    if isinstance(said, Question | Dispute):
        of = Between(item.party, subject_id, item.sender, own=True)
        before = (await acting.items.questions.raised([of])).get(of, ())
        said = raised(said, item.numbers, before, at=acting.at)
    return await carry_out(row, item, said=said, acting=acting)


async def carry_out(row: Act, item: Item, *, said: Contract | None, acting: Acting) -> str:
    """Move an item as whoever may has decided, keep what was said, and tell its sender. Raises `Refused` as `act`.

    A sender that has left the directory is not told, and is owed nothing: what is said ends or answers something.
    """
    subject_id = item.subject_id
    if isinstance(said, NoticeStatements):
        check_times(said.items, acting.at)
    words = words_of(item, said)
    following = follow(row, item.state, words.deciding)
    assert row.message is not None
    clear, sealed = written(row.message, item, words.told, act=uuid4())
    if isinstance(said, WithdrawalAnswer | Erasure) and said.fate is WithdrawalFate.ERASED:
        await acting.items.erase(item)
    elif isinstance(said, WithdrawalAnswer):
        await acting.items.keep(item)
    stands = answer_of(row.subject, following) or AnswerState(following)
    told = (
        ()
        if row.message in STAYING
        else told_by(row.subject, clear, stands, told_at=acting.at, again=began_again(item.said))
    )
    told += steps_of(clear, item.acts + 1, acting.at)
    steps = tuple(Happened.by(item.party, subject_id, item.sender, step=step) for step in told)
    await acting.items.act(ItemAct(item, following, clear, sealed, steps), acting.at)
    await acting.items.note([happened(row, subject_id, party=item.party, state=following)])
    drafts = compose_reachable(
        row.message,
        clear,
        Addressing(
            subject=subject_id,
            sender=item.party,
            recipient=item.sender,
            directory=acting.directory,
            exercise=item.exercise,
            at=acting.at,
        ),
        sealed=sealed.model_dump_json().encode() if sealed else None,
    )
    await acting.items.send(drafts)
    if not drafts:
        log("answer_untold", subject=str(subject_id), kind=row.name, code="recipient_unknown")
    elif isinstance(clear, AskedClear | DisputedClear):
        await acting.items.questions.sent(clear.act, drafts[0].message_id)
    return following


async def not_raised(codes: Mapping[UUID, str], items: PostgresItems, *, by: Collection[str]) -> None:
    """Note questions and disputes as refused, with the codes of their messages. `by`: the parties of that instance."""
    for each in await items.questions.refused(codes, by):
        of = each.between.party, each.between.told_by, each.between.counterpart
        steps = refused_steps(each.kind, each.number, each.raised_at)
        await items.clock((), [Happened.by(*of, step=step) for step in steps])


def _require_there(row: Act, item: Item, directory: DirectoryIndex) -> None:
    """What begins something wants an answer: of one that has left nobody gives it."""
    assert row.message is not None
    begins = issubclass(row.message.clear, HoldPlacedClear | AskedClear | DisputedClear)
    if begins and directory.instance_of(item.sender) is None:
        raise Refused("recipient_unknown", "who has sent it has left the directory: nobody is there to answer")


def _require_look(recipient: RecipientKind, role: Role) -> None:
    """Whoever may look at an item in one state may look at all of them."""
    recipient.authority.require(recipient.subject, role, action="read", state="withdrawn")
