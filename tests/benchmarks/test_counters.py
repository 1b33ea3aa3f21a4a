"""The comparison of counted figures with their bounds, and the reading of the server's log."""

from __future__ import annotations

from collections import Counter

from tests.benchmarks.counters.bounds import IN_BATCHES, SINGLE, Bound, judge
from tests.benchmarks.counters.intervals import Interval
from tests.benchmarks.counters.readings import Name
from tests.benchmarks.counters.run import Report, figures_of
from tests.benchmarks.counters.statements import Transaction, transactions
from tests.benchmarks.counters.table import table

ROWS = Bound(IN_BATCHES, "rows", measured=60.0, short=59.0, target=18.0, slack=0.9)
USERS = {"causeway_hotline"}
#: A transaction of five statements: three executions of one, of which the first had to be prepared.
LOG = """\
counted 1.a causeway_hotline LOG:  statement: BEGIN; SELECT set_config('x', 'y', true)
counted 1.a causeway_hotline LOG:  duration: 0.1 ms
counted 1.a causeway_hotline LOG:  duration: 0.1 ms
{rows}
counted 1.a causeway_hotline LOG:  statement: COMMIT
counted 2.b causeway_audit LOG:  statement: SELECT 1
counted 1.a causeway_hotline LOG:  duration: 0.1 ms
counted 3.c causeway_hotline LOG:  duration: 0.1 ms
counted 3.c causeway_hotline LOG:  execute __asyncpg_stmt_9__: SELECT lane
counted 3.c causeway_hotline LOG:  duration: 0.1 ms
"""
EXECUTED = """\
counted 1.a causeway_hotline LOG:  duration: 0.1 ms
counted 1.a causeway_hotline LOG:  execute __asyncpg_stmt_1__: INSERT INTO referral
\t(referral_id) VALUES ($1)
counted 1.a causeway_hotline LOG:  duration: 0.1 ms"""


def interval(*, rows: int, referrals: int = 100) -> Interval:
    counts: Counter[Name] = Counter({Name("inserted", "hotline.referral"): rows * referrals})
    return Interval(1.0, counts, [Transaction(3, 3, "INSERT INTO referral (a)")])


def broken(rows: int, *bounds: Bound) -> list[str]:
    figures = {IN_BATCHES: figures_of(interval(rows=rows), 100)}
    return [each.bound.figure for each in judge(figures, bounds or (ROWS,), short=False) if each.is_broken]


def test_the_measured_figure_passes_and_one_row_more_a_referral_fails() -> None:
    assert broken(60) == []
    assert broken(61) == ["rows"]


def test_referrals_that_share_a_transaction_share_its_cost() -> None:
    shared = Bound(SINGLE, "statements", measured=2.0, slack=0.0, a_transaction=80.0)
    assert [shared.limit(gathered) for gathered in (8, 20)] == [12.0, 6.0]


def test_a_figure_that_was_not_measured_fails() -> None:
    assert broken(60, Bound(IN_BATCHES, "no such figure", measured=1.0)) == ["no such figure"]
    assert broken(60, Bound(SINGLE, "rows", measured=60.0)) == ["rows"]


def test_a_short_run_is_judged_by_its_own_bounds_alone() -> None:
    verdicts = judge({}, (ROWS, ROWS._replace(short=None)), short=True)
    assert [each.bound for each in verdicts] == [ROWS]
    assert [each.limit for each in verdicts] == [59.9]


def test_the_table_names_what_is_broken_and_what_misses_its_target() -> None:
    report = Report()
    report.add(IN_BATCHES, interval(rows=60), 100)
    assert "target missed" in table(report, judge(report.figures, (ROWS,), short=False), places=True)
    report.add(IN_BATCHES, interval(rows=61), 100)
    assert "BROKEN" in table(report, judge(report.figures, (ROWS,), short=False), places=False)
    unknown = judge(report.figures, (Bound(SINGLE, "rows", measured=1.0),), short=False)
    assert "single, 32 connections: rows was not measured: BROKEN" in table(report, unknown, places=False)


def test_statements_and_round_trips_are_read_from_the_log_by_transaction() -> None:
    filed, looked = transactions(LOG.format(rows="\n".join([EXECUTED] * 3)).splitlines(keepends=True), USERS)
    # Begun, executed three times in one go, committed. The connection's first preparation is not counted.
    assert (filed.statements, filed.trips) == (5, 3)
    assert "INSERT INTO referral\n\t(referral_id)" in filed.text
    assert (looked.statements, looked.trips) == (1, 1)


def test_a_connection_that_prepares_a_statement_again_pays_for_it() -> None:
    log = LOG.format(rows="\n".join([EXECUTED] * 3))
    first, _, again, _ = transactions((log + log).splitlines(keepends=True), USERS)
    assert (first.trips, again.trips) == (3, 4)


def test_another_statement_between_two_executions_makes_them_two_trips() -> None:
    between = EXECUTED.replace("__asyncpg_stmt_1__", "__asyncpg_stmt_2__")
    (filed, _) = transactions(LOG.format(rows=f"{EXECUTED}\n{between}\n{EXECUTED}").splitlines(keepends=True), USERS)
    assert (filed.statements, filed.trips) == (5, 5)
