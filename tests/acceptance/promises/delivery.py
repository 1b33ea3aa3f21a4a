"""One segment, one acknowledgement, one journal: what delivery keeps to, whoever restarts, restores or lies."""

from __future__ import annotations

from tests.acceptance.line import line, tests_of

_ACKS = "tests/shared/messaging/test_acks.py"
_ACK_RECORD = "tests/shared/messaging/test_ack_record.py"
_ARRIVAL = "tests/shared/messaging/test_arrival.py"
_BOUND = "tests/shared/delivery/test_kept_bytes.py"
_INBOUND = "tests/shared/delivery/test_inbound.py"
_PLACEMENT = "tests/shared/messaging/test_placement.py"
_RECEPTION = "tests/shared/messaging/test_reception.py"
_SENDING = "tests/shared/messaging/test_sending.py"

DELIVERY = (
    line(
        "An acknowledgement that names messages never sent, goes backwards without a restore, or is signed by another "
        "instance: one line for the operator and one new incarnation an hour at most, or no effect; subjects and "
        "journal are untouched, on a running exchange too",
        "tests/acceptance/test_false_acks.py",
        f"{_ACKS}::test_a_lower_acknowledgement_counts",
        f"{_ACKS}::test_statements_that_open_an_incarnation",
        f"{_ACKS}::test_a_reader_causes_one_incarnation_an_hour",
        f"{_ACKS}::test_an_old_acknowledgement_that_is_heard_again_has_no_effect",
        f"{_SENDING}::test_an_acknowledgement_of_a_strange_incarnation_is_acted_on_once",
        f"{_SENDING}::test_an_acknowledgement_with_another_chain_opens_an_incarnation",
        tests_of(_ACK_RECORD, "test_no_changed_bit_is_accepted", "test_every_member_is_signed"),
        tests_of(_RECEPTION, "test_only_a_reader_of_the_own_streams_states_positions"),
    ),
    line(
        "A record whose place and content disagree: at the place of another it takes no number, with a broken content "
        "signature it is a dead letter whose proof is kept; its neighbours are applied",
        f"{_ARRIVAL}::test_a_record_at_the_place_of_another_one_is_unreadable",
        f"{_ARRIVAL}::test_a_record_behind_the_proof_of_another_segment_is_unreadable",
        f"{_ARRIVAL}::test_a_record_with_a_broken_content_signature_keeps_its_place_and_is_marked",
        f"{_ARRIVAL}::test_a_record_whose_bytes_changed_is_unreadable_and_its_neighbours_are_read",
        tests_of(_INBOUND, "test_a_content_signature_that_does_not_hold_makes_a_dead_letter"),
        tests_of(_PLACEMENT, "test_another_instance_signs_no_place_of_this_writer"),
    ),
    line(
        "What a reader's absence may hold is bounded: at the bound filings are refused with the reason, withdrawals "
        "and answers go on, and filings too once it is back; while audit is away deliveries between the others are not "
        "delayed",
        _BOUND,
        "tests/acceptance/test_audit_away.py",
    ),
    line(
        "Between two releases what the older one cannot read is kept sealed and applied by the newer one; a missing "
        "document is waited for, a withdrawal wins over every revision and every exception",
        "tests/acceptance/test_two_releases.py",
        "tests/shared/delivery/test_kept_exceptions.py",
        "tests/shared/delivery/test_judgement.py",
        tests_of(_INBOUND, "test_an_edge_of_an_unknown_document_waits_and_is_applied_once_that_has_come"),
        tests_of(_RECEPTION, "test_a_withdrawal_ends_the_exceptions_of_its_subject"),
    ),
    line(
        "100 referrals erased after both acknowledgements, among neighbours of the same segments: whoever has every "
        "database and every private key opens none of them, all neighbours prove, and before each was opened",
        "tests/acceptance/test_erased.py",
    ),
    line(
        "The nightly check of each pair, after erasures and retention at both ends and at one alone, sends no message "
        "again; no feed gives a number twice",
        "tests/acceptance/test_nightly.py",
    ),
    line(
        "200 pairs of referrals on a running exchange that differ only in other recipients: equal bytes for a provider "
        "and its instance, over HTTP and in Kafka, but for ids, salts, ciphertext, place and time",
        "tests/acceptance/test_apart.py",
    ),
    line(
        "Two providers of one referral share no byte of record or proof that they do not share with a provider of "
        "another; joined groups, and a digest of the decision, would be found",
        tests_of(
            "tests/shared/core/protocol/test_non_interference.py",
            "test_no_notice_is_joined_with_another_message_of_its_referral",
            "test_in_a_large_transaction_all_notices_share_one_group",
        ),
    ),
    line(
        "Audit derives every decision of the demo again, and names 100 altered ones",
        verb="the_demos_decisions_are_derived_again",
    ),
)
