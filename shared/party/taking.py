"""What one transaction takes of all that is due: a store notes each subject before it opens anything of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

#: A subject and its party.
Key = tuple[UUID, str]


@dataclass(slots=True)
class Taking:
    """At most `limit` rows, and none of the subjects `but`. `taken` are the subjects, whatever becomes of them.

    `again` are those that failed before and may be tried once more.
    """

    limit: int
    but: Sequence[Key] = ()
    again: Sequence[Key] = ()
    taken: dict[Key, None] = field(default_factory=dict)
    rows: int = 0

    @property
    def passed_over(self) -> list[UUID]:
        """The ids of what is not to be taken."""
        return [subject for subject, _ in self.but]

    @property
    def full(self) -> bool:
        """Whether there may be more."""
        return self.rows >= self.limit

    def take(self, rows: Sequence[asyncpg.Record]) -> Sequence[asyncpg.Record]:
        """Note which rows are looked at, each with its `referral_id` and `party`, and hand them on."""
        self.note([(UUID(str(row["referral_id"])), str(row["party"])) for row in rows])
        return rows

    def note(self, keys: Sequence[Key]) -> None:
        """Note what is looked at, one key a row."""
        self.rows += len(keys)
        self.taken.update(dict.fromkeys(keys))
