"""Use cases of all recipients for the items sent to them. Each one checks permission first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from shared.core.acts.act import Act, Subject
from shared.core.acts.states import Event, answer_of, follow, happened, may_come_in
from shared.core.authority import Role, state_forbids
from shared.core.contracts.answers import (
    AssessedItems,
    Erasure,
    ItemsCheckedClear,
    NoticeStatements,
    TransferAnswer,
    WithdrawalAnswer,
)
from shared.core.contracts.base import Contract
from shared.core.contracts.evidence import KeptEvidence
from shared.core.contracts.facts import RecordRevealedClear
from shared.core.contracts.holds import HoldPlacedClear
from shared.core.contracts.questions import AnsweredClear, AskedClear, Dispute, DisputedClear, Question
from shared.core.contracts.referral import ReferralRecord
from shared.core.contracts.registry import WITHDRAWALS
from shared.core.errors import Refused, not_found
from shared.core.evidence import Witness
from shared.core.ids import uuid4
from shared.core.protocol import clocks
from shared.core.protocol.authority import STATEMENT_NOT_YOURS
from shared.core.protocol.facts import check_stated
from shared.core.protocol.findings import as_final
from shared.core.protocol.items import check_times
from shared.core.protocol.message import Addressing, Received, compose_reachable
from shared.core.protocol.questions import raised, refused_steps
from shared.core.protocol.questions import steps as steps_of
from shared.core.routing.clocks import Step
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.answers import AnswerState, WithdrawalFate
from shared.core.vocabulary.referral import PriorityLevel
from shared.core.vocabulary.reveal import RevealReason
from shared.features.dialogues.store import QuestionKey
from shared.features.received import rules
from shared.features.received.store.items import PostgresItems
from shared.features.record_access.store import record_access
from shared.platform.observability.logs import log


class OwnEdges(Protocol):
    """The edges of an originating party's own referrals within one transaction."""

    @property
    def events(self) -> Sequence[Event]:
        """Return the events that the applied answers cause for their parties."""

    async def apply(self, messages: Sequence[Received]) -> dict[UUID, str]:
        """Apply answers in order. Return message id → code for each that the state machine refuses."""


@dataclass(frozen=True, slots=True)
class ItemActor:
    """The acting party, its role, its items and the time, for all acts on items. `actor` is opaque, for audit."""

    party: str
    role: Role
    actor: str
    items: PostgresItems
    directory: DirectoryIndex
    at: datetime


#: A feature's step for messages that were applied, with the store of their items.
Hear = Callable[[PostgresItems, Sequence[Received]], Awaitable[None]]


class ActUseCase(Protocol):
    """A service's use case for its own acts: its own checks, then `act`. It returns the new state."""

    async def __call__(self, row: Act, subject_id: UUID, /, *, said: Contract | None, acting: ItemActor) -> str: ...


async def receive(
    recipient: rules.RecipientKind,
    messages: Sequence[Received],
    *,
    items: PostgresItems,
    edges: OwnEdges | None = None,
    are_new: bool = False,
    hear: Sequence[Hear] = (),
) -> dict[UUID, str]:
    """Apply a batch in order: items and withdrawals, and answers if the service is an origin, too.

    Return message id → code for each message that a state machine refuses. The others are applied, then `hear` gets
    them. With `are_new`, no item is expected, so none is read: if one is stored, the transaction fails.
    """
    answers = [each for each in messages if edges is not None and each.message.is_told_to_origin]
    incoming = [each for each in messages if edges is None or not each.message.is_told_to_origin]
    are_new = are_new and all(message.message in recipient.beginning for message in incoming)
    before = {} if are_new else await items.lock([message.subject_id for message in incoming])
    now, came, events, taken = dict(before), _InboundChanges(), list[Event](), list[Received]()
    refusals = {each.message_id: STATEMENT_NOT_YOURS for each in incoming if _is_restore_replay(each, before)}
    if refusals and await items.restored():
        # Only after our database was restored may another party replay our own answers.
        refusals = {}
    incoming = [message for message in incoming if message.message_id not in refusals]
    for message in incoming:
        key = (message.subject_id, message.recipient)
        if message.moved and key not in now:
            continue  # the item was never received here: the party moved away (`moved`)
        try:
            item = rules.applied(recipient, now.get(key), message)
        except Refused as error:
            refusals[message.message_id] = error.code
            continue
        if message.again is not None and item == now.get(key):
            continue  # the party has acted here since, or the item has these answers already
        taken.append(message)
        amends = came.sort_in(message, now.get(key), item)
        now[key], row = item, (recipient.amending if amends else recipient.arriving)[message.message]
        events.append(happened(row, key[0], party=key[1], state=item.state))
    # Before the items: a new one is stored with its deadline.
    await items.clock(*_timed(recipient.subject, taken, _unclaimed(recipient, [*came.new, *came.further], now)))
    await _keep(came, before, now, items=items, count=len(taken))
    await items.apply_statements(taken)
    for each in hear:
        await each(items, taken)
    if edges is not None:
        refusals |= await edges.apply(answers)
        events += edges.events
    await items.note(events)
    return refusals


