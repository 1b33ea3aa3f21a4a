"""The benchmark's input is drawn without repeats, and its output describes the machine."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from shared.core.envelope.keys import OpeningKey
from tests.benchmarks import raw
from tests.benchmarks.__main__ import PARTY
from tests.benchmarks.input import Pool, referrals_with_fan_out
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


def test_the_raw_limit_opens_what_it_sealed() -> None:
    made = raw.SingleShot(OpeningKey.generate())
    assert made.open(made.seal(b"x" * 700, UUID(int=1)), UUID(int=1)) == b"x" * 700
