"""False acknowledgements on a running exchange, written through the login of their instance.

Its own key states numbers that were never sent, another history, or lower numbers without a restore; other keys sign
for it. The writer's operator learns of it. One incarnation is opened; subjects and the journal of acts stay.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import pytest

from deploy.site.access import kafka_access
from shared.core.clock import SystemClock
from shared.core.envelope.keys import SigningKey
from shared.core.ids import uuid7
from shared.messaging.acks import Ack, LaneAck, build_ack_record
from tests.support import driver
from tests.support import driver_delivery as delivery
from tests.support.driver_delivery import Lane, Pair, inbox_topic
from tests.support.forging import write
from tests.support.running import HOTLINE, SERVICES, Exchange, referral, running_exchange, until
from tests.support.wire_records import Written

pytestmark = pytest.mark.long

VICTIM, LIAR, OTHER = "hotline", "law_enforcement", "industry"
OWN: Final = Pair(VICTIM, LIAR)
TOPIC: Final = inbox_topic(VICTIM, LIAR)
TIMES, REFERRALS = 5, 4
REST_S_MAX = 300.0
WRONG: Final = bytes(32)
_INCARNATIONS: Final = "SELECT count(DISTINCT incarnation) FROM entry WHERE writer = $1 AND addressee = $2"
_LINES: Final = "SELECT kind, peer, subject, act FROM operator_line WHERE closed_at IS NULL"
_UNLIMITED: Final = """UPDATE stream_pair SET state = state::jsonb || '{"is_limited": false}' WHERE peer = $1"""
_JOURNAL: Final = "SELECT party, number, type, subject, at, detail FROM act ORDER BY party, number"
#: Without the place at which a message stands in its stream: messages that were not acknowledged are carried.
_SUBJECTS: Final = "SELECT to_jsonb(s) - '{{incarnation,lane,number}}'::text[] FROM {} AS s"
_TABLES: Final = {"hotline": ("referral", "edge", "received"), LIAR: ("received",), OTHER: ("received",)}


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    with running_exchange(tmp_path) as running:
        yield running


def key_of(exchange: Exchange, instance: str) -> SigningKey:
    return SigningKey.load((exchange.state / "keys" / instance / "signing.key").read_text())


async def false_acks(exchange: Exchange) -> dict[str, Written]:
    """One acknowledgement of each kind. All name the present incarnation, but for one."""
    incarnation, ends = await delivery.find_stream_ends(exchange, *OWN)

    def signed(numbers: list[int], chain: bytes | None = None, by: str = LIAR, **changes: Any) -> Written:
        lanes = [LaneAck(each, chain or end.chain, has_gap=True) for each, end in zip(numbers, ends, strict=True)]
        stated: Any = {"reader": LIAR, "incarnation": incarnation, "at": SystemClock().now()} | changes
        record = build_ack_record(Ack(pair=OWN, lanes=(lanes[0], lanes[1]), **stated), key_of(exchange, by))
        return Written(Pair(LIAR, VICTIM), Lane.URGENT, record)

    last = [end.number for end in ends]
    above = [each + 1000 for each in last]
    return {
        "never sent": signed(above),
        "strange incarnation": signed(last, incarnation=uuid7()),
        "other history": signed(last, WRONG),
        "backwards": signed([0, 0]),
        "signed by another": signed(above, by=OTHER),
        "of another reader": signed(above, by=OTHER, reader=OTHER),
    }


class Told(NamedTuple):
    """Where the first record of a kind stands, and the lines that the operator, who had closed all, has since."""

    offset: int
    lines: list[tuple[Any, ...]]


async def lie(exchange: Exchange) -> dict[str, Told]:
    """Write each kind several times, each with what is true at that moment."""
    access, told = kafka_access(exchange.endpoints, LIAR), dict[str, Told]()
    for kind in await false_acks(exchange):
        await exchange.rows_past_policies(VICTIM, "UPDATE operator_line SET closed_at = now()")
        # Within the hour of an incarnation its reader is listed once; each kind has a turn of its own.
        await exchange.rows_past_policies(VICTIM, _UNLIMITED, LIAR)
        offsets = list[int]()
        for _ in range(TIMES):
            offsets += await write(access, [(await false_acks(exchange))[kind]])

            async def is_read(written: int = offsets[-1]) -> bool:
                return await delivery.find_read_offset(exchange, VICTIM, TOPIC, Lane.URGENT) > written

            await until(is_read)
        told[kind] = Told(offsets[0], [tuple(row) for row in await exchange.rows_past_policies(VICTIM, _LINES)])
    return told


async def effects(exchange: Exchange) -> dict[str, list[Any]]:
    """Subjects and journals of all services."""
    found = {
        f"{service} {table}": sorted(
            row[0] for row in await exchange.rows_past_policies(service, _SUBJECTS.format(table))
        )
        for service, tables in _TABLES.items()
        for table in tables
    }
    journals = {each: [tuple(row) for row in await exchange.rows_past_policies(each, _JOURNAL)] for each in SERVICES}
    return found | journals


async def incarnations(exchange: Exchange) -> int:
    await exchange.until_audited(REST_S_MAX)
    [row] = await exchange.rows_past_policies("audit", _INCARNATIONS, *OWN)
    return int(row[0])


async def filed(exchange: Exchange, count: int) -> list[UUID]:
    async with exchange.client(HOTLINE) as hotline:
        answers = await hotline.submit_batch([referral() for _ in range(count)])
    await exchange.until_quiet(REST_S_MAX)
    return [each.referral_id for each in answers if each.referral_id]


def alarms(exchange: Exchange) -> dict[str, tuple[Any, ...]]:
    """By code, the coordinates in the operator's log of records without effect in the topic."""
    lines = [json.loads(line) for line in exchange.stack.state.log(VICTIM).read_text().splitlines() if line[:1] == "{"]
    found = [each for each in lines if each.get("event") == "record_alarm" and each.get("topic") == TOPIC]
    return {each["code"]: (each["partition"], each["offset"]) for each in found}


async def test_false_acknowledgements_reach_the_operator_and_change_no_subject_and_no_journal(
    exchange: Exchange, record_property: Callable[[str, object], None]
) -> None:
    await exchange.until_all_have_answered(REST_S_MAX)
    before_ids = await filed(exchange, REFERRALS)
    await exchange.until_quiet(REST_S_MAX)
    before, opened = await effects(exchange), await incarnations(exchange)
    assert len(before["hotline edge"]) >= 3 * REFERRALS
    told = await lie(exchange)
    await exchange.until_quiet(REST_S_MAX)
    line = [("ahead", LIAR, None, None)]
    # A lower acknowledgement is what a peer says that was restored.
    expected = {"never sent": line, "strange incarnation": line, "other history": line, "backwards": []}
    unheard = {
        "key_unknown": (int(Lane.URGENT), told["signed by another"].offset),
        "topic_wrong": (int(Lane.URGENT), told["of another reader"].offset),
    }
    shown = {kind: each.lines for kind, each in told.items() if each.lines or kind in expected}
    assert (shown, await incarnations(exchange), alarms(exchange)) == (expected, opened + 1, unheard)
    assert await effects(exchange) == before
    ids = before_ids + await filed(exchange, REFERRALS)
    cases = [str(row["subject"]) for row in await driver.list_effects(exchange, LIAR)]
    assert sorted(cases) == sorted(map(str, ids))
    record_property("figure", f"{len(told) * TIMES} false acknowledgements, 1 incarnation, 2 alarms")
