"""The last numbers that the topics of an instance's own streams show, read from the end of each partition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.exchange.message import Record
from shared.exchange.topics import inbox_topic
from shared.messaging.arrival import PartitionVerifier, PlacedMessage, RawRecord, StatedAck
from shared.messaging.incarnations import Head
from shared.messaging.placement import PlaceKeys, ProvenSegment
from shared.messaging.streams import LANES, Lane, Pair, extend_chain
from shared.runtime.kafka.access import KAFKA_ERRORS, KafkaAccess, unavailable
from shared.runtime.kafka.bounds import Bounds, Coordinate, bounds_of
from shared.runtime.kafka.reader import next_batch, outside_groups
from shared.runtime.kafka.topic_metadata import describe_topics, metadata_client

#: Records that are read from the end: a few, then more than one segment, then more than many copies for audit.
WINDOWS: Final = (16, 640, 5_120)
_POLL_S: Final = 0.5


async def read_own_heads(
    access: KafkaAccess, instance: str, peers: Sequence[str], *, keys: PlaceKeys
) -> dict[str, list[Head]]:
    """Return the heads of the streams to these peers, as far as their topics exist. Raises `Unavailable`.

    `keys` finds the keys of this instance. A record of another stream, such as a copy for audit, shows nothing.
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
                ends = {where: Bounds(max(held.first, held.end - size), held.end) for where, held in bounds.items()}
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
                ends = zip(LANES, ack.heads, strict=True)
                heads = [Head(ack.own_incarnation, lane, end.number, chain=end.chain) for lane, end in ends]
            if ack.incarnation is not None and ack.reader == ack.pair.addressee:
                lanes = zip(LANES, ack.lanes, strict=True)
                taken = [Head(ack.incarnation, lane, said.through, is_taken=True) for lane, said in lanes]
        elif verifier.proven is not None and verifier.proven is not proven:
            heads = [_head_of(verifier.proven)]
        proven = verifier.proven
    return heads + taken


def _head_of(proven: ProvenSegment) -> Head:
    """Return the end of a segment whose proof alone was appended: the database knew all of it."""
    last = proven.first + len(proven.digests) - 1
    return Head(proven.incarnation, proven.lane, last, chain=extend_chain(proven.chain_before, proven.digests))


async def _read(consumer: AIOKafkaConsumer, ends: dict[Coordinate, Bounds]) -> dict[Coordinate, list[Record]]:
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
