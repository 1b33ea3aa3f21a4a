"""The log on Kafka: appends segments to the partitions that this instance alone writes, and reads their last numbers.

A failed append is repeated, because readers drop records that they have. So no state is kept between two appends, and
after any failure the topic's producer is replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Final
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaTimeoutError
from aiokafka.producer.message_accumulator import BatchBuilder

from shared.core.envelope.keys import SigningKey
from shared.core.errors import Refused, Unavailable
from shared.core.protocol.authority import inbox_topic
from shared.core.protocol.message import Record
from shared.messaging.arrival import PartitionVerifier, PlacedMessage, RawRecord, StatedAck
from shared.messaging.incarnations import Head
from shared.messaging.placement import PlaceKeys, ProvenSegment, build_proof_record, place_record
from shared.messaging.ports import AppendPosition, PlacedRecord
from shared.messaging.segments import RecordBytes, Segment
from shared.messaging.streams import LANES, Lane, Pair, extend_chain
from shared.platform.kafka.access import KAFKA_ERRORS, KafkaAccess, unavailable
from shared.platform.kafka.reader import next_batch, outside_groups
from shared.platform.kafka.topic_metadata import Coordinate, Offsets, bounds_of, describe_topics, metadata_client

#: The numbers of records that are read from the end: a few, more than one segment, and more than many copies for audit.
WINDOWS: Final = (16, 640, 5_120)
_POLL_S: Final = 0.5


async def read_own_heads(
    access: KafkaAccess, instance: str, peers: Sequence[str], *, keys: PlaceKeys
) -> dict[str, list[Head]]:
    """Return the heads of the streams to these peers, as far as their topics exist. Raises `Unavailable`.

    `keys` finds the keys of this instance. A record of another stream, such as a copy for audit, shows no head.
    """
    options = access.client_options(f"causeway-{instance}-heads")
    pairs = {inbox_topic(peer, instance): Pair(instance, peer) for peer in peers}
    found: dict[str, list[Head]] = {}
    try:
        async with metadata_client(options) as client, outside_groups(options) as consumer:
            described = await describe_topics(client, pairs)
            bounds = {
                where: held
                for where, held in (await bounds_of(client, described)).items()
                if where.partition in LANES and held.first < held.end
            }
            for size in WINDOWS:
                ends = {where: Offsets(max(held.first, held.end - size), held.end) for where, held in bounds.items()}
                for where, records in (await _read(consumer, ends)).items():
                    pair, lane = pairs[where.topic], Lane(where.partition)
                    topic_id = described[where.topic].topic_id
                    heads = find_heads(PartitionVerifier(pair, lane, keys), records, topic_id)
                    found.setdefault(pair.addressee, []).extend(heads)
                    if any(not head.is_taken for head in heads) or ends[where].first == bounds[where].first:
                        del bounds[where]
                if not bounds:
                    break
    except KAFKA_ERRORS as error:
        raise unavailable(error) from None
    return found


def find_heads(verifier: PartitionVerifier, records: Iterable[Record], topic_id: UUID) -> list[Head]:
    """Return the heads that the last readable record of a partition shows, and those of the last acknowledgement.

    If records of own messages come after that acknowledgement, they show more than it.
    """
    heads: list[Head] = []
    taken: list[Head] = []
    proven: ProvenSegment | None = None
    for record in records:
        raw = RawRecord(topic_id, record.offset, record.broker_time, tuple(record.headers), record.value)
        (found,) = verifier.verify([raw])
        if isinstance(found, PlacedMessage):
            place = found.place
            heads = [Head(place.incarnation, place.lane, place.number, digest=found.digest)]
        elif isinstance(found, StatedAck):
            ack = found.ack
            if ack.own_incarnation is not None and ack.heads is not None:
                heads = [Head(ack.own_incarnation, lane, *ack.heads[lane]) for lane in LANES]
            if ack.incarnation is not None and ack.reader == ack.pair.addressee:
                taken = [Head(ack.incarnation, lane, ack.lanes[lane].through, is_taken=True) for lane in LANES]
        elif verifier.proven is not None and verifier.proven is not proven:
            heads = [_head_of(verifier.proven)]
        proven = verifier.proven
    return heads + taken


def _head_of(proven: ProvenSegment) -> Head:
    """Return the end of a segment whose proof alone was appended: the database knew all of it."""
    last = proven.first + len(proven.digests) - 1
    return Head(proven.incarnation, proven.lane, last, chain=extend_chain(proven.chain_before, proven.digests))


async def _read(consumer: AIOKafkaConsumer, ends: dict[Coordinate, Offsets]) -> dict[Coordinate, list[Record]]:
    """Read each partition from its first offset up to its end."""
    consumer.assign([TopicPartition(*where) for where in ends])
    for where, held in ends.items():
        consumer.seek(TopicPartition(*where), held.first)
    found: dict[Coordinate, list[Record]] = {where: [] for where in ends}
    while any([await consumer.position(TopicPartition(*where)) < held.end for where, held in ends.items()]):
        for record in await next_batch(consumer, _POLL_S):
            where = Coordinate(record.topic, record.partition)
            if where in ends and record.offset < ends[where].end:
                found[where].append(record)
    return found


#: Bytes of one append, as `max.message.bytes` of the topics bounds it.
APPEND_BYTES_MAX: Final = 1_048_576
APPEND_TIMEOUT_S: Final = 15.0
CLOSE_TIMEOUT_S: Final = 5.0
#: The age at which a topic's id is looked up again.
TOPIC_ID_AGE_S: Final = 2.0


class KafkaLog:
    """The log of one instance's topics. Each topic has its own producer, so that none waits for another."""

    def __init__(self, access: KafkaAccess, *, instance: str, key: SigningKey) -> None:
        self._access = access
        self._instance = instance
        self._key = key
        self._topics: dict[Pair, _Topic] = {}

    async def append(self, topic: Pair, lane: Lane, records: Sequence[PlacedRecord]) -> AppendPosition:
        """Append records in order, each segment's proof record before its first; durable on all in-sync replicas.

        Raises `Unavailable`: any part may have been appended. Raises `Refused("record_too_large")` for a record above
        the bound of every topic.
        """
        return await self.append_bytes(topic, lane, list(self._with_proofs(records)))

    async def append_bytes(self, topic: Pair, lane: Lane, records: Sequence[RecordBytes]) -> AppendPosition:
        """Append records that have their final bytes, such as an acknowledgement."""
        found = self._topics.setdefault(topic, _Topic(self._access, topic))
        async with found.lock:
            try:
                async with asyncio.timeout(APPEND_TIMEOUT_S):
                    return await found.append(lane, records)
            except (TimeoutError, KafkaTimeoutError):
                await found.stop()
                raise Unavailable("broker_unavailable") from None
            except KAFKA_ERRORS as error:
                await found.stop()
                raise unavailable(error) from None

    async def close(self) -> None:
        """Stop all producers."""
        await asyncio.gather(*(topic.stop() for topic in self._topics.values()))

    def _with_proofs(self, records: Iterable[PlacedRecord]) -> Iterable[RecordBytes]:
        proven: Segment | None = None
        for each in records:
            if each.segment is not proven:
                proven = each.segment
                yield build_proof_record(proven, self._key)
            yield place_record(each.record, each.place)


