"""Clocks: which ones run for which edge, their start, length and pauses, and the rungs of a ladder."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.policy import sample_policy
from shared.core.acts.act import Subject
from shared.core.canonical import canonical_json
from shared.core.contracts.policy import Calendar, ClockRule, Policy
from shared.core.contracts.questions import DisputeRaisedClear, QuestionAskedClear
from shared.core.protocol import clocks, preservation, questions
from shared.core.protocol.items import ItemLog
from shared.core.routing.clocks import ACKNOWLEDGE_BY, ACT_BY, ClockedEdge, ClockRun, Effect, Law, Step, due_after, runs
from shared.core.routing.documents import read_policy
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.answers import AnswerState
from shared.core.vocabulary.law import ClockDue, ClockEvent, StopCause
from shared.core.vocabulary.preservation import PreservationAnswer, PreservationKind
from tests.shared.core.routing.builders import agency, directory_of, hotline, provider

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DIRECTORY = directory_of(
    hotline("hotline-nl.example", "NL"),
    provider("provider-us.example", "US-CA"),
    provider("provider-nl.example", "NL"),
    agency("police-nl.example", "NL"),
    agency("union.example", "BLOC-EU"),
)
SAMPLE = sample_policy()
NOTICE_RULE, AGENCY_RULE, HUB_RULE = "eu-dsa-16-notice", "eu-dsa-18-member-state", "us-2258a-hub"


def policy(*clocks: dict[str, Any], **changes: Any) -> PolicyIndex:
    """Return the sample's policy with other clocks, each given by its changes from `CLOCK`."""
    given = tuple(ClockRule.model_validate(CLOCK | each) for each in clocks)
    document: Policy = SAMPLE.model_copy(update={"clocks": given, **changes} if clocks else changes)
    return read_policy(canonical_json(document.model_dump(mode="json", exclude_none=True)))


CLOCK: dict[str, Any] = {
    "id": "some-clock",
    "basis": {"instrument": "dsa", "article": "Art. 16", "jurisdiction": "NL"},
    "starts": "notice_issued",
    "due": "removal",
    "then": "alert",
    "valid_from": "2024-02-17",
    "known_from": "2024-02-17",
    "source": "A source",
    "reviewed_on": "2026-11-25",
    "reviewer_role": "sample_author",
    "reading": "secondary",
}
SAMPLE_LAW = policy()


def notice(*rules: str, recipient: str = "provider-nl.example", **deadlines: int) -> ClockedEdge:
    rules = rules or (NOTICE_RULE,)
    return ClockedEdge(rules, "hotline-nl.example", recipient, ClockEvent.NOTICE_ISSUED, deadlines)


def case(*rules: str, recipient: str = "police-nl.example") -> ClockedEdge:
    return ClockedEdge(rules or (AGENCY_RULE,), "hotline-nl.example", recipient, ClockEvent.REPORT_SENT, {})


def started(event: ClockEvent, hours: float = 0) -> Step:
    return Step(AT + hours * HOUR, Effect.STARTS, event)


ISSUED = (started(ClockEvent.NOTICE_ISSUED), started(ClockEvent.NOTICE_RECEIVED))


def stops(hours: float, cause: StopCause = StopCause.NEEDS_INFO, of: int = 1) -> Step:
    return Step(AT + hours * HOUR, Effect.STOPS, cause, of)


def resumes(hours: float, cause: StopCause = StopCause.NEEDS_INFO, of: int = 1) -> Step:
    return Step(AT + hours * HOUR, Effect.RESUMES, cause, of)


def run(edge: ClockedEdge, *steps: Step, law: PolicyIndex = SAMPLE_LAW) -> dict[str, ClockRun]:
    found = runs(edge, steps, lambda _: Law(DIRECTORY, law))
    assert len({(each.clock, each.number) for each in found}) == len(found)
    return {each.clock if each.number == 1 else f"{each.clock}#{each.number}": each for each in found}


def test_a_notice_runs_the_clocks_of_practice_and_of_the_law_that_its_rules_cite() -> None:
    found = run(notice(), *ISSUED)
    assert {name: each.due_at and each.due_at - AT for name, each in found.items()} == {
        "practice-notice-reminder": 24 * HOUR,
        "practice-notice-to-owner": 72 * HOUR,
        "practice-notice-to-registrar": 144 * HOUR,
        "practice-notice-to-regulator": 240 * HOUR,
        "eu-dsa-16-acknowledgement": 24 * HOUR,
    }
    assert {each.owed_by for each in found.values()} == {"provider-nl.example"}
    assert not run(notice("au-osa-109-notice"), *ISSUED).keys() & {"eu-dsa-16-acknowledgement"}


