"""A golden record: a message as stored in Kafka, after its proof record, and the values read in it."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from services.audit.domain.reading import ObservedRecord
from shared.core.clock import parse_rfc3339, rfc3339
from shared.core.errors import Refused
from shared.core.protocol.message import Record
from shared.core.protocol.sender_verification import SigningKeys
from shared.messaging.arrival import PartitionVerifier, PlacedMessage, RawRecord
from shared.messaging.placement import KIND, PROOF
from shared.messaging.segments import RecordBytes
from shared.messaging.streams import Lane, Pair, extend_chain
from tests.contracts.published import read
from tests.support.exchange_world import World
from tests.support.manual_clock import ManualClock
from tests.support.wire_records import Written, accepted

#: The id of every topic of this installation, and the offset of each golden record in its own topic.
TOPIC_ID, OFFSET = UUID(int=0), 7


@dataclass(frozen=True, slots=True)
class Golden:
    """A golden record: its form in Kafka, the values that its recipient's instance reads, and those that audit reads.

    `proof` is the value of the proof record right before it. `reads` is None for messages that only audit receives.
    """

    written: Written
    proof: bytes
    offset: int
    broker_time: datetime
    reads: Mapping[str, Any] | None
    audited: Mapping[str, Any]

    @classmethod
    def load(cls, file: Path) -> Golden:
        kept = read(file)
        record = RecordBytes(
            kept["key"].encode(),
            tuple((name, b64decode(text)) for name, text in kept["headers"]),
            b64decode(kept["value"]),
        )
        written = Written(Pair(kept["writer"], kept["addressee"]), Lane(kept["partition"]), record)
        where = kept["offset"], parse_rfc3339(kept["broker_time"])
        return cls(written, b64decode(kept["proof"]), *where, kept["reads"], kept["audited"])

    def text(self) -> bytes:
        pair, lane, record = self.written
        return pretty(
            {
                "writer": pair.writer,
                "addressee": pair.addressee,
                "partition": int(lane),
                "offset": self.offset,
                "broker_time": rfc3339(self.broker_time),
                "proof": b64encode(self.proof).decode(),
                "key": record.key.decode(),
                "headers": [[name, b64encode(text).decode()] for name, text in record.headers],
                "value": b64encode(record.value).decode(),
                "reads": self.reads,
                "audited": self.audited,
            }
        )

    def with_value(self, value: bytes) -> Golden:
        """Return the record with another value, which has no proof."""
        return replace(self, written=self.written._replace(record=self.written.record._replace(value=value)))

    def observed(self, here: World) -> ObservedRecord:
        """Return the record as audit stores it: the facts that its proof record proves, or the code of its failure."""
        pair, lane, record = self.written
        keys = SigningKeys(here.shelf.directories, ManualClock(here.at))
        before = RawRecord(TOPIC_ID, self.offset - 1, self.broker_time, ((KIND, PROOF),), self.proof)
        raw = RawRecord(TOPIC_ID, self.offset, self.broker_time, record.headers, record.value)
        [_, found] = PartitionVerifier(pair, lane, keys).verify([before, raw])
        if not isinstance(found, PlacedMessage):
            code = getattr(found, "code", None) or "proof_missing"
            bare = Record(
                self.written.topic, int(lane), self.offset, self.broker_time, record.key, raw.headers, raw.value
            )
            return ObservedRecord(replace(bare, topic_id=TOPIC_ID), pair, code=code)
        taken = found.proven.digests[: found.place.number - found.proven.first + 1]
        return ObservedRecord(
            accepted(found, self.written), pair, found.place, extend_chain(found.proven.chain_before, taken)
        )

    def record(self, here: World) -> Record:
        """Return the record for `accept`. Raises `Refused` if its proof record does not prove it."""
        observed = self.observed(here)
        if observed.code is not None:
            raise Refused(observed.code)
        return observed.record


def pretty(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
