"""A list from one party, in any form, leaves other parties their turns. The work for a refused list is charged."""

from __future__ import annotations

import threading

import pytest

from shared.core.errors import Refused
from shared.core.guard.envelope_limits import BODY_BYTES_MAX
from shared.platform.admission.budgets import REFUSED_BYTES_A_WORK, work_of
from shared.platform.http.acts import items_hash
from shared.platform.http.batches import ReadList, RequestBody, read_list
from tests.services.hotline.test_beside_the_loop import JSON, least_gap_share
from tests.support.costly_bodies import nested_items, nested_values

ROUTE = "/v1/referrals:batch"


class Reading:
    """Reads lists. Records the charged work, and whether items were processed in a worker thread."""

    def __init__(self) -> None:
        self.owed: list[int] = []
        self.beside: set[bool] = set()

    async def read(self, body: bytes) -> ReadList[str]:
        posted = RequestBody(body, JSON, None)
        return await read_list(posted, "referrals", ROUTE, make=self._made, owe=self.owed.append)

    async def refused(self, body: bytes) -> str:
        with pytest.raises(Refused) as caught:
            await self.read(body)
        return caught.value.code

    def _made(self, place: int, value: object) -> str:
        self.beside.add(threading.current_thread() is not threading.main_thread())
        return f"{place} {value.code if isinstance(value, Refused) else value}"


@pytest.fixture
def reading() -> Reading:
    return Reading()


async def test_of_each_item_there_is_what_is_made_of_it_and_the_digest_of_its_bytes(reading: Reading) -> None:
    read = await reading.read(b'{"referrals":[{"asn": 1}, 7]}')
    assert read.made == ["0 {'asn': 1}", "1 body_not_object"]
    assert len(set(read.hashes)) == 2
    assert read.same == items_hash(ROUTE, [({"asn": 1}, b""), (Refused("body_not_object"), b"7")])
    assert (reading.beside, reading.owed) == ({False}, [1])


async def test_a_list_heavier_than_a_body_is_read_beside_the_loop_and_nothing_is_owed_for_what_is_read(
    reading: Reading,
) -> None:
    one = b'{"asn":1' + b" " * (BODY_BYTES_MAX // 2) + b"}"
    read = await reading.read(b'{"referrals":[' + one + b"," + one + b"]}")
    assert read.made == ["0 {'asn': 1}", "1 {'asn': 1}"]
    assert (reading.beside, reading.owed) == ({True}, [])


async def test_what_is_refused_is_owed_by_its_bytes(reading: Reading) -> None:
    assert await reading.refused(nested_values()) == "batch_size"
    assert reading.owed == [work_of(len(nested_values()))]
    reading.owed.clear()
    read = await reading.read(nested_items())
    assert {each.partition(" ")[2] for each in read.made} == {"body_too_many_values"}
    assert reading.owed == [pytest.approx(len(nested_items()) / REFUSED_BYTES_A_WORK, rel=0.01)]


@pytest.mark.timing
async def test_whoever_posts_nothing_but_little_values_gives_the_others_their_turns(reading: Reading) -> None:
    async def posting() -> None:
        await reading.read(nested_items())

    assert await least_gap_share(posting, wanted=0.3) < 0.3
