"""Every act that informs the other side: a route and a verb reach it, its addressee accepts it, both sides agree."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from client.cli.verb_table import table
from client.cli.verbs import group
from deploy.artifacts.examples import AGENCY as CASE_OF
from deploy.artifacts.examples import EDGE_IDS
from services.law_enforcement.app import FEATURES
from shared.catalog import CATALOG
from shared.core.acts.act import ASKED_BY_AGENCIES, Act, Cause, Offering, Subject, Track
from shared.core.acts.catalog import Catalog
from shared.core.acts.states import TrackState, follow, row, shown, standings, states
from shared.core.contracts.answers import AssessedItems, DisownedItems, ItemAnswers, ReinstatedItems
from shared.core.contracts.base import Contract
from shared.core.contracts.holds import ShownHold
from shared.core.contracts.items import ItemAnswer
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.clocks import EdgeStep
from shared.core.protocol.findings import fold_offer
from shared.core.protocol.items import ItemLog, fold
from shared.core.protocol.message import Received
from shared.core.protocol.origin import EdgeAnswer
from shared.core.vocabulary.answers import AnswerState, CaseOutcome, NoticeAction
from shared.features.cases.ports import CaseAct, OpenedCase
from shared.features.cases.rules import AGENCY as AGENCIES
from shared.features.dialogues.store import ShownQuestion
from shared.features.filing.ports import AnswerAct, EdgeUpdate, OpenEdge
from shared.features.filing.rules import AnswerDetail
from shared.features.filing.service.answers import EdgeAnswers
from shared.features.notices.ports import OpenedNotice
from shared.features.notices.rules import PROVIDER as PROVIDERS
from shared.features.offers.ports import OpenedOffer
from shared.features.offers.rules import HOTLINE as HOTLINES
from shared.features.received.rules import HeldItem, written
from tests.architecture.source import ROOT
from tests.services.deliveries import AGENCY, AT, HOTLINE, OTHER_HOTLINE, PROVIDER, instance_of, received

EXAMPLES = ROOT / "shared/core/contracts/examples"
#: The service, the answering party, and the verbs of a subject's users.
HELD = {
    Subject.OFFER: ("hotline", OTHER_HOTLINE, ("offer", "orphan", "inbox")),
    Subject.CASE: ("law_enforcement", AGENCY, ("case", "hold", "inbox")),
    Subject.NOTICE: ("industry", PROVIDER, ("notice",)),
}
VIEWS: Mapping[Subject, type[Contract]] = {
    Subject.OFFER: OpenedOffer,
    Subject.CASE: OpenedCase,
    Subject.NOTICE: OpenedNotice,
}
#: A reinstated item was removed before.
REMOVED = ItemLog(answers=tuple(ItemAnswer(n=n, round=1, action=NoticeAction.REMOVED) for n in (1, 2)))
#: The acts of the features of agencies.
FURTHER = tuple(act for each in FEATURES for act in each.feature.acts)
RECIPIENTS = {Subject.OFFER: HOTLINES, Subject.CASE: replace(AGENCIES, further=FURTHER), Subject.NOTICE: PROVIDERS}
#: An act that concerns only the holder of a case has no message.
ANSWERS = [each for subject in HELD for each in CATALOG.personal(subject) if each.message is not None]
#: Acts that a recipient's service does by timer. No route and no verb reaches them.
BY_TIME = [each for subject in HELD for each in CATALOG.acts_on(subject) if each.cause is Cause.TIMER]
#: Acts that follow a refusal by another instance. `test_came_back` walks them.
BY_RECEIPT = [each for each in CATALOG.acts_on(Subject.CASE) if each.track is Track.ANSWER and each.cause is Cause.ACT]


def named(act: Act) -> str:
    return f"{act.subject} {act.name}"


def test_every_message_of_an_act_is_walked() -> None:
    """Requests of agencies to providers are walked on a running exchange, in `test_preservation`."""
    answering = [each for each in CATALOG.acts if each.track is Track.ANSWER and each.subject not in ASKED_BY_AGENCIES]
    assert {act.message for act in answering if act.message} == {
        act.message for act in (*ANSWERS, *BY_TIME, *BY_RECEIPT)
    }


# -- a route and a verb ----------------------------------------------------------------------------------------------


def routes(service: str) -> set[str]:
    document = json.loads((ROOT / f"docs/api/openapi-{service}.json").read_text(encoding="utf-8"))
    return {path.rpartition(":")[2] for path, asked in document["paths"].items() if "post" in asked}


def verbs(groups: Sequence[str]) -> set[str]:
    return {name for each in groups for name in group(each)}


@pytest.mark.parametrize("act", ANSWERS, ids=named)
def test_a_route_reaches_the_act(act: Act) -> None:
    assert act.name.replace("_", "-") in routes(HELD[act.subject][0])


@pytest.mark.parametrize("act", ANSWERS, ids=named)
def test_a_verb_reaches_the_act(act: Act) -> None:
    # The verbs of the group `hold` drop this suffix: `hold place`.
    verb = act.name.removesuffix("_hold") if act.stays else act.name
    assert verb.replace("_", "-") in verbs(HELD[act.subject][2])


def test_a_verb_that_there_is_not_would_be_missed() -> None:
    assert "erase" not in verbs(["case", "inbox", "notice"])


def named_states(verb: str) -> set[str]:
    """Return the states that the help of an inbox listing verb names.

    The help text lists them, as it loads no contracts.
    """
    row = table()["groups"]["inbox"]["verbs"][verb]
    assert not isinstance(row, str)
    listed = row["options"]["state"]["help"].partition("Only in this state: ")[2].partition(".")[0]
    return set(re.split(r",\s+|\s+or\s+", re.sub(r"\s+\([^)]*\)", "", listed)))


def test_the_help_of_the_inbox_names_every_state_there_is() -> None:
    assert named_states("") == states(Subject.OFFER) | states(Subject.CASE)
    assert named_states("notices") == states(Subject.NOTICE)


# -- its addressee ---------------------------------------------------------------------------------------------------


class OneEdge:
    """A substitute for an origin's edges: a single open one, with this answer so far."""

    def __init__(
        self, subject: UUID, recipient: str, present: AnswerState, *, withdrawn: bool, said: Any = None
    ) -> None:
        answer, place = EdgeAnswer(present, said or {}), instance_of(recipient)
        self.edge = OpenEdge(EDGE_IDS[CASE_OF], subject, HOTLINE, recipient, subject, answer, withdrawn, (1, 2), place)
        self.answered: Mapping[UUID, EdgeUpdate] = {}

    async def answerable(self, subjects: Sequence[UUID]) -> dict[tuple[UUID, str], list[OpenEdge]]:
        return {(self.edge.subject, self.edge.recipient): [self.edge]} if self.edge.subject in subjects else {}

    async def exist(self, edge_ids: object) -> frozenset[UUID]:
        return frozenset()

    async def refer(self, referred: object) -> None:
        """Do nothing: the next answering agency has an edge of its own."""

    async def unrefer(self, edge: object, referral_id: object, *, agency: object) -> None:
        """Do nothing: that agency no longer answers on an edge of its own."""

    async def judged(self, acts: Sequence[AnswerAct]) -> dict[AnswerAct, str | None]:
        return {}

    async def answer(self, answered: Mapping[UUID, EdgeUpdate], *_: object, steps: Sequence[EdgeStep]) -> None:
        self.answered = answered


