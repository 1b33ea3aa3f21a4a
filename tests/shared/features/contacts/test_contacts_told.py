"""A contact suggestion skips an agency without a usable sealing key, and does not delay other agencies."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

import pytest

from shared.core.ids import uuid7
from shared.core.protocol.message import Draft
from shared.core.routing.directory_index import DirectoryIndex
from shared.features.contacts.service import suggest_contacts
from shared.features.contacts.store import CaseMatch
from shared.platform.database.failure_isolation import ClaimedBatch
from tests.support.builders import AT, HOTLINE
from tests.support.exchange_world import world

NL, BE = "police-nl.example", "police-be.example"


class Contacts:
    """Two agencies that have accepted one referral."""

    def __init__(self) -> None:
        self.sent: list[Draft] = []

    async def due(self, taking: ClaimedBatch) -> list[UUID]:
        return [uuid7()]

    async def met(self, referral_ids: Collection[UUID], among: Collection[str]) -> list[CaseMatch]:
        (of,) = referral_ids
        pairs = [(NL, BE), (BE, NL)] if {NL, BE} <= set(among) else []
        return [CaseMatch(HOTLINE, of, 1, True, agency, "same_referral", of, other) for agency, other in pairs]

    async def send(self, drafts: Any) -> None:
        self.sent += drafts


async def told(directory: DirectoryIndex) -> list[str]:
    contacts = Contacts()
    await suggest_contacts(contacts, ClaimedBatch(9), directory, instance="hotline", at=AT)
    return [draft.recipient for draft in contacts.sent]


async def test_an_instance_without_a_key_to_seal_for_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = world().documents.directory
    assert await told(directory) == [NL, BE]
    monkeypatch.setattr(directory, "sealing_key", lambda *_: None)
    assert await told(directory) == []
