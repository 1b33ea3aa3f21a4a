"""What is clear of a fresh message before the service sees it: who has taken it back, and what was told before."""

from __future__ import annotations

from collections.abc import Mapping
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

    `stands` is the revision that is held, where that is the reason; `like` is who told the same in this batch.
    """

    code: str | None = None
    stands: int | None = None
    like: UUID | None = None


class Plan:
    """Goes over the fresh messages of a batch in the order of their arrival."""

    def __init__(self, withdrawn: frozenset[str], held: Mapping[str, Held]) -> None:
        """`withdrawn` and `held` are what the inbox says of them, by digest."""
        self._withdrawn = withdrawn
        self._held = held
        self._taken_back: set[tuple[str, str, str]] = set()
        self._told: dict[_Said, tuple[Arrival, UUID]] = {}

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
        """The same edge or act with the same content has no second effect; other content must have a higher number."""
        first, message_id = self._told.setdefault(
            (arrival.sender, arrival.recipient, said), (arrival, arrival.message_id)
        )
        if first is not arrival and first.content == arrival.content:
            return Known(like=message_id)
        held = self._held.get(arrival.digest)
        if held is None:
            return None
        if held.content == arrival.content:
            return Known()
        above = held.revision is not None and arrival.revision is not None and arrival.revision > held.revision
        return None if above else Known("revision_not_above", held.revision)


def decided(each: Verified, known: Known | None, refusals: Mapping[UUID, str]) -> tuple[Outcome, int | None]:
    """The outcome, after the service gave its codes; with it the revision that stands, where that is the reason."""
    if known is None:
        known = Known(refusals.get(each.arrival.message_id))
    elif known.like is not None:
        known = Known(refusals.get(known.like))
    if each.arrival.type in WITHDRAWING and known.code is not None and known.code.endswith("_unknown"):
        known = Known()  # its subject has not come yet: it is taken back all the same, and refused when it comes
    return settled_by(known.code, each), known.stands
