"""The raw limit: as many messages of the same bytes with the same cryptography, and no logic at all.

Two processes, as in the exchange: one seals, writes to PostgreSQL, reads back, signs in batches and sends; the other
receives, verifies twice (recipient and audit), opens, and writes to PostgreSQL. COPY out, aiokafka, COPY in.

`single-shot` seals each message with HPKE, whatever the exchange does: fixed for good, or the limit moved with what is
measured by it. `wrapped` seals as the exchange does now, each batch as one transaction.
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

from shared.envelope.base64url import from_base64url, to_base64url
from shared.envelope.batch import sign_batch
from shared.envelope.keys import OpeningKey, SigningKey
from shared.envelope.sealing import Opener, SealContext, Sealer
from shared.kernel.canonical import canonical_json
from shared.kernel.ids import uuid7
from shared.ledger.proof import root_from_inclusion
from shared.ledger.tree import leaf_hash

TOPIC = "causeway.inbox.audit.hotline.v1"
BATCH = 500


def main() -> None:
    """`raw produce|consume COUNT SEALED_BYTES CLEAR_BYTES single-shot|wrapped`; the rest comes on standard input."""
    role, count, sealed_bytes, clear_bytes = sys.argv[1], *map(int, sys.argv[2:5])
    sealing = {"single-shot": SingleShot, "wrapped": Wrapped}[sys.argv[5]]
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
            sealing(OpeningKey.load(opening)),
        )
    )


class SingleShot:
    """HPKE for each message, bound to it, padded to a power of two: what the first release did."""

    _SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

    def __init__(self, key: OpeningKey) -> None:
        self._private, self._public = key.key, key.sealing_key.key

    def begin(self) -> None:
        """A batch begins."""

    def seal(self, plaintext: bytes, message_id: UUID) -> str:
        bucket = max(512, 1 << (3 + len(plaintext)).bit_length())
        padded = (len(plaintext).to_bytes(4, "big") + plaintext).ljust(bucket, b"\x00")
        return to_base64url(self._SUITE.encrypt(padded, self._public, self._info(message_id)))

    def open(self, text: str, message_id: UUID) -> bytes:
        padded = self._SUITE.decrypt(from_base64url(text), self._private, self._info(message_id))
        return padded[4 : 4 + int.from_bytes(padded[:4], "big")]

    def _info(self, message_id: UUID) -> bytes:
        stated = {"context": "raw", "schema": "raw", "message_id": str(message_id), "subject": str(message_id)}
        return canonical_json(stated | {"revision": 1, "sender": "a", "recipient": "b"})


class Wrapped:
    """As the exchange seals and opens."""

    def __init__(self, key: OpeningKey) -> None:
        self._key = key
        self.begin()

    def begin(self) -> None:
        self._sealer, self._opener = Sealer(), Opener([self._key])

    def seal(self, plaintext: bytes, message_id: UUID) -> str:
        return self._sealer.seal(plaintext, self._key.sealing_key, self._context(message_id))

    def open(self, text: str, message_id: UUID) -> bytes:
        return self._opener.open(text, self._context(message_id))

    def _context(self, message_id: UUID) -> SealContext:
        return SealContext(
            schema="raw", message_id=message_id, subject=str(message_id), revision=1, sender="a", recipient="b"
        )


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
    for start in range(0, count, BATCH):
        rows = []
        sealing.begin()
        for _ in range(min(BATCH, count - start)):
            message_id = uuid7()
            rows.append((message_id, (clear + sealing.seal(plaintext, message_id)).encode()))
        async with connection.transaction():
            await connection.copy_records_to_table("raw_out", records=rows)
            stored = await connection.fetch("DELETE FROM raw_out RETURNING id, body")
        bodies = [row["body"] for row in stored]
        proofs = sign_batch(bodies, signing)
        futures = [
            await producer.send(
                TOPIC,
                body,
                key=row["id"].bytes,
                headers=[
                    ("root", proof.root + proof.signature),
                    ("path", bytes([proof.index & 255, proof.index >> 8]) + b"".join(proof.path)),
                    ("size", str(proof.size).encode()),
                ],
            )
            for row, body, proof in zip(stored, bodies, proofs, strict=True)
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
    seen, begun = 0, perf_counter()
    while seen < count:
        batches = await consumer.getmany(timeout_ms=500)
        sealing.begin()
        rows = [
            _opened(record, clear_bytes, sealing)
            for records in batches.values()
            for record in records
            if "path" in dict(record.headers)  # what instances tell each other comes in the same topic
        ]
        if rows:
            await connection.copy_records_to_table("raw_in", records=rows)
        seen += len(rows)
    print(perf_counter() - begun, flush=True)
    with suppress(Exception):
        await consumer.stop()
    await connection.close()


def _opened(
    record: ConsumerRecord[bytes, bytes], clear_bytes: int, sealing: SingleShot | Wrapped
) -> tuple[UUID, bytes]:
    assert record.key is not None
    assert record.value is not None
    headers = dict(record.headers)
    index, path = headers["path"][0] + (headers["path"][1] << 8), headers["path"][2:]
    hashes = tuple(path[at : at + 32] for at in range(0, len(path), 32))
    for _ in range(2):  # the recipient verifies, and so does audit
        found = root_from_inclusion(leaf_hash(record.value), index, int(headers["size"]), path=hashes)
        assert found == headers["root"][:32]
    message_id = UUID(bytes=record.key)
    sealing.open(record.value[clear_bytes // 2 * 2 :].decode(), message_id)
    return message_id, record.value


if __name__ == "__main__":
    main()
