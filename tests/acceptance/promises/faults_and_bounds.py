"""Promises about faults and limits: no loss, no hostile content, and bounded work for each party."""

from __future__ import annotations

from tests.acceptance.line import line, tests_of

_CLOCK = "tests/failures/test_clock_and_feed.py"
_BUDGETS = "tests/failures/test_budgets.py"
_DISK = "tests/failures/test_full_disk.py"
_HOSTILE = "tests/services/hostile/test_hostile_records.py"
_KILLS = "tests/failures/test_kills.py"
_LOST = "tests/failures/test_lost_records.py"
_LOGS = "tests/shared/platform/observability/test_logs.py"
_METRICS = "tests/shared/platform/observability/test_metrics.py"
_OTHERS = "tests/failures/test_others_go_on.py"
_OUTAGE = "tests/failures/test_outage.py"
_REPORT = "tests/shared/core/guard/test_guard_report.py"
_CHARGE = "tests/shared/core/guard/test_charge.py"
_BUDGET = "tests/shared/core/guard/test_guard_budget.py"
_CAPACITY = "tests/services/test_capacity.py"
_OPENS = "tests/shared/core/guard/test_guard_opens_no_location.py"
_DAY = "tests/services/hotline/test_party_day.py"
_SECOND = "tests/services/hotline/test_second_person.py"
_STORIES = "tests/journeys/test_stories.py"
_SIMULATION = "tests/simulation/streams"
_IDENTITY = "tests/shared/platform/http/test_identity.py"
_LEASE = "tests/shared/instance/test_relay_lease.py"
_SERVER = "tests/shared/platform/http/test_server_bounds.py"
_STORE = "tests/shared/messaging/test_postgres_store.py"
_STREAM_LOG = "tests/shared/messaging/kafka/test_log.py"
_SPANS = "tests/shared/platform/observability/test_telemetry.py"
_TELEMETRY = "tests/journeys/test_telemetry.py"

