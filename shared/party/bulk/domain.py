"""What is asked for in a batch of acts, and which of them can be done in one go. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.contracts.answers import NoticeStatements
from shared.contracts.base import Contract
from shared.exchange.act import Act
from shared.vocabulary.answers import NoticeAction

#: The acts that write nothing but their subject, and what is told of it.
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


#: The words that say something of items, each of so many of them.
_OF_ITEMS: Final = ("items", "assessed", "disowned", "reinstated", "disputed", "about")


@dataclass(frozen=True, slots=True)
class Line:
    """One act of a batch, at its place in it from 0: which row, about which subject, and what is said."""

    place: int
    row: Act
    subject_id: UUID
    said: Contract | None

    @property
    def alone(self) -> bool:
        """Whether it writes more than its subject and what is told of that: a lease, or an answer to an agency."""
        beside = isinstance(self.said, NoticeStatements) and bool(self.said.preservations)
        return beside or self.row.name not in _TOGETHER

    @property
    def removes(self) -> bool:
        """Whether something goes by it that somebody may want kept."""
        said = self.said.items if isinstance(self.said, NoticeStatements) else ()
        return any(each.action is NoticeAction.REMOVED for each in said)

    @property
    def items(self) -> int:
        """Of how many items something is said; of all alike counts as one."""
        return sum(len(getattr(self.said, name, None) or ()) for name in _OF_ITEMS)


def groups(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Lines in their order, in groups of one act on subjects that differ: no line of a group can change another's."""
    group: list[Line] = []
    for line in lines:
        named = {each.subject_id for each in group}
        if group and (line.row is not group[0].row or line.subject_id in named or line.alone or group[0].alone):
            yield group
            group = []
        group.append(line)
    if group:
        yield group
