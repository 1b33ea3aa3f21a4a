"""Promises about the main flow: real Kafka and PostgreSQL, real input, and reconciliation without a difference."""

from __future__ import annotations

from tests.acceptance.line import line, tests_of

_ACCOUNTING = "tests/acceptance/test_accounting.py"
_BAD_ROWS = "tests/acceptance/test_bad_rows.py"
_CANARIES = "tests/acceptance/test_canaries.py"
_FLOWS = "tests/acceptance/test_flows.py"
_IDEMPOTENCY = "tests/acceptance/test_idempotency.py"
_ABSENT = "tests/services/isolation/test_absent_and_foreign.py"
_EXERCISES = "tests/services/isolation/test_exercises.py"
_MATRIX = "tests/services/isolation/test_matrix.py"
_RECOUNT = "tests/deploy/sample/test_recount.py"
_ORACLE = "tests/shared/core/routing/test_routing_oracle.py"
_REPLAY = "tests/shared/core/routing/test_routing_replay.py"
_STORIES = "tests/journeys/test_stories.py"

MAIN_FLOW = (
    line(
        "The demo imports 600 sampled referrals over HTTP. Parties act, reject, disown, decline and give no answer, "
        "and one referral is withdrawn. It ends with exit code 0 when it is not on a terminal",
        verb="the_demo_runs",
    ),
    line(
        "A first `make demo` downloads 130 MB at most: the wheels, with a Java and PostgreSQL, and Kafka's jars",
        "tests/acceptance/test_downloaded.py",
    ),
    line(
        "The demo prints one flow of 8 messages or more over 3 instances or more, with times, rules and places",
        verb="the_demo_prints_a_flow",
    ),
    line(
        "The demo's counts per recipient and purpose equal those of an independent recount of its input",
        tests_of(_RECOUNT, "test_the_script_imports_nothing_of_the_project", "test_the_counts_equal_a_recount"),
        verb="the_demo_is_recounted",
    ),
    line(
        "Three planted edits of the policy change both counts equally, and an edit on one side is noticed",
        f"{_RECOUNT}::test_a_planted_edit_of_the_policy_moves_both_counts_equally",
        f"{_RECOUNT}::test_an_edit_on_one_side_only_is_noticed",
    ),
    line(
        "Equations (I), (II) and (III) have difference 0. The data comes from every instance's database, read by a "
        "role of its own, from audit's log and from a fresh read of Kafka",
        tests_of(_ACCOUNTING, "test_the_counts_add_up", "test_no_accountant_can_read_what_was_reported"),
        verb="the_demo_adds_up",
    ),
    line(
        "A recipient that went back, a missing audit entry and a forged outcome are named by coordinates, exit code 1",
        f"{_ACCOUNTING}::test_a_receive_state_that_went_back_is_named",
        f"{_ACCOUNTING}::test_an_entry_that_audit_lacks_is_named_by_its_place_and_by_its_message",
        f"{_ACCOUNTING}::test_a_forged_outcome_is_named",
    ),
    line(
        "A record of every message type, read from Kafka, is a CloudEvent for the SDKs for JavaScript and Python. With "
        "a relative schema it is not",
        "tests/conformance/test_cloudevents_sdks.py",
    ),
    line(
        "A verifier in Node refuses a message with any bit changed in its body or in any header, known or of a later "
        "release. A later release's header is covered and ignored",
        "tests/shared/core/envelope/test_foreign_verifier.py::test_a_changed_bit_anywhere_in_a_header_fails_elsewhere",
        "tests/shared/core/envelope/test_foreign_verifier.py::test_a_changed_bit_anywhere_in_the_body_fails_elsewhere",
        "tests/shared/core/envelope/test_foreign_verifier.py::test_what_a_later_release_says_is_covered_elsewhere_too",
        "tests/shared/core/protocol/test_accept.py::test_an_extension_of_a_later_release_is_covered_and_ignored",
    ),
    line(
        "Every message of the printed flow, read again by a foreign client at its offset, has its digest. A program "
        "that imports nothing of the project verifies its batch proof",
        f"{_FLOWS}::test_every_message_of_a_flow_read_again_has_its_digest_and_its_proof",
        f"{_FLOWS}::test_a_changed_bit_or_a_missing_key_would_be_noticed",
        f"{_FLOWS}::test_the_foreign_programs_import_nothing_of_the_project",
        verb="the_demos_flow_is_read_again",
    ),
    line(
        "Decisions are the same bytes under any hash seed and on every Python from 3.11 on. They equal those of brute "
        "force on 10,000 generated referrals, and 200 golden decisions are reproduced to the byte",
        f"{_REPLAY}::test_exported_decisions_are_replayed_byte_for_byte_by_every_python",
        f"{_REPLAY}::test_an_engine_that_depends_on_the_hash_seed_would_be_noticed",
        f"{_REPLAY}::test_the_golden_decisions_are_made_again_to_the_byte",
        f"{_ORACLE}::test_ten_thousand_generated_referrals_are_decided_as_brute_force_decides_them",
        f"{_ORACLE}::test_an_index_that_loses_a_rule_would_be_noticed",
    ),
    line(
        "The Python table and row-level security alone agree on every cell of role × relation × action × state",
        f"{_MATRIX}::test_the_python_table_and_row_level_security_answer_every_cell_equally",
        f"{_MATRIX}::test_the_two_copies_of_the_table_hold_the_same_cells",
        f"{_MATRIX}::test_every_table_with_a_party_is_isolated_even_from_its_owner",
        f"{_MATRIX}::test_a_transaction_bound_to_nobody_sees_nothing",
    ),
    line(
        "With row-level security off, or one cell more or fewer in the database, the same comparison fails",
        f"{_MATRIX}::test_with_row_level_security_off_the_foreign_cells_are_found_open",
        f"{_MATRIX}::test_one_cell_too_many_in_the_database_is_found_by_name",
        f"{_MATRIX}::test_one_cell_too_few_in_the_database_is_found_by_name",
    ),
    line(
        "Absent and foreign resources give the same bytes on every route that names one",
        f"{_ABSENT}::test_absent_and_foreign_are_answered_with_the_same_bytes",
        f"{_ABSENT}::test_whom_it_concerns_is_answered_otherwise",
        f"{_ABSENT}::test_an_absent_flow_is_answered_like_any_absent_resource",
    ),
    line(
        "An exercise cannot reach a live party: not by routing, and not as a record signed by the instance",
        f"{_EXERCISES}::test_an_exercise_goes_to_no_live_party",
        f"{_EXERCISES}::test_a_sandbox_party_cannot_file_in_earnest",
        f"{_EXERCISES}::test_an_exercise_record_that_reaches_a_live_party_is_refused",
        f"{_EXERCISES}::test_the_same_record_in_earnest_is_applied",
    ),
    line(
        "The same key and body twice give one referral and the stored answer. Another body gives 422. The same "
        "reference under a new key gives 409 with a link. Keys and references belong to each sender",
        f"{_IDEMPOTENCY}::test_the_same_key_and_body_twice_is_one_referral_and_the_stored_answer",
        f"{_IDEMPOTENCY}::test_another_body_under_the_same_key_is_refused",
        f"{_IDEMPOTENCY}::test_a_known_reference_under_a_new_key_is_answered_with_a_link_to_the_first",
        f"{_IDEMPOTENCY}::test_keys_and_references_are_each_senders_own",
    ),
    line(
        "A race of 50 at two API processes creates one referral, under one key and for one reference",
        f"{_IDEMPOTENCY}::test_fifty_at_once_under_one_key_at_two_processes_are_one_referral",
        f"{_IDEMPOTENCY}::test_fifty_keys_at_once_for_one_reference_at_two_processes_are_one_referral",
    ),
    line(
        "SIGKILL between commit and answer: the retry gets the stored answer. At any moment: one referral each",
        f"{_IDEMPOTENCY}::test_a_process_killed_between_commit_and_answer_has_the_answer_stored",
        f"{_IDEMPOTENCY}::test_a_process_killed_before_the_commit_leaves_the_key_free",
        f"{_IDEMPOTENCY}::test_every_request_retried_over_kills_at_any_moment_is_one_referral",
    ),
    line(
        "One bad row among 1,000 (unroutable, unknown code, refused): 1 is unrouted or refused, 999 are delivered",
        tests_of(_BAD_ROWS, "test_one_bad_row_among_a_thousand_holds_up_no_other"),
    ),
    line(
        "Canaries in every sensitive field, through delivered, refused, 422, 500 and dead-letter paths: 0 hits in "
        "Kafka's segments, PostgreSQL's files and dumps, logs and spans, in every encoding",
        f"{_CANARIES}::test_no_marked_value_is_found_in_any_store",
        f"{_CANARIES}::test_every_sensitive_field_of_a_referral_carries_the_mark",
    ),
    line(
        "The same search finds a canary planted in the clear part, in each store and in each encoding",
        f"{_CANARIES}::test_the_same_search_finds_a_mark_planted_in_the_clear",
        f"{_CANARIES}::test_the_search_finds_every_spelling",
        f"{_CANARIES}::test_the_search_finds_base64_wherever_the_mark_stands",
    ),
    line(
        "The README's stories: submit, deliver, answer, follow; withdraw; invalid input; no recipient; a repeat",
        f"{_STORIES}::test_a_referral_is_previewed_filed_delivered_answered_and_followed",
        f"{_STORIES}::test_a_referral_is_withdrawn_and_every_recipient_acknowledges",
        f"{_STORIES}::test_bad_input_is_answered_with_the_field_and_the_rule_and_never_the_value",
        f"{_STORIES}::test_a_referral_that_can_go_nowhere_is_on_the_work_list_with_its_reason",
        f"{_STORIES}::test_the_same_referral_again_is_answered_with_the_first",
    ),
    line(
        "Items of a notice are answered one by one, each action once per item and round. Provider and origin compute "
        "the same fold, and the origin stores it under its own numbers",
        "tests/shared/core/protocol/test_items.py",
        "tests/services/hotline/test_answers_kept.py",
    ),
    line(
        "A withdrawn record is erased in the transaction that says so, or retained with class, basis and end. A "
        "withdrawal does not delete an accepted case",
        "tests/services/law_enforcement/test_cases.py::test_what_was_withdrawn_is_erased_for_every_purpose",
        "tests/services/law_enforcement/test_cases.py::test_a_case_that_was_accepted_is_not_wiped_by_its_withdrawal",
        "tests/services/industry/test_notices.py::test_what_was_withdrawn_is_erased_when_its_provider_says_so",
    ),
    line(
        "A party reads its events by number, each event once and in one order, even if transactions commit late. A "
        "waiting reader holds no connection, and new events in any process wake it",
        "tests/services/law_enforcement/test_events.py",
        "tests/client/test_client_listen.py",
    ),
    line(
        "A party's events are sent to its own address in order, with signatures that Standard Webhooks' library "
        "verifies. If a receiver or a process fails before progress is stored, events are repeated and none is lost",
        "tests/services/law_enforcement/test_webhooks.py",
        "tests/services/law_enforcement/test_webhook_door.py",
        "tests/journeys/test_webhooks.py",
        "tests/shared/core/envelope/test_webhooks.py",
    ),
    line(
        "No form of address makes the sender of webhooks connect to its own network. With the rules off some do",
        "tests/shared/platform/courier/test_addresses.py",
        "tests/shared/platform/courier/test_sender.py",
        "tests/architecture/test_outgoing.py",
    ),
    line(
        "Unlisted labels travel as `unknown`, and no clear part has space for free text except where it is documented",
        "tests/shared/core/protocol/test_labels.py",
        "tests/contracts/test_clear_parts.py",
    ),
)
