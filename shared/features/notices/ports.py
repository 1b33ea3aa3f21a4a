"""The views of a provider on the notices issued to it."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from shared.core.acts.act import NoticeState
from shared.core.contracts.answers import NoticeCodes
from shared.core.contracts.base import Contract, NextCursor, PartyId, Uuid
from shared.core.contracts.decision import Edge
from shared.core.contracts.items import ItemNumber
from shared.core.contracts.referral import NoticeRecord
from shared.features.received.rules import ShownItem


class ShownNotice(NoticeCodes, ShownItem):
    """A notice with its item numbers and the provider's answers so far."""

    notice_id: Uuid
    notifier: PartyId
    state: NoticeState
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]
    edge: Edge
    numbers: tuple[ItemNumber, ...]


class NoticePage(Contract):
    """Notices, newest first, without their records."""

    items: tuple[ShownNotice, ...]
    next: NextCursor


class OpenedNotice(ShownNotice):
    """A notice with its record, which is null if it was erased."""

    record: NoticeRecord | None


class NoticeTransition(Contract):
    """The state after the act. A message informs the notifier."""

    notice_id: Uuid
    state: NoticeState
