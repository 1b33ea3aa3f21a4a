"""Promises about availability, the meter and the accounts of effects."""

from __future__ import annotations

from tests.acceptance.line import line, tests_of

_ACCOUNTS = "tests/acceptance/test_effects.py"
_AMENDING, _OFFERS = "tests/services/hotline/test_amending.py", "tests/services/hotline/test_offers.py"
_FLOW = "tests/services/audit/test_flow_pages.py"
_PARTY_DAY = "tests/services/hotline/test_party_day.py"
_PROXIES = "tests/shared/platform/http/test_trusted_proxies.py"
_READER = "tests/shared/core/guard/test_address_reader.py"
_SENDER_DAYS = "tests/shared/delivery/test_sender_days.py"
_TABLES = "tests/deploy/statistics/test_contributors.py"

STAYS_UP = (
    line(
        "At each class of requests and each bounded pool, one key, session or address at 20 times its budget gets its "
        "budget and one burst. Others of its party have their share, and other parties are served every time. Without "
        "the limits all of it is done",
        "tests/services/hostile/test_greedy_principals.py",
        "tests/services/hostile/test_greedy_pools.py",
    ),
    line(
        "Behind a proxy that the settings name, a greedy client uses up neither another client's budget of unknown "
        "keys nor its places of sign-in. A site behind an unnamed proxy warns",
        _PROXIES,
    ),
    line(
        "One key, every message type: a party of the smallest class delivers at most 9 KiB in a day. A message type "
        "without a debit is refused",
        tests_of(
            _PARTY_DAY,
            "test_one_key_and_every_message_type_carry_9_kib_in_a_day",
            "test_a_person_begins_nothing_that_is_not_debited",
        ),
    ),
    line(
        "A hostile origin that skips its meter is deferred by its recipient and tried again at midnight. Three days "
        "of backlog and a recipient's restore: 0 deferred",
        _SENDER_DAYS,
    ),
    line(
        "Of 78 kinds of pasted addresses at most 2 are refused, each with the rule and an accepted form. The "
        "costliest body takes at most 10 ms",
        _READER,
    ),
    line(
        "200 random deletions and alterations of the states that messages determine, on both sides: each is named, "
        "exit 1, and nothing else is",
        _ACCOUNTS,
    ),
    line(
        "A flow of 100,000 messages answers its first page within 200 ms, and no outsider's record changes a page, "
        "a verdict or a search",
        _FLOW,
    ),
    line("In 10,000 random tables no contributor finds a number of 1 to 4 of another", _TABLES),
    line(
        "No item is both finally baseline and finally not illegal: by filing, amending or answering, in both orders",
        tests_of(_AMENDING, "test_a_final_finding_stays_final", "test_a_record_cannot_contradict_what_a_hotline_found"),
        tests_of(_OFFERS, "test_a_finding_cannot_contradict_the_record"),
    ),
    line(
        "The key that wraps data keys is replaced: afterwards its predecessor opens no stored record",
        "tests/services/retention/test_rewrapping.py",
    ),
)
