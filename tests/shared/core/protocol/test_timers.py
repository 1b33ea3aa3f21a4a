"""Timers fire once and never early. Missed ones are folded into one, and rebuilt rows are the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.core.acts.act import Subject
from shared.core.protocol.clocks import begun
from shared.core.protocol.timers import (
    AT_ONCE,
    STEPS_AT_ACT,
    Deadline,
    Timer,
    TimerFiring,
    TimerNotice,
    add_steps,
    step_entry,
    timers,
)
from shared.core.routing.clocks import ClockedEdge, Effect, Law, Step
from shared.core.vocabulary.law import ClockDue, ClockEvent, StopCause
from tests.shared.core.routing.test_clocks import AT, DIRECTORY, ISSUED, SAMPLE_LAW, STOPPABLE, case, notice, started
from tests.shared.platform.timers.workers import law_at, notices

HOUR = timedelta(hours=1)
REMINDER, OWNER = "practice-notice-reminder", "practice-notice-to-owner"


def made(steps: Sequence[Step], edge: ClockedEdge | None = None, law: Any = SAMPLE_LAW) -> dict[str, Timer]:
    return {each.run.clock: each for each in timers(edge or notice(), steps, lambda _: Law(DIRECTORY, law))}


def test_a_party_is_told_before_and_when_it_falls_due_and_no_more() -> None:
    owner = made(ISSUED)[OWNER]
    soon, due = TimerFiring(AT + 54 * HOUR, TimerNotice.DUE_SOON), TimerFiring(AT + 72 * HOUR, TimerNotice.OVERDUE)
    assert (owner.due_at, owner.fires) == (due.at, soon)
    owner = made([*ISSUED, owner.told(soon)])[OWNER]
    assert owner.fires == due
    owner = made([*ISSUED, owner.told(soon), owner.told(due)])[OWNER]
    assert owner.fires is None, "it stays in the list until it is done"


def test_a_day_is_as_long_before_as_anybody_is_told() -> None:
    (feedback,) = made([started(ClockEvent.CASE_ACCEPTED)], case()).values()
    assert feedback.fires == TimerFiring(AT + (720 - 24) * HOUR, TimerNotice.DUE_SOON)


def test_a_preservation_runs_out_and_is_not_overdue() -> None:
    (kept,) = made([started(ClockEvent.REPORT_SENT)], case("us-2258a-hub")).values()
    assert kept.fires_by(kept.due_at) == TimerFiring(kept.due_at, TimerNotice.RAN_OUT)


def test_nothing_is_told_early_nor_of_what_is_done() -> None:
    owner = made(ISSUED)[OWNER]
    assert owner.fires is not None
    assert owner.fires_by(owner.fires.at - timedelta(microseconds=1)) is None
    done = [Step(AT + 10 * HOUR, Effect.DOES, due) for due in (ClockDue.ACKNOWLEDGEMENT, ClockDue.REMOVAL)]
    assert made([*ISSUED, *done]) == {}


def test_of_what_was_missed_the_newest_is_told_and_nothing_else() -> None:
    reminder, owner = made(ISSUED)[REMINDER], made(ISSUED)[OWNER]
    assert owner.fires_by(AT + 100 * HOUR) == TimerFiring(AT + 72 * HOUR, TimerNotice.OVERDUE)
    newest = reminder.fires_by(AT + 100 * HOUR)
    assert newest == TimerFiring(AT + 96 * HOUR, TimerNotice.OVERDUE)
    after = made([*ISSUED, reminder.told(newest)])[REMINDER]
    assert (after.fires_by(AT + 119 * HOUR), after.fires) == (None, TimerFiring(AT + 120 * HOUR, TimerNotice.OVERDUE))


def test_a_clock_that_stands_is_no_timer_until_it_goes_on() -> None:
    asked = Step(AT + HOUR, Effect.STOPS, StopCause.NEEDS_INFO, 1)
    assert made([*ISSUED, asked], law=STOPPABLE) == {}
    told = Step(AT + 5 * HOUR, Effect.RESUMES, StopCause.NEEDS_INFO, 1)
    assert made([*ISSUED, asked, told], law=STOPPABLE)["some-clock"].due_at == AT + 52 * HOUR


LOOKS = st.lists(st.integers(0, 24 * 60 * 8), min_size=1, max_size=12)


@given(looks=LOOKS, order=st.randoms(use_true_random=False))
def test_whenever_it_is_looked_nothing_is_told_twice_or_early_and_rows_made_again_are_the_same(
    looks: list[int], order: Any
) -> None:
    """If a clock goes back, nothing fires again, because each firing is stored as a step."""
    steps: list[Step] = [*ISSUED]
    told: list[tuple[str, TimerFiring]] = []
    newest = AT
    for minutes in looks:
        now = AT + timedelta(minutes=minutes)
        newest = max(newest, now)
        for name, timer in made(steps).items():
            if (fires := timer.fires_by(now)) is not None:
                assert fires.at <= now
                told.append((name, fires))
                steps.append(timer.told(fires))
    assert len(set(told)) == len(told)
    assert all(timer.fires_by(newest) is None for timer in made(steps).values())
    assert made(order.sample(steps, len(steps))) == made(steps)


def long_row(count: int) -> Deadline:
    """Return the uncounted row of a notice with `count` reappearances."""
    again = [step for i in range(1, count) for step in begun(Subject.NOTICE, AT + i * HOUR, again=i)]
    return Deadline(notices(1)[0], tuple(sorted(map(step_entry, again))))


def test_an_act_leaves_a_long_row_to_the_scheduler() -> None:
    step = step_entry(Step(AT, Effect.DOES, ClockDue.ACKNOWLEDGEMENT))
    short, long = (add_steps(long_row(STEPS_AT_ACT + more), [step], law_at) for more in (-40, 1))
    assert (short.timers is None, long.timers, long.due_at) == (False, None, AT_ONCE)
    assert step in long.steps


def test_a_defect_in_a_count_fails_no_act() -> None:
    """The act keeps its steps. The scheduler counts the row again, and puts it into retry backoff if that fails."""

    def defect(_: datetime) -> Law:
        raise KeyError("defect")

    step = step_entry(Step(AT, Effect.DOES, ClockDue.ACKNOWLEDGEMENT))
    row = add_steps(Deadline(notices(1)[0]), [step], defect)
    assert (row.steps, row.timers, row.due_at) == ((step,), None, AT_ONCE)
