"""A log that audit reads: records of a small world, kept as the reader keeps them, looked at as an auditor looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from services.audit import use_cases
from services.audit.domain.reading import Reading
from services.audit.ports import Partition
from services.audit.store.entries import PostgresEntries
from services.audit.store.partitions import PostgresPartitions
from services.audit.use_cases import Look
from shared.contracts.registry import MESSAGE_PARKED, OUTCOME_REPORTED
from shared.envelope.batch import message_digest
from shared.envelope.headers import decode_headers
from shared.envelope.sealing import Opener
from shared.exchange.compose import Addressing, compose, compose_fact, compose_receipts
from shared.exchange.message import Draft, Record
from shared.exchange.prepare import Prepared
from shared.kernel.authority import Role
from shared.kernel.clock import ManualClock, rfc3339
from shared.kernel.ids import uuid7
from shared.runtime.database.transactions import Database
from shared.vocabulary.answers import ReceiptOutcome
from tests.support.builders import HOTLINE, POLICE, verdict
from tests.support.exchange_world import LONG_AFTER, World, world

AUDITOR = "auditor.example"
PURPOSE = "a yearly review"


@dataclass
class Log:
    """One world's topics, all of one life, and what audit has of them."""

    database: Database
    world: World = field(default_factory=world)
    topic_id: UUID = field(default_factory=uuid7)

    @property
    def entries(self) -> PostgresEntries:
        return PostgresEntries(self.database)

    @property
    def partitions(self) -> PostgresPartitions:
        return PostgresPartitions(self.database)

    async def keep(self, *records: Record) -> None:
        await use_cases.keep(
            records,
            topic_ids=dict.fromkeys((record.topic for record in records), self.topic_id),
            entries=self.entries,
            reading=Reading(
                self.world.shelf, Opener([self.world.keys["audit"].opening]), ManualClock(self.world.at + LONG_AFTER)
            ),
        )

    async def file(self, prepared: Prepared) -> list[Record]:
        """The records of a referral that was filed, kept; the fact for audit is the last."""
        records = self.world.records(prepared.drafts)
        await self.keep(*records)
        return records

    async def receipt(
        self, of: Record, outcome: ReceiptOutcome, *, by: str = "law_enforcement", digest: str | None = None
    ) -> None:
        """A receipt for one record, kept a second after whatever came before."""
        self.world.at += timedelta(seconds=1)
        entry = verdict(outcome, message_id=identity(of)[0], message_digest=digest or identity(of)[1], of=of)
        directory = self.world.documents.directory
        await self.keep(
            *self.world.records(compose_receipts(by, "hotline", [entry], directory=directory, at=self.world.at), by)
        )

    async def outcome(self, referral_id: UUID, number: int, *, outcome: str, known: str) -> None:
        """An outcome that the sample agency reports, kept a second after whatever came before."""
        self.world.at += timedelta(seconds=1)
        said = {
            "referral_id": str(referral_id),
            "revision": 1,
            "act": str(uuid7()),
            "number": number,
            "outcome": outcome,
            "child_identified": known,
            "child_safeguarded": known,
        } | ({"close_reason": "other"} if outcome == "closed" else {})
        addressing = Addressing(
            subject=referral_id,
            sender=POLICE,
            recipient=HOTLINE,
            directory=self.world.documents.directory,
            exercise=True,
            at=self.world.at,
        )
        draft = compose(OUTCOME_REPORTED, OUTCOME_REPORTED.clear.model_validate(said), addressing)
        await self.keep(*self.world.records([draft], "law_enforcement"))

    def parked(self, of: Record, reason: str) -> Draft:
        """What an instance states of a record that it parked."""
        message_id, digest = identity(of)
        stated = {
            "topic": of.topic,
            "partition": of.partition,
            "offset": of.offset,
            "broker_time": rfc3339(of.broker_time),
            "digest": digest,
            "reason": reason,
            "message_id": str(message_id),
        }
        return compose_fact(
            MESSAGE_PARKED,
            stated,
            subject=uuid7(),
            instance="law_enforcement",
            directory=self.world.documents.directory,
            exercise=False,
            at=self.world.at,
        )

    async def flow(self, referral_id: UUID, *, exercise: bool = True) -> list[dict[str, Any]]:
        look = Look(AUDITOR, Role.AUDITOR, exercise, PURPOSE)
        flow = await use_cases.show_flow(referral_id, look, entries=self.entries)
        messages: list[dict[str, Any]] = flow.model_dump(mode="json")["messages"]
        return messages

    async def page(self, record: Record, *, newest: bool = False, exercise: bool = True) -> Any:
        """The partition of this record: in this log's own life of its topic, or in the newest of all that audit has."""
        look = Look(AUDITOR, Role.AUDITOR, exercise, PURPOSE)
        place = Partition(record.topic, record.partition, 0, None if newest else self.topic_id)
        page = await use_cases.show_entries(place, look, limit=500, entries=self.entries)
        return page.model_dump(mode="json")


def identity(record: Record) -> tuple[UUID, str]:
    """The id and the digest of the message in a record."""
    envelope = decode_headers(record.headers, record.value or b"")
    return envelope.attributes.id, message_digest(envelope.attributes, envelope.body)


def of_message(messages: Sequence[dict[str, Any]], record: Record) -> list[dict[str, Any]]:
    """The lines of a flow that show this record's message."""
    return [each for each in messages if each["message_id"] == str(identity(record)[0])]
