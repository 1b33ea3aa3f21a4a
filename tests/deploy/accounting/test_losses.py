"""A reconciliation names the losses of known incarnations, and who stated others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from deploy.accounting import books, views
from deploy.accounting.book import Ledger
from deploy.accounting.edges import SealedDays
from deploy.site.endpoints import Endpoints
from shared.kernel.ids import uuid7


class Audit:
    """Audit's ledger with these answers. Its log has no entry, and Kafka has no topic."""

    kind = name = "audit"

    def __init__(self, answers: Mapping[str, Sequence[Any]]) -> None:
        self.answers = answers

    async def fetch(self, query: str, *_: object) -> Sequence[Any]:
        return self.answers.get(query, ())


class Empty:
    """A reader of Kafka without topics."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    async def topic_ids(self) -> dict[str, UUID]:
        return {}

    async def bounds(self) -> dict[str, UUID]:
        return {}


async def test_an_incarnation_that_only_a_recipient_states_is_one_line_that_names_the_recipient(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def reading_of(*_: object) -> None:
        return None

    monkeypatch.setattr(books, "LogReader", Empty)
    monkeypatch.setattr(books, "kafka_access", lambda *_: None)
    monkeypatch.setattr(books, "reading_of", reading_of)
    incarnation = uuid7()
    lost = {"writer": "hotline", "addressee": "police", "incarnation": incarnation, "lane": 1, "first": 4, "last": 7}
    audit = Audit({views.LOSSES: [_Row(lost)], views.UNKNOWN_ENDS: [("police", "industry_two")]})
    ledgers = books.Ledgers([], [cast(Ledger, audit)], SealedDays(), SealedDays(), date(2026, 1, 1))
    await ledgers.log(cast(Endpoints, SimpleNamespace(state=tmp_path)))
    assert [(each.what, each.where, each.parties) for each in ledgers.differences.sorted()] == [
        (
            "industry_two states that it took messages of incarnations that audit never had",
            "police → industry_two",
            ("industry_two",),
        ),
        (
            "taken by its recipient, lost to audit",
            f"hotline → police ordinary {incarnation} #4-7",
            ("hotline", "police"),
        ),
    ]


class _Row(dict[str, Any]):
    """A row that is read by name, and as the list of its values."""

    def __iter__(self) -> Any:
        return iter(self.values())
