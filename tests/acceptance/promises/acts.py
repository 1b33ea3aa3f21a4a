"""Promises about referrals in use: holds, preservation, withdrawal, duplicates, answers and the effects of time."""

from __future__ import annotations

from tests.acceptance.line import line, tests_of

_TIMERS = "tests/shared/platform/timers/test_timers.py"
_CLOCKS = "tests/shared/core/routing/test_clocks.py"
_BEFORE_REMOVAL = "tests/services/industry/test_preservation_before_removal.py"
_TWO = "tests/journeys/test_two_instances.py"
_DUPLICATES = "tests/services/hotline/test_duplicates.py"

ACTS = (
    line(
        "Eight workers place holds on 1,000 notices at the end of their windows. Each notice is issued before its hold "
        "or never during it, and placed = activated + too late. Without the check under the lock some are not",
        "tests/services/hotline/test_holds_race.py",
    ),
    line(
        "An agency can place a hold while the window is open. If no agency answers, the notice is issued at its end. "
        "Both sides are informed when a hold ends. An extension has a limit, and an override needs two people",
        "tests/services/hotline/test_holds.py",
        "tests/journeys/test_holds.py",
    ),
    line(
        "1,000 timers, eight workers that die and clocks that step by an hour: each timer fires once, none early. If "
        "the clock is trusted alone, some fire early. Rebuilt timers have the same rows",
        _TIMERS,
    ),
    line(
        "Both ends derive the same instants for every clock of the sample law. Only listed causes pause one. Working "
        "days follow the policy, and differences from the package of holidays are listed",
        "tests/shared/core/protocol/test_clocks_alike.py",
        _CLOCKS,
        "tests/shared/core/routing/test_calendars.py",
    ),
    line(
        "Every preservation is exported by ETSI's schemas of TS 103 120; they refuse 1,000 exports with one error each",
        "tests/shared/formats/test_ts103120.py",
    ),
    line(
        "In every order of events, an unanswered preservation request prevents its item's removal, and no removal "
        "clock pauses. Without the check some order removes it. The notifier gets equal bytes with and without it",
        _BEFORE_REMOVAL,
        "tests/journeys/test_preservation.py",
        f"{_CLOCKS}::test_only_listed_causes_stop_a_clock",
    ),
    line(
        "A withdrawal that no person answers is answered by automation at every recipient",
        "tests/journeys/test_withdrawals_answered.py",
    ),
    line(
        "An erased record is unreadable over the API, with the database and its key, and after yesterday's backup is "
        "restored. Without the journal it would be found, and a journal of another database is not accepted",
        "tests/services/industry/test_erasures.py",
    ),
    line(
        "A revoked key, an ended role and a removed address stay so in a restored database, and all sessions there are "
        "ended. The backup alone would bring them back",
        "tests/services/law_enforcement/test_endings.py",
    ),
    line(
        "Known and new locations get equal answers, and the lookup runs afterwards; an earlier lookup would be "
        "noticed. 500 planted repeats in ten forms are linked, none invented, also across versions of the form",
        _DUPLICATES,
    ),
    line(
        "Two notifiers of one location: two notices, one work item, two answers. One's withdrawal leaves the other",
        "tests/services/industry/test_work_items.py",
        "tests/journeys/test_bulk.py",
    ),
    line(
        "Of fifty claims for one orphaned referral one succeeds, over processes and kills. With the lock off two do",
        "tests/services/hotline/test_claims_race.py",
        "tests/services/hotline/test_offers.py",
    ),
    line(
        "Two agencies that have opted in learn of each other. A third one, and one without opt-in, learn nothing",
        "tests/services/hotline/test_contacts.py",
        "tests/services/law_enforcement/test_contacts.py",
    ),
    line(
        "An identified child stays so on both sides and at audit. Only the origin sees the case reference",
        "tests/services/law_enforcement/test_outcomes.py",
        "tests/services/hotline/test_answers_kept.py",
    ),
    line(
        "Each contradictory answer is refused with its own code. After a lease expires a second officer can take over. "
        "A case that is passed on arrives with its history, and is returned if the other instance rejects it",
        "tests/services/hotline/test_offers.py",
        "tests/services/law_enforcement/test_leases.py",
        "tests/services/hotline/test_referred.py",
        "tests/journeys/test_agencies.py",
    ),
    line(
        "If another agency's instance rejects a case, the case is returned with the code, its deadlines apply again, "
        "and audit's flow shows it",
        tests_of(_TWO, "test_what_the_other_agencys_instance_refuses_comes_back_with_its_code"),
    ),
    line(
        "A provider corrects a mistaken preservation answer. Items that it then preserves are not removed meanwhile",
        "tests/services/industry/test_preservation_corrected.py",
    ),
    line(
        "A subject with a defect stops no other in any loop of automation or clocks. Without that protection it does",
        "tests/architecture/test_loops.py",
        "tests/services/hotline/test_apart.py",
        "tests/services/hotline/test_apart_moved.py",
    ),
    line(
        "A case with a child at risk alerts people repeatedly until an officer has it",
        "tests/services/law_enforcement/test_p0_unclaimed.py",
    ),
    line(
        "If a provider falsely reports a removal, a recheck finds the item, and both sides mark it as reappeared",
        "tests/services/hotline/test_answers_kept.py",
        "tests/journeys/test_answering.py",
    ),
)
