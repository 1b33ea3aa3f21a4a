"""The messages of the protocol as JSON: read as they were written, and closed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from shared.core.canonical import canonical_json
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.messaging.contract import ControlBody, decode_control, encode_control
from shared.messaging.exceptions import NamedMessage, Outcome, OutcomeKind, OutcomeList
from shared.messaging.ports import DayDigest, Side, SubjectHolding
from shared.messaging.resync import (
    DIGEST_BYTES,
    PAGE_BYTES,
    ClosedIncarnation,
    Holdings,
    HoldingsPart,
    ResyncRequest,
    SideDay,
    exception_bytes,
    holding_bytes,
    split_rows,
)
from shared.messaging.streams import LaneEnd, WireRole

DAY = date(2026, 3, 1)
NAMED = NamedMessage(uuid7(), WireRole.STATE, "referral_offered", uuid7(), 3, b"\x01" * 32, (uuid7(), uuid7()), uuid7())
OUTCOMES = (
    Outcome(NAMED, OutcomeKind.REFUSED, "behind", 4),
    Outcome(NamedMessage(uuid7(), WireRole.RESYNC, "resync"), OutcomeKind.DEAD),
)
ROW = SubjectHolding(uuid7(), 2, b"\x02" * 32, (uuid7(),))
BODIES: dict[WireRole, ControlBody] = {
    WireRole.OUTCOMES: OutcomeList(OUTCOMES),
    WireRole.RESYNC: ResyncRequest(uuid7(), True, OUTCOMES, 1, False, uuid7(), (SideDay(Side.HELD, DAY),)),
    WireRole.HOLDINGS: Holdings(
        uuid7(),
        True,
        2,
        OUTCOMES,
        ((Side.ANSWERED, DayDigest(DAY, 3, b"\x03" * 32)),),
        (ClosedIncarnation(uuid7(), (LaneEnd(7, b"\x04" * 32), LaneEnd(0, b"\x05" * 32))),),
        (HoldingsPart(SideDay(Side.HELD, DAY), (ROW,), uuid7(), None),),
    ),
}


def text_of(role: WireRole) -> bytes:
    return json.dumps(encode_control(role, BODIES[role])).encode()


@pytest.mark.parametrize("role", BODIES)
def test_a_message_is_read_as_it_was_written(role: WireRole) -> None:
    assert decode_control(role, text_of(role)) == BODIES[role]


def _members(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Yield the path of every object in a JSON value."""
    if isinstance(value, dict):
        return [path, *(found for name, each in value.items() for found in _members(each, (*path, name)))]
    if isinstance(value, list):
        return [found for index, each in enumerate(value) for found in _members(each, (*path, index))]
    return []


@pytest.mark.parametrize("role", BODIES)
def test_no_object_takes_another_member(role: WireRole) -> None:
    stated = json.loads(text_of(role))
    paths = _members(stated)
    assert len(paths) >= 3
    for path in paths:
        changed = json.loads(text_of(role))
        found = changed
        for step in path:
            found = found[step]
        found["text"] = "free"
        with pytest.raises(Refused, match="body_invalid"):
            decode_control(role, json.dumps(changed).encode())


@pytest.mark.parametrize(
    ("role", "path", "value"),
    [
        (WireRole.OUTCOMES, ("outcomes", 0, "code"), "Free text."),
        (WireRole.OUTCOMES, ("outcomes", 0, "named", "kind"), "x" * 65),
        (WireRole.OUTCOMES, ("outcomes", 0, "named", "content"), "01"),
        (WireRole.OUTCOMES, ("outcomes", 0, "named", "revision"), -1),
        (WireRole.OUTCOMES, ("outcomes", 0, "named", "revision"), 0),
        (WireRole.OUTCOMES, ("outcomes", 0, "named", "revision"), 2**53),
        (WireRole.OUTCOMES, ("outcomes", 0, "named", "acts"), [str(uuid7())] * 1001),
        (WireRole.OUTCOMES, ("outcomes", 0, "held"), -1),
        (WireRole.OUTCOMES, ("outcomes", 0, "held"), 2**53),
        (WireRole.OUTCOMES, ("outcomes", 0, "kind"), "other"),
        (WireRole.RESYNC, ("exceptions", 0, "code"), "a b"),
        (WireRole.HOLDINGS, ("parts", 0, "rows", 0, "content"), "0102"),
        (WireRole.HOLDINGS, ("parts", 0, "rows", 0, "revision"), -1),
        (WireRole.HOLDINGS, ("parts", 0, "rows", 0, "revision"), 2**53),
        (WireRole.HOLDINGS, ("closed", 0, 1, 0, 1), "00"),
        (WireRole.HOLDINGS, ("closed", 0, 1, 0, 0), -1),
        (WireRole.HOLDINGS, ("digests", 0, 1, 0), "1969-12-31"),
        (WireRole.HOLDINGS, ("parts", 0, "of", 1), "0001-01-01"),
        (WireRole.RESYNC, ("days", 0, 1), "1969-12-31"),
        (WireRole.HOLDINGS, ("digests", 0, 1, 1), -1),
        (WireRole.HOLDINGS, ("digests", 0, 1, 2), "00" * 33),
    ],
)
def test_no_free_text_and_no_odd_number_fits_in(role: WireRole, path: tuple[Any, ...], value: object) -> None:
    changed = json.loads(text_of(role))
    found = changed["body"]
    for step in path[:-1]:
        found = found[step]
    assert found[path[-1]] != value
    found[path[-1]] = value

    with pytest.raises(Refused, match="body_invalid"):
        decode_control(role, json.dumps(changed).encode())


