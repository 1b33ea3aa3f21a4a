"""The services' answers as the client reads them.

A view has the fields that this code reads. All others are kept as received, so an older client continues to work.
States and codes are plain text for the same reason: the services own the lists.
"""

from __future__ import annotations

from typing import Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from shared.core.contracts.base import Instant

ItemT = TypeVar("ItemT")
ViewT = TypeVar("ViewT", bound="View")


class View(BaseModel):
    """One answer. Frozen; unknown fields are kept; input is never echoed in errors."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)


def read_in(view: type[ViewT], part: JsonValue) -> ViewT | None:
    """Parse a part of an answer for display; None if it does not have the form of `view`."""
    try:
        return view.model_validate(part)
    except ValidationError:
        return None


class PageView(View, Generic[ItemT]):
    """One page of a list. `next` is the opaque cursor of the page after it, None on the last."""

    items: tuple[ItemT, ...]
    next: str | None = None


class IdentityView(View):
    """A key's party and roles, and the scope of an auditor (None: everything)."""

    party: str
    kind: str
    roles: tuple[str, ...]
    scope: dict[str, tuple[str, ...]] | None = None


class RecipientView(View):
    """One edge of a decision: its recipient, its purpose and its rules."""

    recipient: str
    purpose: str
    reason: str
    rules: tuple[str, ...] = ()


class ItemProblem(View):
    """The reason why one item was refused: a code, the JSON pointer of the field and the rule.

    Never the value.
    """

    code: str
    field: str | None = None
    rule: str | None = None
    errors: tuple[FieldProblem, ...] = ()
    referral: str | None = None


class FieldProblem(View):
    """One field that breaks one rule; `expected` describes a valid value."""

    field: str | None = None
    rule: str | None = None
    expected: str | None = None


class IntakeAcceptance(View):
    """A referral was accepted and is durable. This does not mean that it was delivered or read.

    `acceptance` is the signed one, as received: keep it, and verify it with a directory when it matters.
    """

    referral_id: UUID
    state: str
    work_reason: str | None = None
    recipients: tuple[RecipientView, ...] = ()
    acceptance: dict[str, JsonValue] | None = None


class BatchResult(View):
    """The result of item `index` of a batch; `status` is that of a single request."""

    index: int
    status: int
    notice_id: UUID | None = None
    referral_id: UUID | None = None
    state: str | None = None
    problem: ItemProblem | None = None
    acceptance: dict[str, JsonValue] | None = None


class CheckResult(View):
    """The expected result of item `index`. Nothing was stored."""

    index: int
    ok: bool
    problem: ItemProblem | None = None
    state: str | None = None
    work_reason: str | None = None
    recipients: tuple[RecipientView, ...] = ()
    cut: tuple[CutView, ...] = ()
    respelled: tuple[int, ...] = ()


class CutView(View):
    """The rules that would remove parts of item `n`'s address, and the target of a redirector's address."""

    n: int
    rules: tuple[str, ...] = ()
    target: str | None = None


class EdgeView(RecipientView):
    """An edge with its delivery, the recipient's answer, and the delivery of its withdrawal."""

    delivery: str = ""
    code: str | None = None
    withdrawal: str | None = None
    answer: str = "none"
    answer_detail: dict[str, JsonValue] | None = None
    notice_id: UUID | None = None


class TickView(View):
    """The number of a referral's edges for which a step is done."""

    done: int
    of: int


class TicksView(View):
    """The three steps: accepted, delivered, acknowledged by the recipients' own acts."""

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


class UnroutedView(View):
    """A referral that waits for a person: `work_reason` has the reason."""

    referral_id: UUID
    work_reason: str


class AttentionView(View):
    """An attention item: `reasons` has the reasons, `mend` the suggested act, `party` the other side.

    `clock`: the overdue deadline.
    """

    subject: UUID
    party: str | None = None
    reasons: tuple[str, ...]
    code: str | None = None
    clock: str | None = None
    mend: str


class SimilarCaseView(View):
    """Another open case of the agency at the same location."""

    referral_id: UUID
    held: bool


class InboxItem(View):
    """A received referral. `record` exists only if it was requested by id: that access is audited."""

    referral_id: UUID
    origin: str
    state: str
    exercise: bool
    claimed_by: str | None = None
    passed_on: dict[str, JsonValue] | None = None
    contacts: tuple[dict[str, JsonValue], ...] = ()
    alike: tuple[SimilarCaseView, ...] = ()
    record: dict[str, JsonValue] | None = None


class NoticeView(View):
    """A notice that asks the party to act. `record` exists only if it was requested by id."""

    notice_id: UUID
    state: str
    exercise: bool
    record: dict[str, JsonValue] | None = None


class SubjectState(View):
    """The state of a referral, offer, case or notice after an act; its id is a member named by its kind."""

    state: str


class EventView(View):
    """An act, its subject, and codes; `by` is the party that acted, if it was another."""

    number: int
    type: str
    subject: UUID
    at: Instant
    state: str | None = None
    by: str | None = None


class TimelineEntry(EventView):
    """An act on the subject, and its codes, if they are stored per act."""

    said: dict[str, JsonValue] | None = None


class TimelineView(View):
    """One page of the acts on a subject; continue after the number `next`."""

    items: tuple[TimelineEntry, ...]
    next: int | None = None


class EventPageView(View):
    """The party's events above a number, in their order. `last` is the highest number in this epoch."""

    epoch: UUID
    last: int
    items: tuple[EventView, ...]


class DeadlineView(View):
    """A due act, its subject, and the party that must act."""

    due: str
    subject: UUID
    owed_by: str


class OpenItemView(View):
    """An item of a notice that waits for an answer."""

    notice_id: UUID
    n: int


class WorkItemView(View):
    """The open items at one location."""

    work_item: UUID
    items: tuple[OpenItemView, ...]
