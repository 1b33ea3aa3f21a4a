"""The peers of an instance: the message versions that each can read, and the keys that messages are sealed for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Final

from pydantic import ValidationError

from shared.contracts.documents import ReadsAnnouncedClear
from shared.contracts.registry import READS_ANNOUNCED
from shared.envelope.keys import SealingKey
from shared.exchange.correspondents import pairs_of
from shared.exchange.message import Addressing, Draft, compose
from shared.exchange.reads import PeerReads, Reads, own_reads
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid7
from shared.messaging.composition import RecipientKey, SealingKeys
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Database, Session

_NOTE: Final = """
INSERT INTO peer AS p (instance, reads, reads_at) VALUES ($1, $2::jsonb, $3)
ON CONFLICT (instance) DO UPDATE SET reads = excluded.reads, reads_at = excluded.reads_at
WHERE p.reads_at <= excluded.reads_at
"""
_ALL: Final = "SELECT instance, reads FROM peer"


def peers_of(instance: str, directory: DirectoryIndex) -> list[str]:
    """Return the instances that this one writes to, sorted: audit among them, and itself if its parties correspond."""
    return sorted({pair.to for pair in pairs_of(directory.kinds()) if pair.sender == instance})


async def note_reads(session: Session, instance: str, reads: ReadsAnnouncedClear, *, at: datetime) -> None:
    """Store the message versions that an instance reads, as it stated at this broker's time. The newest counts."""
    await session.driver.execute(_NOTE, instance, reads.model_dump(mode="json"), at)


async def load_peer_reads(database: Database) -> PeerReads:
    """Return the announcements of the peers, by instance. Raises `Unavailable`."""
    return parse_peer_reads([(row["instance"], row["reads"]) for row in await database.fetch(_ALL)])


def parse_peer_reads(stated: Sequence[tuple[str, object]]) -> PeerReads:
    """Return the announcements by instance; one that this release cannot read counts as not announced."""
    announced: dict[str, Reads] = {}
    for name, reads in stated:
        with suppress(ValidationError):
            announced[name] = Reads.of(ReadsAnnouncedClear.model_validate(reads))
    return PeerReads(announced)


def compose_reads(instance: str, peer: str, directory: DirectoryIndex, *, at: datetime) -> Draft:
    """Return the message with the versions that this release reads. Raises `Refused` for an unknown instance."""
    addressing = Addressing(
        subject=uuid7(), sender=instance, recipient=peer, directory=directory, exercise=False, at=at
    )
    return compose(READS_ANNOUNCED, own_reads(), addressing)


def find_sealing_keys(directory: Callable[[], DirectoryIndex], clock: Clock) -> SealingKeys:
    """Return what finds the key of the instance that serves a recipient, in the directory in force.

    It raises `Refused("recipient_unknown")` if the instance has none now.
    """

    def find(instance: str, recipient: str) -> RecipientKey:
        entry = directory().sealing_key(instance, clock.now())
        if entry is None:
            raise Refused("recipient_unknown", field="/recipient")
        return RecipientKey(_load(entry.public))

    return find


@lru_cache(1024)
def _load(public: bytes) -> SealingKey:
    return SealingKey(public)
