"""Promises about the code: packages, one row per act, and migrations."""

from __future__ import annotations

from tests.acceptance.line import line, tests_of

_TIMING = "tests/architecture/test_timing.py"

#: One promise per line. Most are proven by whole modules.
HOUSE = (
    line(
        "Imports between packages point in one direction, and each rule detects a planted error",
        "tests/architecture/test_arrows.py",
    ),
    line(
        "Modules follow the rules for headers, parameters and names, and each rule finds its planted breach",
        "tests/architecture/test_modules.py",
    ),
    line(
        "Each size in docs/sizes.md keeps its limit, and a planted excess is measured",
        "tests/architecture/test_sizes.py",
    ),
    line(
        "Tests of journeys and failures use the product from outside, and each of the 365 behaviours keeps its test",
        "tests/architecture/test_driver.py",
        "tests/architecture/test_behaviour_list.py",
    ),
    line("There is no import cycle, and no six equal lines in two services", "tests/architecture/test_house.py"),
    line(
        "No statement counts more than eight parameters by hand, and rows are stored as their fields say",
        "tests/architecture/test_statements.py",
    ),
    line(
        "The product imports all of its run-time dependencies, and the lock file has no others",
        "tests/architecture/test_dependencies.py",
    ),
    line(
        "A message with a state takes a folder of six parts, and a line in the catalogue and in each of two services",
        "tests/architecture/test_sample_feature.py",
    ),
    line("A referral enters its own service first behind the HTTP edge", "tests/services/test_walk.py"),
    line(
        "One act, one row: both sides of every message move as the handwritten tables say",
        "tests/shared/core/acts/test_table.py",
    ),
    line(
        "Every row with a message to the other side: route and verb reach it, its addressee accepts it, both agree",
        "tests/services/test_acts.py",
    ),
    line(
        "Each guard of the hotline's receiving half is tested in its own folder",
        "tests/services/hotline/test_offers.py",
    ),
    line(
        "Forged, wrongly set and outdated data from outside can be reproduced, and is refused",
        "tests/support/test_forging.py",
        "tests/support/test_faults.py",
    ),
    line(
        "A fresh and a migrated database are equal. One that no migration made is refused, with a way to continue",
        "tests/services/schemas/test_schemas.py",
    ),
    line(
        "A new field of the record reaches no recipient until it is listed",
        "tests/shared/core/protocol/test_minimise.py",
    ),
    line("A detached stack keeps none of its caller's descriptors", "tests/deploy/devstack/test_detach.py"),
    line(
        "The operator's verbs work with a Kafka that accepts only SASL_SSL",
        "tests/deploy/operator/test_secure_site.py",
        "tests/deploy/site/test_site_file.py",
    ),
    line(
        "The client sends nothing over plain http to another machine, and trusts only verified servers",
        "tests/client/test_client_address.py",
        "tests/client/test_client_tls.py",
    ),
    line(
        "No file in the repository names a registry, a path of the machine that made it, or unfinished work",
        "tests/architecture/test_text.py",
    ),
    line(
        "Prose is plain. 1,000 words have at most 2 bare clauses, 0.1 inverted sentences, 0.5 coined words and 4.5 "
        "sentences over 30 words; a planted excess is found",
        "tests/architecture/test_plain_words.py",
    ),
    line(
        "Every test that depends on the clock has a marker. A test waits until a process is frozen before it continues",
        tests_of(_TIMING, "test_every_test_that_looks_at_the_clock_is_marked", "test_a_planted_test_is_found"),
        "tests/failures/test_frozen.py",
    ),
    line(
        "Date-dependent tests pass for the 1st, 28th and last day of a month, 29 February, 31 December, 1 January and "
        "both clock changes, by a clock of the test",
        "tests/support/test_day.py",
    ),
)
