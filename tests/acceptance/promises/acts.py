"""What becomes of a referral: holds, preservation, withdrawal, duplicates, answers, and what time does to them."""

from __future__ import annotations

from tests.acceptance.line import line, tests_of

_TIMERS = "tests/shared/runtime/timers/test_timers.py"
_CLOCKS = "tests/shared/routing/test_clocks.py"
_BEFORE_REMOVAL = "tests/services/industry/test_preservation_before_removal.py"
_TWO = "tests/journeys/test_two_instances.py"
_DUPLICATES = "tests/services/hotline/test_duplicates.py"

ACTS = (
    line(
        "1,000 notices in their windows, holds that eight workers place at the window's end: each issued before its "
        "hold or never while it is in force, placed = activated + too late; with the look before the lock some are not",
        "tests/services/hotline/test_holds_race.py",
    ),
    line(
        "Who looks within the window can hold, nobody's answer lets the notice go at the window's end, an end is told "
        "to both; an extension has a bound and an override takes two",
        "tests/services/hotline/test_holds.py",
        "tests/journeys/test_holds.py",
    ),
    line(
        "1,000 timers, eight workers that die and clocks that step by an hour: each told once, none early; with a "
        "clock that is believed some are. Dropped and made again they are the same rows",
        _TIMERS,
    ),
    line(
        "Both ends derive the same instants for every clock of the sample law; only listed causes stop one; working "
        "days are the policy's, and where the package of holidays differs is listed",
        "tests/shared/exchange/test_clocks_alike.py",
        _CLOCKS,
        "tests/shared/routing/test_calendars.py",
    ),
    line(
        "Every preservation is exported as ETSI's schemas of TS 103 120 describe it; 1,000 with one thing wrong are "
        "refused by them",
        "tests/shared/formats/test_ts103120.py",
    ),
    line(
        "In no order of events is something removed that an unanswered request wants kept, and no clock of a removal "
        "stops; with the check off some order does. The notifier is told the same bytes whether or not somebody asked",
        _BEFORE_REMOVAL,
        "tests/journeys/test_preservation.py",
        f"{_CLOCKS}::test_only_listed_causes_stop_a_clock",
    ),
    line("A withdrawal that nobody answers is answered everywhere", "tests/journeys/test_withdrawals_answered.py"),
    line(
        "What was erased is unreadable over the API, with the database and its key, and once yesterday's backup is "
        "restored; without the journal it would be found, and nothing is served by another's",
        "tests/services/industry/test_erasures.py",
    ),
    line(
        "A key that was revoked, a role that ended and an address that was removed stay so in a restored database, and "
        "nobody is signed in there; the backup alone would have them come back",
        "tests/services/law_enforcement/test_endings.py",
    ),
    line(
        "Known and new locations are answered alike, and nothing is looked up before; an intake that looks first would "
        "be noticed. 500 planted repeats in ten spellings are linked, none invented, also across the form's versions",
        _DUPLICATES,
    ),
    line(
        "Two notifiers of one location: two notices, one work item, two answers; one's withdrawal leaves the other",
        "tests/services/industry/test_work_items.py",
        "tests/journeys/test_bulk.py",
    ),
    line(
        "Of fifty that claim one orphan one has it, over processes and kills; with the lock off two do",
        "tests/services/hotline/test_claims_race.py",
        "tests/services/hotline/test_claiming.py",
    ),
    line(
        "Two agencies that have opted in are told of each other, a third and one that has not are told nothing",
        "tests/services/hotline/test_contacts.py",
        "tests/services/law_enforcement/test_contacts.py",
    ),
    line(
        "A child that was identified stays so, whatever comes after: on both sides, and in what audit has; the case "
        "reference is its origin's alone",
        "tests/services/law_enforcement/test_outcomes.py",
        "tests/services/hotline/test_outcomes_kept.py",
    ),
    line(
        "Each answer that contradicts another is refused by its code; a lease lapses and a second officer takes over; "
        "a case that is passed on arrives with its history, and comes back where it is refused",
        "tests/services/hotline/test_assessing.py",
        "tests/services/law_enforcement/test_leases.py",
        "tests/services/hotline/test_referred.py",
        "tests/journeys/test_agencies.py",
    ),
    line(
        "What another agency's instance refuses comes back with its code, is owed anew, and audit's flow says so",
        tests_of(_TWO, "test_what_the_other_agencys_instance_refuses_comes_back_with_its_code"),
    ),
    line(
        "A provider corrects a mistaken answer about preservation; nothing is removed meanwhile that it wants kept",
        "tests/services/industry/test_preservation_corrected.py",
    ),
    line(
        "One subject with a defect stops no other in any loop that acts by rule or clock; without that it does",
        "tests/architecture/test_loops.py",
        "tests/services/hotline/test_apart.py",
        "tests/services/hotline/test_apart_moved.py",
    ),
    line(
        "A child at risk wakes somebody again and again until an officer has it",
        "tests/services/law_enforcement/test_p0_unclaimed.py",
    ),
    line(
        "A provider that says removed and lies is found by whoever looks again, and the item has reappeared on both "
        "sides",
        "tests/services/hotline/test_looking_again.py",
        "tests/journeys/test_answering.py",
    ),
)
