"""The broker down, and the broker's disk lost: intake continues, and unacknowledged messages are sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from tests.failures.load import Post, Sender, Tally, posts
from tests.failures.outage import ACKNOWLEDGED_S_MAX, broker_down, disk_gone
from tests.failures.split import BROKER, PROCESSES, SplitExchange, split_exchange
from tests.support import driver
from tests.support.altered_instance import HASTY
from tests.support.running import HOTLINE, referral, until

pytestmark = pytest.mark.long

Record = Callable[[str, object], None]

FORGETFUL = ("-m", "tests.support.forgetful_relay")


@dataclass(slots=True)
class Ongoing:
    """The exchange that these tests share, and all answers to its senders so far."""

    split: SplitExchange
    told: Tally = field(default_factory=Tally)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SplitExchange]:
    with split_exchange(tmp_path_factory.mktemp("outage")) as exchange:
        exchange.programs |= dict.fromkeys(PROCESSES, HASTY)
        yield exchange


@pytest.fixture(scope="module")
async def ongoing(split: SplitExchange) -> Ongoing:
    await split.start(*PROCESSES)
    return Ongoing(split)


@pytest.mark.timing
async def test_without_a_broker_every_referral_is_accepted_at_once_and_delivered_later(
    ongoing: Ongoing, capsys: pytest.CaptureFixture[str], record_property: Record
) -> None:
    outage = await broker_down(ongoing.split, seconds=5, per_s=50, seed=11, earlier=ongoing.told)
    ongoing.told = outage.told
    with capsys.disabled():
        print("", *outage.lines(), sep="\n  ")
    assert outage.accepted == outage.posted == 250
    assert (outage.requests_failed, outage.statuses) == (0, {202: 250})
    assert outage.same_process
    assert outage.waiting_at_the_end > outage.posted
    assert outage.held_by_the_relay > 0
    assert outage.verdict.faults() == {}
    record_property(
        "figure", f"{outage.accepted} of {outage.posted} accepted, by the same process: {outage.verdict.line()}"
    )


async def test_what_is_started_without_a_broker_accepts_at_once_and_delivers_once_there_is_one(
    ongoing: Ongoing,
) -> None:
    split, started = ongoing.split, ("api", "law_enforcement")
    for service in ("hotline", "law_enforcement"):
        await until(partial(documents_kept, split, service))
    for label in (*PROCESSES, BROKER):
        await split.kill(label)
    await split.start(*started)
    # Until the leases of the killed process have expired, its reader and its relay wait as standbys.
    await until(partial(misses_the_broker, split, "law_enforcement"))
    async with Sender(split, withdrawn_share=0) as sender:
        await sender.send([Post(HOTLINE, "without-a-broker", (referral(),))])
    assert sender.tally.statuses == {202: 1}
    ongoing.told |= sender.tally
    await split.start(BROKER, *(label for label in PROCESSES if label not in started))
    await split.until_acknowledged(ACKNOWLEDGED_S_MAX)
    await until(partial(all_is_well, split, "law_enforcement"))
    [filed] = sender.tally.accepted.values()
    assert await driver.count_cases(split, UUID(filed)) == 1


async def misses_the_broker(split: SplitExchange, instance: str) -> bool:
    return (await reasons(split, instance)).get("bus") == "broker_unavailable"


async def documents_kept(split: SplitExchange, service: str) -> bool:
    """Return whether the service has directory and policy in its database."""
    return await driver.count_document_kinds(split, service) == 2


async def all_is_well(split: SplitExchange, instance: str) -> bool:
    return await reasons(split, instance) == {}


async def reasons(split: SplitExchange, instance: str) -> dict[str, str]:
    """Return the reasons of a ready instance's checks, by name."""
    async with httpx.AsyncClient(base_url=split.endpoints.http[instance], trust_env=False, timeout=60) as http:
        answer = await http.get("/readyz")
    assert answer.status_code == 200
    return {check["name"]: check["reason"] for check in answer.json()["checks"] if check["reason"]}


async def test_the_loss_of_the_brokers_disk_loses_no_message_and_audit_names_what_it_never_saw(
    ongoing: Ongoing, capsys: pytest.CaptureFixture[str], record_property: Record
) -> None:
    gone = await disk_gone(ongoing.split, posts(700, seed=12), earlier=ongoing.told)
    ongoing.told = gone.told
    verdict, accounting = gone.verdict, gone.verdict.accounting
    with capsys.disabled():
        print(
            "",
            f"unacknowledged when the disk went: {gone.unacknowledged}",
            verdict.line(),
            *accounting.notes,
            sep="\n  ",
        )
    assert gone.unacknowledged >= 100
    record_property(
        "figure",
        f"{gone.unacknowledged} unacknowledged when it went: lost {verdict.lost}, duplicates {verdict.duplicates}",
    )
    assert verdict.faults() == {}
    # Records that audit had not read were lost with the disk. They are sent again.
    assert gone.facts_lost
    assert gone.gap == {}


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[SplitExchange]:
    with split_exchange(tmp_path) as exchange:
        exchange.programs["relay"] = FORGETFUL
        yield exchange


@pytest.mark.timing
async def test_a_relay_that_forgets_before_the_broker_has_answered_loses_what_it_held(
    forgetful: SplitExchange, record_property: Record
) -> None:
    """The control of all the others, in an exchange of its own: its lost messages stay lost."""
    await forgetful.start(*PROCESSES)
    outage = await broker_down(forgetful, seconds=1.5, per_s=40, seed=13)
    assert outage.accepted == outage.posted
    assert outage.verdict.effects_lost > 0
    record_property("lost", outage.verdict.effects_lost)
    assert any("without a message" in each.what for each in outage.verdict.accounting.differences)