def examples(act: Act) -> list[Contract]:
    """Return the clear parts of the accepted examples of its message."""
    assert act.message is not None
    folder: Path = EXAMPLES / f"{act.message.name}.v{act.message.version}"
    values = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("accepted-*.json"))]
    return [act.message.clear.model_validate(value) for value in values]


def an_item(subject: UUID, party: str) -> HeldItem:
    """Return an item with two numbers that was not acted on before."""
    return HeldItem(subject_id=subject, party=party, sender=HOTLINE, exercise=True, state="", numbers=(1, 2))


def deciding(said: Contract) -> Contract:
    """Return the part of an answer that decides its subject's next state."""
    match said:
        case ItemAnswers():
            return fold((1, 2), ItemLog(answers=said.items))
        case DisownedItems():
            return fold((1, 2), ItemLog(disowned=said.disowned))
        case ReinstatedItems():
            return fold((1, 2), REMOVED + ItemLog(reinstated=said.reinstated))
        case AssessedItems():
            return fold_offer((1, 2), said.assessed)
        case _:
            return said


async def told(
    act: Act, said: Contract, standing: TrackState, catalog: Catalog = CATALOG
) -> tuple[dict[UUID, str], str | None]:
    """Return the origin's refusals and its copy of the answer, after the recipient in `standing` has done `act`."""
    assert act.message is not None
    subject, party = uuid7(), HELD[act.subject][1]
    clear, _ = written(act.message, an_item(subject, party), said, act=uuid4())
    withdrawn = standing.offered == Offering.WITHDRAWN.value
    said_before = REMOVED.words() if act.name == "reinstate" else None
    edges = OneEdge(subject, party, AnswerState(standing.answer), withdrawn=withdrawn, said=said_before)
    message: Received = received(act.message, clear, subject=subject, sender=party, recipient=HOTLINE)
    message = replace(message, sent_at=AT + timedelta(hours=11))  # later than the times in the examples
    answers = EdgeAnswers(edges, AT, catalog, agency=lambda _: "law_enforcement")  # type: ignore[arg-type]
    refused = await answers.apply([message])
    moved = edges.answered.get(edges.edge.edge_id)
    return refused, None if moved is None else moved.answer.state


