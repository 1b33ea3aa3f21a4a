"""What a message lacks is kept as a text."""

from __future__ import annotations

from shared.contracts.registry import CASE_ACCEPTED
from shared.exchange.needs import Need, NeedKind


def test_a_need_is_read_as_it_is_written() -> None:
    for need in (Need(NeedKind.DOCUMENT, "9" * 64), Need(NeedKind.ACT, CASE_ACCEPTED.type)):
        assert Need.read(str(need)) == need
