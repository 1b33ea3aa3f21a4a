"""What is asked for in a batch of acts, and which of them can be done in one go. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.contracts.answers import NoticeStatements
from shared.contracts.base import Contract
from shared.exchange.act import Act


@dataclass(frozen=True, slots=True)
class Line:
    """One act of a batch, at its place in it from 0: which row, about which subject, and what is said."""

    place: int
    row: Act
    subject_id: UUID
    said: Contract | None

    @property
    def alone(self) -> bool:
        """Whether it touches more than its own subject: what agencies have asked is answered in the same act."""
        return isinstance(self.said, NoticeStatements) and bool(self.said.preservations)

    @property
    def items(self) -> int:
        """Of how many items something is said; of all alike counts as one."""
        return len(getattr(self.said, "items", ()) or getattr(self.said, "assessed", ()))


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