FAULTS_AND_BOUNDS = (
    line(
        "2,500 referrals, with each process and the broker killed at 200 or more unacknowledged messages: nothing is "
        "lost or done twice, and reconciliation shows no difference",
        tests_of(_KILLS, "test_killing_each_process_and_the_broker_loses_nothing_and_does_nothing_twice"),
    ),
    line(
        "Without the state of streams and tracks, messages reach their handler twice. If the relay discards messages "
        "before the broker answers, some are lost",
        tests_of(_KILLS, "test_without_the_state_of_streams_and_tracks_messages_are_applied_twice"),
        tests_of(_OUTAGE, "test_a_relay_that_forgets_before_the_broker_has_answered_loses_what_it_held"),
    ),
    line(
        "The broker loses its disk under load: unacknowledged messages are appended again, nothing is lost or done "
        "twice, and audit has all of it in the end",
        tests_of(_OUTAGE, "test_the_loss_of_the_brokers_disk_loses_no_message_and_audit_names_what_it_never_saw"),
    ),
    line(
        "Without a broker every referral is accepted at once, by the same process, and delivered later. A process that "
        "starts without a broker delivers as soon as there is one",
        f"{_OUTAGE}::test_without_a_broker_every_referral_is_accepted_at_once_and_delivered_later",
        f"{_OUTAGE}::test_what_is_started_without_a_broker_accepts_at_once_and_delivers_once_there_is_one",
    ),
    line(
        "Topics of offers, acknowledgements and facts lose their end, lose it and grow again before any reader checks, "
        "or lose unread records. All is sent again, to audit too, and nothing is lost or done twice",
        tests_of(_LOST, "test_what_topics_lose_is_sent_again_and_named_by_place_and_id"),
    ),
    line(
        "An origin's clock is 6 minutes off, or its document feed is cut while a policy changes. Edges wait, the "
        "origin reports it and recovers automatically, and no edge is decided more than four times. After an hour's "
        "outage nothing is decided again, and with a policy change each edge once",
        _CLOCK,
        tests_of(
            "tests/services/hotline/test_deciding_again.py",
            "test_an_edge_is_decided_four_times_at_most_with_growing_pauses_and_then_a_person_looks",
            "test_an_outage_of_an_hour_decides_nothing_again",
            "test_where_the_policy_changes_meanwhile_each_edge_is_decided_once_more",
        ),
    ),
    line(
        "A topic that cannot be written, a recipient that is down and malformed records in an inbox affect only their "
        "own pair. Nothing is appended twice, malformed records take few rows, and all is delivered in the end",
        f"{_OTHERS}::test_a_topic_that_cannot_be_written_holds_up_no_other_and_nothing_is_appended_twice",
        f"{_OTHERS}::test_a_recipient_that_is_down_costs_the_others_nothing_and_gets_each_message_once",
        f"{_OTHERS}::test_poison_in_an_inbox_holds_up_nobody_honest_and_leaves_few_rows",
    ),
    line(
        "A topic that audit may not read is named. Other topics are audited meanwhile, the rest once audit may read "
        "it, and so is a topic that is recreated. Each takes at most 10 s",
        tests_of(
            _OTHERS,
            "test_what_audit_may_not_read_is_named_the_rest_is_audited_and_so_is_a_topic_that_is_made_meanwhile",
        ),
    ),
    line(
        "A role that may only count can stop neither the relay nor audit's reader. If a process ends or no longer "
        "renews its lease, another one takes over",
        "tests/shared/instance/test_relay_lease.py",
        "tests/services/audit/test_one_reader.py",
    ),
    line(
        "Audit reads each topic separately. It names a topic that it may not read, whose records have expired, that "
        "lost its end and grew again, or that was recreated. Each loss is an entry, and other topics are read on. "
        "Without the last record's digest, a tail that grew again is missed",
        "tests/services/audit/test_losses.py",
        "tests/services/audit/test_one_reader.py",
    ),
    line(
        "Of 2,000 records without a valid sender, audit stores one entry and one row for each topic, reason and day. "
        "Valid ones between them get one entry each. Reconciliation finds every place, and a batch whose answer was "
        "lost is counted once. Without folding each has an entry",
        "tests/services/audit/test_junk_folded.py",
    ),
    line(
        "If no topic accepts a record, it is refused and the log continues. A topic that cannot be written delays no "
        "other. A send takes two statements, a consumed batch two statements and one row. Each query uses an index, "
        "even with a long queue for a recipient that is down",
        f"{_STREAM_LOG}::test_a_record_above_every_bound_is_refused_and_the_log_goes_on",
        f"{_STREAM_LOG}::test_a_topic_that_is_too_small_or_missing_holds_up_no_other",
        f"{_STORE}::test_a_send_is_two_statements_and_two_rows_a_stream",
        f"{_STORE}::test_a_consumed_batch_is_two_statements_and_one_row",
        "tests/shared/messaging/test_kept_plans.py::test_statements_find_their_rows_by_an_index",
    ),
    line(
        "The databases of audit, an agency and an origin are restored from a dump, one after the other, with a "
        "sixtieth of each pause. Missing data is recovered without a command, or it is named",
        "tests/failures/test_restores.py::test_what_a_restored_database_has_forgotten_comes_back_or_is_named",
    ),
    line(
        "Data past its retention period is deleted, by a policy with every table. Open and held subjects stay",
        "tests/services/retention/test_retention.py",
        "tests/services/retention/test_retention_clocks.py",
    ),
    line(
        "At 100,000 rows no page query reads more than it shows, and a month's end reads only that month. The first "
        "release's list query is caught. A sealed day is not read again",
        "tests/services/size/test_flat.py",
        "tests/deploy/accounting/test_sealed.py",
    ),
    line(
        "A poller misses none of 100 referrals that arrive late, after one that was submitted after them",
        tests_of(_OTHERS, "test_a_poller_misses_none_of_a_hundred_that_arrive_late"),
    ),
    line(
        "PostgreSQL is stopped under load: readiness names it, nothing is lost, no process ends, and all recovers",
        tests_of(_OTHERS, "test_a_database_that_goes_away_is_named_loses_nothing_and_all_goes_on_when_it_is_back"),
    ),
    line(
        "Risks of a power failure are named in advance: each service's PostgreSQL settings, and unreplicated topics",
        "tests/deploy/operator/test_durability.py",
    ),
    line(
        "A sender whose numbers went back, or whose party moved, loses nothing: its streams use a new incarnation",
        "tests/journeys/test_restored.py",
        "tests/shared/core/protocol/test_moved.py",
        "tests/shared/messaging/test_sending.py",
    ),
    line(
        "A sender writes the newest version that its recipient reads. If there is none, the origin keeps the edge and "
        "sends it after the recipient's next announcement. A recipient defers an unknown version, message, code or "
        "edition",
        "tests/shared/core/protocol/test_versions.py",
        "tests/shared/core/protocol/test_reads.py",
        "tests/shared/core/protocol/test_editions.py",
        "tests/shared/delivery/test_inbound.py",
        "tests/services/hotline/test_edges_wait.py",
    ),
    line(
        "The database's disk is full: clients get 503, nothing is stored in part, and all recovers with free space",
        tests_of(_DISK, "test_a_full_disk_is_told_as_503_leaves_no_half_and_is_recovered_from"),
    ),
    line(
        "Every row of the table of hostile records is consumed in one batch with valid ones. Its outcome is as "
        "specified, the valid ones apply once, no foreign topic gets a record, and memory does not grow",
        _HOSTILE,
    ),
    line(
        "The stream protocol keeps every promise under random faults, over PostgreSQL too. Each rule that is removed "
        "causes a failure, and a seed runs again bit for bit",
        f"{_SIMULATION}/test_streams.py",
        f"{_SIMULATION}/test_directed.py",
        f"{_SIMULATION}/test_sql.py",
    ),
    line(
        "No encoding carries more bits than its charge. Every context of the model, and all records of a small sort, "
        "obey Kraft's inequality. Each text can be decoded from a word as long as its charge, the same on every "
        "Python. The test sends random bytes in over 60 encodings and over 60 whole-record channels. With a lower "
        "cost, or without one choice or stage, each is missed",
        _REPORT,
        _CHARGE,
        _BUDGET,
    ),
    line(
        "A report over its budget waits sealed, is released by a second reviewer and reaches its recipients whole, "
        "with receipts. Its submitter may not release it. If it is dropped or expires, it is erased and the fact is "
        "kept. Above the ceiling nothing is stored. A recipient accepts it only with two people",
        tests_of(_STORIES, "test_what_is_over_its_budget_is_released_by_a_second_person_and_arrives_whole"),
        _SECOND,
    ),
    line(
        "A party's daily quota is shared by two processes. It can be used up and is never exceeded: one sum of "
        "declared size, hashes included. P0 reports above it go to second review at once. Without the limit usage has "
        "no end",
        _DAY,
    ),
    line(
        "Over HTTP, read back at the recipient: 320 bytes per field, 1,536 per record without hashes, 4,096 in all. "
        "With the guard off at one end, the other refuses; off at both, limits are exceeded. Other forms are refused",
        f"{_CAPACITY}::test_the_fullest_record_is_read_whole_at_its_recipient_and_carries_no_more_than_its_budget",
        f"{_CAPACITY}::test_no_field_carries_more_than_its_budget",
        f"{_CAPACITY}::test_without_the_budget_at_either_end_it_would_carry_more",
        f"{_CAPACITY}::test_a_record_that_is_not_its_own_canonical_form_is_refused_by_its_recipient",
    ),
    line(
        "A picture in a path, seven kilobytes in parameter names and a picture in labels are refused or redacted to "
        "codes. They are in no row, file or log of changes. The search finds content that was stored",
        f"{_CAPACITY}::test_what_once_came_out_at_the_recipient_is_refused_or_cut_to_codes_and_never_written",
        f"{_CAPACITY}::test_the_same_search_finds_what_is_written",
    ),
    line(
        "Clear parts, facts and audit's data are the same for referrals that differ in all but their codes. For a "
        "refusal they contain code and field",
        f"{_CAPACITY}::test_clear_parts_and_facts_say_codes_and_ids_and_nothing_that_a_sender_could_choose_beyond",
        f"{_CAPACITY}::test_of_a_refusal_audit_is_told_the_code_and_the_field",
    ),
    line(
        "500 refused checks, a used-up daily quota, costlier items, long fields, a file's first bytes and a waiting "
        "urgent report are alarms. Each is raised once per party and day, over processes and restarts, by opaque name",
        "tests/shared/features/filing/test_alarms.py",
        "tests/services/hotline/test_party_alarms.py",
    ),
    line("No code opens a reported location. A monitor detects code that would", _OPENS),
    line(
        "A party at 20 times its budget gets a time to retry, other parties are served, and memory stays stable",
        tests_of(_BUDGETS, "test_a_party_over_its_budget_is_told_to_wait_and_the_others_are_served"),
    ),
    line(
        "One party's costliest bodies, and refused heavy ones, delay neither others nor monitoring. Memory is stable",
        "tests/failures/test_exhaustion.py",
    ),
    line(
        "A counting role can neither take the relay's lease nor block it. Every role enters only its own database. A "
        "moved party's old key opens nothing, and the role is checked before a stored answer is returned",
        tests_of(_LEASE, "test_whoever_counts_can_neither_take_the_lease_nor_keep_others_from_it"),
        "tests/deploy/devstack/test_stack.py",
        f"{_IDENTITY}::test_a_party_that_leaves_the_directory_is_refused_at_once",
        f"{_IDENTITY}::test_a_party_that_another_instance_serves_now_is_refused_at_once",
        "tests/services/hotline/test_origin_door.py::test_the_role_is_checked_before_a_stored_answer_is_given",
    ),
    line(
        "Heads and trailers have limits and are not stored. A thousand idle connections leave room for others; without "
        "the limit they take all places. The garbage collector skips objects that a server loaded at its start",
        f"{_SERVER}::test_a_head_that_comes_in_one_read_is_bounded_as_well",
        f"{_SERVER}::test_a_head_without_end_is_refused_and_not_kept",
        f"{_SERVER}::test_trailers_are_bounded_and_not_kept",
        f"{_SERVER}::test_a_thousand_idle_connections_take_nobodys_place",
        f"{_SERVER}::test_without_the_bound_they_would_take_everybodys",
        tests_of("tests/deploy/test_serve.py", "test_what_is_loaded_is_left_alone_and_garbage_is_looked_for_rarely"),
    ),
    line(
        "Every principal has a quota at the broker. No instance may change it, and a removed quota is restored. "
        "Metrics are on no port that parties reach",
        "tests/deploy/devstack/test_quotas.py",
        tests_of(
            "tests/shared/platform/http/test_probes.py",
            "test_the_metrics_are_shown_although_no_gauge_can_be_set_and_not_to_parties",
        ),
    ),
    line(
        "Intake answers while a hundred connections never finish a request, and closes those",
        tests_of(_BUDGETS, "test_intake_answers_beside_a_hundred_connections_that_never_finish_and_ends_them"),
    ),
    line(
        "Spans of one referral are linked across all instances for an independent parser. Attributes, metrics, labels "
        "and log fields are limited to the documented ones, and none contains a location or a hash",
        _TELEMETRY,
        tests_of(_SPANS, "test_every_span_and_attribute_is_documented_and_nothing_else_is"),
        tests_of(_METRICS, "test_every_metric_and_label_is_documented_and_nothing_else_is"),
        tests_of(_METRICS, "test_no_label_can_hold_a_party_or_an_id"),
        tests_of(_LOGS, "test_every_event_and_field_is_documented_and_nothing_else_is"),
    ),
)
