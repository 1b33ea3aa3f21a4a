"""What the format proves to those who keep it."""

from __future__ import annotations

from tests.acceptance.line import Line, tests_of

_ACCEPTANCE = "tests/shared/exchange/test_acceptance.py"
_ACCEPTING = "tests/services/hotline/test_accepting.py"
_EVIDENCE = "tests/shared/exchange/test_evidence.py"
_NOTICE_EVIDENCE = "tests/services/industry/test_notice_evidence.py"
_VERIFY = "tests/client/test_client_verify.py"

FORMAT = (
    Line(
        "A 202 erased by the origin's operator before it was sent: the sender's signed acceptance, checked offline "
        "against audit, proves it missing; a forged one is refused, in Node too",
        (
            *tests_of(
                _ACCEPTING,
                "test_what_was_erased_before_it_was_sent_is_proven_missing",
                "test_nobody_can_claim_an_acceptance_that_was_never_given",
            ),
            *tests_of(_ACCEPTANCE, "test_whatever_is_changed_in_it_it_is_refused_here_and_in_node"),
            *tests_of(_VERIFY, "test_what_an_auditor_has_decides_whether_the_word_was_kept"),
        ),
    ),
    Line(
        "An acceptance is over the bytes as posted, in a list over the item's own; audit is told the same hash, also "
        "when the referral is decided again; whoever repeats the request gets the same bytes",
        tests_of(
            _ACCEPTING,
            "test_it_is_over_the_bytes_that_were_posted_and_audit_is_told_the_same",
            "test_in_a_list_it_is_over_the_items_own_bytes",
            "test_what_is_decided_again_is_still_told_with_the_same_hash",
            "test_whoever_repeats_the_request_is_given_the_same_bytes",
        ),
    ),
    Line(
        "A notice's evidence from the API verifies offline in Node with the directory alone, also after a key was "
        "replaced; a flipped bit anywhere is refused",
        (
            *tests_of(_NOTICE_EVIDENCE, "test_whoever_may_see_the_notice_gets_what_proves_it"),
            *tests_of(
                _EVIDENCE,
                "test_a_bit_changed_anywhere_is_refused_here_and_in_node",
                "test_it_holds_after_a_key_was_replaced_if_the_key_was_valid_then",
            ),
        ),
    ),
    Line(
        "Evidence is there for whoever may see the notice and for nobody else; it shows no location and goes with the "
        "record",
        tests_of(
            _NOTICE_EVIDENCE,
            "test_nobody_else_gets_it_and_cannot_tell_that_it_is_there",
            "test_it_opens_no_record_and_shows_no_location",
            "test_what_was_erased_with_the_record_is_told_to_be",
        ),
    ),
)
