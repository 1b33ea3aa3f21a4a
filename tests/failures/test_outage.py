"""The broker away, and the broker's disk gone: intake goes on, and whatever was not receipted is sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.failures.load import posts
from tests.failures.outage import RECEIPTED_S_MAX, broker_down, disk_gone
from tests.failures.split import BROKER, PROCESSES, SplitExchange, split_exchange
from tests.support.running import HOTLINE, referral, until

Record = Callable[[str, object], None]

FORGETFUL = ("-m", "tests.failures.forgetful")


@pytest.fixture
def split(tmp_path: Path) -> Iterator[SplitExchange]:
    with split_exchange(tmp_path) as exchange:
        yield exchange


@pytest.fixture
def split_with_a_forgetful_relay(tmp_path: Path) -> Iterator[SplitExchange]:
    programs = {"relay": FORGETFUL}
    with split_exchange(tmp_path, programs=programs) as exchange:
        yield exchange


@pytest.mark.timing
async def test_without_a_broker_every_referral_is_accepted_at_once_and_delivered_later(
    split: SplitExchange, capsys: pytest.CaptureFixture[str], record_property: Record
) -> None:
    await split.start(*PROCESSES)
    outage = await broker_down(split, seconds=5, per_s=50, seed=11)
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
    split: SplitExchange,
) -> None:
    await split.start("api", "law_enforcement")
    for service in ("hotline", "law_enforcement"):
        await until(partial(documents_kept, split, service))
    for label in ("api", "law_enforcement", BROKER):
        await split.kill(label)
    await split.start("api", "law_enforcement")
    # Until the lease of the one that was killed has run out, its relay stands by.
    assert (await reasons(split, "law_enforcement"))["bus"] == "broker_unavailable"
    async with split.http(HOTLINE) as http:
        filed = await http.post("/v1/referrals", json=referral(), headers={"Idempotency-Key": "without-a-broker"})
    assert filed.status_code == 202
    await split.start(BROKER, "relay", "consumer", "industry", "audit")
    await split.until_receipted(RECEIPTED_S_MAX)
    assert await reasons(split, "law_enforcement") == {}
    ((cases,),) = await split.count_as_accountant("law_enforcement", "SELECT count(referral_id) FROM case_file")
    assert cases == 1


async def documents_kept(split: SplitExchange, service: str) -> bool:
    """Whether the service has directory and policy in its database."""
    admin = await split.admin(service)
    try:
        return int(await admin.fetchval("SELECT count(DISTINCT kind) FROM document")) == 2
    finally:
        await admin.close()


async def reasons(split: SplitExchange, instance: str) -> dict[str, str]:
    """What the checks of a ready instance tell, by name."""
    async with httpx.AsyncClient(base_url=split.endpoints.http[instance], trust_env=False) as http:
        answer = await http.get("/readyz")
    assert answer.status_code == 200
    return {check["name"]: check["reason"] for check in answer.json()["checks"] if check["reason"]}


@pytest.mark.timing
async def test_a_relay_that_forgets_before_the_broker_has_answered_loses_what_it_held(
    split_with_a_forgetful_relay: SplitExchange, record_property: Record
) -> None:
    await split_with_a_forgetful_relay.start(*PROCESSES)
    outage = await broker_down(split_with_a_forgetful_relay, seconds=1.5, per_s=40, seed=11)
    assert outage.accepted == outage.posted
    assert outage.verdict.effects_lost > 0
    record_property("lost", outage.verdict.effects_lost)
    assert any("without a message" in each.what for each in outage.verdict.accounting.differences)


async def test_the_loss_of_the_brokers_disk_loses_no_message_and_audit_names_what_it_never_saw(
    split: SplitExchange, capsys: pytest.CaptureFixture[str], record_property: Record
) -> None:
    await split.start(*PROCESSES)
    gone = await disk_gone(split, posts(700, seed=12))
    verdict, accounting = gone.verdict, gone.verdict.accounting
    with capsys.disabled():
        print("", f"unreceipted when the disk went: {gone.unreceipted}", verdict.line(), *accounting.notes, sep="\n  ")
    assert gone.unreceipted >= 100
    record_property(
        "figure", f"{gone.unreceipted} unreceipted when it went: lost {verdict.lost}, duplicates {verdict.duplicates}"
    )
    assert verdict.faults().keys() <= {"accounting"}
    assert [each for each in accounting.differences if "audit" not in each.what] == []
    # Facts have no receipt: what audit had not read went with the disk. It comes again, or it is named.
    assert gone.facts_lost
    named = {each.where.partition(", sequences ")[0] for each in accounting.differences}
    assert {f"{pair[0]} → {pair[1]}, epoch {pair[2]}" for pair in gone.gap} <= named
