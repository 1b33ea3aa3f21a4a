"""A reader of topics without a consumer group: for audit, replay and accounting. The caller stores the cursors.

Every byte of a record stays unchanged, also if a header has a name that is not UTF-8. Kafka's brokers accept such a
record, but aiokafka's parser raises `UnicodeDecodeError` in the middle of a fetch. The consumer then stops for ever on
all partitions, so one record of any client with write access would stop an instance. With `read_any_header_name`, such
a name is read with escapes (`\\xff`), and `accept` judges the record like any other.
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
from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import _MemoryRecordsPy

from shared.core.errors import Unavailable
from shared.core.protocol.message import Record
from shared.platform.kafka.access import FETCH_WAIT_MS, FETCHER_LOOKS_MS, KAFKA_ERRORS, KafkaAccess, unavailable
from shared.platform.kafka.topic_metadata import (
    Coordinate,
    Offsets,
    TopicDescription,
    bounds_of,
    describe_topics,
    describe_topics_under,
    metadata_client,
)

#: Kafka's mark on a record whose time is the broker's own (`message.timestamp.type=LogAppendTime`).
LOG_APPEND_TIME: Final = 1


def to_record(raw: ConsumerRecord[bytes, bytes]) -> Record:
    """Convert a record of aiokafka. `time_stated` is true if its time is not the broker's own."""
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
    """Make every aiokafka consumer of this process accept every header name. A second call changes nothing."""
    fetcher.MemoryRecords = TolerantRecords


class TolerantRecords:
    """The record batches of one fetch, with the interface of aiokafka's `MemoryRecords`."""

    def __init__(self, data: bytes) -> None:
        self._records = _MemoryRecordsPy(data)

    def size_in_bytes(self) -> int:
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        return self._records._next_slice is not None

    def next_batch(self) -> Any:
        ahead = self._records._next_slice
        # No broker stores an older format.
        return TolerantBatch(self._records.next_batch(), ahead)


class TolerantBatch:
    """One record batch of aiokafka. If its parser fails on a header name, a slower one parses the batch again.

    A compressed batch is not expanded: it is one record without key and value, at its last offset.
    """

    def __init__(self, batch: Any, data: memoryview | None) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        if (batch := self._batch).compression_type:
            at, time = batch.next_offset - 1, batch.max_timestamp
            return iter([_DefaultRecordPy(at, time, batch.timestamp_type, None, None, [])])
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            return iter(list(_NamesEscaped(self._data)))


class _Escaping(bytearray):
    """Bytes that always decode: bytes that are not UTF-8 become escapes."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Escaping(found) if isinstance(place, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, "backslashreplace")


class _NamesEscaped(_DefaultRecordBatchPy):  # type: ignore[misc]  # the library is not typed
    """aiokafka's parser in Python, over bytes that always decode. It decodes only header names."""

    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Escaping(self._buffer)


read_any_header_name()

READ_RECORDS_MAX: Final = 500
#: The time that the broker holds a fetch behind the end of a range. Over TLS, its connection ends only after that.
RANGE_WAIT_MS: Final = 100
POLL_S: Final = 0.5
#: A batch of records that were already waiting also gets the records of the next milliseconds if it has fewer than
#: `GATHERED_RECORDS`. The broker held those back until the first were taken.
GATHER_MS: Final = 5
GATHERED_RECORDS: Final = 100
#: The interval at which a quiet reader checks for created, deleted and recreated topics.
ID_CHECK_S: Final = 10.0
#: The time within which fetched records are taken. A consumer that takes longer hangs.
_TAKEN_S_MAX: Final = 60.0


#: Records by partition, as the client returns them: `getmany(timeout_ms=…, max_records=…)`.
Fetched = dict[TopicPartition, list[Any]]
Fetch = Callable[..., Awaitable[Fetched]]


