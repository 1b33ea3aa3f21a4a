"""A document is in force after two approvers signed it, from any source, and never otherwise."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.devstack.stack import DevStack
from deploy.directory.approval import approve_document, document_body, sign_beat
from shared.core.contracts.directory import Beat, Directory, DocumentActivated, PublicKey, SignedBeat
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Refused, Unavailable
from shared.core.routing.documents import ApproverKey, DocumentStore, verify_document
from shared.platform.database.transactions import Database
from shared.platform.kafka import documents
from shared.platform.kafka.access import KafkaAccess
from shared.platform.kafka.documents import (
    DocumentFeed,
    publish_beats,
    publish_documents,
    read_approver_keys,
    read_document,
    write_document,
)
from tests.shared.core.routing.builders import directory_document, hotline, permit, policy_document, provider
from tests.shared.platform.builders import NOW
from tests.support.manual_clock import ManualClock
from tests.support.topics import configured

APPROVERS = {"first.example": SigningKey(b"1" * 32), "second.example": SigningKey(b"2" * 32)}
STRANGERS = {"first.example": SigningKey(b"3" * 32), "second.example": SigningKey(b"4" * 32)}
KEYS = {key.key_id: ApproverKey(name, b64decode(key.verify_key.text())) for name, key in APPROVERS.items()}
EARLIER = NOW - timedelta(days=1)
BEAT = SigningKey(b"5" * 32)
#: The age of the heartbeat in a test.
HEARD_S = 7.0

Document = tuple[DocumentActivated, bytes]
MakeFeed = Callable[..., DocumentFeed]


def directory(
    number: int = 1,
    *,
    active_from: datetime = EARLIER,
    approvers: Mapping[str, SigningKey] = APPROVERS,
    version: int = 1,
    beat_keys: tuple[SigningKey, ...] = (),
) -> Document:
    document = directory_document(hotline(f"hotline-{number}.example", "NL"), version=version)
    keys = tuple(
        PublicKey(key_id=key.key_id, use="sign", suite="ed25519", public=key.verify_key.text(), valid_from=EARLIER)
        for key in beat_keys
    )
    body = document_body(document.model_copy(update={"beat_keys": keys}))
    return approve_document("directory", body, active_from=active_from, approvers=approvers), body


def policy() -> Document:
    body = document_body(policy_document(permit("one")))
    return approve_document("policy", body, active_from=EARLIER, approvers=APPROVERS), body


@pytest.fixture
def feed(
    access: KafkaAccess, database: Database, new_topic: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> MakeFeed:
    """Return a function that makes feeds, which all read one topic of their own."""
    monkeypatch.setattr("shared.platform.kafka.documents.DIRECTORY_TOPIC", new_topic(1))

    def make(shelf: DocumentStore, reached: KafkaAccess = access) -> DocumentFeed:
        clock = ManualClock(NOW)
        return DocumentFeed(reached, database, shelf, instance="edges", approver_keys=KEYS, clock=clock)

    return make


@pytest.fixture(autouse=True)
async def empty_table(database: Database) -> None:
    async with database.transaction() as session:
        await session.driver.execute("DELETE FROM document")


async def read_until(feed: DocumentFeed, condition: Callable[[], bool]) -> None:
    async with followed(feed):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.05)


async def read_until_kept(feed: DocumentFeed, database: Database, documents: int) -> None:
    """A document is on the shelf before it is in the table. Wait for the table, whose row comes last."""
    async with followed(feed):
        while await kept(database) < documents:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.05)


@asynccontextmanager
async def followed(feed: DocumentFeed) -> AsyncIterator[None]:
    task = asyncio.create_task(feed.run())
    async with asyncio.timeout(60):
        yield
    task.cancel()
    await asyncio.wait([task])


async def kept(database: Database) -> int:
    async with database.transaction() as session:
        return int(await session.driver.fetchval("SELECT count(*) FROM document"))


def active(shelf: DocumentStore) -> str | None:
    try:
        return shelf.directories.active(NOW).digest
    except Unavailable:
        return None


async def test_an_approved_document_that_is_published_comes_into_force(access: KafkaAccess, feed: MakeFeed) -> None:
    shelf, document = DocumentStore(), directory()
    await publish_documents(access, [document])
    await read_until(feed(shelf), lambda: active(shelf) is not None)
    assert active(shelf) == document[0].digest


async def test_a_document_that_others_approved_is_passed_over_and_the_next_is_taken(
    access: KafkaAccess, feed: MakeFeed, capfd: pytest.CaptureFixture[str]
) -> None:
    shelf, good = DocumentStore(), directory(2)
    await publish_documents(access, [directory(1, approvers=STRANGERS), good])
    await read_until(feed(shelf), lambda: active(shelf) is not None)
    assert active(shelf) == good[0].digest
    assert [code_of(line) for line in capfd.readouterr().err.splitlines() if "document_refused" in line] == [
        "approvers_too_few"
    ]


async def test_a_document_that_is_not_above_the_one_in_force_never_takes_over_and_a_beat_is_heard(
    access: KafkaAccess, feed: MakeFeed, capfd: pytest.CaptureFixture[str]
) -> None:
    shelf, later = DocumentStore(), directory(2, version=2, beat_keys=(BEAT,))
    await publish_documents(access, [later, directory(1, active_from=NOW), policy()])
    await publish_beats(access, _both(beat(BEAT), beat(SigningKey(b"7" * 32))))
    reading = feed(shelf)
    await read_until(reading, lambda: bool(shelf.policies._documents) and reading.beat.age_s() == HEARD_S)
    assert active(shelf) == later[0].digest
    refused = [json.loads(line) for line in capfd.readouterr().err.splitlines() if "_refused" in line]
    assert ("document_refused", "document_version_not_above") in {(each["event"], each["code"]) for each in refused}


async def _both(*beats: SignedBeat) -> AsyncIterator[SignedBeat]:
    for each in beats:
        yield each


def beat(key: SigningKey) -> SignedBeat:
    named: dict[str, Any] = {"directory": (2, "d" * 64), "policy": (1, "e" * 64)}
    return sign_beat(Beat.model_validate({"at": NOW - timedelta(seconds=HEARD_S)} | named), key)


def code_of(line: str) -> Any:
    return json.loads(line)["code"]


async def test_an_instance_that_starts_without_a_broker_has_the_documents_it_had(
    access: KafkaAccess, database: Database, feed: MakeFeed
) -> None:
    shelf, document = DocumentStore(), directory()
    await publish_documents(access, [document, policy()])
    await read_until_kept(feed(shelf), database, 2)
    restarted = DocumentStore()
    second = feed(restarted, KafkaAccess("127.0.0.1:1"))
    assert await second.load() == 2
    assert active(restarted) == document[0].digest
    assert (await second.check()).ok


async def test_whoever_can_write_the_table_cannot_put_a_document_in_force(database: Database, feed: MakeFeed) -> None:
    activated, body = directory(approvers=STRANGERS)
    async with database.transaction() as session:
        await insert(session.driver, activated, write_document(activated, body))
    shelf = DocumentStore()
    assert await feed(shelf).load() == 0
    assert active(shelf) is None


@pytest.mark.parametrize("is_grown", [False, True])
async def test_an_approved_document_in_the_table_is_loaded_also_if_it_has_grown(
    database: Database, feed: MakeFeed, is_grown: bool
) -> None:
    # Negative control of the test above: the same row, approved.
    activated, body = directory()
    written = json.dumps(grown((activated, body))).encode() if is_grown else write_document(activated, body)
    async with database.transaction() as session:
        await insert(session.driver, activated, written)
    shelf = DocumentStore()
    assert await feed(shelf).load() == 1
    assert active(shelf) == activated.digest


async def insert(driver: asyncpg.Connection, activated: DocumentActivated, written: bytes) -> None:
    await driver.execute(
        "INSERT INTO document (digest, kind, active_from, body) VALUES ($1, $2, $3, $4)",
        activated.digest,
        activated.kind,
        activated.active_from,
        written,
    )


async def test_without_documents_the_feed_is_not_ready(feed: MakeFeed) -> None:
    with pytest.raises(Unavailable):
        await feed(DocumentStore()).check()


def whole_directory() -> Document:
    """Return a directory with the maximum number of parties, each with a domain."""
    [most] = [each.max_length for each in Directory.model_fields["parties"].metadata if hasattr(each, "max_length")]
    parties = tuple(
        provider(f"p-{n:05}.example", domains=[{"domain": f"media-{n:05}.example", "valid_from": "2026-01-01"}])
        for n in range(most)
    )
    body = document_body(directory_document(*parties))
    return approve_document("directory", body, active_from=EARLIER, approvers=APPROVERS), body


async def published(access: KafkaAccess, document: Document) -> bool:
    try:
        await publish_documents(access, [document])
    except Unavailable as error:
        assert error.code == "broker_record_bound"
        return False
    return True


async def test_as_many_parties_as_a_directory_may_have_are_read_and_come_into_force(
    stack: DevStack, access: KafkaAccess, feed: MakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later release's topic and publisher accept more.

    The test fails if this release's own limit applies to reading.
    """
    shelf, document = DocumentStore(), whole_directory()
    more = 32 * 1024 * 1024
    monkeypatch.setattr(documents, "RECORD_BYTES_MAX", more)
    topic = documents.DIRECTORY_TOPIC
    async with configured(stack.endpoints.kafka, topic, "max.message.bytes", str(more), before="131072"):
        async with asyncio.timeout(60):
            while not await published(access, document):
                pass  # the broker applies it a little later
        await read_until(feed(shelf), lambda: active(shelf) is not None)
    assert active(shelf) == document[0].digest


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b'{"activated":{},"body":"AA=="}'])
def test_a_record_that_is_no_document_is_refused_without_its_text(value: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read_document(value)
    assert refused.value.code == "document_malformed"
    assert refused.value.__context__ is None


def grown(document: Document) -> dict[str, Any]:
    """Return a document of a later release: with unknown members, and an approval of an unknown suite."""
    published: dict[str, Any] = json.loads(write_document(*document))
    activated = published["activated"]
    later = {"approver": "third.example", "key_id": f"mldsa65-{'7' * 32}", "signature": "A" * 4412, "more": 1}
    approvals = [each | {"more": 1} for each in activated["approvals"]]
    return published | {"activated": activated | {"more": {}, "approvals": [later, *approvals]}, "more": [1]}


def test_what_approves_a_document_does_not_come_from_what_is_passed_over() -> None:
    document = grown(directory())
    document["activated"]["approvals"].pop()
    with pytest.raises(Refused, match="approvers_too_few"):
        verify_document(*read_document(json.dumps(document).encode()), KEYS)


def test_a_key_of_an_approver_that_is_of_a_later_suite_is_passed_over(tmp_path: Path) -> None:
    """Likewise, a key of this release is never read as one of another suite, which could verify nothing."""
    path = tmp_path / "approvers.json"
    entries = [{"approver": n, "key_id": k.key_id, "public": k.verify_key.text()} for n, k in APPROVERS.items()]
    later = {"approver": "first.example", "key_id": f"mldsa65-{'7' * 32}", "public": "A" * 2604}
    path.write_text(json.dumps([later, *entries]))
    assert read_approver_keys(path) == KEYS


def test_an_approver_keys_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="approver_keys_unreadable"):
        read_approver_keys(tmp_path / "none.json")
