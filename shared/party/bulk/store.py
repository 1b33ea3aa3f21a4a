"""Lines of a batch of acts: their idempotency keys in PostgreSQL, and their grouping.

The keys of lines are stored like those of requests: an act under a known key is not done again. The grouping of lines
that can be done together is pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.core.acts.act import Act
from shared.core.contracts.answers import NoticeStatements
from shared.core.contracts.base import Contract
from shared.core.errors import Refused
from shared.core.vocabulary.answers import NoticeAction
from shared.platform.database.idempotency import ClaimKind, KeyClaim, KeyUse, claim_many, store_many

_DONE = 202


class KeyedLine(NamedTuple):
    """A line with a key: its place in the batch, the hash of its key, and a hash that equal lines share."""

    place: int
    key: bytes
    same: bytes


class LineKeys:
    """The keys of one batch, within its transaction."""

    def __init__(self, driver: asyncpg.Connection, party: str, lines: Sequence[KeyedLine]) -> None:
        self._driver = driver
        self._party = party
        self._lines = lines
        #: The place of each line that repeats an earlier line under the same key, with the place of the earlier one.
        self.twins: dict[int, int] = {}
        self._claimed: dict[int, KeyUse] = {}

    async def claim(self) -> dict[int, bytes | Refused]:
        """Claim all keys. Return the stored answer or the refusal of each line that must not be done."""
        if not self._lines:
            return {}
        claims = await claim_many(self._driver, [(self._party, each.key, each.same) for each in self._lines])
        settled: dict[int, bytes | Refused] = {}
        for line, claimed in zip(self._lines, claims, strict=True):
            if claimed.kind is ClaimKind.NEW:
                self._claimed[line.place] = (self._party, line.key, line.same)
            elif claimed.twin_of is not None:
                self.twins[line.place] = self._lines[claimed.twin_of].place
            else:
                settled[line.place] = _settled(claimed)
        return settled

    async def keep(self, done: Mapping[int, bytes]) -> None:
        """Store the answer of each line that was done. The keys of all others are free, so that they can be retried."""
        kept = [(use, _DONE, done[place]) for place, use in self._claimed.items() if place in done]
        await store_many(self._driver, kept)


def _settled(claimed: KeyClaim) -> bytes | Refused:
    if claimed.kind is ClaimKind.STORED and claimed.answer is not None:
        return claimed.answer
    return Refused("idempotency_key_reused", "the key was used for another act", field="/key")


#: The acts that write only their subject and the message about it.
_TOGETHER: Final = frozenset(
    [
        "accept",
        "acknowledge",
        "acknowledge_withdrawal",
        "answer",
        "assess",
        "decline",
        "not_ours",
        "outcome",
        "reinstate",
    ]
)


#: The fields that list items. They count towards the work of a line.
_OF_ITEMS: Final = ("items", "assessed", "disowned", "reinstated", "disputed", "about")


@dataclass(frozen=True, slots=True)
class BatchedAct:
    """One act of a batch: its place from 0, its row of the act table, its subject and its content."""

    place: int
    row: Act
    subject_id: UUID
    said: Contract | None

    @property
    def alone(self) -> bool:
        """Whether it writes more than its subject and a message: also a lease, or an answer to an agency."""
        beside = isinstance(self.said, NoticeStatements) and bool(self.said.preservations)
        return beside or self.row.name not in _TOGETHER

    @property
    def removes(self) -> bool:
        """Whether it removes content that an agency may want preserved."""
        said = self.said.items if isinstance(self.said, NoticeStatements) else ()
        return any(each.action is NoticeAction.REMOVED for each in said)

    @property
    def items(self) -> int:
        """The number of statements about items. A statement about all items counts as one."""
        return sum(len(getattr(self.said, name, None) or ()) for name in _OF_ITEMS)


def groups(lines: Sequence[BatchedAct]) -> Iterator[list[BatchedAct]]:
    """Yield the lines in order, in groups of the same act on different subjects. Lines of a group are independent."""
    group: list[BatchedAct] = []
    for line in lines:
        named = {each.subject_id for each in group}
        if group and (line.row is not group[0].row or line.subject_id in named or line.alone or group[0].alone):
            yield group
            group = []
        group.append(line)
    if group:
        yield group
