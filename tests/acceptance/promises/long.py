"""Promises that take long to show, each by a verb of at most an hour."""

from __future__ import annotations

from tests.acceptance.line import line

LONG = (
    line(
        "10,000 seeds of the stream protocol, with lost tails, retention, moves, erasures, databases restored on "
        "either side and at audit: no promise broken",
        verb="the_simulation",
    ),
    line(
        "Each rule of delivery taken away by itself: within 400 seeds, or in a directed state, a promise is broken",
        verb="the_rules_taken_away",
    ),
    line(
        "300 seeds with messaging in PostgreSQL: each counts as in memory, and no promise is broken",
        verb="the_simulation_over_postgresql",
    ),
    line("Of 60 mutants of delivery, drawn by a fixed seed, at least 85 in 100 are killed", verb="the_mutants"),
    line("The broker down for 60 s at 50 posts a second: all accepted, all delivered after", verb="the_outage"),
    line(
        "PostgreSQL killed and away for 30 s, then Kafka, at 10 posts a second: readiness names each, nothing is lost, "
        "and all goes on by itself",
        verb="the_stopped_servers",
    ),
    line(
        "Topics of offers, acknowledgements and facts lose their end, lose it and grow again before anybody looks, and "
        "lose what nobody had read, with the pauses of a real installation: all is sent again, to audit too, 0 lost; a "
        "child at risk that is filed after each is there within 5 s",
        verb="the_lost_records",
    ),
    line(
        "One topic that may not be written for 60 s, then one that takes no record of that size: others' delivery "
        "within twice at the 99th percentile, all delivered once it is mended, no record appended twice",
        verb="the_unwritable_topic",
    ),
    line(
        "A recipient down with 20,000 unacknowledged messages: its sender ready, others published within 1.1 times at "
        "the median, 0 copies while the log had them, all delivered after, also what retention had taken and what is "
        "sealed to a key made meanwhile, or signed with one",
        verb="the_recipient_down",
    ),
    line(
        "200,000 queued messages drain at 1,500 a second or more while filings are answered within 1.5 times at the "
        "99th percentile; a child at risk behind them is there within 5 s",
        verb="the_backlog",
    ),
    line(
        "100,000 events read by three pollers with pauses and restarts while writers commit out of order: none missed, "
        "none twice, in one order",
        verb="the_pollers",
    ),
    line(
        "100,000 timers, eight workers that are stopped in the middle, clocks that step by an hour: each told once, "
        "none early, and made again they are the same rows",
        verb="the_timers",
    ),
    line(
        "Poison at 20 records a second for 60 s, half of it authentic and naming documents that nobody has: the honest "
        "within twice at the 99th percentile, junk folded into few rows at audit",
        verb="the_poison",
    ),
    line(
        "The dearest bodies within a budget, heavy ones that are refused, 1,005 idle sockets, trailers without end, 30 "
        "s each: others within twice at the 99th percentile, memory stays, /livez answers",
        verb="the_exhaustion",
    ),
    line(
        "One party at 20 times its budget for 60 s: the others' 99th percentile within twice what it was before",
        verb="the_budgets",
    ),
    line(
        "Speed, in the same run as the raw limit: batches 1.4 times as fast as IntelMQ at 0.85 of its CPU, 450 single "
        "posts a second, 60 ms to the recipient at 100 a second and 100 ms at 200 at the 99th percentile; a run counts "
        "only if every message was delivered, guarded, audited and a share of them opened and found equal",
        verb="the_bench",
    ),
    line(
        "A referral to two recipients in batches of 100: at most 18 rows, 2.5 statements, 29 KB of WAL, 25 KB of page "
        "images, 2.3 Kafka records of 9 KB, 0.15 signatures made and 0.25 verified, 6 round trips a consumed batch, 12 "
        "KB retained; in single posts 26 rows, 10 statements, 32 KB, 3.3 records, 5 round trips an intake; a whole "
        "life 55 rows and 60 KB",
        verb="the_counters",
    ),
    line(
        "While nothing happens our processes together use at most 10 ms of CPU a second and PostgreSQL 10, audit of "
        "1,000 quiet topics at most 50",
        verb="the_idle_exchange",
    ),
    line(
        "Two million referrals, offers, cases, notices in each store: every look within 20 ms warm and 50 ms cold, and "
        "no more rows read than shown",
        verb="the_flat_looks",
    ),
    line(
        "Requests that schemathesis makes of the four OpenAPI documents, allowed and forbidden: no server error, no "
        "undeclared method, no schema violation",
        verb="the_fuzzed_services",
    ),
    line(
        "With 100,000 referrals each page of a console is rendered within 200 ms at the 95th percentile, and a row is "
        "on its page within a second of its acceptance",
        verb="the_rendered_pages",
    ),
    line(
        "2,000 interleaved pairs of a known and a new place are answered within a millisecond of each other and apart "
        "by chance alone; with the look before the answer they are apart by more than chance",
        verb="the_known_places",
    ),
    line(
        "The accounts of two million messages: no difference, a day read within 200 MiB, and none after retention has "
        "compacted what is past its time",
        verb="the_filled_accounts",
    ),
    line(
        "A referral costs the same rows, statements and WAL without page images within a twentieth on stores filled to "
        "ten thousand and to a million referrals",
        verb="the_cost_of_filled_stores",
    ),
    line(
        "The guard's whole report: Kraft's inequality in every context, random bytes in every channel, position and "
        "field within the budgets, true addresses list by list, kinds, scripts and speed; without the budget, the "
        "envelope or the schema a bar is missed",
        verb="the_guard_report",
    ),
    line(
        "100,000 referrals through 50 kills and 10 freezes of 5 to 60 s of every process and server, lost ends of "
        "three topics and an agency's database restored, with a sixtieth of each pause: nothing lost, nothing done "
        "twice, each loss named, accounts even, no part dead",
        verb="the_soak",
    ),
    line(
        "20 minutes of clocks, hold windows and webhooks while every process, the broker and PostgreSQL are killed in "
        "turn: nothing lost or twice, nothing issued while it is held, each clock and each event told, timers made "
        "again alike, accounts even",
        verb="the_life",
    ),
    line(
        "A provider moves live with 500 notices under way: 0 lost, 0 held open, 0 refused, accounts even over 5 "
        "databases",
        verb="the_moved_provider",
    ),
    *(
        line(
            f"Audit's, an agency's and an origin's database restored {how}, under load and with a sixtieth of each "
            "pause: no number of a stream or feed given twice, every case comes back by itself, and what an origin "
            "forgot is listed and named by reconcile",
            verb=verb,
        )
        for how, verb in (
            ("from a dump of 1,000 referrals earlier, as the operator's page says it", "the_restored_dumps"),
            ("to a point in time", "the_restored_points"),
            ("from a copy of its disk", "the_restored_disks"),
            ("twice from one dump", "the_twice_restored"),
            ("from a dump and then from one made after it", "the_newer_after_older"),
        )
    ),
    line(
        "Every test whose outcome hangs on the clock passes ten times beside a process that burns one core",
        verb="the_steady_tests",
    ),
)
