"""The messages to a provider and its instance do not depend on messages to other parties, nor on earlier times.

Two referrals differ only in agencies, in providers of another instance or in earlier times. Every byte that the
instance's principal can obtain is equal, or drawn from the same distribution (ids, salts, seals and signatures,
compared by their lengths).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from shared.core.envelope.headers import PLACE, SALT, TRACEPARENT, decode_headers
from shared.core.envelope.record_value import split_value
from shared.core.protocol import minimise
from shared.core.protocol.authority import inbox_prefix
from shared.core.protocol.message import Draft, Record
from shared.messaging import composition
from tests.support.exchange_world import INSTANCES, SUBMISSION, World, opened, world
from tests.support.wire_records import verify

#: `test_waiting_edges` compares 500 more, which differ in waiting edges as well.
PAIRS = 50
#: Providers of the first of two instances, and of the other.
HERE, ELSEWHERE = ("provider-001.example", "provider-003.example"), ("provider-002.example", "provider-004.example")
#: Random for each message: compared by length.
DRAWN = {"ce_id", "ce_subject", SALT, TRACEPARENT}
#: The first bytes of a place are random: those of the incarnation. The number after them is not.
INCARNATION_BYTES = 16
#: Eight-byte values of a sealed part are searched at every offset up to here, since the nonce is there. Then in steps
#: of eight.
HEAD_BYTES = 32
#: The instance's input: records of its topics, each with its decoded content.
Seen = tuple[Draft, Record]
PLACES = ("NL", "BE", "FR", "DE", "US", "JP", "BR")


@pytest.fixture(scope="module")
def there() -> World:
    return world(instances=(*INSTANCES, "industry_two"))


def filed(there: World, referrals: Sequence[dict[str, Any]]) -> list[Seen]:
    """Return every draft of the referrals, filed one after the other, with its record."""
    fresh = there.anew()
    found: list[Seen] = []
    for number, referral in enumerate(referrals):
        drafts = fresh.prepared(**referral | {"external_ref": f"ref-{number}"}).drafts
        found += zip(drafts, fresh.records(drafts), strict=True)
    return found


def seen(there: World, referrals: Sequence[dict[str, Any]]) -> list[Any]:
    """Return all that the instance `industry` can obtain: records, headers, sizes, and the parts it opens."""
    fresh, found = there.anew(), list[Any]()
    for number, referral in enumerate(referrals):
        found += obtained(fresh, fresh.prepared(**referral | {"external_ref": f"ref-{number}"}).drafts)
    return found


def obtained(here: World, drafts: Sequence[Draft]) -> list[Any]:
    """Return the same for one transaction's messages.

    A proof record counts by its length, since all else of it is random.
    """
    by_id = {str(draft.message_id).encode(): draft for draft in drafts}
    written = [each for each in here.written(drafts) if each.topic.startswith(inbox_prefix("industry"))]
    sizes = [(each.topic, each.lane, len(each.record.value)) for each in written]
    records = verify(written, here.streams, at=here.at, keys=here.place_key)
    found = [
        (
            (record.topic, record.partition, record.offset),
            *headers_of(record),
            len(record.value or b""),
            read(here, by_id[dict(record.headers)["ce_id"] or b""]),
            (len(record.wrap), None if record.proof is None else len(record.proof.path)),
        )
        for record in records
    ]
    return [sizes, *found]


def headers_of(record: Record) -> Iterator[tuple[str, bytes | int]]:
    for name, value in record.headers:
        assert value is not None
        yield name, value[2 * INCARNATION_BYTES :] if name == PLACE else len(value) if name in DRAWN else value


def read(there: World, draft: Draft) -> dict[str, Any]:
    """Return the whole value as the instance reads it, without the parts that are random for every message."""
    sealed = opened(there, draft)
    sealed.pop("salt")
    clear = {name: told for name, told in draft.clear.items() if name.endswith("_by")}
    return {"clear": clear, "sealed": sealed}


def pair(random: Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return two referrals that are the same for the providers of `industry`."""
    own = [_item(random, provider) for provider in random.sample(HERE, random.randint(1, 2))]
    return _around(random, own), _around(random, own)


def _item(random: Random, provider: str) -> dict[str, Any]:
    return {
        "locator": {"kind": "url", "value": f"https://images.example/{random.randrange(10**6)}"},
        "site_type": "imagehost",
        "hosting": [{"provider": provider, "jurisdiction": random.choice(PLACES)}],
        "assessments": [{"scheme": "interpol_baseline", "value": "baseline"}],
    }


