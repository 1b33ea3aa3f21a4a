"""aiokafka's records as ours: every byte as it came, also where a header has a name that is not UTF-8.

Kafka's brokers take such a record. aiokafka's parser raises `UnicodeDecodeError` in the middle of a fetch, and the
consumer stands still, all partitions, for ever: one record of anybody who may write would stop an instance. With
`read_any_header_name` such a name comes out with escapes (`\\xff`), and `accept` judges the record like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import ConsumerRecord
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

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


def read_any_header_name() -> None:
    """From now on, in this process, every aiokafka consumer reads every header name. Doing it again changes nothing."""
    fetcher.MemoryRecords = TolerantRecords


class TolerantRecords:
    """The record batches of one fetch, in aiokafka's own terms (`MemoryRecords`)."""

    def __init__(self, data: bytes) -> None:
        self._records = _MemoryRecordsPy(data)

    def size_in_bytes(self) -> int:
        size: int = self._records.size_in_bytes()
        return size

    def has_next(self) -> bool:
        return self._records._next_slice is not None

    def next_batch(self) -> Any:
        ahead = self._records._next_slice
        batch = self._records.next_batch()
        # Only the present format has headers.
        return TolerantBatch(batch, ahead) if isinstance(batch, DefaultRecordBatch) and ahead is not None else batch


class TolerantBatch:
    """One record batch: aiokafka's own, and read again by its slower parser where that one fails on a name."""

    def __init__(self, batch: DefaultRecordBatch, data: memoryview) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            return iter(list(_NamesEscaped(self._data)))

    def __next__(self) -> Any:
        return next(self._batch)


class _Escaping(bytearray):
    """Bytes that always decode: what is not UTF-8 is written as an escape."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Escaping(found) if isinstance(place, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, "backslashreplace")


class _NamesEscaped(_DefaultRecordBatchPy):  # type: ignore[misc]  # the library is not typed
    """aiokafka's parser in Python, over bytes that always decode; it decodes nothing but header names."""

    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Escaping(self._buffer)
