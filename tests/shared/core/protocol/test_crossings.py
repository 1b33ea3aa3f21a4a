"""Acts and amendments cross in every order. No lawful act is refused, and both sides end in the same state."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from uuid import UUID

import pytest

from shared.catalog import CATALOG
from shared.core.acts.act import Offering, Subject
from shared.core.acts.states import TrackState, follow, row, shown
from shared.core.contracts.answers import (
    CaseAcceptance,
    Declination,
    DisowningStatement,
    FindingStatement,
    ItemStatement,
    NoticeDisowning,
    NoticeStatements,
    OfferFindings,
    OutcomeReport,
    Reinstatement,
    ReinstateStatement,
)
from shared.core.contracts.base import Contract
from shared.core.errors import Refused
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.message import Received
from shared.core.protocol.origin import EdgeAmendments, EdgeAnswer, answer_edge
from shared.core.protocol.retention_grounds import after_amendment, folded
from shared.core.vocabulary.answers import (
    ActionReason,
    AnswerState,
    CaseDeclineReason,
    CaseOutcome,
    HotlineAction,
    HotlineAssessment,
    NoticeAction,
    NoticeRejection,
    ReinstateReason,
    YesNoUnknown,
)
from shared.features.cases.rules import AGENCY as AS_AGENCY
from shared.features.notices.rules import PROVIDER as AS_PROVIDER
from shared.features.offers.rules import HOTLINE as AS_HOTLINE
from shared.features.received.rules import HeldItem, RecipientKind, applied, words_of, written
from shared.features.received.store.listing import words
from tests.services.deliveries import AGENCY, OTHER_HOTLINE, PROVIDER, issued, offered

Said = tuple[str, Contract | None]


@dataclass
class Crossing:
    """An origin's edge, its copy at the recipient, and the ordered messages in transit in each direction."""

    kind: RecipientKind
    random: Random
    subject: UUID = field(default_factory=uuid7)
    #: The origin's data: its own numbers of all items, the removed items, the revision, the answer.
    own: list[int] = field(default_factory=lambda: [1, 2])
    gone: set[int] = field(default_factory=set)
    revision: int = 1
    answer: EdgeAnswer = field(default_factory=lambda: EdgeAnswer(AnswerState.NONE))
    item: HeldItem | None = None
    to_recipient: deque[Received] = field(default_factory=deque)
    to_origin: deque[tuple[Any, Contract]] = field(default_factory=deque)
    acts: int = 0

    @property
    def answered_by_items(self) -> bool:
        return self.kind.subject is not Subject.CASE

    def offer(self) -> None:
        if self.kind.subject is not Subject.NOTICE:
            sent = offered(self.subject, to=AGENCY if self.kind is AS_AGENCY else OTHER_HOTLINE)
            clear = sent.clear.model_copy(update={"revision": self.revision})
            [one] = sent.sealed.items  # type: ignore[union-attr]
            items = tuple(one.model_copy(update={"n": n}) for n in self.own if n not in self.gone)
            sealed = sent.sealed.model_copy(update={"items": items})  # type: ignore[union-attr]
            self.to_recipient.append(replace(sent, clear=clear, sealed=sealed))
            return
        present = [place for place, n in enumerate(self.own, 1) if n not in self.gone]
        sent = issued(self.subject, to=PROVIDER, items=len(self.own), revision=self.revision)
        items = tuple(each for each in sent.sealed.items if each.n in present)  # type: ignore[union-attr]
        self.to_recipient.append(replace(sent, sealed=sent.sealed.model_copy(update={"items": items})))  # type: ignore[union-attr]

    def amend(self) -> None:
        if self.answered_by_items:
            present = [n for n in self.own if n not in self.gone]
            if len(present) > 1 and self.random.random() < 0.5:
                self.gone.add(self.random.choice(present))
            elif len(self.own) < 9:
                self.own.append(max(self.own) + 1)
        self.revision += 1
        standing = [n for n in self.own if n not in self.gone] if self.answered_by_items else []
        state = after_amendment(self.answer.state, self.answer.detail, numbers=standing)
        self.answer = replace(self.answer, state=state)
        self.offer()

    def act(self) -> None:
        if self.item is None:
            return
        name, said = self.random.choice(SAID[self.kind.subject])(self.random, self.item)
        done = row(self.kind.subject, name)
        try:
            told = words_of(self.item, said)
            state = follow(done, self.item.state, told.deciding)
        except Refused:
            return
        assert done.message is not None
        clear, _ = written(done.message, self.item, told.sent, act=uuid4())
        kept = folded(self.item.said, words(clear))
        self.item = replace(self.item, state=state, acts=self.item.acts + 1, said=kept)
        self.to_origin.append((done.message, clear))
        self.acts += 1

    def arrive(self) -> None:
        if self.to_recipient:
            self.item = applied(self.kind, self.item, self.to_recipient.popleft())

    def answered(self) -> None:
        if self.to_origin:
            message, clear = self.to_origin.popleft()
            own = self.own if self.answered_by_items else ()
            amended = EdgeAmendments(self.revision, frozenset(self.gone))
            self.answer = answer_edge(
                self.answer, CATALOG.acts_of(message), clear, withdrawn=False, own=own, amended=amended
            )

    def alike(self) -> bool:
        assert self.item is not None
        state = shown(self.kind.subject, TrackState(Offering.OPEN.value, self.answer.state.value))
        return (state, self.answer.acts) == (self.item.state, self.item.acts)


