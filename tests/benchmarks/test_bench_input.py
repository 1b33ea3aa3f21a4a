"""The benchmark's input is drawn without repeats, and its output describes the machine."""

from __future__ import annotations

import sys
from typing import Any
from uuid import UUID

import pytest

from shared.core.envelope.keys import OpeningKey
from tests.benchmarks import raw
from tests.benchmarks.__main__ import PARTY, beside
from tests.benchmarks.input import Pool, referrals_with_fan_out
from tests.benchmarks.quiet import busy_share, share_between
from tests.support.exchange_world import world


@pytest.fixture(scope="module")
def drawn() -> list[dict[str, Any]]:
    return referrals_with_fan_out(world().documents, PARTY, 60)


def test_each_referral_is_another(drawn: list[dict[str, Any]]) -> None:
    located = {str(sorted(item["locator"]["value"] for item in each["items"])) for each in drawn}
    assert len(located) == len(drawn) == 60


def test_no_referral_is_filed_twice(drawn: list[dict[str, Any]]) -> None:
    pool = Pool(drawn)
    posted = [*pool.posts(20, batch=1, run="a"), *pool.posts(40, batch=20, run="b")]
    refs = [ref for each in posted for ref in each.refs]
    assert len(posted) == 22
    filed = [pool.original(ref) for ref in refs]
    assert filed == drawn
    with pytest.raises(AssertionError, match="more is filed than was drawn"):
        pool.posts(1, batch=1, run="c")


@pytest.mark.parametrize("sealing", [raw.SingleShot, raw.Wrapped])
def test_the_raw_limit_opens_what_it_sealed(sealing: type[raw.SingleShot | raw.Wrapped]) -> None:
    made = sealing(OpeningKey.generate())
    sealed, wrap = made.seal(b"x" * 700, UUID(int=1)), made.wrap
    made.begin()
    assert made.open(sealed, wrap, UUID(int=1)) == b"x" * 700


def test_a_machine_is_as_busy_as_its_processors() -> None:
    idle, half = "cpu  10 0 10 100 0 0 0 0 5 0", "cpu  30 0 20 120 10 0 0 0 25 0"
    assert share_between(idle, half) == 0.5
    assert share_between(idle, idle) == 1.0
    assert 0 <= busy_share(0.01) <= 1


def test_a_run_beside_others_takes_the_last_line_that_they_print() -> None:
    told = 'print("ready"); print(\'{"referrals_per_s": 272, "cpu_ms_per_referral": 3.9, "load": 1}\')'
    assert beside([sys.executable, "-c", told]) == {"referrals_per_s": 272.0, "cpu_ms_per_referral": 3.9}
