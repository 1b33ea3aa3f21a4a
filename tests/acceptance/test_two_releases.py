"""Instances of two releases side by side: what the earlier one cannot read is deferred, or written in its form.

A stub stands for the later release. Audit is upgraded first, then an agency's instance, then the hotlines' one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest

from shared.core.contracts.answers import OutcomeReport
from shared.core.vocabulary.answers import CaseOutcome, YesNoUnknown
from tests.failures.delivered import filings
from tests.failures.load import Sender
from tests.failures.verdict import judge
from tests.support import driver_delivery as delivery
from tests.support.driver_delivery import inbox_topic
from tests.support.later_release import LATER
from tests.support.running import AGENCY, HOTLINE, Exchange, running_exchange, until

pytestmark = pytest.mark.long

ORIGIN, AGENCIES, PROVIDERS = "hotline", "law_enforcement", "industry"
REFERRALS = 4
REST_S_MAX = 300.0
OFFERED, NOTICE, ACCEPTED = ("causeway.referral_offered", "causeway.notice_issued", "causeway.case_accepted")
_EVENTS: Final = "SELECT subject, type FROM act WHERE party = $1 AND subject = ANY($2::uuid[]) AND type LIKE 'case.%'"
ARREST: Final = OutcomeReport(
    outcome=CaseOutcome.ARREST, child_identified=YesNoUnknown.YES, child_safeguarded=YesNoUnknown.UNKNOWN
)


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    with running_exchange(tmp_path) as running:
        yield running


async def upgrade(exchange: Exchange, instance: str) -> None:
    exchange.stop(instance)
    exchange.serve(instance, program=LATER)
    exchange.wait_ready(instance)
    await exchange.until_quiet(REST_S_MAX)


async def filed(sender: Sender) -> list[UUID]:
    before = set(sender.tally.accepted.values())
    await sender.send(filings(REFERRALS))
    return [UUID(each) for each in sender.tally.accepted.values() if each not in before]


async def types(exchange: Exchange, addressee: str, writer: str) -> Counter[str]:
    """Messages in a topic, by type."""
    records = await delivery.list_records(exchange, inbox_topic(addressee, writer))
    return Counter(each.texts["ce_type"].decode() for each in records)


async def answers(exchange: Exchange, ids: list[UUID]) -> Counter[str]:
    """The agency's answers, as the origin has them."""
    async with exchange.client(HOTLINE) as hotline:
        shown = [await hotline.show(each) for each in ids]
    return Counter(str(edge.answer) for each in shown for edge in each.edges if edge.recipient == AGENCY)


async def test_what_the_earlier_release_cannot_read_is_deferred_and_applied_once_by_the_later_one(
    exchange: Exchange, record_property: Callable[[str, object], None]
) -> None:
    async with Sender(exchange, withdrawn_share=0) as sender, exchange.client(AGENCY) as agency:
        await upgrade(exchange, "audit")
        await upgrade(exchange, AGENCIES)
        ids = await filed(sender)
        await exchange.until_quiet(REST_S_MAX)
        for each in ids:
            await agency.act_on_case("accept", each)
        # The earlier release reads this, and keeps the act before it: it waits.
        await agency.act_on_case("outcome", ids[0], ARREST)
        await exchange.until_quiet(REST_S_MAX)
        deferred = await delivery.count_exceptions(exchange, ORIGIN, writer=AGENCIES)
        assert deferred == {"deferred": REFERRALS, "waiting": 1}
        assert await delivery.count_open_outcomes(exchange, AGENCIES) == REFERRALS + 1
        assert await answers(exchange, ids) == {"none": REFERRALS}
        assert (await types(exchange, ORIGIN, AGENCIES))[f"{ACCEPTED}.v2"] == REFERRALS
        await upgrade(exchange, ORIGIN)

        async def none_is_kept() -> bool:
            kept = await delivery.count_exceptions(exchange, ORIGIN)
            return not kept.total() and await delivery.count_open_outcomes(exchange, AGENCIES) == 0

        await until(none_is_kept, seconds_max=REST_S_MAX)
        told = Counter(tuple(row) for row in await exchange.rows_past_policies(ORIGIN, _EVENTS, HOTLINE, ids))
        assert told == {**dict.fromkeys([(each, "case.accept") for each in ids], 1), (ids[0], "case.outcome"): 1}
        assert "none" not in await answers(exchange, ids)
        # From here on the origin writes the later form for whoever reads it, and the earlier one for the others.
        ids = await filed(sender)
        await exchange.until_quiet(REST_S_MAX)
        offered, noticed = await types(exchange, AGENCIES, ORIGIN), await types(exchange, PROVIDERS, ORIGIN)
        assert [offered[f"{OFFERED}.v{each}"] for each in (1, 2)] == [REFERRALS, REFERRALS]
        assert [noticed[f"{NOTICE}.v{each}"] for each in (1, 2)] == [2 * REFERRALS, 0]
        await exchange.until_audited(REST_S_MAX)
        verdict = await judge(exchange, sender.tally)
        assert verdict.faults() == {}
    record_property("figure", f"{dict(deferred)}, applied once after the upgrade; {verdict.line()}")