def _items(random: Random, item: HeldItem) -> NoticeStatements:
    n = random.choice(item.numbers)
    if random.random() < 0.3:
        return NoticeStatements(items=(ItemStatement(n=n, rejection=NoticeRejection.DISPUTED_LEGALITY),))
    return NoticeStatements(items=(ItemStatement(n=n, action=NoticeAction.REMOVED),))


NOTICE_SAID: list[Callable[[Random, HeldItem], Said]] = [
    lambda _random, _item: ("acknowledge", None),
    lambda random, item: ("answer", _items(random, item)),
    lambda random, item: ("answer", _items(random, item)),
    lambda random, item: ("not_ours", NoticeDisowning(disowned=(DisowningStatement(n=random.choice(item.numbers)),))),
    lambda random, item: (
        "reinstate",
        Reinstatement(
            reinstated=(ReinstateStatement(n=random.choice(item.numbers), reason=ReinstateReason.COURT_ORDER),)
        ),
    ),
]
CASE_SAID: list[Callable[[Random, HeldItem], Said]] = [
    lambda _random, _item: ("accept", CaseAcceptance()),
    lambda _random, _item: ("decline", Declination(reason=CaseDeclineReason.NO_CRIME)),
    lambda random, _item: (
        "outcome",
        OutcomeReport(
            outcome=random.choice([CaseOutcome.ARREST, CaseOutcome.CONVICTION]),
            child_identified=YesNoUnknown.UNKNOWN,
            child_safeguarded=YesNoUnknown.UNKNOWN,
        ),
    ),
]


FOUND: list[dict[str, Any]] = [
    {"assessment": HotlineAssessment.BASELINE},
    {"assessment": HotlineAssessment.NATIONAL},
    {"action": HotlineAction.REMOVED},
    {"assessment": HotlineAssessment.NOT_ILLEGAL, "reason": ActionReason.OTHER},
]


def _assessed(random: Random, item: HeldItem) -> Said:
    found = FindingStatement(n=random.choice(item.numbers), **random.choice(FOUND))
    return "assess", OfferFindings(assessed=(found,))


OFFER_SAID: list[Callable[[Random, HeldItem], Said]] = [
    lambda _random, _item: ("accept", None),
    lambda _random, _item: ("decline", Declination(reason=CaseDeclineReason.NO_CRIME)),
    *[_assessed] * 4,
]
SAID = {Subject.NOTICE: NOTICE_SAID, Subject.CASE: CASE_SAID, Subject.OFFER: OFFER_SAID}


def crossed(kind: RecipientKind, seed: int) -> Crossing:
    """Return one run: acts and arrivals in a drawn order, after which all messages in transit arrive."""
    crossing = Crossing(kind, Random(seed))
    crossing.offer()
    steps = [crossing.amend, crossing.act, crossing.act, crossing.act, crossing.arrive, crossing.answered]
    for _ in range(14):
        crossing.random.choice(steps)()
    while crossing.to_recipient or crossing.to_origin:
        crossing.arrive()
        crossing.answered()
    return crossing


@pytest.mark.parametrize("kind", [AS_PROVIDER, AS_AGENCY, AS_HOTLINE], ids=["notice", "case", "offer"])
def test_no_lawful_act_that_crossed_an_amendment_is_refused_and_both_sides_end_alike(kind: RecipientKind) -> None:
    runs = [crossed(kind, seed) for seed in range(1500)]
    assert [seed for seed, run in enumerate(runs) if not run.alike()] == []
    assert sum(run.acts > 1 and run.revision > 1 for run in runs) > 300


@pytest.mark.parametrize("kind", [AS_PROVIDER, AS_AGENCY, AS_HOTLINE], ids=["notice", "case", "offer"])
def test_an_origin_that_forgets_what_was_amended_is_found(kind: RecipientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: answers are judged as if nothing had been amended."""
    never = EdgeAmendments(1, frozenset())
    monkeypatch.setattr(f"{__name__}.EdgeAmendments", lambda *_: never)

    def differs(seed: int) -> bool:
        try:
            return not crossed(kind, seed).alike()
        except Refused:
            return True

    assert any(differs(seed) for seed in range(1500))
