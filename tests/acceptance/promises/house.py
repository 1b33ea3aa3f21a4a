"""The house: rooms, one row per act, migrations that can be followed."""

from __future__ import annotations

from tests.acceptance.line import line, tests_of

_TIMING = "tests/architecture/test_timing.py"

#: A promise a line; most are shown by whole modules.
HOUSE = (
    line(
        "Arrows between packages and rooms point one way, and each contract is shown red",
        "tests/architecture/test_arrows.py",
    ),
    line(
        "Modules keep the rules of headers, parameters and names, and each rule finds its planted breach",
        "tests/architecture/test_modules.py",
    ),
    line(
        "Each size of docs/sizes.md keeps its bound, and a planted excess is measured",
        "tests/architecture/test_sizes.py",
    ),
    line(
        "Tests of journeys and failures see the product from outside, and each of the 365 behaviours keeps its test",
        "tests/architecture/test_driver.py",
        "tests/architecture/test_behaviour_list.py",
    ),
    line("No circle of imports, and no six lines alike in two services", "tests/architecture/test_house.py"),
    line(
        "No statement counts more than eight parameters by hand, and rows are stored as their fields say",
        "tests/architecture/test_statements.py",
    ),
    line(
        "What the product needs at run time is what it imports, and the lock holds no more",
        "tests/architecture/test_dependencies.py",
    ),
    line("A referral enters its own service first behind the HTTP edge", "tests/services/test_walk.py"),
    line(
        "One act, one row: both sides of every message move as the tables written by hand say",
        "tests/shared/exchange/test_acts.py",
    ),
    line(
        "Every row that tells the other side is walked: route and verb reach it, its addressee accepts it, both agree",
        "tests/services/test_acts.py",
    ),
    line(
        "Each guard of the hotline's receiving half is shown in its own folder", "tests/services/hotline/test_offers.py"
    ),
    line(
        "What outsiders forged, set wrong or kept behind can be done again, and is refused",
        "tests/support/test_forging.py",
        "tests/support/test_faults.py",
    ),
    line(
        "A fresh database and a migrated one are equal. A database that no migration made is refused, and the refusal "
        "says how to continue",
        "tests/services/schemas/test_schemas.py",
    ),
    line("A new field of the record reaches nobody until it is listed", "tests/shared/exchange/test_minimise.py"),
    line("A detached stack keeps none of its caller's descriptors", "tests/deploy/devstack/test_detach.py"),
    line(
        "The operator's verbs work against a Kafka that speaks SASL_SSL and nothing else",
        "tests/deploy/operator/test_secure_site.py",
        "tests/deploy/site/test_site_file.py",
    ),
    line(
        "The client sends nothing over plain http to another machine, and trusts only whom it verifies",
        "tests/client/test_client_address.py",
        "tests/client/test_client_tls.py",
    ),
    line(
        "No kept file names a registry, a path of the machine it was made on, or unfinished work",
        "tests/architecture/test_text.py",
    ),
    line(
        "Every test whose outcome hangs on the clock is marked as such, and a frozen process stands before a test "
        "goes on",
        tests_of(_TIMING, "test_every_test_that_looks_at_the_clock_is_marked", "test_a_planted_test_is_found"),
        "tests/failures/test_frozen.py",
    ),
    line(
        "Date-dependent tests pass for the 1st, 28th and last day of a month, 29 February, 31 December, 1 January and "
        "both clock changes, by a clock of the test",
        "tests/support/test_day.py",
    ),
)
