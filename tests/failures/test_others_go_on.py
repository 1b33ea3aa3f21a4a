"""A failing recipient affects only itself: messages to others are as fast as before, and nothing is lost.

Figures of timing are ratios within one run. The verbs of docs/acceptance-long.md check the goal at full length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from confluent_kafka.admin import AclOperation

from shared.core.ids import uuid7
from tests.failures.audited import PATIENCE, SECONDS_MAX, audited
from tests.failures.delivered import to_an_agency, without_right
from tests.failures.load import Sender
from tests.failures.poison import poisoned
from tests.failures.recipient_down import recipient_down
from tests.failures.stopped import stopped
from tests.failures.unwritable import How, one_topic_shut
from tests.support.driver_delivery import count_exceptions, inbox_topic
from tests.support.running import AGENCY, PROVIDER, Exchange, provider_filing, until

Record = Callable[[str, object], None]

pytestmark = pytest.mark.timing

SECONDS = 4.0
#: Ten times the goal, like all deadlines of tests.
P99_RATIO_MAX, P50_RATIO_MAX = 20.0, 15.0
BACKLOG = 3_000
LATE = 100


@pytest.mark.long
@pytest.mark.parametrize("how", How)
async def test_a_topic_that_cannot_be_written_holds_up_no_other_and_nothing_is_appended_twice(
    exchange: Exchange, how: How, record_property: Record
) -> None:
    held = await one_topic_shut(exchange, how, seconds=SECONDS)
    record_property("figure", "; ".join(held.lines()))
    assert held.kept(P99_RATIO_MAX), held


@pytest.mark.long
async def test_a_recipient_that_is_down_costs_the_others_nothing_and_gets_each_message_once(
    exchange: Exchange, record_property: Record
) -> None:
    down = await recipient_down(exchange, backlog=BACKLOG, seconds=SECONDS, long=False)
    record_property("figure", "; ".join(down.lines()))
    assert set(down.held.ready) == {200}
    assert down.held.copies == 0
    assert down.delivered == down.expected
    assert down.ratio <= P50_RATIO_MAX


@pytest.mark.long
async def test_poison_in_an_inbox_holds_up_nobody_honest_and_leaves_few_rows(
    exchange: Exchange, record_property: Record
) -> None:
    found = await poisoned(exchange, seconds=SECONDS)
    record_property("figure", "; ".join(found.lines()))
    assert found.audited_records == found.written // 2
    assert found.kept(P99_RATIO_MAX)


async def test_what_audit_may_not_read_is_named_the_rest_is_audited_and_so_is_a_topic_that_is_made_meanwhile(
    exchange: Exchange, record_property: Record
) -> None:
    found = await audited(exchange)
    record_property("figure", "".join(found.lines()))
    assert found.read_while_shut == 0
    assert found.kept(PATIENCE * SECONDS_MAX)


async def test_a_poller_misses_none_of_a_hundred_that_arrive_late(exchange: Exchange, record_property: Record) -> None:
    """The referrals are accepted and cannot be sent. Meanwhile the poller sees a later one of another party."""
    async with exchange.http(AGENCY) as agency, exchange.http(PROVIDER) as provider:

        async def inbox() -> Sequence[str]:
            answer = await agency.get("/v1/inbox", params={"limit": 200})
            return [each["referral_id"] for each in answer.json()["items"]]

        async with (
            without_right(exchange, "hotline", inbox_topic("law_enforcement", "hotline"), AclOperation.WRITE),
            Sender(exchange, withdrawn_share=0) as sender,
        ):
            await sender.send(to_an_agency(LATE, together=LATE))
            filed = await provider.post(
                "/v1/referrals", json=provider_filing(), headers={"Idempotency-Key": uuid7().hex}
            )
            assert filed.status_code == 202

            async def has_come() -> bool:
                return filed.json()["referral_id"] in await inbox()

            await until(has_come)
            top = (await inbox())[0]
            late = set(sender.tally.accepted.values())
            assert not late & set(await inbox())
        await exchange.until_quiet()
        shown = await inbox()
    seen = set(shown[: shown.index(top)])
    record_property("figure", f"{len(late)} late, {len(late - seen)} missed")
    assert len(late) == LATE
    assert late <= seen


@pytest.mark.long
async def test_a_database_that_goes_away_is_named_loses_nothing_and_all_goes_on_when_it_is_back(
    exchange: Exchange, record_property: Record
) -> None:
    found = await stopped(exchange, "database", seconds=SECONDS)
    record_property("figure", found.line())
    assert found.kept(), found.line()
    assert (await count_exceptions(exchange, "law_enforcement"))["dead"] == 0
