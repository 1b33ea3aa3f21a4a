"""Audit is away: filings go on until the bound of kept bytes, the others' deliveries are as quick, all is read after.

At the bound, which is low here, new referrals are refused. Withdrawals, answers and a child at risk are sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import pytest

from shared.core.clock import SystemClock
from shared.core.vocabulary.referral import WithdrawalReason
from shared.delivery.gate import FULL, LOOK_S
from tests.failures.delivered import delays_s, tell_of_p0
from tests.failures.load import Sender, quantile
from tests.support.driver_audit import list_unaudited_numbers
from tests.support.driver_delivery import read_value
from tests.support.running import AGENCY, HOTLINE, SERVICES, Exchange, referral, running_exchange, until

pytestmark = [pytest.mark.long, pytest.mark.timing]

BOUND = 1_000_000
PER_S = 5.0
BEFORE = 50
#: So many are filed at most until one is refused; so many more are refused then.
FILED_MAX, REFUSED = 2_000, 20
#: How much later the others may have what is sent while audit is away, by medians.
RATIO_MAX = 3.0
REST_S_MAX = 300.0
#: The process asks for the sum of what it keeps after each pause: so many bytes of filings may come in one.
REFERRAL_BYTES_MAX = 20_000
OVER_MAX: Final = int(2 * LOOK_S * PER_S * REFERRAL_BYTES_MAX)
_KEPT: Final = "SELECT coalesce(sum(octet_length(content) + octet_length(digests)), 0) FROM segment"


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    with running_exchange(tmp_path, settings={"KEPT_BYTES_MAX": str(BOUND)}) as running:
        yield running


async def kept(exchange: Exchange) -> int:
    return int(await read_value(exchange, "hotline", _KEPT))


async def file(hotline: httpx.AsyncClient) -> httpx.Response:
    filing = referral()
    return await hotline.post("/v1/referrals", json=filing, headers={"Idempotency-Key": filing["external_ref"]})


async def file_paced(hotline: httpx.AsyncClient, most: int) -> list[UUID]:
    """File at an even pace until one is refused with 503, or so many are filed."""
    filed, loop = list[UUID](), asyncio.get_running_loop()
    began = loop.time()
    for number in range(most):
        await asyncio.sleep(began + number / PER_S - loop.time())
        answer = await file(hotline)
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            assert answer.json()["code"] == FULL
            break
        filed.append(UUID(answer.json()["referral_id"]))
    return filed


async def median_s(exchange: Exchange, since: Any, count: int) -> float:
    """How long each edge took since then, once all of so many referrals are with the others."""

    async def there() -> bool:
        return sum(map(len, (await delays_s(exchange, since)).values())) == 3 * count

    await until(there, seconds_max=REST_S_MAX)
    return quantile([each for found in (await delays_s(exchange, since)).values() for each in found], 0.5)


async def test_while_audit_is_away_bytes_are_bounded_and_the_others_go_on(
    exchange: Exchange, record_property: Callable[[str, object], None]
) -> None:
    async with exchange.http(HOTLINE) as hotline, Sender(exchange, withdrawn_share=0) as sender:
        begun = SystemClock().now()
        assert len(await file_paced(hotline, BEFORE)) == BEFORE
        before_s = await median_s(exchange, begun, BEFORE)
        await exchange.until_audited(REST_S_MAX)
        exchange.stop("audit")
        begun = SystemClock().now()
        filed = await file_paced(hotline, FILED_MAX)
        during_s = await median_s(exchange, begun, len(filed))
        full = await kept(exchange)
        assert BOUND <= full <= BOUND + OVER_MAX
        assert {(await file(hotline)).json().get("code") for _ in range(REFUSED)} == {FULL}
        assert await kept(exchange) == full
        async with exchange.client(HOTLINE) as origin, exchange.client(AGENCY) as agency:
            await agency.act_on_case("accept", filed[0])
            await origin.withdraw(filed[1], WithdrawalReason.FILED_IN_ERROR)
            p0_s = await tell_of_p0(exchange, sender)
            await exchange.until_quiet(REST_S_MAX)
            [accepted] = [each.answer for each in (await origin.show(filed[0])).edges if each.recipient == AGENCY]
            assert accepted == "accepted"
        assert full < await kept(exchange) <= full + 10 * REFERRAL_BYTES_MAX
        exchange.serve("audit")
        exchange.wait_ready("audit")
        await exchange.until_audited(REST_S_MAX)

        async def accepts() -> bool:
            return (await file(hotline)).status_code == httpx.codes.ACCEPTED

        await until(accepts, seconds_max=REST_S_MAX)
        await exchange.until_audited(REST_S_MAX)
        assert [await list_unaudited_numbers(exchange, each) for each in SERVICES] == [{}] * len(SERVICES)
    record_property(
        "figure",
        f"{len(filed)} filed until {full} bytes of {BOUND}; edges p50 {before_s * 1000:.0f} ms before, "
        f"{during_s * 1000:.0f} ms while audit is away; a child at risk after {p0_s:.1f} s",
    )
    assert during_s <= RATIO_MAX * before_s
