"""What other instances have said last of themselves: what they read, and what they asked us to answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol, Self
from uuid import UUID

import asyncpg

from shared.contracts.delivery import MarksClear, ReadsAnnouncedClear, TakenMark
from shared.exchange.message import Received
from shared.exchange.reads import PeerReads, Reads
from shared.runtime.database.transactions import Database

#: Epochs of a pair that are noted on another instance's word; each restore and each move of a party is one.
EPOCHS_MAX: Final = 128
#: Marks of a peer that count in a minute of the broker's, and those of them whose holes are looked at: what comes
#: beyond is said again by its next ones.
MARKS_A_MINUTE: Final = 300
HOLES_A_MINUTE: Final = 60


class Spoken(NamedTuple):
    """When something was said, by the broker: a later place wins. A topic that is read again says it again."""

    at: datetime
    offset: int

    @classmethod
    def of(cls, message: Received) -> Self:
        return cls(message.record.broker_time, message.record.offset)


@dataclass(frozen=True, slots=True)
class Word:
    """What a peer's marks have left to do: `owes` is the nonce that ours answer next, `answered` ours that it named."""

    owes: UUID | None = None
    answered: UUID | None = None


class PeerBook(Protocol):
    """What peers have said. Within the transaction of a unit."""

    async def announced(self, by: str, reads: ReadsAnnouncedClear, spoken: Spoken) -> None:
        """Note what `by` reads, unless a later word of it is known."""
        ...

    async def marked(self, by: str, marks: MarksClear, spoken: Spoken) -> int:
        """Note what the marks ask and answer; the how manieth of `by` they are in this minute of the broker's.

        0 where later ones were taken before: then these count no more.
        """
        ...

    async def words(self) -> dict[str, Word]:
        """What each peer's marks have left to do."""
        ...

    async def answered(self, to: str, nonce: UUID) -> None:
        """Our marks have answered that nonce of `to`."""
        ...

    async def life(self) -> tuple[int, int]:
        """Which database this is: another pair than before says that it was restored, or is another server's."""
        ...

    async def forgotten(self, by: str, taken: Sequence[TakenMark]) -> None:
        """`by` has taken numbers of ours that this database does not know: their epochs have ended.

        What goes to those pairs is numbered in another epoch from now on. Of a pair with `EPOCHS_MAX` ended epochs
        nothing more is noted: else a peer could make up lives of ours without end.
        """
        ...


_READS = """
INSERT INTO peer AS p (instance, reads, reads_at, reads_offset) VALUES ($1, $2::jsonb, $3, $4)
ON CONFLICT (instance) DO UPDATE SET reads = excluded.reads, reads_at = excluded.reads_at,
    reads_offset = excluded.reads_offset
WHERE p.reads_at IS NULL OR (p.reads_at, p.reads_offset) < (excluded.reads_at, excluded.reads_offset)
"""
_MARKED = """
INSERT INTO peer AS p (instance, marked_at, marked_offset, owes, answered, marks) VALUES ($1, $2, $3, $4, $5, 1)
ON CONFLICT (instance) DO UPDATE SET
    marks = 1 + CASE date_trunc('minute', p.marked_at)
                WHEN date_trunc('minute', excluded.marked_at) THEN p.marks ELSE 0 END,
    marked_at = excluded.marked_at, marked_offset = excluded.marked_offset,
    owes = coalesce(excluded.owes, p.owes), answered = coalesce(excluded.answered, p.answered)
WHERE p.marked_at IS NULL OR (p.marked_at, p.marked_offset) < (excluded.marked_at, excluded.marked_offset)
RETURNING marks
"""
_WORDS = "SELECT instance, owes, answered FROM peer WHERE marked_at IS NOT NULL"
_ANSWERED = "UPDATE peer SET owes = NULL WHERE instance = $1 AND owes = $2"
_LIFE = "SELECT system_identifier, timeline_id FROM pg_control_system(), pg_control_checkpoint()"
# An open epoch ends as it does in another database. What was told is kept beside what this database knows: numbers up
# to there can be answered as gone, and nothing else is believed of them.
_FORGOTTEN = """
WITH told AS (
    SELECT t.* FROM (
        SELECT *, row_number() OVER (PARTITION BY sender, recipient) AS n
        FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[]) AS t (sender, recipient, epoch, last)
    ) AS t WHERE t.n <= $6 - (
        SELECT count(*) FROM closed_epoch AS c WHERE (c.sender, c.recipient) = (t.sender, t.recipient))
), ended AS (
    UPDATE pair_sequence AS p SET told = greatest(p.told, t.last), system_id = 0
    FROM told AS t WHERE (p.sender, p.recipient, p.epoch) = (t.sender, t.recipient, t.epoch)
    RETURNING p.epoch
)
INSERT INTO closed_epoch AS c (sender, recipient, lane, epoch, last, told)
SELECT t.sender, t.recipient, $5, t.epoch, 0, t.last FROM told AS t WHERE t.epoch NOT IN (SELECT epoch FROM ended)
ON CONFLICT (sender, recipient, epoch) DO UPDATE SET told = greatest(c.told, excluded.told)
"""
_ALL_READS = "SELECT instance, reads FROM peer WHERE reads IS NOT NULL"


class PostgresPeers:
    """`PeerBook` within one transaction."""

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._driver = driver

    async def announced(self, by: str, reads: ReadsAnnouncedClear, spoken: Spoken) -> None:
        await self._driver.execute(_READS, by, reads.model_dump(mode="json"), *spoken)

    async def marked(self, by: str, marks: MarksClear, spoken: Spoken) -> int:
        owes = marks.nonce if marks.asking else None
        return await self._driver.fetchval(_MARKED, by, *spoken, owes, marks.answers) or 0

    async def words(self) -> dict[str, Word]:
        return {row["instance"]: Word(row["owes"], row["answered"]) for row in await self._driver.fetch(_WORDS)}

    async def answered(self, to: str, nonce: UUID) -> None:
        await self._driver.execute(_ANSWERED, to, nonce)

    async def life(self) -> tuple[int, int]:
        row = await self._driver.fetchrow(_LIFE)
        return row["system_identifier"], row["timeline_id"]

    async def forgotten(self, by: str, taken: Sequence[TakenMark]) -> None:
        await self._driver.execute(
            _FORGOTTEN,
            [mark.sender for mark in taken],
            [mark.recipient for mark in taken],
            [mark.epoch for mark in taken],
            [mark.highest for mark in taken],
            by,
            EPOCHS_MAX,
        )


async def peer_reads(database: Database) -> PeerReads:
    """What peers have announced that they read, as it is now."""
    return read_all([(row["instance"], row["reads"]) for row in await database.fetch(_ALL_READS)])


def read_all(stated: Sequence[tuple[str, object]]) -> PeerReads:
    """What instances have announced, each by its JSON as it was kept."""
    return PeerReads({name: Reads.of(ReadsAnnouncedClear.model_validate(reads)) for name, reads in stated})
