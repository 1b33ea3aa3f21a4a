"""Long promises, each proven by a verb of at most an hour."""

from __future__ import annotations

from tests.acceptance.line import line

LONG = (
    line(
        "10,000 seeds of the stream protocol, with lost tails, retention, moves, erasures, databases restored on "
        "either side and at audit: no promise is broken",
        verb="the_simulation",
    ),
    line(
        "With any single rule of delivery removed, a promise is broken within 400 seeds or in a directed state",
        verb="the_rules_taken_away",
    ),
    line(
        "300 seeds with messaging in PostgreSQL: each counts the same as in memory, and no promise is broken",
        verb="the_simulation_over_postgresql",
    ),
    line("Of 60 mutants of delivery, drawn by a fixed seed, the tests kill at least 85 in 100", verb="the_mutants"),
    line(
        "The broker is down for 60 s at 50 posts a second: all are accepted, and all are delivered afterwards",
        verb="the_outage",
    ),
    line(
        "PostgreSQL is killed and stays down for 30 s, then Kafka, at 10 posts a second: readiness names each, nothing "
        "is lost, and all continues automatically",
        verb="the_stopped_servers",
    ),
    line(
        "Topics of offers, acknowledgements and facts lose their end, lose it and grow again before any reader checks, "
        "or lose unread records, with the pauses of a real installation. All is sent again, to audit too, and 0 are "
        "lost. A referral with a child at risk that follows each loss arrives within 5 s",
        verb="the_lost_records",
    ),
    line(
        "One topic may not be written for 60 s, then one accepts no record of that size. Delivery to others stays "
        "within twice its 99th percentile. All is delivered after the repair, and no record is appended twice",
        verb="the_unwritable_topic",
    ),
    line(
        "A recipient is down with 20,000 unacknowledged messages. Its sender is ready, publishes to others within 1.1 "
        "times at the median, and copies nothing while the log has the messages. All is delivered afterwards, "
        "including messages past retention and those sealed to or signed with a new key",
        verb="the_recipient_down",
    ),
    line(
        "200,000 queued messages are delivered at 1,500 a second or more while submissions are answered within 1.5 "
        "times at the 99th percentile. A referral with a child at risk behind them arrives within 5 s",
        verb="the_backlog",
    ),
    line(
        "100,000 events are read by three pollers with pauses and restarts while writers commit out of order: none is "
        "missed, none comes twice, and all see one order",
        verb="the_pollers",
    ),
    line(
        "100,000 timers, eight workers that are stopped in the middle, clocks that step by an hour: each fires once, "
        "none early, and rebuilt timers have the same rows",
        verb="the_timers",
    ),
    line(
        "Malformed records arrive at 20 a second for 60 s, half of them authentic and naming unknown documents. Honest "
        "messages stay within twice at the 99th percentile, and audit folds the malformed ones into few rows",
        verb="the_poison",
    ),
    line(
        "The costliest bodies within a budget, refused heavy ones, 1,005 idle sockets and endless trailers, 30 s each. "
        "Other parties stay within twice at the 99th percentile, memory is stable, and /livez answers",
        verb="the_exhaustion",
    ),
    line(
        "One party at 20 times its budget for 60 s: the others' 99th percentile stays within twice its earlier value",
        verb="the_budgets",
    ),
    line(
        "Speed, in the same run as the raw limit: batches 1.4 times as fast as IntelMQ at 0.85 of its CPU, and 450 "
        "single posts a second. At the 99th percentile, 60 ms to the recipient at 100 a second and 100 ms at 200. A "
        "run counts only if every message was delivered, guarded and audited, and a share of them opened and found "
        "equal",
        verb="the_bench",
    ),
    line(
        "A referral to two recipients in batches of 100: at most 18 rows, 2.5 statements, 29 KB of WAL and 25 KB of "
        "page images. At most 2.3 Kafka records of 9 KB, 0.15 signatures made and 0.25 verified, 6 round trips per "
        "consumed batch, 12 KB retained. In single posts: 26 rows, 10 statements, 32 KB, 3.3 records, 5 round trips "
        "per intake. For a whole life: 55 rows and 60 KB",
        verb="the_counters",
    ),
    line(
        "When idle, our processes use at most 10 ms of CPU a second, PostgreSQL 10, and audit of 1,000 topics 50",
        verb="the_idle_exchange",
    ),
    line(
        "Two million referrals, offers, cases and notices in each store: every page query takes at most 20 ms warm and "
        "50 ms cold, and reads no more rows than it shows or the party has open with a child at risk",
        verb="the_flat_looks",
    ),
    line(
        "Requests that schemathesis generates from the four OpenAPI documents, allowed and forbidden: no server error, "
        "no undeclared method, no schema violation",
        verb="the_fuzzed_services",
    ),
    line(
        "With 100,000 referrals each page of a console is rendered within 200 ms at the 95th percentile, and a row is "
        "on its page within a second of its acceptance",
        verb="the_rendered_pages",
    ),
    line(
        "2,000 interleaved pairs of a known and a new place are answered within a millisecond of each other, and "
        "differ only by chance. With the lookup before the answer they differ by more than chance",
        verb="the_known_places",
    ),
    line(
        "Reconciliation of two million messages: no difference, a day is read within 200 MiB, and no difference after "
        "retention has compacted older data",
        verb="the_filled_accounts",
    ),
    line(
        "On stores filled with ten thousand and with a million referrals, a referral costs the same rows, statements "
        "and WAL without page images, within a twentieth",
        verb="the_cost_of_filled_stores",
    ),
    line(
        "In nine interleaved pairs of runs, a referral takes at most 3 % more CPU than before admission, meter and "
        "accounts of effects",
        verb="the_cost_of_staying_up",
    ),
    line(
        "The guard's whole report: Kraft's inequality in every context, and random bytes in every channel, position "
        "and field within the budgets. It covers true addresses list by list, kinds, scripts and speed. Without the "
        "budget, the envelope or the schema a limit is exceeded",
        verb="the_guard_report",
    ),
    line(
        "100,000 referrals pass while every process and server suffers 50 kills and 10 freezes of 5 to 60 s. Three "
        "topics lose their ends and an agency's database is restored, with a sixtieth of each pause. Nothing is lost "
        "or done twice, each loss is named, reconciliation shows no difference, and no part is dead",
        verb="the_soak",
    ),
    line(
        "20 minutes of clocks, hold windows and webhooks while every process, the broker and PostgreSQL are killed in "
        "turn. Nothing is lost or done twice, nothing is issued while held, and each clock and event is reported. "
        "Rebuilt timers are equal, and reconciliation shows no difference",
        verb="the_life",
    ),
    line(
        "A provider moves with 500 notices in transit: 0 lost, 0 held open, 0 refused, no difference over 5 databases",
        verb="the_moved_provider",
    ),
    *(
        line(
            f"The databases of audit, an agency and an origin are restored {how}, under load and with a sixtieth of "
            "each pause. No number of a stream or feed is given twice, every case is recovered automatically, and "
            "reconcile lists and names the data that an origin lost",
            verb=verb,
        )
        for how, verb in (
            ("from a dump of 1,000 referrals earlier, with the commands of the operator's page", "the_restored_dumps"),
            ("to a point in time", "the_restored_points"),
            ("from a copy of the disk", "the_restored_disks"),
            ("twice from one dump", "the_twice_restored"),
            ("from a dump and then from one made after it", "the_newer_after_older"),
        )
    ),
    line(
        "Every test that depends on the clock passes ten times while another process burns one core",
        verb="the_steady_tests",
    ),
)
