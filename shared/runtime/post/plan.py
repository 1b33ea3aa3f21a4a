"""What is clear of a fresh message before the service sees it: who has taken it back, and what was told before."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final, NamedTuple
from uuid import UUID

from shared.contracts.registry import WITHDRAWALS
from shared.exchange.record_table import Fate, row_for
from shared.runtime.post.answer import settled_by
from shared.runtime.post.arrivals import Arrival, Held, Outcome
from shared.runtime.post.judge import Verified

WITHDRAWING: Final = frozenset(message.type for message in WITHDRAWALS)
_Said = tuple[str, str, UUID]


class Known(NamedTuple):
    """What is known of a message without the service: its code (None: applied, without effect).

    `stands` is the revision that is held, where that is the reason; `like` is who told the same in this batch, `below`
    who told a revision that is not below this one: of both it counts what the service said of them.
    """

    code: str | None = None
    stands: int | None = None
    like: UUID | None = None
    below: UUID | None = None


class Plan:
    """Goes over the fresh messages of a batch in the order of their arrival."""

    def __init__(self, withdrawn: frozenset[str], held: Mapping[str, Held]) -> None:
        """`withdrawn` and `held` are what the inbox says of them, by digest."""
        self._withdrawn = withdrawn
        self._held = held
        self._taken_back: set[tuple[str, str, str]] = set()
        #: What the service is handed of each edge and act: revisions that rise.
        self._told: dict[_Said, list[Arrival]] = {}

    def forget(self, refused: Container[UUID]) -> None:
        """The service has refused these: what came after them in this batch is planned again, as if they had not."""
        for told in self._told.values():
            told[:] = [each for each in told if each.message_id not in refused]

    def taken_back(self, arrival: Arrival) -> bool:
        """Whether it takes back, in other bytes, what was taken back before this batch."""
        return arrival.type in WITHDRAWING and arrival.digest in self._withdrawn

    def before(self, each: Verified) -> Known | None:
        """What is known of it; None where the service must say."""
        arrival = each.arrival
        subject = (arrival.sender, arrival.recipient, arrival.subject)
        late = arrival.digest in self._withdrawn or subject in self._taken_back
        if each.code is not None:
            ends = late and row_for(each.code).fate in (Fate.DEFER, Fate.WAIT)
            return Known("subject_withdrawn" if ends else each.code)
        if arrival.type in WITHDRAWING:
            self._taken_back.add(subject)
            return Known() if late else None
        if late and each.message is not None and each.message.edge is not None:
            return Known("subject_withdrawn")
        if arrival.said is None:
            return None
        known = self._told_before(arrival, arrival.said)
        # With an edge that is issued again comes what was answered so far: whether it has that, the service knows.
        tells_more = each.message is not None and each.message.again is not None
        return None if known is not None and known.code is None and tells_more else known

    def _told_before(self, arrival: Arrival, said: UUID) -> Known | None:
        """What is known of an edge or act told before: it has no second effect; other content needs a higher number."""
        held = self._held.get(arrival.digest)
        if held is not None and held.content == arrival.content:
            return Known()
        if held is not None and not _above(arrival.revision, held.revision):
            return Known("revision_not_above", held.revision)
        told = self._told.setdefault((arrival.sender, arrival.recipient, said), [])
        for each in told:
            if each.content == arrival.content:
                return Known(like=each.message_id)
        if told and not _above(arrival.revision, told[-1].revision):
            return Known("revision_not_above", told[-1].revision, below=told[-1].message_id)
        told.append(arrival)
        return None


def _above(revision: int | None, other: int | None) -> bool:
    """What names none is the first."""
    return (revision or 1) > (other or 1)


def decided(each: Verified, known: Known | None, refusals: Mapping[UUID, str]) -> tuple[Outcome, int | None]:
    """The outcome, after the service gave its codes; with it the revision that stands, where that is the reason."""
    if known is None:
        known = Known(refusals.get(each.arrival.message_id))
    elif known.like is not None:
        known = Known(refusals.get(known.like))
    if each.arrival.type in WITHDRAWING and known.code is not None and known.code.endswith("_unknown"):
        known = Known()  # its subject has not come yet: it is taken back all the same, and refused when it comes
    return settled_by(known.code, each), known.stands