def _around(random: Random, own: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return those items among others, for other agencies, assessed at other times by other parties."""
    day = f"2026-04-{random.randint(10, 28)}"
    items = [dict(item) for item in own]
    for item in items:
        judged = {"assessor": random.choice(("police-nl.example", "hotline-nl.example")), "assessed_on": day}
        item["assessments"] = [each | judged for each in item["assessments"]]
        item["hosting"] = [each | {"observed_on": day} for each in item["hosting"]]
    others = [_item(random, provider) for provider in random.sample(ELSEWHERE, random.randint(0, 2))]
    return SUBMISSION | {
        "items": [*items, *others],
        "observed_at": f"{day}T0{random.randint(1, 9)}:00:00Z",
        "user_jurisdictions": random.sample(PLACES, random.randint(0, 2)),
        "victim_jurisdictions": random.sample(PLACES, random.randint(0, 1)),
    }


def differing(there: World, pairs: int) -> int:
    random = Random(20261125)
    found = 0
    for number in range(pairs):
        one, other = pair(random)
        # For some pairs, also the next referral: offsets and numbers must reveal nothing either.
        behind = [one] if number % 10 == 0 else []
        first, second = seen(there, [one, *behind]), seen(there, [other, *behind])
        assert first, "no message went to the providers: the test shows nothing"
        found += first != second
    return found


def test_a_provider_and_its_instance_are_told_the_same(there: World) -> None:
    assert differing(there, PAIRS) == 0


def test_a_notice_that_named_who_judged_and_when_would_be_found(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: the fields that the first release sent to a provider."""
    told = (*minimise.NOTICE_ASSESSMENT_FIELDS, "assessor", "assessed_on")
    monkeypatch.setattr(minimise, "NOTICE_ASSESSMENT_FIELDS", told)
    assert differing(there, 20) > 10


def joined(records: Sequence[tuple[int, Record]], *, are_paths_seen: bool = True) -> set[tuple[int, bytes]]:
    """Return values of eight bytes or more that link a notice to another message of its referral.

    `records` come with the number of their referral, or -1 if they belong to none. A notice that is issued again counts
    as the same.

    The search uses the values that parties could compare: whole headers, the members of clear parts, and salt,
    signature and path of the proof. It also uses any eight bytes of the group's wrap and of the head of a ciphertext,
    and the ciphertext in steps of eight. The origin's id, and values that messages of other referrals also contain,
    link nothing.
    """
    holders: dict[bytes, set[int]] = {}
    said = [(number, record, set(_values(record, are_paths_seen))) for number, record in records]
    for number, _, values in said:
        for value in values:
            if number >= 0:
                holders.setdefault(value, set()).add(number)
    found = set()
    for number, record, values in said:
        if number >= 0 and record.topic.startswith(inbox_prefix("industry")):
            beside = set().union(*[those for n, other, those in said if n == number and other.key != record.key])
            found |= {(number, value) for value in values & beside if holders[value] == {number}}
    return found


def _values(record: Record, are_paths_seen: bool) -> Iterator[bytes]:
    attributes = decode_headers(record.headers, record.value or b"").attributes
    clear, sealed = split_value(record.value or b"")
    said = map(str.encode, _leaves(json.loads(clear)))
    for each in (record.key, *[text for _, text in record.headers], *said):
        if each is not None and len(each) >= 8 and each != attributes.sender.encode():
            yield each
    assert record.proof is not None
    yield from (record.salt, record.proof.signature, *(record.proof.path if are_paths_seen else ()))
    # Skips values up to the batch id: in a few hundred referrals, a key id's end and one random byte match once by
    # chance.
    drawn = record.wrap[2 + record.wrap[1] :] if record.wrap else b""
    yield from (drawn[at : at + 8] for at in range(len(drawn) - 7))
    if sealed is not None:
        yield from (sealed[at : at + 8] for at in (*range(HEAD_BYTES), *range(HEAD_BYTES, len(sealed) - 7, 8)))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _leaves(each)
    else:
        yield str(value)


def _of_both(random: Random) -> list[dict[str, Any]]:
    return [_item(random, provider) for provider in HERE]


def test_no_notice_is_joined_with_another_message_of_its_referral(
    there: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(7)
    records = [(number, record) for number in range(100) for _, record in filed(there, [pair(random)[0]])]
    assert joined(records) == set()
    # Control: one group for all recipients of an instance would link the notices of its two providers.
    monkeypatch.setattr(composition, "SHARED_GROUP_REFERRALS", 1)
    shared = [(n, record) for n in range(10) for _, record in filed(there, [_around(random, _of_both(random))])]
    assert joined(shared)
    # Control: a digest in every message of a decision, as in an earlier release.
    marked = [
        (n, replace(each, headers=(*each.headers, ("ce_xdecision", f"{n:064x}".encode())))) for n, each in records[:40]
    ]
    assert joined(marked)


def test_in_a_large_transaction_all_notices_share_one_group(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two providers of one referral share no more than any two providers, namely the transaction.

    Paths are left out: positions are random, so neighbours in the tree belong to any two referrals.
    """
    random = Random(9)
    count = composition.SHARED_GROUP_REFERRALS
    records = filed_together(there, [_around(random, _of_both(random)) for _ in range(count)])
    assert joined(records, are_paths_seen=False) == set()
    assert count_groups(records) == 1
    # One referral fewer: each provider has its own group, and nothing links either.
    fewer = filed_together(there, [_around(random, _of_both(random)) for _ in range(count - 1)])
    assert joined(fewer) == set()
    assert count_groups(fewer) == len(HERE)
    # Control: a group for the notices of one referral alone.
    monkeypatch.setattr(composition, "SHARED_GROUP_REFERRALS", 1)
    alone = filed_together(there, [_around(random, _of_both(random))])
    assert joined(alone, are_paths_seen=False)


def count_groups(records: Sequence[tuple[int, Record]]) -> int:
    return len({record.wrap for _, record in records if record.topic.startswith(inbox_prefix("industry"))})


def filed_together(there: World, referrals: Sequence[dict[str, Any]]) -> list[tuple[int, Record]]:
    """Return the records of referrals in one transaction, each with the number of its referral."""
    fresh = there.anew()
    prepared = [fresh.prepared(**each | {"external_ref": f"ref-{at}"}) for at, each in enumerate(referrals)]
    owners = [number for number, each in enumerate(prepared) for _ in each.drafts]
    return list(zip(owners, fresh.records([draft for each in prepared for draft in each.drafts]), strict=True))
