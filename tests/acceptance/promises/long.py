"""Promises that take long to show, each by a verb of at most an hour."""

from __future__ import annotations

from tests.acceptance.line import Line

LONG = (
    Line(
        "10,000 seeds under a virtual clock, with lost tails, retention, moves, releases that come late, databases "
        "restored on either side and at audit: no promise broken",
        verb="the_simulation",
    ),
    Line(
        "Each rule of delivery taken away by itself: within 400 seeds a promise is broken",
        verb="the_rules_taken_away",
    ),
    Line("The broker down for 60 s at 50 posts a second: all accepted, all delivered after", verb="the_outage"),
    Line(
        "One party at 20 times its budget for 60 s: the others' 99th percentile within twice what it was before",
        verb="the_budgets",
    ),
    Line(
        "Speed, in the same run as the raw limit; a run counts only if every message was delivered, guarded, audited "
        "and a share of them opened and found equal",
        verb="the_bench",
    ),
    Line(
        "Two million referrals, offers, cases, notices in each store: every look within 20 ms warm and 50 ms cold, and "
        "no more rows read than shown",
        verb="the_flat_looks",
    ),
    Line(
        "The accounts of two million messages: no difference, a day read within 200 MiB, and none after retention has "
        "compacted what is past its time",
        verb="the_filled_accounts",
    ),
    Line(
        "A referral costs the same within a tenth on stores filled to ten thousand and to two million referrals",
        verb="the_cost_of_filled_stores",
    ),
    Line("The guard meets every bar, and with any stage removed at least one is missed", verb="the_guard_report"),
    Line(
        "100,000 referrals through 50 kills, PostgreSQL's crashes among them, and 10 freezes: nothing lost, nothing "
        "done twice, accounts even",
        verb="the_soak",
    ),
    Line(
        "2,000 referrals between releases N and N−1, both ways round: nothing refused or parked; what could not be "
        "read waited or was deferred, and was applied after the upgrade",
        verb="the_skew",
    ),
    Line(
        "A provider moves live with 500 notices under way: 0 lost, 0 parked, 0 refused, accounts even over 5 databases",
        verb="the_moved_provider",
    ),
    Line(
        "Every test whose outcome hangs on the clock passes ten times beside a process that burns one core",
        verb="the_steady_tests",
    ),
)
