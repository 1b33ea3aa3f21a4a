"""What other instances have said last of themselves: what they read, and what they asked us to answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol, Self
from uuid import UUID

import asyncpg
from pydantic import ValidationError

from shared.contracts.delivery import MarksClear, ReadsAnnouncedClear, TakenMark
from shared.exchange.message import Received
from shared.exchange.reads import PeerReads, Reads
from shared.runtime.database.transactions import Database
from shared.runtime.post.epochs import HERE

#: A peer is told no sooner again what is held of its edges, whatever asks for it.
STAND_PAUSE: Final = timedelta(minutes=1)
#: Epochs of a pair that are noted on another instance's word; each restore and each move of a party is one.
EPOCHS_MAX: Final = 128
#: What counts of a peer in a minute of the broker's: its marks, those of them whose holes are looked at, and how often
#: it asks for messages. What comes beyond is said again by itself.
MARKS_A_MINUTE: Final = 300
WANTS_A_MINUTE: Final = 60
HOLES_A_MINUTE: Final = 60


class Spoken(NamedTuple):
    """When something was said, by the broker, and where. A topic that is read again says it again."""

    at: datetime
    offset: int

    def follows(self, known: Spoken | None) -> bool:
        """Whether it is newer than what is known: said later, or, where the broker's clock was ahead then, behind it.

        A topic that has lost its end begins anew further ahead.
        """
        return known is None or self.at > known.at or self.offset > known.offset

    @classmethod
    def of(cls, message: Received) -> Self:
        return cls(message.record.broker_time, message.record.offset)


@dataclass(frozen=True, slots=True)
class Word:
    """What a peer's marks have left to do: `owes` is the nonce that ours answer next, `answered` ours that it named.

    `stands`: it is to be told what is held of its edges, or is just being told; `begins`: not told any of it so far.
    """

    owes: UUID | None = None
    answered: UUID | None = None
    stands: bool = False
    begins: bool = False


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

    async def wanted_by(self, by: str, spoken: Spoken) -> int:
        """How often `by` has asked for messages in this minute of the broker's, with this time."""
        ...

    async def words(self) -> dict[str, Word]:
        """What each peer's marks have left to do."""
        ...

    async def answered(self, to: str, nonce: UUID) -> None:
        """Our marks have answered that nonce of `to`."""
        ...

    async def could_not_read(self, stated: Mapping[str, UUID]) -> None:
        """Note of these instances a statement that this release cannot read."""
        ...

    async def unread(self, of: Collection[str]) -> dict[str, UUID]:
        """By instance what could not be read of it last; told once."""
        ...

    async def began(self) -> bool:
        """Whether this database is another one than when that was last asked: restored, or another server's."""
        ...

    async def owe_standing(self, to: Sequence[str]) -> None:
        """These are to be told what is held of their edges."""
        ...

    async def standings(self, to: Sequence[str], now: datetime) -> dict[str, UUID]:
        """Those of `to` that can be told by now, and the edge behind which that goes on; each `STAND_PAUSE` apart.

        From here to the commit nothing else is numbered for them: what is receipted behind a standing is not in it, and
        what is receipted before it is.
        """
        ...

    async def stood(self, to: str, above: UUID | None) -> None:
        """Note that an instance was told of its edges up to `above`; None: of all."""
        ...

    async def forgotten(self, by: str, taken: Sequence[TakenMark]) -> None:
        """`by` has taken numbers of ours that this database does not know: their epochs have ended.

        They went to `by`; where that is audit, which reads all of them, to the first other that says so. What goes to
        those pairs is numbered in another epoch from now on. Of a pair with `EPOCHS_MAX` ended epochs nothing more is
        noted: else a peer could make up lives of ours without end.
        """
        ...


