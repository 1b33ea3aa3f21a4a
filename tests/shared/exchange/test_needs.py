"""What a message lacks is kept as a text."""

from __future__ import annotations

from shared.contracts.registry import CASE_ACCEPTED
from shared.exchange.needs import Need, NeedKind


def test_a_need_is_read_as_it_is_written() -> None:
    for need in (Need(NeedKind.DOCUMENT, "9" * 64), Need(NeedKind.ACT, CASE_ACCEPTED.type)):
        assert Need.read(str(need)) == need


def test_a_kind_that_a_later_release_has_stored_here_is_not_met_and_stops_nobody() -> None:
    ours = [str(Need(NeedKind.GUARD, "2030-1")), "signature ml-dsa-87", str(Need(NeedKind.ENGINE, "9"))]
    assert Need.met_of(ours, lambda need: True) == [ours[0], ours[2]]
