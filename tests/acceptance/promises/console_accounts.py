"""Promises about people: statistics, lists and guides for them, and data about others that stays hidden."""

from __future__ import annotations

from tests.acceptance.line import line, tests_of

_MERGING = "tests/deploy/statistics/test_merging.py"

PEOPLE = (
    line(
        "A month's figures, medians included, equal an independent recount of the demo's databases",
        "tests/services/hotline/test_statistics.py",
        verb="the_demos_month_is_recounted",
    ),
    line(
        "An attacker with every published row and linear programming bounds no small number below five. Gaps next to "
        "totals are found",
        f"{_MERGING}::test_an_attacker_with_every_row_bounds_no_small_number_below_five",
        f"{_MERGING}::test_blanks_beside_totals_would_be_found_by_subtraction",
    ),
    line(
        "Removals during a hold are published by country. No provider, with both tables, its own numbers and linear "
        "programming, learns that an item of its own was held. By provider, or by size alone → some do",
        "tests/deploy/statistics/test_held.py",
        "tests/services/hotline/test_statistics.py",
    ),
    line(
        "A contributor recovers no foreign number of 1 to 4 in 10,000 tables, nor bounds one by linear programs in 100",
        "tests/deploy/statistics/test_contributors.py",
    ),
    line(
        "Two years by country equal the sums of the published months, recounted from the files alone",
        "tests/deploy/statistics/test_biennial.py",
    ),
    line(
        "A provider's rows of Implementing Regulation (EU) 2024/2835 equal an independent recount of its own data",
        "tests/shared/formats/test_dsa_notices.py",
        "tests/services/industry/test_dsa_report.py",
        "tests/journeys/test_answers_described.py::test_a_provider_reports_what_a_program_that_stands_alone_counts",
    ),
    line(
        "Each list can be filtered by reference, party, period, state and priority, and each page stays within its "
        "filter. A filter that a list does not support is refused by name",
        "tests/services/hotline/test_finding.py",
        "tests/services/law_enforcement/test_finding.py",
        "tests/services/audit/test_audit_door.py",
    ),
    line(
        "Services answer as their OpenAPI documents say, for all requests of schemathesis: no server error, no "
        "undeclared method, no schema violation. Planted errors of each kind are found",
        "tests/contracts/test_fuzzed.py",
    ),
    line("Published figures never change", "tests/deploy/statistics/test_publication.py"),
    line(
        "Of the reported removals, confirmed and reappeared ones count once per notice, as an independent recount does",
        "tests/services/hotline/test_statistics.py",
    ),
    line(
        "Each alert fires for its own fault only and is silent otherwise. Every metric in an alert or dashboard "
        "exists, and Grafana loads each dashboard",
        "tests/deploy/observability/test_alerts.py",
    ),
    line(
        "Spans reach a collector at its base address, and an independent parser reads them",
        tests_of(
            "tests/shared/platform/observability/test_telemetry.py",
            "test_spans_reach_a_collector_by_its_base_address_and_by_the_whole_one",
        ),
    ),
    line(
        "Two operators and two approvers, each with a folder of their own, install the service without the dev stack "
        "by the guide's commands. One referral travels in both directions",
        "tests/journeys/test_installation.py",
    ),
    line(
        "Every error code has a cause and a remedy. Every guide works in its order",
        "tests/architecture/test_codes.py",
        "tests/journeys/test_guides.py",
    ),
)
