"""The databases of audit, an agency and an origin are lost and restored from a dump, one after the other.

Repeats after a minute come after a second here; `make acceptance-long` waits like an installation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.failures.restores import ORIGIN, RESTORED, Counts, check, restore_through
from tests.support.altered_instance import HASTY
from tests.support.running import Exchange, running_exchange

pytestmark = pytest.mark.long

EACH = Counts(before=3, after=3, later=3)


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    with running_exchange(tmp_path / "state", program=HASTY) as running:
        yield running


async def test_what_a_restored_database_has_forgotten_comes_back_or_is_named(
    exchange: Exchange,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """The control is in the same run: the origin's dump lacks edges that were decided since."""
    for instance in RESTORED:
        found = await restore_through(exchange, tmp_path, instance, EACH)
        with capsys.disabled():
            print("", found.line(), sep="\n  ")
        check(found)
        assert (len(found.edges_forgotten) > 0) == (instance == ORIGIN)
        record_property(f"lost_{instance}", len(found.edges_forgotten))
