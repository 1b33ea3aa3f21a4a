"""The raw limit: the same number of messages of the same size with the same cryptography, without any logic.

Two processes, as in the exchange: one seals, writes to PostgreSQL, reads back, signs in groups and sends. The other
receives, checks each digest twice (recipient and audit), opens, and writes to PostgreSQL. COPY out, aiokafka, COPY in.

Each message is sealed with HPKE, independent of the exchange: otherwise the limit would change with the exchange.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from time import perf_counter
from uuid import UUID

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from shared.core.canonical import canonical_json
from shared.core.envelope.content_proof import (
    GROUP_MESSAGES_MAX,
    draw_salt,
    leaf_digest,
    pack_proof,
    prove_content,
    unpack_proof,
)
from shared.core.envelope.keys import OpeningKey, SigningKey
from shared.core.ids import uuid7

TOPIC = "causeway.inbox.audit.hotline.v1"
BATCH = 500
#: The number of messages in a group of such a segment.
GROUP = min(250, GROUP_MESSAGES_MAX)


def main() -> None:
    """`raw produce|consume COUNT SEALED_BYTES CLEAR_BYTES`; the rest comes on standard input."""
    role, count, sealed_bytes, clear_bytes = sys.argv[1], *map(int, sys.argv[2:5])
    database, bootstrap, username, password, signing, opening = sys.stdin.read().split("\n")[:6]
    kafka = {
        "bootstrap_servers": bootstrap,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": username,
        "sasl_plain_password": password,
    }
    work = _produce if role == "produce" else _consume
    uvloop.run(
        work(
            database,
            kafka,
            count,
            sealed_bytes,
            clear_bytes,
            SigningKey.load(signing),
            SingleShot(OpeningKey.load(opening)),
        )
    )


class SingleShot:
    """HPKE for each message, bound to it, padded to a power of two, as in the first release."""

    _SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

    def __init__(self, key: OpeningKey) -> None:
        self._private, self._public = key.key, key.sealing_key.key

    def seal(self, plaintext: bytes, message_id: UUID) -> bytes:
        bucket = max(512, 1 << (3 + len(plaintext)).bit_length())
        padded = (len(plaintext).to_bytes(4, "big") + plaintext).ljust(bucket, b"\x00")
        return self._SUITE.encrypt(padded, self._public, self._info(message_id))

    def open(self, sealed: bytes, message_id: UUID) -> bytes:
        padded = self._SUITE.decrypt(sealed, self._private, self._info(message_id))
        return padded[4 : 4 + int.from_bytes(padded[:4], "big")]

    def _info(self, message_id: UUID) -> bytes:
        stated = {"context": "raw", "schema": "raw", "message_id": str(message_id), "subject": str(message_id)}
        return canonical_json(stated | {"revision": 1, "sender": "a", "recipient": "b"})


async def _produce(database, kafka, count, sealed_bytes, clear_bytes, signing, sealing) -> None:  # type: ignore[no-untyped-def]
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE TEMP TABLE raw_out (id uuid, body bytea)")
    producer = AIOKafkaProducer(
        **kafka, enable_idempotence=True, acks="all", linger_ms=0, max_batch_size=131_072, max_request_size=1_048_576
    )
    await producer.start()
    plaintext, clear = os.urandom(sealed_bytes // 2).hex().encode(), os.urandom(clear_bytes // 2).hex()
    print("ready", flush=True)
    begun = perf_counter()
    for start in range(0, count, GROUP):
        rows = []
        for _ in range(min(GROUP, count - start)):
            message_id = uuid7()
            rows.append((message_id, clear.encode() + sealing.seal(plaintext, message_id)))
        async with connection.transaction():
            await connection.copy_records_to_table("raw_out", records=rows)
            stored = await connection.fetch("DELETE FROM raw_out RETURNING id, body")
        salts = [draw_salt() for _ in stored]
        digests = [leaf_digest(salt, row["body"]) for salt, row in zip(salts, stored, strict=True)]
        proof = pack_proof(prove_content([(range(len(stored)), b"")], digests, signing))
        futures = [await producer.send(TOPIC, proof, partition=0, headers=[("raw", b"proof")])]
        futures += [
            await producer.send(TOPIC, row["body"], key=row["id"].bytes, partition=0, headers=[("raw", salt)])
            for row, salt in zip(stored, salts, strict=True)
        ]
        await asyncio.gather(*futures)
    print(perf_counter() - begun, flush=True)
    await producer.stop()
    await connection.close()


async def _consume(database, kafka, count, sealed_bytes, clear_bytes, signing, sealing) -> None:  # type: ignore[no-untyped-def]
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE TEMP TABLE raw_in (id uuid, body bytea)")
    consumer = AIOKafkaConsumer(TOPIC, **kafka, group_id=None, auto_offset_reset="latest", max_poll_records=BATCH)
    await consumer.start()
    await consumer.seek_to_end()
    await asyncio.gather(*(consumer.position(each) for each in consumer.assignment()))
    print("ready", flush=True)
    seen, begun, reader = 0, perf_counter(), _Reader(clear_bytes // 2 * 2, sealing)
    while seen < count:
        batches = await consumer.getmany(timeout_ms=500)
        # Messages between instances come in the same topic.
        records = [each for found in batches.values() for each in found if "raw" in dict(each.headers)]
        rows = [row for row in map(reader.read, records) if row is not None]
        if rows:
            await connection.copy_records_to_table("raw_in", records=rows)
        seen += len(rows)
    print(perf_counter() - begun, flush=True)
    with suppress(Exception):
        await consumer.stop()
    await connection.close()


class _Reader:
    """Checks and opens records in order: the proof of a group, then its messages."""

    def __init__(self, clear_bytes: int, sealing: SingleShot) -> None:
        self._clear_bytes = clear_bytes
        self._sealing = sealing
        self._digests: frozenset[bytes] = frozenset()

    def read(self, record: ConsumerRecord[bytes, bytes]) -> tuple[UUID, bytes] | None:
        salt = dict(record.headers)["raw"]
        if salt == b"proof":
            for _ in range(2):  # the recipient verifies, and so does audit
                proof = unpack_proof(record.value)
                proof.roots()
            self._digests = frozenset(leaf.digest for leaf in proof.leaves)
            return None
        for _ in range(2):
            assert leaf_digest(salt, record.value) in self._digests
        message_id = UUID(bytes=record.key)
        self._sealing.open(record.value[self._clear_bytes :], message_id)
        return message_id, record.value


if __name__ == "__main__":
    main()
