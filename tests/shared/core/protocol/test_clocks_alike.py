"""Both ends of an edge derive the same clocks from the sent and the received message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shared.core.acts.act import Subject
from shared.core.clock import coarse
from shared.core.contracts.case_referral import CaseCameBackClear
from shared.core.ids import uuid4
from shared.core.protocol.accept import accept
from shared.core.protocol.clocks import answered, begun, clocked, taken_back, told_by
from shared.core.protocol.message import Received
from shared.core.routing.clocks import ACKNOWLEDGE_BY, ACT_BY, ClockedEdge, ClockRun, Effect, Law, Step, counted, runs
from shared.core.vocabulary.answers import AnswerState
from shared.core.vocabulary.law import ClockDue, ClockEvent
from shared.core.vocabulary.routing import PartyKind
from tests.support.builders import HOTLINE
from tests.support.exchange_world import World, world

AT = datetime(2026, 11, 26, 12, 34, 56, 789_000, tzinfo=UTC)
SUBJECTS = {
    PartyKind.HOTLINE: Subject.OFFER,
    PartyKind.LAW_ENFORCEMENT: Subject.CASE,
    PartyKind.INDUSTRY: Subject.NOTICE,
}
#: The time of each answer by the party's own clock, and the answer.
ANSWERS = ((2, AnswerState.ACKNOWLEDGED), (3, AnswerState.ACCEPTED), (30, AnswerState.ONGOING))


@pytest.fixture(scope="module")
def here() -> World:
    found = world()
    found.at = AT
    return found


def kind_of(here: World, party: str) -> PartyKind:
    entry = here.documents.directory.party(party)
    assert entry is not None
    return PartyKind(entry.kind)


def due(edge: ClockedEdge, here: World, *steps: Step) -> tuple[ClockRun, ...]:
    return runs(edge, steps, lambda _: Law(here.documents.directory, here.documents.policy))


def edge_of(message: Received, subject: Subject) -> ClockedEdge:
    """Return the edge for clocks, as its recipient knows it."""
    assert message.edge is not None
    return clocked(
        subject,
        rules=message.edge.rules,
        origin=message.sender,
        recipient=message.recipient,
        deadlines=message.edge.deadlines.model_dump(exclude_none=True),
    )


def received(here: World) -> dict[tuple[str, str], Received]:
    """Return the message that each recipient's instance accepts from one referral, by (recipient, purpose)."""
    found = {}
    for draft in here.prepared().drafts:
        if draft.message.edge:
            (record,) = here.records([draft])
            message = accept(record, here.reader(draft.recipient_instance))
            assert message.edge is not None
            found[message.recipient, message.edge.purpose.value] = message
    return found


def test_both_ends_derive_the_same_runs_of_every_edge_and_answer(here: World) -> None:
    """Answers travel as messages, so the other side has their times cut to ten seconds."""
    prepared, taken = here.prepared(), received(here)
    assert len(taken) == len(prepared.emitted) >= 4
    for sent in prepared.emitted:
        subject = SUBJECTS[kind_of(here, sent.recipient)]
        message = taken[sent.recipient, sent.purpose]
        terms = sent.edge.terms
        at_origin = clocked(
            subject, rules=terms.rules, origin=HOTLINE, recipient=sent.recipient, deadlines=terms.deadlines
        )
        at_recipient = edge_of(message, subject)
        there = [*begun(subject, AT)]
        back = [*begun(subject, message.sent_at)]
        for hours, state in ANSWERS:
            acted_at = AT + timedelta(hours=hours)
            back += answered(subject, state, acted_at)
            there += answered(subject, state, coarse(acted_at))
            assert due(at_origin, here, *there) == due(at_recipient, here, *back)
            assert due(at_origin, here, *there) or subject is Subject.OFFER


