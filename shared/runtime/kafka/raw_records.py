"""aiokafka's records as ours: every byte as it came."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from aiokafka import ConsumerRecord

from shared.exchange.message import Record

#: Kafka's mark on a record whose time is the broker's own (`message.timestamp.type=LogAppendTime`).
LOG_APPEND_TIME: Final = 1


def to_record(raw: ConsumerRecord[bytes, bytes]) -> Record:
    """The record of one topic and partition; without a time of the broker's it says so."""
    return Record(
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        broker_time=datetime.fromtimestamp(raw.timestamp / 1000, UTC),
        key=raw.key,
        headers=tuple(raw.headers),
        value=raw.value,
        time_stated=raw.timestamp_type != LOG_APPEND_TIME,
    )
