"""People: what they are shown of the whole, and what is not shown of anybody."""

from __future__ import annotations

from tests.acceptance.line import line, tests_of

_MERGING = "tests/deploy/statistics/test_merging.py"

PEOPLE = (
    line(
        "A month's figures equal a stand-alone recount of the demo's databases, medians included",
        "tests/services/hotline/test_statistics.py",
        verb="the_demos_month_is_recounted",
    ),
    line(
        "An attacker who has every published row, and linear programming, bounds no small number below five; blanks "
        "beside totals are found",
        f"{_MERGING}::test_an_attacker_with_every_row_bounds_no_small_number_below_five",
        f"{_MERGING}::test_blanks_beside_totals_would_be_found_by_subtraction",
    ),
    line(
        "What was gone while held is published by country, and no provider, with both tables, its own numbers and "
        "linear programming, learns that anything of its own was held; by provider, or by size alone → some do",
        "tests/deploy/statistics/test_held.py",
        "tests/services/hotline/test_gone_while_held.py",
    ),
    line(
        "A contributor recovers no number of 1 to 4 of another one in 10,000 random tables, nor bounds one by linear "
        "programming in 100",
        "tests/deploy/statistics/test_contributors.py",
    ),
    line(
        "Two years by country are sums of the months that were published, recounted from the files alone",
        "tests/deploy/statistics/test_biennial.py",
    ),
    line(
        "A provider's rows of Implementing Regulation (EU) 2024/2835 equal a stand-alone recount of what it is shown",
        "tests/shared/formats/test_dsa_notices.py",
        "tests/services/industry/test_dsa_report.py",
        "tests/journeys/test_answers_described.py::test_a_provider_reports_what_a_program_that_stands_alone_counts",
    ),
    line(
        "Each list is looked through by reference, party, period, state and priority, each page within what it shows; "
        "what a list does not take is refused by name",
        "tests/services/hotline/test_finding.py",
        "tests/services/law_enforcement/test_finding.py",
        "tests/services/audit/test_audit_door.py",
    ),
    line(
        "Services answer as their OpenAPI documents say, whatever schemathesis asks them: no server error, no "
        "undeclared method, no schema violation; each is found where there is one",
        "tests/contracts/test_fuzzed.py",
    ),
    line("Figures that were published stay as they are", "tests/deploy/statistics/test_publication.py"),
    line(
        "Of what was said to be removed it is counted what was found gone and what reappeared, once a notice, and a "
        "stand-alone recount agrees",
        "tests/services/hotline/test_removals_counted.py",
    ),
    line(
        "Each alert fires for its own fault alone and is silent while all is well; every metric that is named exists, "
        "and a dashboard is one that Grafana loads",
        "tests/deploy/observability/test_alerts.py",
    ),
    line(
        "Spans reach a collector by its base address, read by a parser of others",
        tests_of(
            "tests/shared/runtime/watch/test_telemetry.py",
            "test_spans_reach_a_collector_by_its_base_address_and_by_the_whole_one",
        ),
    ),
    line(
        "Two operators and two approvers, each with a folder of their own, install it without the dev stack by the "
        "guide's commands, and one referral goes there and back",
        "tests/journeys/test_installation.py",
    ),
    line(
        "Every code of an error has its cause and its mend; every guide is followed in its order",
        "tests/architecture/test_codes.py",
        "tests/journeys/test_guides.py",
    ),
)