def test_law_that_no_rule_cites_holds_by_the_place_of_whoever_owes_it() -> None:
    """The provider in California is below the United States; the Dutch one is not."""
    uncited = {"instrument": "practice", "article": "sample", "jurisdiction": "US"}
    law = policy({"id": "us-clock", "basis": uncited, "duration_h": 48})
    assert "us-clock" in run(notice(recipient="provider-us.example"), *ISSUED, law=law)
    assert "us-clock" not in run(notice(), *ISSUED, law=law)
    accepted = started(ClockEvent.CASE_ACCEPTED)
    assert "practice-feedback" in run(case(recipient="union.example"), accepted), "the world has no place outside"
    assert run(case(recipient="nobody.example"), accepted) == {}


def test_no_notice_to_a_provider_of_the_united_states_starts_a_clock_of_take_it_down() -> None:
    """The act's 48 hours run from a request of the depicted person, which no notice states."""
    for rule in ("us-2258a-notice", "us-ca-3273-66-notice", NOTICE_RULE):
        found = run(notice(rule, recipient="provider-us.example"), *ISSUED)
        assert "us_take_it_down" not in {each.instrument for each in found.values()}


def emitted() -> set[ClockEvent]:
    """Yield every event that a function of the exchange emits, for each message and answer that affects clocks."""
    asked = (QuestionAskedClear, DisputeRaisedClear)
    steps: list[Step] = [
        *(step for subject in (Subject.OFFER, Subject.CASE, Subject.NOTICE) for step in clocks.begun(subject, AT)),
        *(step for subject in Subject for answer in AnswerState for step in clocks.answered(subject, answer, AT)),
        *clocks.reported(ItemLog(), AT),
        *clocks.awaits_claim(AT),
        *(step for kind in asked for step in questions.steps(kind.model_construct(), 1, AT)),
        *(Step(AT, Effect.STARTS, preservation.BEGINS[kind]) for kind in PreservationKind),
        *(
            step
            for kind in PreservationKind
            for answer in PreservationAnswer
            for step in preservation.clock_steps(kind, "", answer, number=1, told_at=AT)
        ),
    ]
    return {ClockEvent(step.code) for step in steps if step.did is Effect.STARTS}


def test_each_clock_starts_by_an_event_that_the_exchange_emits() -> None:
    assert emitted() == set(ClockEvent)
    assert {clock.starts for clock in SAMPLE.clocks} <= emitted()


def test_what_is_preserved_after_a_report_its_sender_keeps() -> None:
    (found,) = run(case(HUB_RULE), started(ClockEvent.REPORT_SENT)).values()
    assert (found.clock, found.owed_by) == ("us-2258a-preservation", "hotline-nl.example")
    assert found.due_at == AT + 365 * 24 * HOUR


def test_deadlines_of_an_edge_count_from_its_message() -> None:
    found = run(notice(acknowledge_h=24, act_h=48), *ISSUED, started(ClockEvent.CASE_ACCEPTED, 5))
    assert (found[ACKNOWLEDGE_BY].due_at, found[ACT_BY].due_at) == (AT + 24 * HOUR, AT + 48 * HOUR)
    assert (found[ACKNOWLEDGE_BY].due, found[ACT_BY].due) == ("acknowledgement", "removal")


def test_what_was_done_ends_the_clocks_of_just_that() -> None:
    done = Step(AT + 3 * HOUR, Effect.DOES, ClockDue.ACKNOWLEDGEMENT)
    found = run(notice(acknowledge_h=24, act_h=48), *ISSUED, done)
    assert {name for name, each in found.items() if each.ended_at} == {ACKNOWLEDGE_BY, "eu-dsa-16-acknowledgement"}
    assert found[ACKNOWLEDGE_BY].ended_at == AT + 3 * HOUR


def test_a_withdrawal_ends_what_is_owed_and_no_preservation() -> None:
    withdrawn = Step(AT + HOUR, Effect.ENDS)
    assert all(each.ended_at for each in run(notice(), *ISSUED, withdrawn).values())
    (kept,) = run(case(HUB_RULE), started(ClockEvent.REPORT_SENT), withdrawn).values()
    assert kept.ended_at is None


def test_only_listed_causes_stop_a_clock() -> None:
    law = policy({"duration_h": 48, "stopped_by": ["needs_info"]}, {"id": "other-clock", "duration_h": 48})
    found = run(notice(), *ISSUED, stops(10), resumes(15), law=law)
    assert (found["some-clock"].due_at, found["other-clock"].due_at) == (AT + 53 * HOUR, AT + 48 * HOUR)
    held = run(notice(), *ISSUED, stops(10, StopCause.HELD), law=law)
    assert held["some-clock"].due_at == AT + 48 * HOUR