class _Topic:
    """One topic and its producer."""

    def __init__(self, access: KafkaAccess, pair: Pair) -> None:
        self._access = access
        self._name = inbox_topic(pair.addressee, pair.writer)
        self._client_id = f"causeway-{pair.writer}-relay"
        self._producer: AIOKafkaProducer | None = None
        self._topic_id: UUID | None = None
        self._looked_at = 0.0
        self.lock = asyncio.Lock()

    async def append(self, lane: Lane, records: Sequence[RecordBytes]) -> AppendPosition:
        """Append records in as few record batches as hold them."""
        producer = await self._start()
        topic_id = await self._find_id(producer)
        first: int | None = None
        end, broker_at = 0, None
        for batch, count in _batches(producer, records):
            told = await (await producer.send_batch(batch, self._name, partition=int(lane)))
            first = told.offset if first is None else first
            end = told.offset + count
            broker_at = datetime.fromtimestamp(told.timestamp / 1000, UTC) if (told.timestamp or -1) > 0 else None
        return AppendPosition(topic_id, first or 0, end, broker_at)

    async def stop(self) -> None:
        """Stop the producer; the next append starts another one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await asyncio.wait_for(producer.stop(), CLOSE_TIMEOUT_S)
            except (TimeoutError, *KAFKA_ERRORS):
                # Without a broker `stop` waits for ever, and there is no public way to give up.
                await producer._sender.close()
                await producer.client.close()

    async def _start(self) -> AIOKafkaProducer:
        if self._producer is None:
            self._looked_at = 0.0
            producer = AIOKafkaProducer(
                **self._access.client_options(self._client_id),
                enable_idempotence=True,
                acks="all",
                linger_ms=0,
                compression_type=None,
                max_batch_size=APPEND_BYTES_MAX,
                max_request_size=APPEND_BYTES_MAX,
            )
            self._producer = producer
            await producer.start()
        return self._producer

    async def _find_id(self, producer: AIOKafkaProducer) -> UUID:
        if self._topic_id is None or monotonic() - self._looked_at > TOPIC_ID_AGE_S:
            described = (await describe_topics(producer.client, [self._name])).get(self._name)
            if described is None:
                raise Unavailable("broker_refuses")
            self._topic_id, self._looked_at = described.topic_id, monotonic()
        return self._topic_id


def _batches(producer: AIOKafkaProducer, records: Sequence[RecordBytes]) -> Iterable[tuple[BatchBuilder, int]]:
    """Yield record batches, each with its number of records. Raises `Refused("record_too_large")`."""
    batch, count = producer.create_batch(), 0
    for record in records:
        if not _add(batch, record):
            yield batch, count
            batch, count = producer.create_batch(), 0
            _add(batch, record)
        count += 1
        if batch.size() > APPEND_BYTES_MAX:  # the first record of a batch fits at any size
            raise Refused("record_too_large")
    if count:
        yield batch, count


def _add(batch: BatchBuilder, record: RecordBytes) -> bool:
    return batch.append(key=record.key, value=record.value, timestamp=None, headers=list(record.headers)) is not None
