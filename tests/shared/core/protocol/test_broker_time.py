"""The broker's time cannot be abused: a producer cannot set it, and it cannot be ahead of our clock.

For keys see `test_signing_keys`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import ConsumerRecord

from shared.core.contracts.registry import REFERRAL_WITHDRAWN
from shared.core.errors import Refused
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.accept import RejectedRecord, accept
from shared.core.protocol.message import Addressing, Record, compose
from shared.core.protocol.sender_verification import AHEAD_MAX
from shared.platform.kafka.reader import to_record
from tests.shared.core.protocol.wrong_records import with_keys
from tests.support.builders import AT, HOTLINE, POLICE
from tests.support.exchange_world import World, world
from tests.support.forging import forged
from tests.support.manual_clock import ManualClock


def withdrawal(here: World, at: datetime = AT) -> Record:
    """Return a withdrawal, as any holder of the hotlines' signing key can write it."""
    subject = uuid7()
    address = Addressing(
        subject=subject, sender=HOTLINE, recipient=POLICE, directory=here.documents.directory, exercise=True, at=at
    )
    clear = {"referral_id": str(subject), "revision": 1, "act": str(uuid4()), "reason": "filed_in_error"}
    [record] = forged(here, [compose(REFERRAL_WITHDRAWN, clear, address)], instance="hotline")
    return record


def code_of(here: World, record: Record, *, now: datetime) -> str | None:
    try:
        accept(record, here.reader("law_enforcement", clock=ManualClock(now)))
    except Refused as error:
        assert not isinstance(error, RejectedRecord)  # no outcome is sent, because the sender is in doubt
        return error.code
    return None


def test_a_time_that_a_producer_stated_is_refused() -> None:
    here = world()
    record = withdrawal(here)
    assert code_of(here, record, now=AT) is None
    assert code_of(here, replace(record, time_stated=True), now=AT) == "broker_time_stated"


@pytest.mark.parametrize(
    ("broker_time", "code"),
    [
        (AT + AHEAD_MAX, None),
        (AT + AHEAD_MAX + timedelta(milliseconds=1), "broker_time_off"),
        (datetime(2099, 1, 1, tzinfo=UTC), "broker_time_off"),
        (AT - timedelta(days=30), None),
    ],
    ids=["clocks differ", "more than they may", "2099", "a record that waited for a month"],
)
def test_the_brokers_time_is_bounded_by_our_own(broker_time: datetime, code: str | None) -> None:
    here = world()
    assert code_of(here, replace(withdrawal(here, min(AT, broker_time)), broker_time=broker_time), now=AT) == code


@pytest.mark.parametrize(("kind", "stated"), [(0, True), (1, False)], ids=["CreateTime", "LogAppendTime"])
def test_the_kafka_door_sees_who_stated_the_time(kind: int, stated: bool) -> None:
    raw: ConsumerRecord[bytes, bytes] = ConsumerRecord("topic", 0, 0, 0, kind, b"", b"", None, 0, 0, ())
    assert to_record(raw).time_stated is stated


def test_nothing_is_sealed_with_a_revoked_key() -> None:
    here = world()
    name = here.document.instances[1].id
    assert here.documents.directory.sealing_key(name, AT) is not None
    here.place(with_keys(here.document, name, "", revoked_at=AT), AT)
    assert here.documents.directory.sealing_key(name, AT) is None
