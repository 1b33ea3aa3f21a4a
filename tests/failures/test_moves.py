"""A provider moves live, with notices in transit and its old instance paused: nothing is lost or done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.failures.moves import check, move_through, running_moves
from tests.support.running import Exchange

pytestmark = pytest.mark.long

NOTICES = 60


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    with running_moves(tmp_path) as running:
        yield running


async def test_a_provider_that_moves_finds_every_open_notice_at_its_new_place(
    exchange: Exchange,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """The control is in the same run: until the origin follows the move, nothing is at the new place."""
    found = await move_through(exchange, tmp_path, NOTICES)
    with capsys.disabled():
        print("", found.line(), sep="\n  ")
    check(found)
    assert found.at_new_before_following == 0
    record_property("notices_moved", len(found.notices))
