"""`kill -9` under load: every referral and every effect occurs once, and reconciliation shows no difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.failures.kills import IN_FLIGHT_MIN, kill_through, rounds
from tests.failures.load import Sender, posts
from tests.failures.split import BROKER, PROCESSES, SplitExchange, split_exchange
from tests.failures.verdict import EDGE_EXISTS, judge
from tests.support.driver_delivery import list_edge_outcomes, remove_dedupe
from tests.support.running import until

Record = Callable[[str, object], None]

TARGETS = (*PROCESSES, BROKER)
#: `make acceptance` kills each twice, among 5,000.
REFERRALS = 2_500
ACKNOWLEDGED_S_MAX = 300.0


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SplitExchange]:
    with split_exchange(tmp_path_factory.mktemp("kills")) as exchange:
        yield exchange


@pytest.fixture(scope="module")
async def split(servers: SplitExchange) -> SplitExchange:
    """Yield an exchange with all processes at work."""
    await servers.start(*PROCESSES)
    return servers


async def test_killing_each_process_and_the_broker_loses_nothing_and_does_nothing_twice(
    split: SplitExchange, capsys: pytest.CaptureFixture[str], record_property: Record
) -> None:
    done: list[str] = []
    wanted = posts(REFERRALS, seed=7)
    async with Sender(split) as sender:
        kills = await kill_through(
            split,
            sender,
            wanted,
            blows=rounds(TARGETS, len(TARGETS), seed=1),
            referrals_per_blow=350,
            seed=1,
            say=done.append,
        )
        await sender.send(wanted)
    await split.until_acknowledged(ACKNOWLEDGED_S_MAX)
    verdict = await judge(split, sender.tally)
    with capsys.disabled():
        print("", *done, f"repeated requests: {sender.tally.attempts_failed}", verdict.line(), sep="\n  ")
    assert verdict.referrals == REFERRALS
    assert all(kill.in_flight >= IN_FLIGHT_MIN for kill in kills)
    assert Counter(kill.target for kill in kills) == dict.fromkeys(TARGETS, 1)
    assert len({kill.pid for kill in kills}) == len(kills)
    assert verdict.faults() == {}
    least = min(kill.in_flight for kill in kills)
    record_property("figure", f"{len(kills)} kills, least in flight {least}: {verdict.line()}")


@pytest.mark.timing
async def test_without_the_state_of_streams_and_tracks_messages_are_applied_twice(
    split: SplitExchange, record_property: Record
) -> None:
    """The control of the test above, and the last test: the refusals of repeated messages are final."""
    async with Sender(split, withdrawn_share=0) as sender:
        await sender.send(posts(100, seed=8))
    await split.until_acknowledged(ACKNOWLEDGED_S_MAX)
    await split.kill("law_enforcement")
    # No message arrives twice without help: the instance deletes its streams, and reads everything again. Its origin
    # may begin a new incarnation meanwhile, in which numbers begin again. The test therefore waits for the refusals,
    # not for a number.
    await remove_dedupe(split, "law_enforcement", "hotline")
    await split.start("law_enforcement")

    async def is_refused() -> bool:
        rows = await list_edge_outcomes(split, "hotline")
        return any(row["receipt_code"] == EDGE_EXISTS for row in rows)

    await until(is_refused, seconds_max=ACKNOWLEDGED_S_MAX)
    duplicates = (await judge(split, sender.tally)).duplicates
    assert duplicates > 0
    record_property("duplicates", duplicates)
