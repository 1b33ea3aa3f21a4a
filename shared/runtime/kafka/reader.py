"""Reading topics outside any group: for audit, replay and accounting. The caller keeps the cursors.

Every byte of a record is as it came, also where a header has a name that is not UTF-8. Kafka's brokers take such a
record. aiokafka's parser raises `UnicodeDecodeError` in the middle of a fetch, and the
consumer stands still, all partitions, for ever: one record of anybody who may write would stop an instance. With
`read_any_header_name` such a name comes out with escapes (`\\xff`), and `accept` judges the record like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final
from uuid import UUID

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import fetcher
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

from shared.exchange.message import Record
from shared.kernel.errors import Unavailable
from shared.runtime.kafka.access import FETCH_WAIT_MS, FETCHER_LOOKS_MS, KAFKA_ERRORS, KafkaAccess, unavailable
from shared.runtime.kafka.topic_metadata import (
    Bounds,
    Coordinate,
    TopicDescription,
    bounds_of,
    describe_topics,
    describe_topics_under,
    metadata_client,
)

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


read_any_header_name()

READ_RECORDS_MAX: Final = 500
POLL_S: Final = 0.5
#: Where records were waiting already, a batch of fewer takes those as well that come within so many milliseconds:
#: they lay at the broker until the first were taken.
GATHER_MS: Final = 5
GATHERED_RECORDS: Final = 100
#: How often a quiet reader asks whether a topic was made, deleted, or made again.
ID_CHECK_S: Final = 2.0
#: Within this time what was fetched is taken, or the consumer that should take it hangs.
_TAKEN_S_MAX: Final = 60.0


#: Records by partition, as the client returns them: `getmany(timeout_ms=…, max_records=…)`.
Fetched = dict[TopicPartition, list[Any]]
Fetch = Callable[..., Awaitable[Fetched]]


class LogReader:
    """Reads `topics`, or all whose names begin with `under`: those that this login may describe at the time of a call.

    Every call opens a connection of its own, so calls may run beside each other.

    Offsets mean nothing across the deletion of a topic: keep `topic_ids` with the cursors, and start again at the
    bounds when an id has changed.
    """

    def __init__(
        self, access: KafkaAccess, topics: Sequence[str] = (), *, client_id: str, under: str | None = None
    ) -> None:
        self._access = access
        self._topics = tuple(topics)
        self._under = under
        self._client_id = client_id

    async def follow(
        self, cursors: Mapping[Coordinate, int], topic_ids: Mapping[str, UUID] | None = None
    ) -> AsyncGenerator[list[Record]]:
        """Batches of records from the cursors on, for ever; a partition without one from its first record.

        Yields an empty batch when nothing came for two seconds. `topic_ids` are those that the cursors belong to.
        Raises `Unavailable`: in an outage; `topic_made_again` as soon as a topic is gone or has another id, before
        anything of the new one is yielded; `topics_changed` as soon as there is another one `under` the prefix;
        `offset_out_of_range` when a cursor's record is no longer, or not yet, there.
        """
        async with self._reading() as consumer, metadata_client(self._access.client_options(self._client_id)) as client:
            wanted = topic_ids if topic_ids is not None else _ids(await self._described_by(client))
            bounds = await self._bounds(client)
            _assign(consumer, {where: cursors.get(where, held.first) for where, held in bounds.items()})
            looked_s = 0.0
            while True:
                batch = await next_batch(consumer, ID_CHECK_S)
                now_s = asyncio.get_running_loop().time()
                if batch or now_s - looked_s > ID_CHECK_S:
                    # Asked after reading: the client goes on at the same offset of a topic made again, if it is there.
                    if (found := _ids(await self._described_by(client))) != wanted:
                        raise Unavailable(_change(found, wanted))
                    looked_s = now_s
                yield batch

    async def read_range(self, where: Coordinate, first: int, end: int) -> AsyncGenerator[list[Record]]:
        """The records of one partition from offset `first` up to, not including, `end`, which must exist."""
        async with self._reading() as consumer:
            _assign(consumer, {where: first})
            while await consumer.position(TopicPartition(*where)) < end:
                if batch := [record for record in await _batch(consumer) if record.offset < end]:
                    yield batch

    async def bounds(self) -> dict[Coordinate, Bounds]:
        """What each partition holds now. Raises `Unavailable` unless all topics that were named are there."""
        with _told():
            async with metadata_client(self._access.client_options(self._client_id)) as client:
                return await self._bounds(client)

    async def topic_ids(self) -> dict[str, UUID]:
        """The broker's id of each topic that exists: another one after it was deleted and made again (KIP-516)."""
        with _told():
            async with metadata_client(self._access.client_options(self._client_id)) as client:
                return _ids(await self._described_by(client))

    async def _described_by(self, client: AIOKafkaClient) -> dict[str, TopicDescription]:
        if self._under is not None:
            return await describe_topics_under(client, self._under)
        return await describe_topics(client, self._topics)

    async def _bounds(self, client: AIOKafkaClient) -> dict[Coordinate, Bounds]:
        described = await self._described_by(client)
        if self._under is None and described.keys() != set(self._topics):
            raise Unavailable("broker_refuses")
        return await bounds_of(client, described)

    def _reading(self) -> AbstractAsyncContextManager[AIOKafkaConsumer]:
        return outside_groups(self._access.client_options(self._client_id))


