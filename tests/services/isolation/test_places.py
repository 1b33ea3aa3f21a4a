"""Sealed content opens only in its own place: no other table, row, column or party, even if it is moved there.

The attacker has the database's rights but not the key-encryption key, and can put any content and any wrapped key into
any row. Every store opens rows of the same subject here, which is the hardest case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, Final
from uuid import UUID

import pytest

from shared.core.envelope.datakeys import DataKey, KeyEncryptionKey, protect, wrap
from shared.core.errors import Defect
from shared.core.ids import uuid7
from shared.features.cases.store.cases import PostgresCases, case_reference, protected_reference
from shared.features.filing.store.intake import opened as opened_content
from shared.features.filing.store.intake import places
from shared.features.notices.store import PostgresNotices
from shared.features.offers.store import PostgresOffers
from shared.features.received.store.arriving import NewItem, new_items
from shared.features.received.store.items import PostgresItems
from shared.platform.database.columns import compress
from tests.services.deliveries import (
    AGENCY,
    HOTLINE,
    LOCATION,
    OTHER_AGENCY,
    OTHER_HOTLINE,
    OTHER_PROVIDER,
    PROVIDER,
    issued,
    offered,
)

KEK: Final = KeyEncryptionKey(bytes(range(32)))
#: A protected value, its wrapped key, and the function by which its store opens the content at its place.
Held = tuple[bytes, bytes, Callable[[bytes, bytes], object]]


def opener(store: type[PostgresItems], item: NewItem) -> Callable[[bytes, bytes], object]:
    row = {name: getattr(item, name) for name in ("subject", "party", "purpose", "edge_id", "edge")}

    def opened(record: bytes, key: bytes) -> object:
        held: Any = row | {"record": record, "wrapped_key": key}
        return store(None, KEK)._opened(held)  # type: ignore[arg-type]

    return opened


def received(subject: UUID) -> Mapping[str, Held]:
    """Return the rows of items of all kinds, each sent to two parties, and to agencies for two purposes."""
    messages = {
        PostgresOffers: [offered(subject, to=to, purpose="assessment") for to in (HOTLINE, OTHER_HOTLINE)],
        PostgresNotices: [issued(subject, to=to) for to in (PROVIDER, OTHER_PROVIDER)],
        PostgresCases: [
            offered(subject, to=to, purpose=purpose)
            for to, purpose in product((AGENCY, OTHER_AGENCY), ("investigation", "victim_identification"))
        ],
    }
    return {
        f"received {item.party} {item.purpose}": (item.record, item.wrapped_key, opener(store, item))
        for store, sent in messages.items()
        for item in new_items(sent, KEK, kind=store.kind)
    }


def filed(subject: UUID, party: str) -> Held:
    """Return the content of a referral at its origin."""
    key, (of_key, of_content) = DataKey.generate(), places(subject, party)
    record = (
        b'{"incident_kind":"csam","observed_at":"2026-05-03T08:00:00Z","media_kind":"image","items":[{"n":1,"locator":'
    )
    content = record + f'{{"kind":"url","value":"{LOCATION}"}}'.encode() + b"}]}"

    def opened(protected: bytes, wrapped: bytes) -> object:
        row: Any = {"referral_id": subject, "party": party, "content": protected, "wrapped_key": wrapped}
        return opened_content(row, KEK)

    return protect(compress(content), key, of_content), wrap(key, KEK, of_key), opened


def reference(subject: UUID, party: str) -> Held:
    protected, key = protected_reference(subject, party, reference="case 17", kek=KEK)

    def opened(content: bytes, wrapped: bytes) -> object:
        row: Any = {"subject": subject, "party": party, "case_reference": content, "reference_key": wrapped}
        return case_reference(row, KEK)

    return protected, key, opened


def everything(subject: UUID) -> Mapping[str, Held]:
    held = dict(received(subject))
    held |= {f"referral {party}": filed(subject, party) for party in (HOTLINE, OTHER_HOTLINE)}
    return held | {f"reference {party}": reference(subject, party) for party in (AGENCY, OTHER_AGENCY)}


def opens(content: bytes, key: bytes, opened: Callable[[bytes, bytes], object]) -> bool:
    try:
        return bool(opened(content, key))
    except Defect:
        return False


def test_a_value_with_its_key_opens_in_its_own_place_alone(record_property: Callable[[str, object], None]) -> None:
    held = everything(uuid7())
    tried = {(source, place): opens(*held[source][:2], held[place][2]) for source, place in product(held, held)}
    record_property("moves_tried", len(tried))
    assert {(source, place) for (source, place), opens in tried.items() if opens} == {(each, each) for each in held}
    assert len(tried) == 12 * 12


def test_neither_does_a_value_under_the_key_of_another_place_or_a_key_in_the_place_of_a_value() -> None:
    held = everything(uuid7())
    for source, place in product(held, held):
        if source != place:
            assert not opens(held[source][0], held[place][1], held[place][2])
            assert not opens(held[place][0], held[source][1], held[place][2])
    for content, key, opened in held.values():
        assert not opens(key, key, opened)
        assert not opens(content, content, opened)


def test_with_the_subject_alone_as_its_place_it_opened_at_another_party(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Control: with the earlier context, all rows of one subject were one place."""
    monkeypatch.setattr(
        "shared.core.envelope.datakeys.RowRef.column", lambda place, _: place.row.partition(".")[0].encode()
    )
    held = everything(uuid7())
    content, key, _ = held[f"received {HOTLINE} assessment"]
    assert opens(content, key, held[f"received {OTHER_HOTLINE} assessment"][2])