@dataclass(slots=True)
class _InboundChanges:
    """Changes of the applied messages, by kind.

    `new` items, `further` purposes, `changed` states, `resumed` answers, `amending` revisions, `heard` checks.
    """

    new: list[Received] = field(default_factory=list)
    further: list[Received] = field(default_factory=list)
    changed: dict[rules.ItemKey, tuple[str, str]] = field(default_factory=dict)
    resumed: set[rules.ItemKey] = field(default_factory=set)
    amending: list[Received] = field(default_factory=list)
    checked: set[rules.ItemKey] = field(default_factory=set)

    def sort_in(self, message: Received, known: rules.HeldItem | None, item: rules.HeldItem) -> bool:
        """Note how the message changes an item that was `known` before. Return whether it amends the item."""
        key = _key(message)
        if message.again is not None:
            self.resumed.add(key)
        if isinstance(message.clear, ItemsCheckedClear | TransferAnswer):
            self.checked.add(key)
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
    came: _InboundChanges,
    before: Mapping[rules.ItemKey, rules.HeldItem],
    now: Mapping[rules.ItemKey, rules.HeldItem],
    *,
    items: PostgresItems,
    count: int,
) -> None:
    amended = {key for key in before if now[key].revision != before[key].revision}
    amended |= {(message.subject_id, message.recipient) for message in came.amending}
    brought = came.resumed | came.checked | amended
    items.add(came.new)
    if brought or count > len(came.new):
        await items.write_new()
    await items.add_edges(came.further)
    await items.change({key: moved for key, moved in came.changed.items() if key not in brought})
    await items.resume([now[key] for key in came.resumed])
    await items.store_checks([now[key] for key in came.checked])
    if amended:
        await items.amend(came.amending, [now[key] for key in amended])


def _key(message: Received) -> rules.ItemKey:
    return message.subject_id, message.recipient


def _is_urgent(message: Received) -> bool:
    """Return whether the record says that a child is at risk."""
    record = message.sealed
    return isinstance(record, ReferralRecord) and record.priority.level is PriorityLevel.P0_CHILD_AT_RISK


def _unclaimed(
    recipient: rules.RecipientKind, new: Sequence[Received], now: Mapping[rules.ItemKey, rules.HeldItem]
) -> list[Received]:
    """Return the messages of new cases that have a child at risk and no answer yet."""
    cases = new if recipient.subject is Subject.CASE else ()
    return [each for each in cases if _is_urgent(each) and now[_key(each)].state == recipient.first]


def _timed(
    subject: Subject, messages: Sequence[Received], unclaimed: Sequence[Received]
) -> tuple[list[clocks.EdgeClock], list[clocks.EdgeStep]]:
    """Return the clock inputs of the applied messages: edges that begin, and steps on edges.

    `unclaimed` are the messages of unanswered cases with a child at risk.
    """
    begun, steps = list[clocks.EdgeClock](), list[clocks.EdgeStep]()
    for message in messages:
        if isinstance(message.clear, ItemsCheckedClear):
            steps += _steps(message, clocks.checked(message.clear.checked, message.sent_at))
        elif isinstance(message.clear, AnsweredClear):
            steps += _steps(message, steps_of(message.clear, 0, message.sent_at))
        elif message.message in WITHDRAWALS:
            steps += _steps(message, clocks.taken_back(message.sent_at))
        elif message.edge is not None:
            begun.append(clocks.received(message))
            so_far = AnswerState.NONE if message.again is None else message.again.answer
            steps += _steps(message, clocks.answered(subject, so_far, message.sent_at))
    for message in unclaimed:
        steps += _steps(message, clocks.awaits_claim(message.sent_at))
    return begun, steps


def _steps(message: Received, steps: Iterable[Step]) -> list[clocks.EdgeStep]:
    of = message.recipient, message.subject_id, message.filed_by
    return [clocks.EdgeStep.by(*of, step=step) for step in steps]


def _is_restore_replay(message: Received, before: Mapping[rules.ItemKey, rules.HeldItem]) -> bool:
    """Return whether the message reports answers that its recipient has lost in a restore.

    An item that has as many acts of its own has lost none: its sender missed it while it was in transit.
    """
    item, again = before.get(_key(message)), message.again
    return bool(again and again.restored and again.number and not (item and item.reported < item.acts >= again.number))


async def list_items(recipient: rules.RecipientKind, page: rules.ItemQuery, acting: ItemActor) -> Contract:
    """Return the party's items, newest first, without their records."""
    _require_look(recipient, acting.role)
    return await acting.items.page(acting.party, page)


async def look_at_item(recipient: rules.RecipientKind, subject_id: UUID, acting: ItemActor) -> rules.ShownItem:
    """Return one item without opening its record. Audit gets no report."""
    _require_look(recipient, acting.role)
    return await acting.items.look(subject_id)


