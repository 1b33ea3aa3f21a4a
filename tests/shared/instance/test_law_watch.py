"""Ageing of documents: one alarm each until a review, and the time after which they permit no decisions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy.directory.approval import document_body
from shared.core.contracts.policy import InstrumentEntry, Policy
from shared.core.errors import Unavailable
from shared.core.routing.ageing import review
from shared.core.routing.documents import DocumentStore, read_directory, read_policy
from shared.instance import readiness
from shared.instance.readiness import DocumentMonitor
from shared.platform.kafka.documents import BeatMonitor
from shared.platform.observability.metrics import exposition
from tests.shared.core.routing.builders import directory_document, hotline, permit, policy_document
from tests.shared.platform.builders import NOW
from tests.support.manual_clock import ManualClock

TODAY = NOW.date()
EARLIER = NOW - timedelta(days=1)
DAY = timedelta(days=1)
DAY_S = 86_400.0


def entry(instrument: str, **more: Any) -> InstrumentEntry:
    stated = {
        "id": instrument,
        "title": "Sample instrument",
        "jurisdiction": "NL",
        "valid_from": "2020-01-01",
        "source": "Sample source",
        "reviewed_on": TODAY.isoformat(),
        "reviewer_role": "policy_lead",
        "reading": "read",
        "confirmation": "confirmed",
        "known_from": "2020-01-01",
    }
    return InstrumentEntry.model_validate(stated | more)


def policy(*instruments: InstrumentEntry, version: int = 1, **more: Any) -> Policy:
    rules = (permit("by-mou"), permit("by-dsa", basis={"instrument": "dsa", "article": "16", "jurisdiction": "NL"}))
    return policy_document(*rules, version=version).model_copy(update={"instruments": instruments} | more)


class Watched:
    """A watch over one directory and the policies placed."""

    def __init__(self, *policies: Policy, directory: dict[str, Any] | None = None) -> None:
        self.clock, self.shelf = ManualClock(NOW), DocumentStore()
        document = directory_document(hotline("hotline-nl.example", "NL")).model_copy(update=directory or {})
        self.shelf.directories.place(read_directory(document_body(document)), EARLIER)
        for each in policies:
            self.place(each, EARLIER)
        feed = SimpleNamespace(beat=BeatMonitor(self.shelf, self.clock))
        self.watch = DocumentMonitor(self.shelf, cast(Any, feed), self.clock)

    def place(self, document: Policy, active_from: datetime) -> None:
        self.shelf.policies.place(read_policy(document_body(document)), active_from)


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Callable[[], list[tuple[str, ...]]]:
    """Return a function for the log since the last call, as (event, instrument or kind, code)."""

    def read() -> list[tuple[str, ...]]:
        lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
        return [
            (each["event"], each.get("instrument") or each.get("kind"), each["code"])
            for each in lines
            if each["event"] in ("law_aged", "law_reviewed", "document_ages")
        ]

    return read


def gauge(reason: str) -> float:
    (line,) = [
        line for line in exposition().decode().splitlines() if line.startswith(f'causeway_law_aged{{reason="{reason}"')
    ]
    return float(line.split()[-1])


async def test_a_look_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = list[int]()

    def fails() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise asyncio.CancelledError
        raise ZeroDivisionError

    watch = Watched(policy()).watch
    monkeypatch.setattr(watch, "look", fails)
    monkeypatch.setattr(readiness, "LOOK_EVERY_S", 0)
    with pytest.raises(asyncio.CancelledError):
        await watch.run()
    assert len(looks) == 3


async def test_a_clock_moved_91_days_on_raises_the_alarm_once_per_instrument_and_a_review_ends_it(said: Any) -> None:
    watched = Watched(policy(entry("dsa"), entry("inhope_mou")))
    watched.clock.advance(90 * DAY_S)
    assert watched.watch.look() == []
    watched.clock.advance(DAY_S)
    for _ in range(3):
        assert watched.watch.look() == [("dsa", "unreviewed"), ("inhope_mou", "unreviewed")]
    assert said() == [("law_aged", "dsa", "unreviewed"), ("law_aged", "inhope_mou", "unreviewed")]
    assert gauge("unreviewed") == 2
    assert (await watched.watch.check()).reason == "law_aged"

    now = watched.clock.now()
    reviewed = policy(entry("dsa", reviewed_on=now.date().isoformat()), entry("inhope_mou"), version=2)
    watched.place(reviewed, now)
    assert watched.watch.look() == [("inhope_mou", "unreviewed")]
    assert said() == [("law_reviewed", "dsa", "unreviewed")]
    assert gauge("unreviewed") == 1


async def test_whoever_reviews_in_time_hears_nothing(said: Any) -> None:
    """The control of the test above."""
    watched = Watched(policy(entry("dsa"), entry("inhope_mou")))
    watched.clock.advance(91 * DAY_S)
    later = (TODAY + 91 * DAY).isoformat()
    fresh = policy(entry("dsa", reviewed_on=later), entry("inhope_mou", reviewed_on=later), version=2)
    watched.place(fresh, NOW)
    assert watched.watch.look() == []
    assert said() == []
    assert await watched.watch.check() == ("law", True, "", None)


def test_a_rule_that_asks_for_an_earlier_look_raises_the_alarm_until_a_version_moves_its_day(said: Any) -> None:
    def asking(review_by: datetime, version: int) -> Policy:
        stated = policy(entry("dsa"), entry("inhope_mou"), version=version)
        moved = {"review_by": review_by.date()}
        rules = tuple(rule.model_copy(update=moved) if rule.id == "by-dsa" else rule for rule in stated.rules)
        return stated.model_copy(update={"rules": rules})

    first = asking(NOW + 10 * DAY, 1)
    watched = Watched(first)
    assert [each.review_by for each in review(read_policy(document_body(first)).document, TODAY)] == [
        TODAY + 10 * DAY,
        TODAY + 90 * DAY,
    ]
    watched.clock.advance(10 * DAY_S)
    assert watched.watch.look() == []
    watched.clock.advance(DAY_S)
    assert watched.watch.look() == watched.watch.look() == [("dsa", "unreviewed")]
    watched.place(asking(NOW + 40 * DAY, 2), watched.clock.now())
    assert watched.watch.look() == []
    assert said() == [("law_aged", "dsa", "unreviewed"), ("law_reviewed", "dsa", "unreviewed")]


def test_an_ended_instrument_without_successor_stands_on_the_list_and_is_an_alarm_while_a_rule_cites_it() -> None:
    ended = policy(entry("dsa", valid_to=TODAY.isoformat()), entry("inhope_mou"))
    assert Watched(ended).watch.look() == [("dsa", "ended")]
    (found,) = [each for each in review(read_policy(document_body(ended)).document, TODAY) if each.valid_to]
    assert (found.instrument, found.succeeded_by, found.live) == ("dsa", None, ("by-dsa",))
    rules = tuple(rule.model_copy(update={"valid_to": TODAY}) if rule.id == "by-dsa" else rule for rule in ended.rules)
    over = ended.model_copy(update={"rules": rules})
    assert Watched(over).watch.look() == []
    assert [each.cited_by for each in review(read_policy(document_body(over)).document, TODAY) if each.valid_to] == [
        ("by-dsa",)
    ]


def test_a_successor_counts_from_the_day_it_is_in_force() -> None:
    begins = TODAY + 10 * DAY
    succeeded = policy(
        entry("dsa", succeeded_by="eprivacy"), entry("inhope_mou"), entry("eprivacy", valid_from=begins.isoformat())
    )
    watched = Watched(succeeded)
    assert watched.watch.look() == [("eprivacy", "beginning")]
    watched.clock.advance(10 * DAY_S)
    assert watched.watch.look() == [("dsa", "succeeded")]


def test_an_unconfirmed_successor_ends_nothing() -> None:
    successor = entry("eprivacy", confirmation="unconfirmed")
    assert Watched(policy(entry("dsa", succeeded_by="eprivacy"), entry("inhope_mou"), successor)).watch.look() == []


def test_documents_near_their_end_say_so_in_steps_and_after_the_grace_nothing_is_decided(said: Any) -> None:
    watched = Watched(policy(), directory={"valid_until": TODAY + 91 * DAY, "grace_days": 60})
    codes = []
    for days in (0, 1, 1, 59, 23, 6, 1):
        watched.clock.advance(days * DAY_S)
        watched.watch.look()
        watched.watch.look()
        codes.append([code for _, _, code in said()])
    assert codes == [[], ["ends_in_90d"], [], ["ends_in_30d"], ["ends_in_7d"], [], ["ended"]]
    assert watched.watch.documents(), "in the grace senders go on"


@pytest.mark.parametrize("kind", ["directory", "policy"])
def test_after_the_grace_senders_wait_until_a_newer_document_comes(kind: str) -> None:
    ends = {"valid_until": TODAY, "grace_days": 60}
    watched = Watched(
        policy().model_copy(update=ends if kind == "policy" else {}), directory=ends if kind == "directory" else {}
    )
    watched.clock.advance(59 * DAY_S)
    assert watched.watch.documents()
    watched.clock.advance(DAY_S)
    with pytest.raises(Unavailable, match="documents_expired"):
        watched.watch.documents()
    if kind == "policy":
        watched.place(policy(version=2), watched.clock.now())
        assert watched.watch.documents().policy.edition.version == 2


def test_before_the_first_document_there_is_nothing_to_say() -> None:
    watched = Watched()
    assert watched.watch.look() == []
    with pytest.raises(Unavailable, match="document_unknown"):
        watched.watch.documents()
