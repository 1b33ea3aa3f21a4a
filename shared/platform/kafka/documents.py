"""Directory and policy documents, and document heartbeats, as read from their topic.

    record ──verify two approvals──▶ shelf (in memory) ──▶ table `document` ──verify again──▶ shelf at the next start

The table lets an instance start while the broker is down. It stores each record as it was published, with its
approvals. So a process that can write the table or the topic still cannot put a document in force.

A heartbeat names the newest documents. Its age and its content show whether the documents here may be out of date.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

from aiokafka import AIOKafkaProducer
from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from shared.core.canonical import canonical_json
from shared.core.clock import Clock, rfc3339
from shared.core.contracts.base import Contract, InstanceId, KeyId, PartyId
from shared.core.contracts.directory import Beat, DocumentActivated, PublicKeyText, SignedBeat
from shared.core.errors import Refused, Unavailable
from shared.core.protocol.message import Record
from shared.core.routing.directory_index import KEY_SUITES
from shared.core.routing.documents import ApproverKey, DocumentStore, verify_beat, verify_document
from shared.platform.database.transactions import Database
from shared.platform.kafka.access import KAFKA_ERRORS, KafkaAccess, unavailable
from shared.platform.kafka.reader import LogReader
from shared.platform.observability.health import Check
from shared.platform.observability.logs import log

#: The Kafka key of heartbeats on the directory topic; compaction retains the last one.
BEAT_KEY: Final = b"beat"
#: The greatest age of a heartbeat.
BEAT_TOLERANCE: Final = timedelta(minutes=5)


class BeatMonitor:
    """The newest heartbeat that a heartbeat key of the directory in force has signed. It puts nothing in force."""

    def __init__(self, shelf: DocumentStore, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock
        self._since = clock.now()
        self._newest: Beat | None = None

    def receive(self, value: bytes) -> None:
        """Store a heartbeat if it is newer than the stored one, so that a replayed one does not reduce the age.

        Raises `Refused`; `Unavailable` before a directory is in force.
        """
        signed, now = read_beat(value), self._clock.now()
        verify_beat(signed, self._shelf.directories.active(now), now)
        if self._newest is None or signed.beat.at > self._newest.at:
            self._newest = signed.beat

    def age_s(self) -> float:
        """Return the seconds since the newest heartbeat, or since the start of this process before the first."""
        newest_at = self._since if self._newest is None else self._newest.at
        return max(0.0, (self._clock.now() - newest_at).total_seconds())

    def reason(self) -> str:
        """Return `beat_late`, `documents_behind` or `documents_differ` if the documents cannot be trusted, else "".

        They differ if the heartbeat names another document with the version that is in force here. In that case,
        different instances were shown different documents. The result is always "" without heartbeats: the directory
        names no heartbeat key, or none has arrived since the start. The age still grows then.
        """
        now = self._clock.now()
        try:
            directory, policy = self._shelf.directories.active(now), self._shelf.policies.active(now)
        except Unavailable:
            return ""
        if not directory.beats or (named := self._newest) is None:
            return ""
        if self.age_s() > BEAT_TOLERANCE.total_seconds():
            return "beat_late"
        pairs = ((named.directory, directory), (named.policy, policy))
        if any(version > ours.edition.version for (version, _), ours in pairs):
            return "documents_behind"
        differ = any(
            version == ours.edition.version and named_digest != ours.digest for (version, named_digest), ours in pairs
        )
        return "documents_differ" if differ else ""

    def lateness(self) -> str:
        """Return `beat_late` if newer documents may exist and no heartbeat has arrived in time, else ""."""
        reason = self.reason()
        return reason if reason == "beat_late" else ""


def read_beat(value: bytes) -> SignedBeat:
    """Parse a record's value as a heartbeat, without verification. Raises `Refused`, without the value's text.

    Unknown members next to the signed heartbeat are ignored; unknown members in it are refused.
    """
    try:
        stated = from_json(value)
        return SignedBeat.model_validate({name: stated[name] for name in SignedBeat.model_fields})
    except (ValueError, KeyError, TypeError):
        pass  # refused below: its text may quote the record
    raise Refused("beat_malformed")


DIRECTORY_TOPIC: Final = "causeway.directory.v1"
#: The size limit of a document that this release publishes: the topic's `max.message.bytes`
#: (`deploy/kafka/layouts.json`).
RECORD_BYTES_MAX: Final = 1_048_576
#: The size limit of a body in base64 that this release reads. It is twice the size of a directory with the maximum
#: number of parties, so that a later release, whose topic accepts more, can publish larger documents.
BODY_CHARACTERS_MAX: Final = 16 * 1024 * 1024
BACK_OFF_S: Final = 0.5
BACK_OFF_S_MAX: Final = 5.0

_KEEP = """
INSERT INTO document (digest, kind, active_from, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
RETURNING digest
"""
_KEPT = "SELECT body FROM document ORDER BY active_from, digest"


class PublishedDocument(Contract):
    """A record of the directory topic: the approved statement, and the exact body in base64 (RFC 4648 §4)."""

    activated: DocumentActivated
    body: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$", max_length=BODY_CHARACTERS_MAX)]


class ApproverKeyText(Contract):
    """One entry of the approver keys file: an approver and their Ed25519 key."""

    approver: PartyId | InstanceId
    key_id: KeyId
    public: PublicKeyText


class DocumentFeed:
    """The reader that updates the document shelf of one instance."""

    def __init__(
        self,
        access: KafkaAccess,
        database: Database,
        shelf: DocumentStore,
        *,
        instance: str,
        approver_keys: Mapping[str, ApproverKey],
        clock: Clock,
    ) -> None:
        self._reader = LogReader(access, [DIRECTORY_TOPIC], client_id=f"causeway-{instance}-documents")
        self._database = database
        self._shelf = shelf
        self._approver_keys = approver_keys
        self._clock = clock
        self.beat = BeatMonitor(shelf, clock)

    async def load(self) -> int:
        """Load the documents of the table onto the shelf and return their number. Needs no broker."""
        async with self._database.transaction() as session:
            rows = await session.driver.fetch(_KEPT)
        return sum(self._place(row["body"]) is not None for row in rows)

    async def run(self) -> None:
        """Read the topic from its first record until cancelled."""
        back_off_s = BACK_OFF_S
        while True:
            try:
                async with aclosing(self._reader.follow({})) as batches:
                    async for batch in batches:
                        for record in batch:
                            await self._receive(record)
                        back_off_s = BACK_OFF_S
            except Unavailable as error:
                log("broker_waits", code=error.code, topic=DIRECTORY_TOPIC)
                await asyncio.sleep(back_off_s)
                back_off_s = min(back_off_s * 2, BACK_OFF_S_MAX)

    async def check(self) -> Check:
        """Return ready if a directory and a policy are in force. `reason` shows whether newer ones may exist."""
        now = self._clock.now()
        directory = self._shelf.directories.active(now)
        self._shelf.policies.active(now)
        return Check("documents", True, self.beat.reason(), self.beat.age_s() if directory.beats else None)

    async def _receive(self, record: Record) -> None:
        if record.value is None:
            return
        if record.key == BEAT_KEY:
            self._listen(record.value)
            return
        activated = self._place(record.value)
        if activated is not None:
            self._database.changes.note()
            async with self._database.transaction() as session:
                kept = await session.driver.fetchval(
                    _KEEP, activated.digest, activated.kind, activated.active_from, record.value
                )
            if kept is not None:
                log("document_placed", kind=activated.kind, digest=activated.digest)

    def _place(self, value: bytes) -> DocumentActivated | None:
        """Verify a document and put it on the shelf. A refused one is logged and skipped; the next may be valid."""
        try:
            activated, body = read_document(value)
            verify_document(activated, body, self._approver_keys)
            takes_over = self._shelf.place(activated, body)
        except Refused as error:
            log("document_refused", code=error.code)
            return None
        if not takes_over:
            log("document_refused", code="document_version_not_above", kind=activated.kind, digest=activated.digest)
        return activated

    def _listen(self, value: bytes) -> None:
        try:
            self.beat.receive(value)
        except Refused as error:
            log("beat_refused", code=error.code)
        except Unavailable:
            pass  # no directory names heartbeat keys yet; the next heartbeat comes in 10 s


def read_document(value: bytes) -> tuple[DocumentActivated, bytes]:
    """Parse a record's value into the approved statement and the exact body, without verification. Raises `Refused`.

    Unknown members of the record are ignored.
    """
    try:
        published = PublishedDocument.model_validate_json(value, extra="ignore")
        return published.activated, b64decode(published.body, validate=True)
    except (ValidationError, ValueError):
        pass  # their text may quote the record
    raise Refused("document_malformed")


def write_document(activated: DocumentActivated, body: bytes) -> bytes:
    """Return the record's value for `read_document`."""
    return canonical_json({"activated": activated.model_dump(mode="json"), "body": b64encode(body).decode()})


def document_key(activated: DocumentActivated) -> bytes:
    """Return the Kafka key of a document. It names the activation, so that compaction retains each one."""
    return f"{activated.kind}/{activated.digest}/{rfc3339(activated.active_from)}".encode()


async def publish_documents(access: KafkaAccess, documents: Sequence[tuple[DocumentActivated, bytes]]) -> None:
    """Publish approved documents in order. Raises `Unavailable`.

    The login needs the right to write to the directory topic.
    """
    options = access.client_options("causeway-documents") | {"max_request_size": RECORD_BYTES_MAX}
    async with _started(AIOKafkaProducer(**options, enable_idempotence=True, acks="all")) as producer:
        for activated, body in documents:
            await producer.send_and_wait(DIRECTORY_TOPIC, write_document(activated, body), document_key(activated))


async def publish_beats(access: KafkaAccess, beats: AsyncIterable[SignedBeat]) -> None:
    """Publish each heartbeat at once. Raises `Unavailable`.

    The login needs the right to write to the directory topic.
    """
    async with _started(AIOKafkaProducer(**access.client_options("causeway-beat"), acks="all")) as producer:
        async for each in beats:
            await producer.send_and_wait(DIRECTORY_TOPIC, each.model_dump_json().encode(), BEAT_KEY)


@asynccontextmanager
async def _started(producer: AIOKafkaProducer) -> AsyncIterator[AIOKafkaProducer]:
    """Start the producer for the block and stop it after that. Raises `Unavailable`."""
    try:
        await producer.start()
        yield producer
    except KAFKA_ERRORS as error:
        raise unavailable(error) from None
    finally:
        await producer.stop()


def read_approver_keys(path: Path) -> dict[str, ApproverKey]:
    """Return the approvers' public keys by key id, from a JSON file: a list of {approver, key_id, public}.

    A key of a suite that this release does not know is skipped, as in a directory, so its approvals do not count.
    """
    try:
        entries = TypeAdapter(list[ApproverKeyText]).validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise Refused("approver_keys_unreadable", "a JSON list of objects with approver, key_id, public") from None
    return {
        each.key_id: ApproverKey(each.approver, b64decode(each.public))
        for each in entries
        if each.key_id.rpartition("-")[0] in KEY_SUITES["sign"]
    }