def test_an_answer_that_is_dated_before_its_edge_answers_it_all_the_same(here: World) -> None:
    """Clocks differ: by the recipient's clock an edge may be answered before the origin's clock has issued it."""
    message = next(each for (party, _), each in received(here).items() if kind_of(here, party) is PartyKind.INDUSTRY)
    edge = edge_of(message, Subject.NOTICE)
    began = coarse(AT)
    for early in (timedelta(minutes=3), timedelta(days=20_000)):
        steps = [*begun(Subject.NOTICE, AT), *answered(Subject.NOTICE, AnswerState.ACTIONED, AT - early)]
        ended = {run.clock: run.ended_at for run in due(edge, here, *counted(steps, began))}
        assert ended[ACKNOWLEDGE_BY] == began
        # The control: with its own date, it answers nothing.
        assert {run.clock: run.ended_at for run in due(edge, here, *steps)}[ACKNOWLEDGE_BY] is None


def test_deadlines_are_those_that_the_message_states_in_the_clear(here: World) -> None:
    compared = 0
    for (recipient, _), message in received(here).items():
        subject = SUBJECTS[kind_of(here, recipient)]
        edge = edge_of(message, subject)
        found = {each.clock: each.due_at for each in due(edge, here, *begun(subject, message.sent_at))}
        for clock, name in ((ACKNOWLEDGE_BY, "acknowledge_by"), (ACT_BY, "act_by")):
            assert found.get(clock) == getattr(message.clear, name, None)
            compared += clock in found
    assert compared >= 4


def test_taking_an_offer_up_promises_no_feedback_as_a_case_does() -> None:
    started = {step.code for step in answered(Subject.CASE, AnswerState.ACCEPTED, AT) if step.did is Effect.STARTS}
    assert started == {ClockEvent.CASE_ACCEPTED}
    assert all(step.did is Effect.DOES for step in answered(Subject.OFFER, AnswerState.ACCEPTED, AT))


@pytest.mark.parametrize("state", AnswerState)
def test_every_answer_says_what_it_did_for_clocks(state: AnswerState) -> None:
    """No answer starts the clock that it ends.

    All answers but none, withdrawal acknowledged and record erased acknowledge.
    """
    found = answered(Subject.CASE, state, AT)
    silent = state in (AnswerState.NONE, AnswerState.WITHDRAWAL_ACKNOWLEDGED, AnswerState.RECORD_ERASED)
    assert (Step(coarse(AT), Effect.DOES, ClockDue.ACKNOWLEDGEMENT) in found) != silent
    assert taken_back(AT) == (Step(coarse(AT), Effect.ENDS),)


def test_what_comes_back_across_its_withdrawal_is_owed_no_more_at_either_end(here: World) -> None:
    """The agency receives the other agency's rejection first, and then the earlier withdrawal."""
    taken = received(here)
    message = next(each for (party, _), each in taken.items() if kind_of(here, party) is PartyKind.LAW_ENFORCEMENT)
    edge = edge_of(message, Subject.CASE)
    gone, withdrawn, back = (AT + timedelta(hours=hours) for hours in (1, 2, 3))
    referring = [*begun(Subject.CASE, AT), *answered(Subject.CASE, AnswerState.REFERRED, gone)]
    coming_back = told_by(Subject.CASE, came_back(message), AnswerState.NONE, told_at=back, again=0)
    at_origin = due(edge, here, *referring, *taken_back(withdrawn), *coming_back)
    at_agency = due(edge, here, *referring, *coming_back, *taken_back(withdrawn))
    assert at_origin == at_agency
    again = [run for run in at_origin if run.number == 2]
    assert again
    assert all(run.ended_at == run.started_at for run in again), "no deadline runs after a withdrawal"
    # The control: without the withdrawal, a deadline runs.
    assert [run for run in due(edge, here, *referring, *coming_back) if run.number == 2 and run.ended_at is None]


def came_back(message: Received) -> CaseCameBackClear:
    words = {"agency": "police-de.example", "edge_id": uuid4(), "code": "policy_not_in_force", "stands": "none"}
    of = {"referral_id": UUID(message.subject), "revision": 1, "act": uuid4(), "number": 2}
    return CaseCameBackClear.model_validate(words | of | {"times": 1})
