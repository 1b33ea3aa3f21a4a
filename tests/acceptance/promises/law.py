"""Promises about the law: correct today, with an alarm when it ages. Documents come into force, end, and may grow."""

from __future__ import annotations

from tests.acceptance.line import line, tests_of

_BEAT = "tests/shared/platform/kafka/test_beat.py"
_DESK = "tests/deploy/operator/test_desk.py"
_REFRESHED = "tests/deploy/sample/test_refreshed_law.py"
_SHELF = "tests/shared/core/routing/test_routing_shelf.py"
_WATCH = "tests/shared/instance/test_law_watch.py"

LAW = (
    line(
        "The refreshed policy changes exactly the decisions of 2,000 sampled referrals that an independent recount "
        "lists, by rule and direction. Three planted edits change both sides",
        f"{_REFRESHED}::test_the_refreshed_policy_moves_exactly_what_a_stand_alone_recount_says",
        f"{_REFRESHED}::test_a_planted_edit_moves_both_sides_and_on_one_side_only_it_is_noticed",
        f"{_REFRESHED}::test_what_was_observed_in_spring_is_decided_as_before",
    ),
    line(
        "A referral of 15 April 2026 about an EU user has no legal basis; one of 15 August has. Each, replayed under "
        "the other's law, gets the other's result. Encrypted messages and audio stay excluded",
        f"{_REFRESHED}::test_april_has_no_basis_and_august_has_and_each_under_the_others_law_comes_out_as_the_other",
        f"{_REFRESHED}::test_the_derogations_begin_and_end_to_the_day_and_so_does_what_is_prohibited",
        f"{_REFRESHED}::test_deciding_later_makes_no_detection_lawful_that_was_not",
        f"{_REFRESHED}::test_encrypted_messages_and_audio_stay_excluded",
        f"{_REFRESHED}::test_after_the_derogation_what_scanning_found_goes_to_nobody_again",
        tests_of("tests/deploy/sample/test_law_ends.py", "test_a_fixed_last_day_is_included_and_its_reason_is_shown"),
    ),
    line(
        "With a clock 91 days ahead, the alarm is raised once per instrument, and a review ends it. An ended "
        "instrument without a successor is listed",
        tests_of(
            _WATCH,
            "test_a_clock_moved_91_days_on_raises_the_alarm_once_per_instrument_and_a_review_ends_it",
            "test_whoever_reviews_in_time_hears_nothing",
            "test_a_rule_that_asks_for_an_earlier_look_raises_the_alarm_until_a_version_moves_its_day",
            "test_an_ended_instrument_without_successor_stands_on_the_list_and_is_an_alarm_while_a_rule_cites_it",
            "test_a_successor_counts_from_the_day_it_is_in_force",
        ),
        tests_of(_REFRESHED, "test_the_sample_ages_91_days_after_its_review_and_what_ended_stays_on_the_list"),
    ),
    line(
        "Every entry of law has its source and `reviewed_on`; an entry without them is refused. The page marks entries "
        "from secondary sources. It says that it is sample wording and no legal advice",
        f"{_REFRESHED}::test_every_entry_has_source_and_review_and_one_without_is_refused",
        f"{_REFRESHED}::test_the_page_says_which_texts_were_read_and_that_it_is_no_advice",
        f"{_REFRESHED}::test_canada_keeps_its_confirmed_class_while_the_second_is_unconfirmed",
        f"{_REFRESHED}::test_the_instruments_of_the_last_year_are_listed",
        f"{_REFRESHED}::test_days_and_terms_are_those_that_were_read_and_only_these_rest_on_the_text",
        f"{_REFRESHED}::test_the_calendars_know_the_working_days_of_three_years",
    ),
    line(
        "Publication is refused for a prohibition without end or review date, a misspelt member, a clock without "
        "exactly one term, and a version that is not above every published one",
        _DESK,
        tests_of(
            "tests/deploy/operator/test_policy.py",
            "test_a_version_that_is_not_above_the_newest_is_not_published",
            "test_the_newest_version_is_that_of_an_approved_document_also_of_one_that_takes_effect_later",
        ),
    ),
    line(
        "Golden decisions use their own documents, so that refreshed law changes none",
        "tests/shared/core/routing/test_routing_replay.py::test_the_golden_decisions_are_made_again_to_the_byte",
        "tests/shared/core/routing/test_routing_replay.py::test_the_golden_decisions_read_nothing_of_the_sample",
    ),
    line(
        "A document with unknown members is read, unless it requires one. Its version can only rise. It warns in steps "
        "before its end, and after its grace period deciding waits",
        _SHELF,
        f"{_WATCH}::test_documents_near_their_end_say_so_in_steps_and_after_the_grace_nothing_is_decided",
        f"{_WATCH}::test_after_the_grace_senders_wait_until_a_newer_document_comes",
    ),
    line(
        "A heartbeat names the newest documents, ages, and puts none in force. A forged, future or old one is ignored",
        _BEAT,
    ),
)
