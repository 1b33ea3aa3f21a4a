"""Equation (III) over edges and messages that the test provides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from deploy.accounting import books, views
from deploy.accounting.book import Difference, Snapshot
from deploy.accounting.edges import EDGE, MESSAGE, Carrier, EdgeCheck, SealedDays, day_of
from deploy.accounting.streams import ReadEnd, SentEnd, Sides, Stream
from deploy.site.endpoints import Endpoints
from shared.core.contracts.registry import REFERRAL_OFFERED
from shared.core.ids import uuid7

STREAM = Stream("hotline", "law_enforcement", uuid7(), 1)
PARTY = "hotline-be.example"


def edge(message_id: UUID, state: str = "emitted", *, number: int | None = 1) -> Carrier:
    place = STREAM.addressee, STREAM.incarnation, STREAM.lane, number
    return Carrier(message_id, None, state, message_id, PARTY, *place, writer="hotline", book=EDGE)


def message(message_id: UUID) -> Carrier:
    return Carrier(
        message_id, REFERRAL_OFFERED.type, None, message_id, None, None, None, None, None, writer="audit", book=MESSAGE
    )


def account(*, sent: int = 1, read: int = 1) -> EdgeCheck:
    sides = Sides(sent={STREAM: SentEnd(sent, b"", sent)}, read={STREAM: ReadEnd(read, b"")})
    return EdgeCheck(sides)


def named(found: list[Difference]) -> list[tuple[str, str, str]]:
    return [(each.equation, each.what, each.where) for each in found]


ID = uuid7()
LOST, ALONE = "an edge without a message", "a message without an edge"


@pytest.mark.parametrize(
    ("rows", "sides", "found", "messages"),
    [
        ([edge(ID), message(ID)], {}, None, 1),
        ([edge(ID)], {}, LOST, 0),
        ([message(ID)], {}, ALONE, 1),
        # The number was never given, or is none.
        ([edge(ID, number=2)], {"read": 0}, LOST, 0),
        ([edge(ID, number=None)], {"read": 0}, LOST, 0),
        # Audit has not read it yet; the recipient took what audit lacks: the stream names that alone.
        ([edge(ID, number=4)], {"sent": 5, "read": 3}, None, 1),
        ([edge(ID)], {"taken": 1}, None, 1),
    ],
)
def test_every_edge_has_a_message_and_every_message_an_edge(
    rows: list[Carrier], sides: dict[str, int], found: str | None, messages: int
) -> None:
    edges = account(sent=sides.get("sent", 1), read=sides.get("read", 1))
    if "taken" in sides:
        edges.sides.taken[STREAM] = ReadEnd(1, b"")
    assert named(list(edges.add(rows))) == ([] if found is None else [("III", found, str(ID))])
    assert edges.oldest_unread == (ID if "sent" in sides else None)
    assert found or edges.totals({})["messages"] == messages


def test_an_edge_is_stated_to_audit_by_its_own_origin() -> None:
    for told, found in ((PARTY, []), ("another.example", [("III", "an edge that was not stated to audit", str(ID))])):
        edges = account()
        assert list(edges.add([edge(ID), message(ID)])) == []
        assert named(list(edges.compare_statements({ID: {told}}))) == found


def test_edges_that_wait_or_were_given_up_are_terms_of_their_own_and_any_other_is_named() -> None:
    edges = account()
    found = list(edges.add([edge(ID), message(ID)]))
    for state, count in (("waiting", 2), ("dropped", 1), ("superseded", 1)):
        found += edges.add_unsent(state, count, uuid7())
    assert found == []
    assert edges.totals({}) == {"edges": 4, "messages": 1, "waiting": 2, "dropped": 1, "retired": 1}
    (lost,) = edges.add_unsent("emitted", 1, ID)
    assert (lost.equation, lost.what) == ("III", "1 edges that neither wait nor have a message")
    assert str(ID) in lost.where


def test_only_the_days_before_the_seal_are_sealed() -> None:
    edges = account()
    assert list(edges.add([edge(ID), message(ID)])) == []
    before = {"edges": 7, "messages": 7}
    assert edges.sealable(before, until=day_of(ID))["edges"] == 7
    assert edges.sealable(before, until=date.max)["edges"] == 8


# -- A reconciliation names the losses of known incarnations, and who stated others.


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


async def test_an_incarnation_only_a_recipient_states_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def reading_of(*_: object) -> None:
        return None

    monkeypatch.setattr(books, "LogReader", Empty)
    monkeypatch.setattr(books, "kafka_access", lambda *_: None)
    monkeypatch.setattr(books, "reading_of", reading_of)
    incarnation = uuid7()
    lost = {"writer": "hotline", "addressee": "police", "incarnation": incarnation, "lane": 1, "first": 4, "last": 7}
    audit = Audit({views.LOSSES: [_Row(lost)], views.UNKNOWN_ENDS: [("police", "industry_two")]})
    ledgers = books.Comparison([], [cast(Snapshot, audit)], SealedDays(), SealedDays(), date(2026, 1, 1))
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
