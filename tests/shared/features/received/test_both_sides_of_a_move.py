"""A provider moves while a notice is open: in every order of arrival both sides end equal, and no act is done twice.

The test is pure: the origin's `take`, the recipient's `applied`, a person's acts, and lanes that keep their order.
Random are the arrival of each message, when each side learns of the move, and the times of acts and withdrawals.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.catalog import CATALOG
from shared.core.acts.act import Offering, Subject
from shared.core.acts.states import TrackState, follow, row, shown
from shared.core.contracts.answers import NoticeDisowning, NoticeStatements
from shared.core.contracts.base import Contract
from shared.core.errors import Refused
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.items import ItemLog
from shared.core.protocol.message import Received
from shared.core.protocol.origin import UNFINISHED, EdgeAnswer, answered_so_far
from shared.core.vocabulary.answers import AnswerState
from shared.features.filing.ports import OpenEdge
from shared.features.filing.service import answers
from shared.features.notices.rules import PROVIDER as AS_PROVIDER
from shared.features.received.rules import HeldItem, applied, words_of, written
from tests.services.deliveries import HOTLINE, PROVIDER, issued, notice_withdrawn, received

OLD, NEW = "industry", "industry_two"
ACTED = ("acknowledge", "one", "rest", "not_ours")
STEPS = ("origin_learns", "old_learns", "withdraw", "at_origin", "at_old", "at_new", *ACTED)
ONE = NoticeStatements.model_validate({"items": [{"n": 1, "action": "removed"}]})
REST = NoticeStatements.model_validate({"items": [{"rejection": "not_found"}]})
DISOWN = NoticeDisowning.model_validate({"disowned": [{}]})
ACTS: dict[str, tuple[str, Contract | None]] = {
    "acknowledge": ("acknowledge", None),
    "one": ("answer", ONE),
    "rest": ("answer", REST),
    "not_ours": ("not_ours", DISOWN),
}


@dataclass
class Exchange:
    """One notice of two items. `lanes` are by (from, to). A party acts on the instance that serves it."""

    notice_id: UUID = field(default_factory=uuid7)
    items: dict[str, HeldItem | None] = field(default_factory=lambda: {OLD: None, NEW: None})
    lanes: dict[tuple[str, str], deque[Received]] = field(default_factory=dict)
    moved_at: set[str] = field(default_factory=set)
    acted: list[tuple[str, int]] = field(default_factory=list)
    taken: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.edge = OpenEdge(
            uuid4(), uuid7(), HOTLINE, PROVIDER, self.notice_id, EdgeAnswer(AnswerState.NONE), False, (1, 2), OLD
        )
        self.send("origin", OLD, self._issue())

    def send(self, by: str, to: str, message: Received) -> None:
        self.lanes.setdefault((by, to), deque()).append(replace(message, sender_instance=by))

    def step(self, name: str) -> None:
        match name:
            case "origin_learns" if "origin" not in self.moved_at:
                self.moved_at.add("origin")
                self.issue_anew(moved=True)
            case "old_learns":
                self.moved_at.add(OLD)
            case "withdraw" if not self.edge.withdrawn:
                self.edge = replace(self.edge, withdrawn=True)
                for place in (*self.edge.instances_before, self.edge.instance):
                    self.send("origin", place, notice_withdrawn(self.notice_id))
            case "at_origin":
                self.deliver(OLD, "origin")
                self.deliver(NEW, "origin")
            case "at_old" | "at_new":
                self.deliver("origin", {"at_old": OLD, "at_new": NEW}[name])
            case "acknowledge" | "one" | "rest" | "not_ours":
                self.act(NEW if OLD in self.moved_at else OLD, *ACTS[name])
            case _:
                pass

    def deliver(self, by: str, to: str) -> None:
        lane = self.lanes.get((by, to))
        if lane:
            message = lane.popleft()
            self._answered(message) if to == "origin" else self._arrived(to, message)

    def act(self, place: str, name: str, said: Contract | None) -> None:
        item = self.items[place]
        if item is None:
            return
        act = row(Subject.NOTICE, name)
        try:
            words = words_of(item, said)
            following = follow(act, item.state, words.deciding)
        except Refused:
            return
        assert act.message is not None
        clear, _ = written(act.message, item, words.sent, act=uuid4())
        told = {} if words.sent is None else words.sent.model_dump(mode="json", exclude_none=True)
        kept = (ItemLog.kept(item.said) + ItemLog.kept(told)).words()
        self.items[place] = replace(item, state=following, acts=item.acts + 1, said=kept)
        self.acted.append((place, item.acts + 1))
        answer = received(act.message, clear, subject=self.notice_id, sender=PROVIDER, recipient=HOTLINE)
        self.send(place, "origin", answer)

    def issue_anew(self, *, moved: bool) -> None:
        edge = self.edge
        if edge.withdrawn or (moved and edge.answer.state not in UNFINISHED):
            return
        again = answered_so_far(edge.answer, own=edge.items).model_copy(update={"moved": moved})
        if moved:
            self.edge = replace(edge, instance=NEW, instances_before=(OLD,), forwarded=(edge.answer,))
        self.send("origin", NEW, replace(self._issue(), again=again))

    def settle(self) -> None:
        """Let all parties learn of the move and all messages arrive."""
        for name in ("origin_learns", "old_learns"):
            self.step(name)
        while any(self.lanes.values()):
            for name in ("at_old", "at_new", "at_origin"):
                self.step(name)

    def _issue(self) -> Received:
        return issued(self.notice_id, items=2)

    def _arrived(self, place: str, message: Received) -> None:
        gone = place == OLD and OLD in self.moved_at
        if gone and message.edge is not None:
            return  # `moved`: the origin has issued it again, or will
        if gone and self.items[place] is None:
            return
        self.items[place] = applied(AS_PROVIDER, self.items[place], message)
        if message.message in AS_PROVIDER.beginning:
            self.items[place] = replace(self.items[place], numbers=(1, 2))  # type: ignore[type-var]

    def _answered(self, message: Received) -> None:
        number: int = message.clear.number  # type: ignore[attr-defined]
        self.taken.append((message.sender_instance, number))
        taken = answers.take(self.edge, message, CATALOG.acts_of(message.message))
        self.edge = replace(self.edge, answer=taken.answer, forwarded=taken.forwarded)
        if taken.needs_send:
            self.issue_anew(moved=False)


def ended(steps: list[str]) -> Exchange:
    exchange = Exchange()
    for name in steps:
        exchange.step(name)
    exchange.settle()
    return exchange


def origin_shows(exchange: Exchange) -> tuple[str, int]:
    offered = Offering.WITHDRAWN if exchange.edge.withdrawn else Offering.OPEN
    answer = exchange.edge.answer
    return shown(Subject.NOTICE, TrackState(offered.value, answer.state.value)), answer.acts


def provider_shows(exchange: Exchange) -> tuple[str, int]:
    item = exchange.items[exchange.edge.instance]
    if exchange.edge.withdrawn and item is None:
        return Offering.WITHDRAWN.value, 0  # a withdrawn notice in transit to the old place is at neither place
    assert item is not None
    return item.state, item.acts


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(STEPS), max_size=24))
def test_both_sides_end_equal_whatever_overtakes_what(steps: list[str]) -> None:
    exchange = ended(steps)
    assert origin_shows(exchange)[0] == provider_shows(exchange)[0]
    if not exchange.edge.withdrawn:
        assert origin_shows(exchange) == provider_shows(exchange)
    assert sorted(exchange.taken) == sorted(exchange.acted)


@given(st.lists(st.sampled_from(STEPS), max_size=24))
def test_every_answer_is_taken_by_the_origin_and_none_is_refused(steps: list[str]) -> None:
    """`ended` raises refusals of either side: honest acts cause none."""
    exchange = ended([name for name in steps if name != "withdraw"])
    assert exchange.edge.instance == (NEW if exchange.items[NEW] else OLD)


def test_an_origin_that_only_took_late_answers_would_end_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: without forwarding, the new place keeps an open notice that its origin considers answered."""
    take = answers.take
    monkeypatch.setattr(answers, "take", lambda *given: replace(take(*given), needs_send=False))
    exchange = ended(["at_old", "rest", "origin_learns", "old_learns", "at_new", "at_origin"])
    assert (origin_shows(exchange)[0], provider_shows(exchange)[0]) == ("rejected", "issued")