@pytest.mark.parametrize("act", [*ANSWERS, *BY_TIME], ids=named)
async def test_the_addressee_accepts_what_the_act_tells_and_both_sides_agree(act: Act) -> None:
    tried = 0
    for said in examples(act):
        for standing in standings(act.subject):
            if standing.offered not in act.needs or standing.answer not in act.moves[0].before:
                continue
            refused, answer = await told(act, said, standing)
            assert refused == {}
            assert answer is not None
            # Compare the state of the recipient's own machine with the fold of the origin's copy of the answer.
            here = follow(act, shown(act.subject, standing), deciding(said))
            assert here == shown(act.subject, TrackState(standing.offered, answer))
            tried += 1
    assert tried > 0


async def test_sides_that_part_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: an origin that treats a conviction like another report."""
    outcome = row(Subject.CASE, "outcome")
    (first, *_) = examples(outcome)
    closing = first.model_copy(update={"outcome": CaseOutcome.CONVICTION, "close_reason": None})
    monkeypatch.setattr("shared.core.acts.states.says", lambda move, _said: not move.codes)
    _, answer = await told(outcome, closing, TrackState(Offering.OPEN.value, AnswerState.ACCEPTED.value))
    monkeypatch.undo()
    assert follow(outcome, "accepted", closing) != answer


@pytest.mark.parametrize(
    "act",
    [
        each
        for each in CATALOG.acts
        if each.track is Track.OFFER and each.message is not None and each.subject not in ASKED_BY_AGENCIES
    ],
    ids=named,
)
def test_the_recipient_takes_what_an_origin_sends_it(act: Act) -> None:
    """Each message of an origin is accepted by each kind of recipient that it is for, and by no other."""
    assert act.message is not None
    for subject, recipient in RECIPIENTS.items():
        if subject is act.subject:
            arriving = recipient.amending if act.name == "amend" else recipient.arriving
            assert arriving[act.message] is act
        elif act.message not in {each.message for each in CATALOG.acts_on(subject)}:
            assert act.message not in recipient.arriving


async def test_an_act_whose_row_the_origin_forgot_is_refused() -> None:
    """Negative control: the origin reads another catalogue, in which this act moves nothing."""
    accept = row(Subject.CASE, "accept")
    core, *others = CATALOG.features
    acts = tuple(each._replace(moves=()) if each is accept else each for each in core.acts)
    other = Catalog((core._replace(acts=acts), *others))
    refused, answer = await told(accept, examples(accept)[0], TrackState(Offering.OPEN.value), other)
    assert (list(refused.values()), answer) == (["answer_out_of_order"], None)


# -- the fields of an act ---------------------------------------------------------------------------------------------


def unshown(takes: type[Contract], view: type[Contract]) -> set[str]:
    """Return the fields of an act that a view lacks and would silently omit.

    The answers to agencies inside an act are shown with their preservations.
    """
    return takes.model_fields.keys() - view.model_fields.keys() - {"preservations"}


@pytest.mark.parametrize("act", [each for each in ANSWERS if each.takes is not None], ids=named)
def test_what_a_party_says_is_shown_to_it_and_what_it_tells_to_the_origin(act: Act) -> None:
    assert act.takes is not None
    assert act.message is not None
    if act.name in ("ask", "dispute"):
        # Questions and disputes are shown with their subject, on both sides.
        assert unshown(act.takes, ShownQuestion) == set()
        return
    if act.stays:
        # A request to an origin is shown with the case on both sides, as an act of its own or as a hold.
        assert unshown(act.takes, CaseAct) == unshown(act.takes, ShownHold) == set()
        return
    assert unshown(act.takes, VIEWS[act.subject]) == set()
    sealed = act.message.sealed.model_fields.keys() if act.message.sealed else set()
    assert unshown(act.takes, AnswerDetail) - sealed == set()
    grown = type("Grown", (act.takes,), {"__annotations__": {"remark": "str"}, "remark": ""})
    assert unshown(grown, VIEWS[act.subject]) == {"remark"}
