"""The nightly check of each pair after erasures and retention: it sends no message again, and no number is given twice.

Some subjects were erased at both ends, some at the origin alone, some at the recipient alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest

from client.views import ReferralView
from deploy.operator.retention import apply
from deploy.site.endpoints import OwnedDatabase
from shared.core.clock import SystemClock
from shared.core.contracts.answers import Declination, DisowningStatement, NoticeDisowning
from shared.core.vocabulary.answers import CaseDeclineReason
from shared.core.vocabulary.referral import WithdrawalReason
from shared.delivery.control import ROLE_BY_TYPE
from tests.acceptance.test_erased import LATER, all_acknowledge
from tests.support.altered_instance import with_nights
from tests.support.running import (
    AGENCY,
    HOTLINE,
    OTHER_HOTLINE,
    PROVIDER,
    SERVICES,
    Exchange,
    referral,
    running_exchange,
    until,
)

pytestmark = pytest.mark.long

REFERRALS, OF_EACH = 16, 4
REST_S_MAX = 300.0
#: Retention comes to these; at the third end what all have answered stays.
TIDIED: Final = ("hotline", "law_enforcement")
_DECLINED: Final = Declination(reason=CaseDeclineReason.ALREADY_KNOWN)
_SENT: Final = "SELECT DISTINCT type, message_id FROM entry WHERE number > 0"
_ASKED: Final = "SELECT peer, taken_nonce FROM resync_state WHERE peer = ANY($1)"
_ASKING: Final = """
SELECT (SELECT count(*) FROM resync_state WHERE nonce IS NOT NULL AND peer = ANY($1))
       + (SELECT count(*) FROM stream_pair WHERE state::jsonb ->> 'resync_nonce' IS NOT NULL AND peer = ANY($1))
"""
_ERASED: Final = "SELECT count(*) FROM {} WHERE wrapped_key IS NULL"

Told = dict[tuple[str, str, int], tuple[str, UUID]]


@pytest.fixture
def nights(tmp_path: Path) -> Path:
    file = tmp_path / "nights"
    file.write_text("0")
    return file


@pytest.fixture
def exchange(tmp_path: Path, nights: Path) -> Iterator[Exchange]:
    with running_exchange(tmp_path / "state", program=with_nights(nights)) as running:
        yield running


async def count_sent(exchange: Exchange) -> Counter[str]:
    """Messages by type, as audit has them, with those of the protocol."""
    await exchange.until_quiet(REST_S_MAX)
    await exchange.until_audited(REST_S_MAX)
    return Counter(row["type"] for row in await exchange.rows_past_policies("audit", _SENT))


async def steps_taken(exchange: Exchange) -> set[tuple[str, str, UUID | None]]:
    """For each ordered pair of services the last of its own requests that was answered."""
    rows = [(each, await exchange.rows_past_policies(each, _ASKED, SERVICES)) for each in SERVICES]
    return {(name, row["peer"], row["taken_nonce"]) for name, found in rows for row in found}


def add_night(nights: Path) -> None:
    nights.write_text(str(int(nights.read_text()) + 1))


async def pass_night(exchange: Exchange, nights: Path) -> None:
    """Let a night pass, and wait until each pair has asked for the other's holdings and is done with the answer."""
    before = await steps_taken(exchange)
    assert before
    add_night(nights)

    async def all_have_compared() -> bool:
        asking = [(await exchange.rows_past_policies(each, _ASKING, SERVICES))[0][0] for each in SERVICES]
        return not any(asking) and not before & await steps_taken(exchange)

    await until(all_have_compared, seconds_max=REST_S_MAX)


async def note_events(exchange: Exchange, told: Told) -> int:
    """Note each number of each feed; how many were given twice, now or since they were noted first."""
    twice = 0
    for service in SERVICES:
        rows = await exchange.rows_past_policies(service, "SELECT party, number, type, subject FROM act")
        twice += len(rows) - len({(row["party"], row["number"]) for row in rows})
        for row in rows:
            event = row["type"], row["subject"]
            twice += told.setdefault((service, row["party"], row["number"]), event) != event
    return twice


async def decline(exchange: Exchange, everywhere: list[ReferralView], by_the_agency: list[ReferralView]) -> None:
    async with exchange.client(AGENCY) as agency:
        for each in everywhere + by_the_agency:
            await agency.act_on_case("decline", each.referral_id, _DECLINED)
    async with exchange.client(OTHER_HOTLINE) as hotline, exchange.client(PROVIDER) as provider:
        for each in everywhere:
            [notice] = [edge.notice_id for edge in each.edges if edge.notice_id]
            await hotline.act_on_offer("decline", each.referral_id, _DECLINED)
            await provider.act_on_notice("not_ours", notice, NoticeDisowning(disowned=(DisowningStatement(),)))
    await exchange.until_quiet(REST_S_MAX)


async def tidy(exchange: Exchange, instance: str) -> None:
    owned = OwnedDatabase(instance, exchange.endpoints.database(instance).owner_url)
    await apply(owned, SystemClock().now() + LATER)


async def test_the_nightly_check_after_erasures_and_retention_sends_nothing_and_no_number_is_given_twice(
    exchange: Exchange, nights: Path, record_property: Callable[[str, object], None]
) -> None:
    told: Told = {}
    async with exchange.client(HOTLINE) as hotline:
        answers = await hotline.submit_batch([referral() for _ in range(REFERRALS)])
        await exchange.until_quiet(REST_S_MAX)
        shown = [await hotline.show(each.referral_id) for each in answers if each.referral_id]
        gone, everywhere, by_the_agency = (shown[at : at + OF_EACH] for at in range(0, 3 * OF_EACH, OF_EACH))
        for each in gone:
            await hotline.withdraw(each.referral_id, WithdrawalReason.FILED_IN_ERROR)
    await exchange.until_quiet(REST_S_MAX)
    await all_acknowledge(exchange, [each.referral_id for each in gone])
    await decline(exchange, everywhere, by_the_agency)
    twice = await note_events(exchange, told)
    for instance in TIDIED:
        await tidy(exchange, instance)
    erased = {
        "referral": (await exchange.rows_past_policies("hotline", _ERASED.format("referral")))[0][0],
        **{each: (await exchange.rows_past_policies(each, _ERASED.format("received")))[0][0] for each in SERVICES},
    }
    before = await count_sent(exchange)
    await pass_night(exchange, nights)
    sent = await count_sent(exchange) - before
    twice += await note_events(exchange, told)
    # At both ends; at the origin alone, as the provider's instance keeps it; at the agency's instance alone.
    assert erased == {"referral": 8, "hotline": 8, "law_enforcement": 12, "industry": 4}
    assert sum(sent[each] for each in ROLE_BY_TYPE) >= len(SERVICES) ** 2
    assert ({each: count for each, count in sent.items() if each not in ROLE_BY_TYPE}, twice) == ({}, 0)
    record_property("figure", f"{sum(erased.values())} records erased, sent by the night {dict(sent)}, twice {twice}")
