"""Topics lose their end, lose it and grow again, or lose unread records: all is sent again, to audit too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.failures.lost_records import READ_BY, Way, lose
from tests.failures.split import PROCESSES, SplitExchange, split_exchange
from tests.support.altered_instance import HASTY

pytestmark = pytest.mark.long

REFERRALS = 10


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[SplitExchange]:
    with split_exchange(tmp_path) as exchange:
        exchange.programs |= dict.fromkeys(PROCESSES, HASTY)
        yield exchange


async def test_what_topics_lose_is_sent_again_and_named_by_place_and_id(
    hasty: SplitExchange, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    await hasty.start(*PROCESSES)
    losses = await lose(hasty, referrals=REFERRALS)
    with capsys.disabled():
        print("", *losses.lines(), sep="\n  ")
    assert losses.verdict is not None
    record_property("figure", "; ".join([*losses.lines()][-2:]))
    assert [(each.way, each.place) for each in losses.each] == [(way, place) for way in Way for place in READ_BY]
    assert all(each.lost > 0 for each in losses.each)
    assert losses.unnamed == 0
    assert losses.told_anew == 0
    assert losses.verdict.faults() == {}