_READS = """
INSERT INTO peer AS p (instance, reads, reads_at, reads_offset) VALUES ($1, $2::jsonb, $3, $4)
ON CONFLICT (instance) DO UPDATE SET reads = excluded.reads, reads_at = excluded.reads_at,
    reads_offset = excluded.reads_offset
WHERE p.reads_at IS NULL OR p.reads_at < excluded.reads_at OR p.reads_offset < excluded.reads_offset
"""
_MARKED = """
INSERT INTO peer AS p (instance, marked_at, marked_offset, owes, answered, marks) VALUES ($1, $2, $3, $4, $5, 1)
ON CONFLICT (instance) DO UPDATE SET
    marks = 1 + CASE date_trunc('minute', p.marked_at)
                WHEN date_trunc('minute', excluded.marked_at) THEN p.marks ELSE 0 END,
    marked_at = excluded.marked_at, marked_offset = excluded.marked_offset,
    owes = coalesce(excluded.owes, p.owes), answered = coalesce(excluded.answered, p.answered)
WHERE p.marked_at IS NULL OR p.marked_at < excluded.marked_at OR p.marked_offset < excluded.marked_offset
RETURNING marks
"""
_WANTS = """
INSERT INTO peer AS p (instance, wants, wanted_at) VALUES ($1, 1, $2)
ON CONFLICT (instance) DO UPDATE SET wanted_at = excluded.wanted_at,
    wants = 1 + CASE date_trunc('minute', p.wanted_at)
                WHEN date_trunc('minute', excluded.wanted_at) THEN p.wants ELSE 0 END
RETURNING wants
"""
_WORDS = """
SELECT instance, owes, answered, stand_due OR stand_above IS NOT NULL AS stands,
       stand_due AND stand_above IS NULL AS begins FROM peer WHERE marked_at IS NOT NULL
"""
_COULD_NOT_READ = """
INSERT INTO peer (instance, unread) SELECT * FROM unnest($1::text[], $2::uuid[])
ON CONFLICT (instance) DO UPDATE SET unread = excluded.unread
"""
_UNREAD = """
UPDATE peer AS p SET unread = NULL FROM peer AS before
WHERE p.instance = ANY($1::text[]) AND p.instance = before.instance AND before.unread IS NOT NULL
RETURNING p.instance, before.unread
"""
_ANSWERED = "UPDATE peer SET owes = NULL WHERE instance = $1 AND owes = $2"
_BEGAN = f"""
UPDATE life AS l SET lives = l.lives + 1, system_id = here.system_id, timeline = here.timeline, file = here.file,
       began_at = CASE WHEN l.system_id = 0 THEN l.began_at ELSE now() END
FROM {HERE} WHERE (l.system_id, l.timeline, l.file) IS DISTINCT FROM (here.system_id, here.timeline, here.file)
RETURNING l.one
"""
_OWE_STANDING = """
INSERT INTO peer (instance, stand_due) SELECT each, true FROM unnest($1::text[]) AS each
ON CONFLICT (instance) DO UPDATE SET stand_due = true
"""
_STANDINGS = """
UPDATE peer SET stand_above = coalesce(stand_above, $4), stand_due = stand_due AND stand_above IS NOT NULL,
       stood_at = CASE WHEN stand_above IS NULL THEN $2 ELSE stood_at END
WHERE instance = ANY($1::text[])
  AND (stand_above IS NOT NULL OR stand_due AND (stood_at IS NULL
       OR stood_at <= $2::timestamptz - $3::interval OR stood_at >= $2::timestamptz + $3::interval))
RETURNING instance, stand_above
"""
#: As the last step of whoever numbers anything for them locks their lanes, in the same order.
_ALONE = "SELECT FROM lane_end WHERE lane = ANY($1::text[]) ORDER BY lane FOR UPDATE"
_STOOD = "UPDATE peer SET stand_above = $2 WHERE instance = $1"
#: Above it lie all edges: a standing begins.
FIRST: Final = UUID(int=0)
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
ON CONFLICT (sender, recipient, epoch) DO UPDATE SET told = greatest(c.told, excluded.told),
    lane = CASE c.lane WHEN 'audit' THEN excluded.lane ELSE c.lane END
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

    async def wanted_by(self, by: str, spoken: Spoken) -> int:
        count: int = await self._driver.fetchval(_WANTS, by, spoken.at)
        return count

    async def words(self) -> dict[str, Word]:
        rows = await self._driver.fetch(_WORDS)
        return {row["instance"]: Word(row["owes"], row["answered"], row["stands"], row["begins"]) for row in rows}

    async def answered(self, to: str, nonce: UUID) -> None:
        await self._driver.execute(_ANSWERED, to, nonce)

    async def could_not_read(self, stated: Mapping[str, UUID]) -> None:
        await self._driver.execute(_COULD_NOT_READ, sorted(stated), [stated[by] for by in sorted(stated)])

    async def unread(self, of: Collection[str]) -> dict[str, UUID]:
        rows = await self._driver.fetch(_UNREAD, sorted(of))
        return {row["instance"]: row["unread"] for row in rows}

    async def began(self) -> bool:
        return await self._driver.fetchval(_BEGAN) is not None

    async def owe_standing(self, to: Sequence[str]) -> None:
        await self._driver.execute(_OWE_STANDING, sorted(to))

    async def standings(self, to: Sequence[str], now: datetime) -> dict[str, UUID]:
        rows = await self._driver.fetch(_STANDINGS, list(to), now, STAND_PAUSE, FIRST)
        await self._driver.execute(_ALONE, [row["instance"] for row in rows])
        return {row["instance"]: row["stand_above"] for row in rows}

    async def stood(self, to: str, above: UUID | None) -> None:
        await self._driver.execute(_STOOD, to, above)

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
    """What instances have announced, each by its JSON as it was kept; what cannot be read counts as not announced."""
    announced = {}
    for name, reads in stated:
        with suppress(ValidationError):
            announced[name] = Reads.of(ReadsAnnouncedClear.model_validate(reads))
    return PeerReads(announced)
