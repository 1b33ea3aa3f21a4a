"""Promises about the format, and the proofs that it gives to parties."""

from __future__ import annotations

from tests.acceptance.line import line, tests_of

_ACCEPTANCE = "tests/shared/core/protocol/test_acceptance.py"
_ACCEPTING = "tests/services/hotline/test_accepting.py"
_EVIDENCE = "tests/shared/core/test_evidence.py"
_NOTICE_EVIDENCE = "tests/services/industry/test_notice_evidence.py"
_PREPARE = "tests/shared/core/protocol/test_prepare.py"
_VERIFY = "tests/client/test_client_verify.py"

FORMAT = (
    line(
        "Two instances of two operators serve providers: one referral reaches both, both answer, and reconciliation "
        "shows no difference. The next directory moves a party, and its next notice goes to the other instance",
        "tests/journeys/test_two_instances.py",
        "tests/deploy/directory/test_move.py",
    ),
    line(
        "A provider moves with notices in transit while its old instance is down. None is lost or a dead letter, "
        "notice ids stay, and late answers are accepted. Both sides are equal in every order of arrival",
        "tests/failures/test_moves.py",
        "tests/shared/features/received/test_both_sides_of_a_move.py",
        "tests/services/hotline/test_moves.py",
        "tests/services/industry/test_moved_notices.py",
        "tests/services/audit/test_moved.py",
    ),
    line(
        "A package for another kind of party needs only its own files and one line of data. A missing one is named",
        "tests/architecture/test_new_room.py",
    ),
    line(
        "500 pairs of referrals differ in agencies, in another instance's providers, in earlier times, in a waiting "
        "edge or in a moved one. They are the same for a provider and its instance. Without a key, a notice cannot be "
        "linked with another message of its referral",
        "tests/shared/core/protocol/test_non_interference.py",
        "tests/shared/core/protocol/test_waiting_edges.py",
    ),
    line(
        "A login to Kafka can neither list offsets of, describe, read nor write a topic of a foreign pair",
        "tests/deploy/devstack/test_side_channels.py",
    ),
    line(
        "Two items at two places: each agency and provider gets its own item only. Brute force decides 10,000 "
        "generated referrals the same way",
        tests_of(_PREPARE, "test_an_edge_names_nobody_else"),
        "tests/shared/core/routing/test_routing_oracle.py",
        "tests/shared/core/routing/test_routing_derive.py",
    ),
    line(
        "About a decision, audit's topics contain an id and a disposition, but no facts, places, notices or salts. "
        "Audit names a decision that it cannot derive, and a message that commits to another edge",
        tests_of(_PREPARE, "test_the_fact_for_audit_says_nothing_of_the_decision_in_the_clear"),
        tests_of(
            "tests/services/audit/test_flows.py",
            "test_a_decision_that_its_facts_do_not_lead_to_is_named_and_its_edges_are_linked_all_the_same",
            "test_a_message_that_commits_to_another_edge_than_audit_was_told_of_is_named",
        ),
        "tests/contracts/test_clear_parts.py",
    ),
    line(
        "A decision of 200 edges of maximal length fits in one record for audit. A decision with more edges is sent to "
        "no recipient and needs a person",
        f"{_PREPARE}::test_a_decision_of_two_hundred_edges_is_told_to_audit_in_one_record",
        f"{_PREPARE}::test_a_decision_that_no_record_holds_reaches_nobody_but_a_person",
    ),
    line(
        "A referral to 200 recipients is accepted as its check said. One to more recipients needs a person. An import "
        "of 1,000 rows with one of each answers every row",
        "tests/services/hotline/test_wide_referrals.py",
    ),
    line(
        "Only the cells of one table have an effect: message, sender's kind, recipient's kind and relation to the "
        "subject, at a party, in audit and in reconciliation",
        "tests/shared/core/protocol/test_authority.py",
        "tests/services/audit/test_facts_enumerated.py",
        "tests/services/audit/test_entitled.py",
    ),
    line(
        "A stated or future broker time and a revoked key are refused. An encrypted value opens only in its own place. "
        "A party's sealing key makes the directory invalid",
        "tests/shared/core/protocol/test_broker_time.py",
        "tests/services/isolation/test_places.py",
        tests_of(
            "tests/shared/core/routing/test_routing_directory_index.py",
            "test_a_sealing_key_of_a_party_refuses_the_directory_and_is_named",
        ),
    ),
    line(
        "The origin's operator erases an accepted referral before it is sent. The sender's signed acceptance, checked "
        "offline against audit, proves that it is missing. A forged acceptance is refused, in Node too",
        f"{_ACCEPTING}::test_what_was_erased_before_it_was_sent_is_proven_missing",
        f"{_ACCEPTING}::test_nobody_can_claim_an_acceptance_that_was_never_given",
        tests_of(_ACCEPTANCE, "test_whatever_is_changed_in_it_it_is_refused_here_and_in_node"),
        tests_of(_VERIFY, "test_what_an_auditor_has_decides_whether_the_word_was_kept"),
    ),
    line(
        "An acceptance covers the bytes as posted, or the item's own bytes in a list. Audit gets the same hash, also "
        "when the referral is decided again. A repeated request gets the same bytes",
        f"{_ACCEPTING}::test_it_is_over_the_bytes_that_were_posted_and_audit_is_told_the_same",
        f"{_ACCEPTING}::test_in_a_list_it_is_over_the_items_own_bytes",
        f"{_ACCEPTING}::test_what_is_decided_again_is_still_told_with_the_same_hash",
        f"{_ACCEPTING}::test_whoever_repeats_the_request_is_given_the_same_bytes",
    ),
    line(
        "A notice's evidence from the API verifies offline in Node with the directory alone, also after a key was "
        "replaced. A flipped bit anywhere is refused",
        tests_of(_NOTICE_EVIDENCE, "test_whoever_may_see_the_notice_gets_what_proves_it"),
        f"{_EVIDENCE}::test_a_bit_changed_anywhere_is_refused_here_and_in_node",
        f"{_EVIDENCE}::test_it_holds_after_a_key_was_replaced_if_the_key_was_valid_then",
    ),
    line(
        "Evidence is available only to people who may see the notice. It shows no location and ends with the record",
        f"{_NOTICE_EVIDENCE}::test_nobody_else_gets_it_and_cannot_tell_that_it_is_there",
        f"{_NOTICE_EVIDENCE}::test_it_opens_no_record_and_shows_no_location",
        f"{_NOTICE_EVIDENCE}::test_what_was_erased_with_the_record_is_told_to_be",
    ),
    line(
        "A record of each message, published documents, a heartbeat, an acceptance and evidence from an earlier "
        "release are read unchanged. An altered one is refused",
        "tests/contracts/test_golden.py",
    ),
)
