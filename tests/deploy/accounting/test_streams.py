"""Equation (II) over sides that the test provides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from deploy.accounting import streams
from deploy.accounting.book import Difference
from shared.core.ids import uuid7
from shared.messaging.streams import Lane, begin_chain, extend_chain

PARTIES = ("hotline-be.example", "police-nl.example")
STREAM = streams.Stream("hotline", "law_enforcement", uuid7(), int(Lane.ORDINARY))
YOUNG = UUID(int=2**128 - 1)


def digest(number: int) -> bytes:
    return sha256(b"%d" % number).digest()


def chain(last: int, stream: streams.Stream = STREAM) -> bytes:
    return extend_chain(begin_chain(stream.incarnation), map(digest, range(1, last + 1)))


@dataclass
class Exchange:
    """One stream of three messages that are equal on all sides, and were applied."""

    stream: streams.Stream = STREAM
    sides: streams.Sides = field(default_factory=streams.Sides)
    entries: list[streams.AuditRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sides.sent[self.stream] = streams.SentEnd(3, chain(3, self.stream), 3)
        self.sides.taken[self.stream] = streams.ReadEnd(3, chain(3, self.stream))
        self.sides.read[self.stream] = streams.ReadEnd(3, chain(3, self.stream))
        self.sides.reported.add(self.stream[:2])
        self.sides.heard.add(self.stream[:2])
        ids = sorted(uuid7() for _ in range(3))
        self.entries = [
            streams.AuditRow(n, digest(n), chain(n, self.stream), id_, *PARTIES, place=f"t/1/{n}", outcome=None)
            for n, id_ in enumerate(ids, 1)
        ]

    def alter(self, number: int, **changes: Any) -> None:
        self.entries[number - 1] = self.entries[number - 1]._replace(**changes)

    def send(self, number: int, chained: bytes, acknowledged: int | None = None) -> None:
        self.sides.sent[STREAM] = streams.SentEnd(number, chained, number if acknowledged is None else acknowledged)

    def take(self, number: int, chained: bytes | None) -> None:
        self.sides.taken[STREAM] = streams.ReadEnd(number, chained)

    def hold(self, number: int, outcome: str, *, told: str | None = None) -> None:
        """Store a message as an exception at its recipient, at its writer and at audit."""
        entry = self.entries[number - 1]
        key = (*self.stream[:2], entry.message_id)
        self.sides.held[key] = streams.HeldMessage(self.stream, number, entry.message_id, outcome)
        self.sides.told_open[key] = outcome if told is None else told
        self.entries[number - 1] = entry._replace(outcome=outcome if told is None else told)

    def check(
        self,
        *,
        sealed: streams.SealedStream | None = None,
        before: streams.SealedStream | None = None,
        young: UUID = YOUNG,
    ) -> tuple[list[Difference], streams.Streams]:
        account = streams.Streams(self.sides)
        found: list[Difference] = []
        for stream in account.every([self.stream]):
            check = streams.StreamCheck(stream, self.sides, sealed=sealed, before=before, young=young)
            account.checks.append(check)
            found += check.compare_ends()
            for entry in self.entries if stream == self.stream else ():
                if entry.number > (sealed.number if sealed else 0):
                    found += check.add(entry)
            found += check.end()
        found += account.taken_beyond()
        found += account.open_differently()
        return found, account


def whats(found: Sequence[Difference]) -> set[str]:
    return {each.what for each in found}


def test_a_stream_that_all_sides_have_alike_adds_up() -> None:
    found, account = Exchange().check()
    assert found == []
    terms = account.totals()
    assert (terms["numbered"], terms["applied"]) == (3, 3)
    assert [(each.parties, each.terms["applied"]) for each in account.by_pair()] == [(PARTIES, 3)]


@pytest.mark.parametrize("outcome", ["deferred", "waiting", "dead"])
def test_an_exception_is_a_term_of_its_own(outcome: str) -> None:
    exchange = Exchange()
    exchange.hold(2, outcome)
    found, account = exchange.check()
    assert found == []
    assert {term: n for term, n in account.totals().items() if n} == {"numbered": 3, "applied": 2, outcome: 1}


@pytest.mark.parametrize("outcome", ["refused", "moved"])
def test_a_final_outcome_counts_as_its_recipient_reported_it(outcome: str) -> None:
    exchange = Exchange()
    exchange.alter(2, outcome=outcome)
    found, account = exchange.check()
    assert (found, account.totals()[outcome]) == ([], 1)


def test_messages_on_their_way_are_in_flight_whether_or_not_audit_has_read_them() -> None:
    exchange = Exchange()
    exchange.send(5, chain(5), 2)
    exchange.take(2, chain(2))
    found, account = exchange.check()
    assert found == []
    terms = account.totals()
    assert (terms["numbered"], terms["applied"], terms["in_flight"]) == (5, 2, 3)


def test_of_a_former_incarnation_the_numbers_count_that_its_recipient_took() -> None:
    exchange = Exchange()
    del exchange.sides.sent[STREAM]
    exchange.take(2, chain(2))
    found, account = exchange.check()
    assert found == []
    assert account.totals()["numbered"] == account.totals()["applied"] == 2


def test_without_the_recipients_database_its_acknowledgement_counts() -> None:
    exchange = Exchange()
    exchange.take(3, None)
    assert exchange.check()[0] == []


def _replace_all(exchange: Exchange) -> None:
    other = [digest(n + 10) for n in range(3)]
    exchange.entries = [
        each._replace(digest=other[n], chain=extend_chain(begin_chain(STREAM.incarnation), other[: n + 1]))
        for n, each in enumerate(exchange.entries)
    ]


def _flip_report(exchange: Exchange) -> None:
    exchange.hold(2, "dead", told="refused")
    exchange.sides.told_open = dict.fromkeys(exchange.sides.told_open, "dead")


def _move_exception(exchange: Exchange) -> None:
    exchange.hold(2, "dead")
    exchange.sides.held = {key: held._replace(number=3) for key, held in exchange.sides.held.items()}


WRITER, RECIPIENT = "the writer sent other messages than audit has", "the recipient took other messages than audit has"
INVENTED = "audit has a number that its writer never gave"


@pytest.mark.parametrize(
    ("change", "what", "number"),
    [
        (lambda one: one.entries.pop(1), {"delivered, not in audit's log"}, "#2"),
        (lambda one: one.entries.pop(2), {"delivered, not in audit's log"}, "#3"),
        (lambda one: one.alter(2, digest=digest(7)), {"audit's entry is not on the chain of its stream"}, "#2"),
        (_replace_all, {WRITER, RECIPIENT}, "#3"),
        (
            lambda one: one.entries.append(one.entries[2]._replace(number=4, digest=digest(4), chain=chain(4))),
            {INVENTED},
            "#4",
        ),
        (
            lambda one: one.entries.append(one.entries[2]._replace(message_id=uuid7())),
            {"audit has two entries under one number"},
            "#3",
        ),
        (lambda one: one.take(2, chain(2)), {"acknowledged, and not taken by its recipient"}, "#3"),
        (lambda one: one.send(2, chain(2)), {"taken by its recipient, unknown to its writer", INVENTED}, "3"),
        (lambda one: one.take(3, digest(0)), {RECIPIENT}, "#3"),
        (lambda one: one.send(3, digest(0)), {WRITER}, "#3"),
        (
            lambda one: (one.hold(2, "dead"), one.sides.held.clear()),
            {
                "reported as dead, held by its recipient as nothing",
                "open for its writer as dead, held by its recipient as nothing",
            },
            "",
        ),
        (_flip_report, {"reported as refused, held by its recipient as dead"}, "#2"),
        (_move_exception, {"the recipient has this message under another number"}, "#2"),
    ],
)
def test_sides_that_differ_are_named_by_place(
    change: Callable[[Exchange], object], what: set[str], number: str
) -> None:
    exchange = Exchange()
    change(exchange)
    found, _ = exchange.check()
    assert whats(found) == what
    assert all(number in each.where and "hotline → law_enforcement" in each.where for each in found)


def test_a_stream_that_audit_alone_has_is_named() -> None:
    exchange = Exchange()
    exchange.sides = streams.Sides()
    found, _ = exchange.check()
    assert whats(found) == {"audit has a number that its writer never gave"}


def test_an_outcome_under_way_is_no_difference() -> None:
    exchange = Exchange()
    exchange.hold(2, "dead")
    exchange.sides.told_open.clear()
    exchange.alter(2, outcome=None)
    exchange.sides.reported.clear()
    exchange.sides.heard.clear()
    assert exchange.check()[0] == []


def test_a_settled_stream_is_sealed_and_read_on_from_there() -> None:
    exchange = Exchange()
    found, account = exchange.check()
    seal = account.seals()[STREAM]
    assert (found, seal.number, seal.chain, seal.fates) == ([], 3, chain(3), {(*PARTIES, "applied"): 3})
    exchange.alter(1, digest=digest(9))
    found, again = exchange.check(sealed=seal)
    assert (found, again.totals()) == ([], account.totals())


@pytest.mark.parametrize("what", ["open", "unreported", "unacknowledged", "young"])
def test_a_seal_ends_before_the_first_message_that_is_not_settled(what: str) -> None:
    exchange, young = Exchange(), YOUNG
    if what == "open":
        exchange.hold(2, "waiting")
    elif what == "unreported":
        exchange.sides.reported.clear()
    elif what == "unacknowledged":
        exchange.send(3, chain(3), 1)
    else:
        young = exchange.entries[1].message_id
    _, account = exchange.check(young=young)
    sealed = account.seals().get(STREAM)
    assert (sealed.number if sealed else 0) == (0 if what == "unreported" else 1)
    assert account.oldest_unsettled() == {
        "open": exchange.entries[1].message_id,
        "unreported": exchange.entries[0].message_id,
    }.get(what)


@pytest.mark.parametrize("altered", ["a digest", "a fate"])
def test_everything_read_again_must_be_as_it_was_sealed(altered: str) -> None:
    exchange = Exchange()
    seal = exchange.check()[1].seals()[STREAM]
    assert exchange.check(before=seal)[0] == []
    if altered == "a fate":
        exchange.alter(2, outcome="refused")
    else:
        seal = replace(seal, chain=digest(0))
    assert whats(exchange.check(before=seal)[0]) == {"a stream is not as it was sealed"}