def test_causes_that_overlap_stop_it_once_and_one_without_an_end_for_good() -> None:
    law = policy({"duration_h": 48, "stopped_by": ["needs_info", "held"]})
    both = stops(10), stops(12, StopCause.HELD), resumes(15), resumes(20, StopCause.HELD)
    assert run(notice(), *ISSUED, *both, law=law)["some-clock"].due_at == AT + 58 * HOUR
    assert run(notice(), *ISSUED, *both[:-1], law=law)["some-clock"].due_at is None
    assert run(notice(), *ISSUED, stops(48), law=law)["some-clock"].due_at == AT + 48 * HOUR, "it had run"


def test_questions_that_cross_their_answers_each_end_by_their_own() -> None:
    law = policy({"duration_h": 48, "stopped_by": ["needs_info"]})
    one_way = stops(1), resumes(5), stops(5, of=2), resumes(7, of=2)
    other_way = stops(1), stops(5, of=2), resumes(5), resumes(7, of=2)
    found = {run(notice(), *ISSUED, *each, law=law)["some-clock"].due_at for each in (one_way, other_way)}
    assert found == {AT + 54 * HOUR}


def test_a_preservation_that_is_extended_runs_so_much_longer_than_it_was_to() -> None:
    served, extended = started(ClockEvent.PRESERVATION_SERVED), started(ClockEvent.PRESERVATION_EXTENDED, 24 * 5)
    found = run(notice(), served, stops(24 * 5, StopCause.EXTENDED), extended, extended._replace(at=AT + 2000 * HOUR))
    assert found["eu-2023-1543-preservation"].due_at is None
    assert found["eu-2023-1543-extension"].due_at == AT + timedelta(days=90)
    assert found["eu-2023-1543-extension#2"].due_at == AT + timedelta(days=120)
    at_once = run(notice(), served, extended._replace(at=served.at))
    assert at_once["eu-2023-1543-extension"].due_at == AT + timedelta(days=90)
    late = run(notice(), served, extended._replace(at=AT + timedelta(days=70)))
    assert late["eu-2023-1543-extension"].due_at == AT + timedelta(days=100)


def test_a_preservation_has_the_clocks_of_the_instrument_that_it_was_asked_under() -> None:
    """The place does not matter: its provider has no deadline under a law that the request does not name."""
    served = started(ClockEvent.PRESERVATION_SERVED)
    under = {each: run(replace(notice(), instrument=each), served) for each in ("eu_2023_1543", "us_2258a")}
    assert {each: set(found) for each, found in under.items()} == {
        "eu_2023_1543": {"eu-2023-1543-preservation"},
        "us_2258a": set(),
    }
    assert set(run(notice(), served)) == {"eu-2023-1543-preservation"}


def test_a_ladder_has_its_rungs_in_the_order_of_their_times() -> None:
    found = run(notice(recipient="provider-us.example"), *ISSUED)
    assert {name: each.rung for name, each in found.items() if each.rung} == {
        "practice-notice-to-owner": 1,
        "practice-notice-to-registrar": 2,
        "practice-notice-to-regulator": 3,
    }


def test_where_an_hour_of_the_law_is_a_second_all_falls_due_as_much_sooner() -> None:
    short = Law(DIRECTORY, SAMPLE_LAW, timedelta(seconds=1))
    found = {each.clock: each for each in runs(notice(act_h=48), ISSUED, lambda _: short)}
    assert found["practice-notice-to-owner"].due_at == AT + timedelta(seconds=72)
    assert found["practice-notice-reminder"].every == timedelta(seconds=24)
    assert found[ACT_BY].due_at == AT + timedelta(seconds=48)


def test_a_reminder_falls_due_again_and_again() -> None:
    reminder = run(notice(), *ISSUED)["practice-notice-reminder"]
    assert due_after(reminder, AT) == AT + 24 * HOUR
    assert due_after(reminder, AT + 24 * HOUR) == AT + 48 * HOUR
    assert due_after(reminder, AT + 240.5 * HOUR) == AT + 264 * HOUR
    once = run(notice(), *ISSUED)["practice-notice-to-owner"]
    assert (due_after(once, AT), due_after(once, AT + 72 * HOUR)) == (AT + 72 * HOUR, None)


def test_working_days_are_those_of_the_policys_calendar() -> None:
    (netherlands,) = [each for each in SAMPLE.calendars if each.jurisdiction == "NL"]
    law = policy({"working_days": 3})
    found = run(notice(), *ISSUED, law=law)["some-clock"]
    assert (found.working, found.due_at) == (True, datetime(2026, 12, 1, 23, tzinfo=UTC))
    local = netherlands.model_copy(update={"utc_offset_min": None})
    in_utc = policy({"working_days": 3}, calendars=(local,))
    assert run(notice(), *ISSUED, law=in_utc)["some-clock"].due_at == datetime(2026, 12, 2, tzinfo=UTC)
    without: tuple[Calendar, ...] = ()
    none = policy({"working_days": 3}, calendars=without)
    assert run(notice(), *ISSUED, law=none)["some-clock"].due_at is None


