"""The broker away, and the broker's disk gone: intake goes on, and whatever was not receipted is sent again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.failures.load import posts
from tests.failures.outage import RESEND_AFTER_S, broker_down, disk_gone
from tests.failures.split import PROCESSES, SplitExchange, split_exchange

FORGETFUL = ("-m", "tests.failures.forgetful")


@pytest.fixture
def split(tmp_path: Path) -> Iterator[SplitExchange]:
    with split_exchange(tmp_path, settings={"RESEND_AFTER_S": str(RESEND_AFTER_S)}) as exchange:
        yield exchange


@pytest.fixture
def split_with_a_forgetful_relay(tmp_path: Path) -> Iterator[SplitExchange]:
    settings, programs = {"RESEND_AFTER_S": str(RESEND_AFTER_S)}, {"relay": FORGETFUL}
    with split_exchange(tmp_path, settings=settings, programs=programs) as exchange:
        yield exchange


async def test_without_a_broker_every_referral_is_accepted_at_once_and_delivered_later(
    split: SplitExchange, capsys: pytest.CaptureFixture[str]
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


async def test_a_relay_that_forgets_before_the_broker_has_answered_loses_what_it_held(
    split_with_a_forgetful_relay: SplitExchange,
) -> None:
    await split_with_a_forgetful_relay.start(*PROCESSES)
    outage = await broker_down(split_with_a_forgetful_relay, seconds=4, per_s=40, seed=11)
    assert outage.accepted == outage.posted
    assert outage.verdict.effects_lost > 0
    assert any("without a message" in each.what for each in outage.verdict.accounting.differences)


async def test_the_loss_of_the_brokers_disk_loses_no_message_and_audit_names_what_it_never_saw(
    split: SplitExchange, capsys: pytest.CaptureFixture[str]
) -> None:
    await split.start(*PROCESSES)
    gone = await disk_gone(split, posts(700, seed=12))
    verdict, accounting = gone.verdict, gone.verdict.accounting
    with capsys.disabled():
        print("", f"unreceipted when the disk went: {gone.unreceipted}", verdict.line(), *accounting.notes, sep="\n  ")
    assert gone.unreceipted >= 100
    assert verdict.faults().keys() <= {"accounting"}
    assert [each for each in accounting.differences if "audit" not in each.what] == []
    # Facts have no receipt: those that audit had not read went with the disk, and are named one by one.
    assert gone.facts_lost
    assert {pair: lost - gone.gap.get(pair, set()) for pair, lost in gone.facts_lost.items()} == {
        pair: set() for pair in gone.facts_lost
    }
    for pair in gone.facts_lost:
        assert any(note.startswith(f"gap: audit has no entry of {pair[0]} → {pair[1]}") for note in accounting.notes)