@asynccontextmanager
async def outside_groups(options: Mapping[str, Any]) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer of no group that reads nothing yet. Raises `Unavailable` for what its use raises."""
    consumer = AIOKafkaConsumer(
        **options,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_uncommitted",
        max_poll_records=READ_RECORDS_MAX,
        fetch_max_wait_ms=FETCH_WAIT_MS,
        consumer_timeout_ms=FETCHER_LOOKS_MS,
    )
    with _told():
        try:
            await consumer.start()
            # aiokafka's own task must have begun, or stopping it in the same instant looks like our cancellation.
            await asyncio.sleep(0)
            fetch_all(consumer)
            yield consumer
        finally:
            await _stop(consumer)


@contextmanager
def _told() -> Iterator[None]:
    """Kafka's failures as what they mean to whoever can only wait."""
    try:
        yield
    except OffsetOutOfRangeError:
        raise Unavailable("offset_out_of_range") from None
    except KAFKA_ERRORS as error:
        raise unavailable(error) from None


def _ids(described: Mapping[str, TopicDescription]) -> dict[str, UUID]:
    return {topic: each.topic_id for topic, each in described.items()}


def _change(found: Mapping[str, UUID], wanted: Mapping[str, UUID]) -> str:
    return "topics_changed" if found.items() > wanted.items() else "topic_made_again"


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Stop it. In an outage its `stop` ends with the cancellation of its own fetch task, connections still open."""
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait([stopping])
    if stopping.cancelled():
        await consumer._client.close()
    else:
        stopping.result()


def fetch_all(consumer: AIOKafkaConsumer) -> None:
    """From now on a fetch asks for all partitions at once, as soon as what came before is taken.

    aiokafka waits 0.1 s for that, then asks for the others alone: whatever comes for the one that is left out lies at
    the broker until that fetch ends, `FETCH_WAIT_MS` later if the others are quiet. It has no option for it.
    """
    consumer._fetcher._prefetch_backoff = _TAKEN_S_MAX


def _assign(consumer: AIOKafkaConsumer, cursors: Mapping[Coordinate, int]) -> None:
    consumer.assign([TopicPartition(*where) for where in cursors])
    for where, offset in cursors.items():
        consumer.seek(TopicPartition(*where), offset)


async def next_batch(consumer: AIOKafkaConsumer, wait_s: float) -> list[Record]:
    """Records that were gathered, none when nothing came for `wait_s`."""
    return _read(await gathered(consumer.getmany, wait_ms=int(1000 * wait_s), records_max=READ_RECORDS_MAX))


async def gathered(fetch: Fetch, *, wait_ms: int, records_max: int) -> Fetched:
    """A batch: after a pause what comes first, at once; where records were waiting already, with what is under way."""
    batch = await fetch(timeout_ms=0, max_records=records_max)
    if not batch:
        return await fetch(timeout_ms=wait_ms, max_records=records_max)
    if (count := sum(map(len, batch.values()))) < GATHERED_RECORDS:
        for where, more in (await fetch(timeout_ms=GATHER_MS, max_records=records_max - count)).items():
            before = batch.get(where)
            # Whoever went back in between reads again what came first.
            batch[where] = [*before, *more] if before and more and before[-1].offset < more[0].offset else more
    return batch


async def _batch(consumer: AIOKafkaConsumer) -> list[Record]:
    return _read(await consumer.getmany(timeout_ms=int(1000 * POLL_S), max_records=READ_RECORDS_MAX))


def _read(fetched: Fetched) -> list[Record]:
    return [to_record(raw) for raw in chain.from_iterable(fetched.values())]