async def show_item(
    recipient: rules.RecipientKind, subject_id: UUID, acting: ItemActor, *, reason: RevealReason | None = None
) -> rules.ShownItem:
    """Return one item with its opened record. The same transaction reports the opening and its reason to audit."""
    _require_look(recipient, acting.role)
    shown = await acting.items.show(subject_id)
    opened = RecordRevealedClear(party=acting.party, role=acting.role, actor=acting.actor, reason=reason)
    directory, at = acting.directory, acting.at
    await record_access(subject_id, opened, acting.items, exercise=shown.exercise, directory=directory, at=at)
    return shown


async def show_evidence(
    recipient: rules.RecipientKind, subject_id: UUID, acting: ItemActor, *, witness: Witness
) -> KeptEvidence:
    """Return the evidence that the item was sent. No record is opened, so audit gets no report."""
    _require_look(recipient, acting.role)
    records = await acting.items.evidence(subject_id)
    return KeptEvidence(
        version=1, evidence=tuple(witness.state(each, party=acting.party, at=acting.at) for each in records)
    )


async def act(
    row: Act, subject_id: UUID, *, said: Contract | None, acting: ItemActor, act_id: UUID | None = None
) -> str:
    """Move the party's own item, store its answer and send the answer to the sender. Return the new state.

    `act_id` is the id of the act, for a feature that stores it; by default a new one.

    Raises `Refused`: `forbidden`; `not_found` for absent items and those of other parties; `state_forbids`; the codes
    of answers that the item does not permit. A hold, question or dispute to a sender that has left the directory raises
    `recipient_unknown`.
    """
    rules.require_role(row, acting.role)
    item = (await acting.items.find([subject_id])).get((subject_id, acting.party))
    if item is None:
        raise not_found()
    if item.state not in may_come_in(row):
        raise state_forbids()
    _require_there(row, item, acting.directory)
    if isinstance(said, Question | Dispute):
        of = QuestionKey(item.party, subject_id, item.sender, own=True)
        before = (await acting.items.questions.raised([of])).get(of, ())
        said = raised(said, item.numbers, before, at=acting.at)
    return await carry_out(row, item, said=said, acting=acting, act_id=act_id)


async def carry_out(
    row: Act, item: rules.HeldItem, *, said: Contract | None, acting: ItemActor, act_id: UUID | None = None
) -> str:
    """Carry out a permitted act: move the item, store the answer and send it. Raises `Refused` as `act`.

    A sender that has left the directory gets no message. The act is stored nevertheless.
    """
    subject_id = item.subject_id
    if isinstance(said, NoticeStatements):
        check_times(said.items, acting.at, notice_id=subject_id)
    words = rules.words_of(item, said)
    if isinstance(words.sent, AssessedItems):
        record = (await acting.items.show(subject_id)).model_dump(mode="json")["record"] or {"items": ()}
        check_stated(record["items"], as_final(words.sent.assessed), field="/assessed")
    following = follow(row, item.state, words.deciding)
    assert row.message is not None
    clear, sealed = rules.written(row.message, item, words.sent, act=act_id or uuid4())
    if isinstance(said, WithdrawalAnswer | Erasure) and said.fate is WithdrawalFate.ERASED:
        await acting.items.erase(item)
    elif isinstance(said, WithdrawalAnswer):
        await acting.items.keep(item)
    answer = answer_of(row.subject, following) or AnswerState(following)
    clock_steps = (
        ()
        if row.stays
        else clocks.told_by(row.subject, clear, answer, told_at=acting.at, again=clocks.began_again(item.said))
    )
    clock_steps += steps_of(clear, item.acts + 1, acting.at)
    steps = tuple(clocks.EdgeStep.by(item.party, subject_id, item.sender, step=step) for step in clock_steps)
    await acting.items.act(rules.ItemAct(item, following, clear, sealed, steps), acting.at)
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
    """Store questions and disputes as refused, with the codes of their messages.

    `by` are the parties of the instance that refused them.
    """
    for each in await items.questions.refused(codes, by):
        of = each.between.party, each.between.told_by, each.between.counterpart
        steps = refused_steps(each.kind, each.number, each.raised_at)
        await items.clock((), [clocks.EdgeStep.by(*of, step=step) for step in steps])


def _require_there(row: Act, item: rules.HeldItem, directory: DirectoryIndex) -> None:
    """Refuse a hold, question or dispute if its sender has left the directory: it could not be answered."""
    assert row.message is not None
    begins = issubclass(row.message.clear, HoldPlacedClear | AskedClear | DisputedClear)
    if begins and directory.instance_of(item.sender) is None:
        raise Refused("recipient_unknown", "the sender is no longer in the directory, so it cannot answer")


def _require_look(recipient: rules.RecipientKind, role: Role) -> None:
    """Check that the role may read items. A role that may read one state may read all of them."""
    recipient.authority.require(recipient.subject, role, action="read", state="withdrawn")
