"""What a provider is shown of the notices issued to it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from shared.contracts.answers import NoticeWords
from shared.contracts.base import Contract, Digest, NextCursor, PartyId, RuleId, Uuid
from shared.contracts.decision import Facts
from shared.contracts.policy import Deadlines, Handling, LegalBasis
from shared.contracts.referral import ItemNumber, NoticeRecord
from shared.exchange.acts import NoticeState
from shared.party.recipient.ports import ShownItem
from shared.vocabulary.routing import Purpose, Reason, WithheldField


class NoticeEdge(Contract):
    """The edge on which a notice came, as far as its provider is shown it."""

    recipient: PartyId
    purpose: Purpose
    rules: Annotated[tuple[RuleId, ...], Field(min_length=1)]
    reason: Reason
    basis: Annotated[tuple[LegalBasis, ...], Field(min_length=1)]
    handling: Handling
    withheld: tuple[WithheldField, ...]
    deadlines: Deadlines
    facts: Facts
    digest: Digest


class ShownNotice(NoticeWords, ShownItem):
    """A notice, the numbers of its items, and what the provider has answered so far."""

    notice_id: Uuid
    contact: PartyId
    state: NoticeState
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]
    edge: NoticeEdge
    numbers: tuple[ItemNumber, ...]


class NoticePage(Contract):
    """Notices, newest first, without their records."""

    items: tuple[ShownNotice, ...]
    next: NextCursor


class OpenedNotice(ShownNotice):
    """A notice with its record, which is null once it was erased."""

    record: NoticeRecord | None


class NoticeMoved(Contract):
    """The state that the act has led to. The notifier will be told."""

    notice_id: Uuid
    state: NoticeState