@pytest.mark.parametrize("held", [0, 2**53 - 1])
def test_the_lowest_and_the_highest_number_are_read(held: int) -> None:
    body = with_outcomes(WireRole.OUTCOMES, (Outcome(NAMED, OutcomeKind.REFUSED, "behind", held),))
    assert decode_control(WireRole.OUTCOMES, canonical_json(encode_control(WireRole.OUTCOMES, body))) == body


@pytest.mark.parametrize("role", [WireRole.OUTCOMES, WireRole.RESYNC, WireRole.HOLDINGS])
def test_a_code_that_no_list_has_is_not_kept(role: WireRole) -> None:
    stated = [Outcome(NAMED, OutcomeKind.REFUSED, code) for code in ("behind", "version_unknown", "case_unknown", None)]
    named = NamedMessage(uuid7(), WireRole.STATE, "referral_offered")
    body = with_outcomes(role, (*stated, Outcome(named, OutcomeKind.REFUSED, "hunter_two")))
    read = decode_control(role, canonical_json(encode_control(role, body)))
    assert read == with_outcomes(role, (*stated, Outcome(named, OutcomeKind.REFUSED, "code_unknown")))


def with_outcomes(role: WireRole, outcomes: tuple[Outcome, ...]) -> ControlBody:
    """Return a message of the protocol that states these outcomes."""
    body = BODIES[role]
    return OutcomeList(outcomes) if isinstance(body, OutcomeList) else replace(body, exceptions=outcomes)


def test_the_stated_bounds_of_bytes_hold() -> None:
    """A page of the largest items stays below the maximum size of a record."""
    acts = tuple(uuid7() for _ in range(3))
    name = NamedMessage(uuid7(), WireRole.WITHDRAWAL, "x" * 64, uuid7(), 2**53 - 1, b"c" * 32, acts, uuid7())
    outcome = Outcome(name, OutcomeKind.DEFERRED, "y" * 64, 2**53 - 1)
    row = SubjectHolding(uuid7(), 2**53 - 1, b"c" * 32, acts)
    day = DayDigest(date.max, 2**53 - 1, b"d" * 32)

    def measure(**fields: Any) -> int:
        empty = Holdings(uuid7(), True)
        return len(canonical_json(encode_control(WireRole.HOLDINGS, replace(empty, **fields)))) - len(
            canonical_json(encode_control(WireRole.HOLDINGS, empty))
        )

    assert measure(exceptions=(outcome,)) < exception_bytes(outcome)
    assert measure(digests=((Side.ANSWERED, day),)) < DIGEST_BYTES
    empty = HoldingsPart(SideDay(Side.ANSWERED, date.max), (), uuid7(), uuid7())
    assert measure(parts=(empty,)) < 192
    assert measure(parts=(replace(empty, rows=(row,)),)) - measure(parts=(empty,)) < holding_bytes(row)


def test_a_row_of_very_many_acts_fits_in_half_a_page() -> None:
    row = SubjectHolding(uuid7(), 1, b"c" * 32, tuple(uuid7() for _ in range(20_000)))
    (part,) = split_rows(SideDay(Side.HELD, date.max), [row])
    assert (
        len(canonical_json(encode_control(WireRole.HOLDINGS, Holdings(uuid7(), True, parts=(part,))))) < PAGE_BYTES / 2
    )
