"""The operator's list: the share of it that one peer can fill."""

from __future__ import annotations

from uuid import UUID

import pytest

from shared.messaging import ports
from shared.messaging.ports import OperatorKind, OperatorLine, bound_lines

PEER = "b.example"
MORE = OperatorLine(OperatorKind.UNKNOWN, PEER)
LINES = [OperatorLine(OperatorKind.UNDECIDABLE, PEER, UUID(int=number)) for number in range(1, 4)]


@pytest.mark.parametrize(
    ("open_count", "bounded"),
    [(7, LINES), (8, [*LINES[:2], MORE]), (9, [*LINES[:1], MORE]), (10, [MORE]), (11, [MORE])],
)
def test_a_peer_fills_its_share_and_one_line_states_the_others(
    open_count: int, bounded: list[OperatorLine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "LINES_MAX", 10)
    assert bound_lines(LINES, PEER, open_count=open_count) == bounded


def test_lines_are_of_one_peer_and_each_once_and_those_without_a_subject_are_first() -> None:
    ahead = OperatorLine(OperatorKind.AHEAD, PEER)
    other = OperatorLine(OperatorKind.AHEAD, "c.example")
    assert bound_lines([LINES[0], other, ahead, LINES[0], ahead], PEER, open_count=0) == [ahead, LINES[0]]
