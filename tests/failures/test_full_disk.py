"""The database's disk full: requests are refused, none is stored in part, and all recovers with space."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.failures import full_disk

Record = Callable[[str, object], None]


async def test_a_full_disk_is_told_as_503_leaves_no_half_and_is_recovered_from(
    capsys: pytest.CaptureFixture[str], record_property: Record
) -> None:
    seen = await asyncio.to_thread(full_disk.run)
    with capsys.disabled():
        print("", seen, sep="\n  ")
    assert seen["answers_503"] > 0
    assert seen["statuses"] == [200, 202, 503]
    assert seen["referrals"] == 600
    assert seen["processes_restarted"] == []
    assert seen["faults"] == {}
    record_property("figure", f"{seen['answers_503']} answers of 503 meanwhile: {seen['line']}")