def test_new_law_moves_only_clocks_that_start_later() -> None:
    old, new = policy({"duration_h": 48}), policy({"duration_h": 24})
    changed_at = AT + HOUR

    def law_at(at: datetime) -> Law:
        return Law(DIRECTORY, new if at >= changed_at else old)

    steps = [ISSUED[0], started(ClockEvent.NOTICE_ISSUED, 2)]
    first, second = sorted(runs(notice(), steps, law_at), key=lambda each: each.number)
    assert (first.due_at, second.due_at) == (AT + 48 * HOUR, AT + 26 * HOUR)


@pytest.mark.parametrize(
    "changes",
    [
        {"valid_to": "2026-11-26"},
        {"valid_from": "2026-11-27", "known_from": "2026-01-01"},
        {"known_from": "2026-11-27"},
    ],
)
def test_a_clock_that_is_not_in_force_does_not_start(changes: dict[str, str]) -> None:
    assert run(notice(), *ISSUED, law=policy({"duration_h": 48, **changes})) == {}


HOURS = st.integers(0, 200)
TURNS = st.lists(st.tuples(HOURS, HOURS, st.sampled_from([StopCause.NEEDS_INFO, StopCause.HELD])), max_size=4)
STOPPABLE = policy({"duration_h": 48, "stopped_by": ["needs_info", "held"]})


def turned(turns: list[tuple[int, int, StopCause]]) -> list[Step]:
    return [
        step
        for of, (begin, lasting, cause) in enumerate(turns)
        for step in (stops(begin, cause, of), resumes(begin + lasting, cause, of))
    ]


@given(turns=TURNS)
def test_a_clock_runs_just_the_hours_in_which_nothing_stops_it(turns: list[tuple[int, int, StopCause]]) -> None:
    """Counted again hour by hour: every pause begins and ends at a full hour."""
    due_at = run(notice(), *ISSUED, *turned(turns), law=STOPPABLE)["some-clock"].due_at
    standing = {hour for begin, lasting, _ in turns for hour in range(begin, begin + lasting)}
    ran = [hour for hour in range(2000) if hour not in standing]
    assert due_at == AT + (ran[47] + 1) * HOUR


REPEATING = policy({"duration_h": 10, "repeats": True, "stopped_by": ["needs_info", "held"]})


@given(turns=TURNS, after=st.integers(0, 400))
def test_what_repeats_falls_due_each_time_it_has_run_once_more(
    turns: list[tuple[int, int, StopCause]], after: int
) -> None:
    found = run(notice(), *ISSUED, *turned(turns), law=REPEATING)["some-clock"]
    standing = {hour for begin, lasting, _ in turns for hour in range(begin, begin + lasting)}
    ran = [hour + 1 for hour in range(2000) if hour not in standing]
    following = next(hour for hour in ran[9::10] if hour > after)
    assert due_after(found, AT + after * HOUR) == AT + following * HOUR


@given(turns=TURNS, order=st.randoms(use_true_random=False), done=HOURS)
def test_both_sides_come_to_the_same_whatever_order_they_learn_of_it(
    turns: list[tuple[int, int, StopCause]], order: Any, done: int
) -> None:
    steps = [*ISSUED, *turned(turns), Step(AT + done * HOUR, Effect.DOES, ClockDue.REMOVAL)]
    shuffled = order.sample(steps, len(steps))
    assert run(notice(), *steps, law=STOPPABLE) == run(notice(), *shuffled, law=STOPPABLE)


@pytest.mark.parametrize("clock", SAMPLE.clocks, ids=lambda each: each.id)
def test_every_clock_of_the_sample_runs_from_its_event_for_its_term(clock: ClockRule) -> None:
    rules = tuple(rule.id for rule in SAMPLE.rules if rule.basis.instrument is clock.basis.instrument)
    parties = {"recipient": "provider-us.example" if clock.basis.jurisdiction == "US" else "provider-nl.example"}
    edge = notice(*(rules or (NOTICE_RULE,)), **parties)
    on = AT if clock.valid_to is None or AT.date() < clock.valid_to else datetime(2026, 6, 17, 9, tzinfo=UTC)
    found = run(edge, Step(on, Effect.STARTS, clock.starts))
    if not SAMPLE_LAW.confirms(clock.basis.instrument):
        assert clock.id not in found
        return
    assert found[clock.id].due_at == (clock.duration_h and on + clock.duration_h * HOUR)
    assert found[clock.id].started_at == on