class LogReader:
    """A reader of `topics`, or of all topics whose names begin with `under` and that the login may describe.

    Every call opens its own connection, so calls may run at the same time.

    Offsets are not valid after the deletion of a topic. Store `topic_ids` with the cursors, and start again at the
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
        """Yield batches of records from the cursors on, for ever; a partition without a cursor from its first record.

        Yields an empty batch after ten seconds without records. `topic_ids` are those of the cursors. Raises
        `Unavailable` in an outage. With `topic_made_again`, a topic is missing or has another id, and no record of the
        new topic was yielded. With `topics_changed`, a topic `under` the prefix was added. With `offset_out_of_range`,
        the log does not have a cursor's offset.
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
                    # Checked after reading: the client reads on at the same offset of a recreated topic, if it exists.
                    if (found := _ids(await self._described_by(client))) != wanted:
                        is_added = found.items() > wanted.items()
                        raise Unavailable("topics_changed" if is_added else "topic_made_again")
                    looked_s = now_s
                yield batch

    async def read_range(self, where: Coordinate, first: int, end: int) -> AsyncGenerator[list[Record]]:
        """Yield the records of one partition from offset `first` to before `end`; these must exist."""
        async with self._reading(fetch_max_wait_ms=RANGE_WAIT_MS) as consumer:
            _assign(consumer, {where: first})
            while await consumer.position(TopicPartition(*where)) < end:
                if batch := [record for record in await next_batch(consumer, POLL_S) if record.offset < end]:
                    yield batch

    async def bounds(self) -> dict[Coordinate, Offsets]:
        """Return the present offsets of each partition. Raises `Unavailable` if a named topic does not exist."""
        with _translate_errors():
            async with metadata_client(self._access.client_options(self._client_id)) as client:
                return await self._bounds(client)

    async def topic_ids(self) -> dict[str, UUID]:
        """Return the broker's id of each existing topic. A topic that is created again has another id (KIP-516)."""
        with _translate_errors():
            async with metadata_client(self._access.client_options(self._client_id)) as client:
                return _ids(await self._described_by(client))

    async def _described_by(self, client: AIOKafkaClient) -> dict[str, TopicDescription]:
        if self._under is not None:
            return await describe_topics_under(client, self._under)
        return await describe_topics(client, self._topics)

    async def _bounds(self, client: AIOKafkaClient) -> dict[Coordinate, Offsets]:
        described = await self._described_by(client)
        if self._under is None and described.keys() != set(self._topics):
            raise Unavailable("broker_refuses")
        return await bounds_of(client, described)

    def _reading(self, **more: int) -> AbstractAsyncContextManager[AIOKafkaConsumer]:
        return outside_groups(self._access.client_options(self._client_id) | more)


@asynccontextmanager
async def outside_groups(options: Mapping[str, Any]) -> AsyncIterator[AIOKafkaConsumer]:
    """Start a consumer without a group and without partitions. Kafka's errors in the block become `Unavailable`."""
    consumer = AIOKafkaConsumer(
        **{"fetch_max_wait_ms": FETCH_WAIT_MS, **options},
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_uncommitted",
        max_poll_records=READ_RECORDS_MAX,
        consumer_timeout_ms=FETCHER_LOOKS_MS,
    )
    with _translate_errors():
        try:
            await consumer.start()
            # aiokafka's own task must have begun. Otherwise stopping it at once looks like a cancellation of this task.
            await asyncio.sleep(0)
            fetch_all(consumer)
            yield consumer
        finally:
            await _stop(consumer)


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Turn Kafka's failures in the block into `Unavailable`."""
    try:
        yield
    except OffsetOutOfRangeError:
        raise Unavailable("offset_out_of_range") from None
    except KAFKA_ERRORS as error:
        raise unavailable(error) from None


def _ids(described: Mapping[str, TopicDescription]) -> dict[str, UUID]:
    return {topic: each.topic_id for topic, each in described.items()}


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer. In an outage its `stop` ends with a cancellation and leaves connections open; close them."""
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait([stopping])
    if stopping.cancelled():
        await consumer._client.close()
    else:
        stopping.result()


def fetch_all(consumer: AIOKafkaConsumer) -> None:
    """Make each fetch ask for all partitions at once, as soon as the records of the last fetch are taken.

    aiokafka waits 0.1 s for that, and then fetches only the partitions whose records were taken. New records of the
    other ones stay on the broker until that fetch ends, for `FETCH_WAIT_MS` if its partitions are quiet. aiokafka
    has no option for this.
    """
    consumer._fetcher._prefetch_backoff = _TAKEN_S_MAX


def _assign(consumer: AIOKafkaConsumer, cursors: Mapping[Coordinate, int]) -> None:
    consumer.assign([TopicPartition(*where) for where in cursors])
    for where, offset in cursors.items():
        consumer.seek(TopicPartition(*where), offset)


async def next_batch(consumer: AIOKafkaConsumer, wait_s: float) -> list[Record]:
    """Return the next batch of records, or none after `wait_s` without any."""
    fetched = await gathered(consumer.getmany, wait_ms=int(1000 * wait_s), records_max=READ_RECORDS_MAX)
    return [to_record(raw) for raw in chain.from_iterable(fetched.values())]


async def gathered(fetch: Fetch, *, wait_ms: int, records_max: int) -> Fetched:
    """Return a batch: the first records after a pause at once; waiting records together with those in transit."""
    batch = await fetch(timeout_ms=0, max_records=records_max)
    if not batch:
        return await fetch(timeout_ms=wait_ms, max_records=records_max)
    if (count := sum(map(len, batch.values()))) < GATHERED_RECORDS:
        for where, more in (await fetch(timeout_ms=GATHER_MS, max_records=records_max - count)).items():
            before = batch.get(where)
            # If the position went back in between, the first records are read again.
            batch[where] = [*before, *more] if before and more and before[-1].offset < more[0].offset else more
    return batch
