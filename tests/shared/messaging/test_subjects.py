"""One subject below the streams: dedupe, order, withdrawal and erasure."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from shared.messaging.exceptions import NamedMessage, OutcomeKind, RefusalCode
from shared.messaging.streams import WireRole
from tests.simulation.streams.subjects import (
    Applied,
    HeldSubject,
    apply_acts,
    apply_message,
    erase,
    find_final_refusal,
    withdraw,
)

SUBJECT, A1, A2, A3 = (UUID(int=number) for number in range(1, 5))
OLD, NEW = b"o" * 32, b"n" * 32
HELD = HeldSubject(2, OLD, (A1,))


def message(role: WireRole = WireRole.STATE, **fields: Any) -> NamedMessage:
    return NamedMessage(UUID(int=99), role, role.value, SUBJECT, **fields)


class Scanned(tuple[UUID, ...]):
    """Held acts whose full scan counts as an error, since each new act would cause one."""

    def __contains__(self, act: object) -> bool:
        raise AssertionError("scanned")


def test_acts_are_merged_without_a_scan_for_each() -> None:
    applied = apply_message(HeldSubject(2, OLD, Scanned((A1,))), message(revision=2, content=OLD, acts=(A1, A2)))
    assert applied.new_acts == (A2,)


def test_a_higher_revision_is_held() -> None:
    applied = apply_message(HELD, message(revision=3, content=NEW))
    assert applied == Applied(HeldSubject(3, NEW, (A1,)), OutcomeKind.APPLIED, raises_revision=True)


def test_the_first_revision_is_held_with_its_acts() -> None:
    applied = apply_message(None, message(revision=1, content=NEW, acts=(A1, A2)))
    assert applied == Applied(
        HeldSubject(1, NEW, (A1, A2)), OutcomeKind.APPLIED, raises_revision=True, new_acts=(A1, A2)
    )


def test_a_held_revision_has_no_effect() -> None:
    assert apply_message(HELD, message(revision=2, content=OLD)) == Applied(HELD, OutcomeKind.APPLIED)


@pytest.mark.parametrize(("revision", "content"), [(2, NEW), (1, OLD), (1, NEW)])
def test_an_older_revision_or_another_content_is_refused_with_the_held_number(revision: int, content: bytes) -> None:
    applied = apply_message(HELD, message(revision=revision, content=content))
    assert applied == Applied(HELD, OutcomeKind.REFUSED, RefusalCode.BEHIND, 2)


def test_a_refused_revision_still_brings_its_acts() -> None:
    applied = apply_message(HELD, message(revision=1, content=OLD, acts=(A1, A2)))
    assert (applied.code, applied.new_acts, applied.held) == (RefusalCode.BEHIND, (A2,), HeldSubject(2, OLD, (A1, A2)))


def test_a_revision_that_no_law_in_force_allows_is_refused() -> None:
    assert apply_message(HELD, message(revision=3, content=NEW), is_lawful=False) == Applied(
        HELD, OutcomeKind.REFUSED, RefusalCode.LAW
    )
    assert apply_message(None, message(revision=1, content=NEW), is_lawful=False).held is None
    assert apply_message(HELD, message(revision=2, content=OLD), is_lawful=False).kind is OutcomeKind.APPLIED


def test_a_revision_after_an_unknown_act_is_held_and_its_gap_is_told() -> None:
    applied = apply_message(HELD, message(revision=3, content=NEW, after=A2))
    assert applied == Applied(HeldSubject(3, NEW, (A1,)), OutcomeKind.REFUSED, RefusalCode.GAP, raises_revision=True)


def test_an_act_is_applied_once() -> None:
    applied = apply_message(HELD, message(acts=(A2,), after=A1))
    assert (applied.kind, applied.new_acts) == (OutcomeKind.APPLIED, (A2,))
    again = apply_message(applied.held, message(acts=(A2,), after=A1))
    assert (again.kind, again.new_acts, again.held) == (OutcomeKind.APPLIED, (), applied.held)


def test_an_act_named_twice_in_a_message_is_applied_once() -> None:
    assert apply_message(HELD, message(acts=(A2, A2), after=A1)).new_acts == (A2,)


def test_an_act_after_an_unknown_act_is_not_applied() -> None:
    assert apply_message(HELD, message(acts=(A3,), after=A2)) == Applied(HELD, OutcomeKind.REFUSED, RefusalCode.GAP)
    assert apply_acts(HELD, message(WireRole.ANSWER, acts=(A3,), after=A2)).code == RefusalCode.GAP
    assert apply_acts(HeldSubject(), message(WireRole.ANSWER, acts=(A1,))).new_acts == (A1,)


def test_an_act_on_a_subject_that_is_not_held_is_unknown() -> None:
    assert apply_message(None, message(acts=(A1,))) == Applied(None, OutcomeKind.REFUSED, RefusalCode.UNKNOWN)
    assert apply_message(HeldSubject(), message(acts=(A1,))).code == RefusalCode.UNKNOWN


@pytest.mark.parametrize(
    ("before", "has_effect"),
    [
        (None, True),
        (HELD, True),
        (HeldSubject(is_withdrawn=True), False),
        (HeldSubject(2, is_erased=True), False),
        (HeldSubject(is_withdrawn=True, is_erased=True), False),
    ],
)
def test_a_withdrawal_leaves_a_tombstone(before: HeldSubject | None, has_effect: bool) -> None:
    applied = apply_message(before, message(WireRole.WITHDRAWAL))
    assert applied == withdraw(before)
    assert (applied.kind, applied.is_withdrawal) == (OutcomeKind.APPLIED, has_effect)
    is_erased = before is not None and before.is_erased
    assert applied.held == HeldSubject(is_withdrawn=True, is_erased=is_erased)


def test_erasure_leaves_a_stub_and_a_tombstone_stays_one() -> None:
    assert erase(HELD) == HeldSubject(2, is_erased=True)
    assert erase(None) == HeldSubject(is_erased=True)
    assert erase(HeldSubject(is_withdrawn=True)) == HeldSubject(is_withdrawn=True, is_erased=True)


@pytest.mark.parametrize(
    ("held", "role", "is_day_closed", "refusal"),
    [
        (HELD, WireRole.STATE, False, None),
        (None, WireRole.STATE, False, None),
        (None, WireRole.STATE, True, RefusalCode.ERASED),
        (HELD, WireRole.WITHDRAWAL, True, RefusalCode.ERASED),
        (HeldSubject(is_withdrawn=True), WireRole.WITHDRAWAL, False, None),
        (HeldSubject(2, is_erased=True), WireRole.WITHDRAWAL, False, None),
        (HeldSubject(is_withdrawn=True), WireRole.STATE, False, RefusalCode.WITHDRAWN),
        (HeldSubject(is_withdrawn=True, is_erased=True), WireRole.ANSWER, False, RefusalCode.WITHDRAWN),
        (HeldSubject(2, is_erased=True), WireRole.ANSWER, False, RefusalCode.ERASED),
    ],
)
def test_refusals_that_hold_before_a_message_is_read(
    held: HeldSubject | None, role: WireRole, is_day_closed: bool, refusal: RefusalCode | None
) -> None:
    assert find_final_refusal(held, role, is_day_closed=is_day_closed) is refusal
