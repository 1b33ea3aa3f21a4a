"""What a party reads about where its events are sent, and about what falls due."""

from __future__ import annotations

from uuid import UUID

from client.views import View
from shared.contracts.base import Instant


class Webhook(View):
    """An address to which the party's events are sent: all up to `number` are confirmed, `last` is the feed's last."""

    webhook_id: UUID
    url: str
    state: str
    number: int
    last: int
    failures: int
    failing_since: Instant | None = None
    due_at: Instant | None = None


class WebhookList(View):
    """The party's addresses."""

    items: tuple[Webhook, ...]


class WebhookSecret(View):
    """What signs what is sent to an address: shown once."""

    webhook_id: UUID
    state: str
    secret: str


class WebhookState(View):
    """Where an act has led; `number` is the event after which it goes on, where that was moved."""

    webhook_id: UUID
    state: str
    number: int | None = None


class Delivery(View):
    """One attempt: `code` is `delivered` or why not, `status` what the receiver answered."""

    entry: int
    message_id: str
    number: int
    attempt: int
    at: Instant
    code: str
    status: int | None = None
    duration_ms: int


class DeliveryList(View):
    """Attempts at an address, newest first."""

    items: tuple[Delivery, ...]


class Due(View):
    """What falls due, of which subject, who owes it, by which clock, and what follows if it is not done."""

    due_at: Instant
    overdue: bool
    due: str
    then: str
    subject: UUID
    counterpart: str
    owed_by: str
    purpose: str | None = None
    clock: str
    run: int
    rung: int


class Hold(View):
    """What an agency has asked an origin to hold, and what that has said."""

    hold: UUID
    referral_id: UUID
    origin: str
    scope: str
    basis: str
    state: str
    asked_until: Instant
    not_after: Instant | None = None


class Overridden(View):
    """What has become of a hold that is to be overridden."""

    referral_id: UUID
    hold: UUID
    state: str


class AboutItem(View):
    """What was contested of one item, or answered."""

    n: int
    reason: str | None = None
    basis: str | None = None
    reply: str | None = None
    verdict: str | None = None

    @property
    def word(self) -> str:
        return f"{self.n}={self.reply or self.verdict or self.reason}"


class Question(View):
    """A question or dispute, yours (`own`) or one that you are to answer."""

    kind: str
    own: bool
    subject: UUID
    party: str
    number: int
    revision: int
    state: str
    raised_at: Instant
    due: Instant | None = None
    about: tuple[int, ...]
    needs: tuple[str, ...] | None = None
    disputed: tuple[AboutItem, ...] | None = None
    replied: tuple[AboutItem, ...] | None = None
    decided: tuple[AboutItem, ...] | None = None
    code: str | None = None
    over_at: Instant | None = None

    @property
    def summary(self) -> str:
        """What was answered, else what is asked; with the code of a refusal."""
        items = self.replied or self.decided or self.disputed or ()
        said = " ".join(each.word for each in items) or " ".join(self.needs or ())
        return f"{said} ({self.code})" if self.code else said
