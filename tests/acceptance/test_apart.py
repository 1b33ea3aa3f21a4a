"""Two referrals that differ only in other recipients: their provider and its instance get equal bytes.

It uses a running exchange, over HTTP and in Kafka. Ids, salts, ciphertext and place are random for every message, and
times are those of the submission. Of these the forms are compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

import httpx
import pytest

from shared.core.envelope.headers import PLACE, SALT, TRACEPARENT
from shared.core.envelope.record_value import split_value
from tests.support.driver_delivery import StoredRecord, inbox_topic, list_records
from tests.support.running import HOTLINE, PROVIDER, Exchange, referral

PAIRS: Final = 200
TOPIC: Final = inbox_topic("industry", "hotline")
OTHERS: Final = "provider-001.example", "provider-003.example"
PLACES: Final = "NL", "BE", "FR", "DE", "US"
#: Compared by length.
DRAWN: Final = frozenset({PLACE, SALT, TRACEPARENT})
_ANEW: Final = re.compile(
    r"(?P<id>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})|(?P<time>20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z)"
    r'|(?<="commitment":")(?P<salted>[0-9a-f]{64})'
)
#: A digest covers the time of the decision, to ten seconds.
_DIGEST: Final = re.compile(r'(?<="digest":")[0-9a-f]{64}')


class Got(NamedTuple):
    """The content of one notice over HTTP at a provider and in Kafka at its instance, and the time of its decision."""

    shown: str
    evidence: object
    record: list[object]
    time: bytes


def filing(random: Random, number: int) -> dict[str, Any]:
    """Return a referral with one item of the provider, the same for each number, among other items and recipients."""
    [own] = referral()["items"]
    own |= {"locator": {"kind": "url", "value": f"https://images.{PROVIDER}/pair/{number:06d}"}}
    hosting = {"jurisdiction": "NL", "method": "stated"}
    beside = [
        own
        | {"locator": {"kind": "url", "value": f"https://images.{each}/{random.randrange(10**6)}"}}
        | {"hosting": [hosting | {"provider": each}]}
        for each in random.sample(OTHERS, random.randint(0, 2))
    ]
    return referral(
        items=[own, *beside],
        observed_at=f"2026-03-{random.randint(10, 28)}T08:00:00Z",
        user_jurisdictions=random.sample(PLACES, random.randint(0, 2)),
        victim_jurisdictions=random.sample(PLACES, random.randint(0, 1)),
    )


def form(text: str) -> str:
    """Return the text without ids, times and salted digests."""
    return _ANEW.sub(lambda found: str(found.lastgroup), text)


async def got(provider: httpx.AsyncClient, record: StoredRecord) -> Got:
    clear, sealed = split_value(record.value or b"")
    headers = [(name, len(value) if name in DRAWN else form(value.decode())) for name, value in record.headers]
    in_kafka = [record.lane, form((record.key or b"").decode()), headers, form(clear.decode()), len(sealed or b"")]
    path = f"/v1/notices/{record.texts['ce_subject'].decode()}"
    evidence = shape((await provider.get(f"{path}/evidence")).json())
    return Got(form((await provider.get(path)).text), evidence, in_kafka, record.texts["ce_time"])


def shape(proof: Any) -> object:
    """Return the members of a proof with the length of each text. The place of its leaf in the tree is random."""
    if isinstance(proof, dict):
        return {name: shape(each) for name, each in proof.items()}
    return (
        [shape(each) for each in proof] if isinstance(proof, list) else len(proof) if isinstance(proof, str) else None
    )


def differ(one: Got, other: Got) -> bool:
    if one.time != other.time:
        one, other = (each._replace(shown=_DIGEST.sub("digest", each.shown), time=b"") for each in (one, other))
    return one != other


@pytest.mark.long
async def test_a_provider_and_its_instance_get_the_same_of_referrals_that_differ_in_other_recipients(
    exchange: Exchange, record_property: Callable[[str, object], None]
) -> None:
    random, notices, apart = Random(20261125), list[list[UUID]](), 0
    async with exchange.client(HOTLINE) as hotline, exchange.http(PROVIDER) as provider:
        for number in range(PAIRS):
            filed = [await hotline.submit(filing(random, number)) for _ in range(2)]
            edges = [(await hotline.show(each.referral_id)).edges for each in filed]
            apart += {each.recipient for each in edges[0]} != {each.recipient for each in edges[1]}
            notices.append([e.notice_id for each in edges for e in each if e.notice_id and e.recipient == PROVIDER])
        await exchange.until_taken()
        records = {each.texts["ce_subject"].decode(): each for each in await list_records(exchange, TOPIC)}
        told = [[await got(provider, records[str(each)]) for each in pair] for pair in notices]
    differing = sum(differ(one, other) for one, other in told)
    record_property("figure", f"{PAIRS} pairs, {apart} of them with other recipients; {differing} differ")
    assert apart > PAIRS // 2
    assert sum(one.time != other.time for one, other in told) < PAIRS // 2
    assert differing == 0
    # Control: the item itself is part of the comparison.
    assert all(differ(one[0], other[0]) for one, other in pairwise(told))
