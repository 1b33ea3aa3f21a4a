"""What the services answer, as the client reads it.

A view has the fields that this code reads. All others are kept as they came, so an older client goes on working.
States and codes are plain text for the same reason: the services own the lists.
"""

from __future__ import annotations

from typing import Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from shared.contracts.base import Instant

ItemT = TypeVar("ItemT")
ViewT = TypeVar("ViewT", bound="View")


class View(BaseModel):
    """One answer. Frozen; unknown fields are kept; input is never echoed in errors."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)


def read_in(view: type[ViewT], part: JsonValue) -> ViewT | None:
    """A part of an answer that is kept as it was sent, read for showing; None if it does not look like `view`."""
    try:
        return view.model_validate(part)
    except ValidationError:
        return None


class Page(View, Generic[ItemT]):
    """One page of a list. `next` is the opaque cursor of the page after it, None on the last."""

    items: tuple[ItemT, ...]
    next: str | None = None


class WhoAsks(View):
    """The party that a key acts for, as what, and of whom an auditor sees anything (None: of all)."""

    party: str
    kind: str
    roles: tuple[str, ...]
    scope: dict[str, tuple[str, ...]] | None = None


class Recipient(View):
    """One edge of a decision: who is sent the referral, for what, and by which rules."""

    recipient: str
    purpose: str
    reason: str
    rules: tuple[str, ...] = ()


class ItemProblem(View):
    """Why one item was refused: a code, the JSON pointer of the field and the rule. Never the value."""

    code: str
    field: str | None = None
    rule: str | None = None
    errors: tuple[FieldProblem, ...] = ()
    referral: str | None = None


class FieldProblem(View):
    """One field that breaks one rule; `expected`: what would be right there."""

    field: str | None = None
    rule: str | None = None
    expected: str | None = None


class Acceptance(View):
    """A referral was accepted and is durable. It says nothing of delivery, and nothing of anybody having read it.

    `acceptance` is the signed one, as it came: to be kept, and checked with a directory where it matters.
    """

    referral_id: UUID
    state: str
    work_reason: str | None = None
    recipients: tuple[Recipient, ...] = ()
    acceptance: dict[str, JsonValue] | None = None


class BatchResult(View):
    """What became of item `index` of a batch; `status` is what it would have been answered with alone."""

    index: int
    status: int
    notice_id: UUID | None = None
    referral_id: UUID | None = None
    state: str | None = None
    problem: ItemProblem | None = None
    acceptance: dict[str, JsonValue] | None = None


class CheckResult(View):
    """What would become of item `index`. Nothing was stored."""

    index: int
    ok: bool
    problem: ItemProblem | None = None
    state: str | None = None
    work_reason: str | None = None
    recipients: tuple[Recipient, ...] = ()
    cut: tuple[CutView, ...] = ()


class CutView(View):
    """Of item `n`: by which rules something would be cut from its address, and where a redirector's leads."""

    n: int
    rules: tuple[str, ...] = ()
    target: str | None = None


class EdgeView(Recipient):
    """An edge with its delivery, what the recipient answered, and the delivery of its withdrawal."""

    delivery: str = ""
    code: str | None = None
    withdrawal: str | None = None
    answer: str = "none"
    answer_detail: dict[str, JsonValue] | None = None
    notice_id: UUID | None = None


class TickView(View):
    """Of so many of a referral's edges it is done."""

    done: int
    of: int


class TicksView(View):
    """The three ticks: accepted, delivered, acknowledged by the recipients' own acts."""

    accepted: bool
    delivered: TickView
    acknowledged: TickView


class ReferralView(View):
    """One of the party's own referrals. Lists leave `edges` out."""

    referral_id: UUID
    external_ref: str | None = None
    revision: int = 1
    state: str
    work_reason: str | None = None
    ticks: TicksView | None = None
    edges: tuple[EdgeView, ...] = ()
    holds: tuple[dict[str, JsonValue], ...] = ()


class ListedWork(View):
    """A referral that waits for a person: `work_reason` says why."""

    referral_id: UUID
    work_reason: str


class Attention(View):
    """What needs a person: `reasons` say why, `mend` names the act that would help, `party` is the other side.

    `clock`: by which it is overdue.
    """

    subject: UUID
    party: str | None = None
    reasons: tuple[str, ...]
    code: str | None = None
    clock: str | None = None
    mend: str


class AlikeCase(View):
    """Another open case of the agency that lies at the same place."""

    referral_id: UUID
    held: bool


class InboxItem(View):
    """A referral offered to the party. `record` is there only when it was asked for by id: that reading is audited."""

    referral_id: UUID
    origin: str
    state: str
    exercise: bool
    claimed_by: str | None = None
    passed_on: dict[str, JsonValue] | None = None
    contacts: tuple[dict[str, JsonValue], ...] = ()
    alike: tuple[AlikeCase, ...] = ()
    record: dict[str, JsonValue] | None = None


class NoticeView(View):
    """A notice that asks the party to act. `record` is there only when it was asked for by id."""

    notice_id: UUID
    state: str
    exercise: bool
    record: dict[str, JsonValue] | None = None


class ReferralState(View):
    """Where a referral or case stands after an act."""

    referral_id: UUID
    state: str


class NoticeState(View):
    """Where a notice stands after an act."""

    notice_id: UUID
    state: str


class Event(View):
    """What happened, to what, and codes; `by` is the party that did it, where that was another."""

    number: int
    type: str
    subject: UUID
    at: Instant
    state: str | None = None
    by: str | None = None


class Entry(Event):
    """An act on the subject, and the codes it said, where they are kept act by act."""

    said: dict[str, JsonValue] | None = None


class Timeline(View):
    """One page of what has happened to a subject; `next` is the number to ask on after."""

    items: tuple[Entry, ...]
    next: int | None = None


class EventPage(View):
    """The party's events above a number, in their order. `last` is the highest number in this epoch."""

    epoch: UUID
    last: int
    items: tuple[Event, ...]


class NotSent(View):
    """Whom a decision kept out, for what, and by which rules."""

    recipient: str
    purpose: str
    rules: tuple[str, ...] = ()


class Opened(View):
    """For whom a record was opened."""

    party: str
    role: str


class FlowMessage(View):
    """One message of a flow, as the log holds it: identifiers, codes and digests, no record.

    `type` and `sender` are None for a record that audit could not read. `detail` is what a fact states, such as a
    decision with its facts and the parties that it was not sent to.
    """

    at: Instant
    topic: str
    partition: int
    offset: int
    type: str | None = None
    sender: str | None = None
    recipient: str | None = None
    rules: tuple[str, ...] = ()
    outcome: str | None = None
    code: str | None = None
    detail: dict[str, JsonValue] | None = None
    digest: str

    @property
    def not_sent(self) -> tuple[NotSent, ...]:
        """Whom the decision that it states kept out."""
        listed = (self.detail or {}).get("not_sent")
        found = [read_in(NotSent, each) for each in listed] if isinstance(listed, list) else []
        return tuple(each for each in found if each is not None)

    @property
    def opened(self) -> Opened | None:
        """The opening that it states."""
        return read_in(Opened, self.detail)


class Flow(View):
    """The messages of one referral, oldest first."""

    referral_id: UUID
    messages: tuple[FlowMessage, ...]


class Due(View):
    """What falls due, of which subject, and the party that owes it."""

    due: str
    subject: UUID
    owed_by: str


class OpenItem(View):
    """An item of a notice that waits for an answer."""

    notice_id: UUID
    n: int


class WorkItem(View):
    """What is open at one location."""

    work_item: UUID
    items: tuple[OpenItem, ...]
