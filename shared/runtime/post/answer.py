"""What became of the messages of a batch, and what their senders are told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from shared.contracts.referral import EdgeClear
from shared.exchange.compose import Verdict
from shared.exchange.message import Copy
from shared.exchange.record_table import Fate, row_for
from shared.runtime.post.arrivals import Arrival, Outcome, Parked, Stored
from shared.runtime.post.judge import Verified, alarm, parked_row
from shared.vocabulary.answers import ReceiptOutcome

_OUTCOMES: Final = {
    Fate.PARK: ReceiptOutcome.PARKED,
    Fate.DEFER: ReceiptOutcome.DEFERRED,
    Fate.WAIT: ReceiptOutcome.WAITING,
    Fate.REFUSE: ReceiptOutcome.REFUSED,
    Fate.MOVE: ReceiptOutcome.MOVED,
    Fate.DROP: ReceiptOutcome.APPLIED,
    Fate.APPLY: ReceiptOutcome.APPLIED,
}


@dataclass(slots=True)
class Answers:
    """The answers of one transaction: verdicts by instance, what is parked, and how many messages had which outcome."""

    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    parked: list[Parked] = field(default_factory=list)
    fates: Counter[ReceiptOutcome] = field(default_factory=Counter)

    def fresh(self, each: Verified, outcome: Outcome, *, revision: int | None = None) -> None:
        """A message that was judged now. `revision` is the one that stands, where that is why it was refused."""
        self.fates[outcome.outcome] += 1
        if outcome.outcome is ReceiptOutcome.PARKED:
            self.parked.append(parked_row(each.record, outcome.code or "", each))
        if each.code is None or row_for(each.code).receipt:
            self._tell(each.arrival, outcome.outcome, outcome.code, revision=revision, edge=_edge(each))

    def again(self, each: Verified, stored: Stored) -> None:
        """A message whose last word was said before: it is said again, about the copy that was judged."""
        if each.code is None or row_for(each.code).receipt:
            self._tell(each.arrival, stored.outcome, stored.code, judged=stored.judged, edge=_edge(each))

    def reused(self, each: Verified, code: str, *, told: bool) -> None:
        """Another message under an id or a number that is taken.

        Under an id, it may be the same in other bytes: its sender had signed it again, and was restored. A withdrawal
        was `told` before; what is refused for itself is refused, and what has moved has moved: nothing else of it was
        read to compare.
        """
        if code == "message_id_reused":
            if told:
                self._tell(each.arrival, ReceiptOutcome.APPLIED, None, edge=_edge(each))
                return
            if each.code is not None and outcome_of(each.code) in (ReceiptOutcome.REFUSED, ReceiptOutcome.MOVED):
                code = each.code
        alarm(each.record, code)
        outcome = outcome_of(code)
        if outcome is ReceiptOutcome.PARKED:
            self.parked.append(parked_row(each.record, code, each))
        self._tell(each.arrival, outcome, code, edge=_edge(each))

    def ended(self, arrival: Arrival) -> None:
        """A message that was deferred or waited for, and that its sender has taken back meanwhile."""
        self.fates[ReceiptOutcome.REFUSED] += 1
        self._tell(arrival, ReceiptOutcome.REFUSED, "subject_withdrawn")

    def _tell(
        self,
        arrival: Arrival,
        outcome: ReceiptOutcome,
        code: str | None,
        *,
        judged: Copy | None = None,
        revision: int | None = None,
        edge: UUID | None = None,
    ) -> None:
        verdict = Verdict(
            arrival.message_id,
            arrival.digest,
            outcome,
            code,
            judged=judged or Copy(arrival.offset, arrival.broker_time, arrival.topic_id),
            revision=revision or arrival.revision,
            edge=edge,
        )
        self.verdicts.setdefault(arrival.sender_instance, []).append(verdict)


def outcome_of(code: str | None) -> ReceiptOutcome:
    """What a message becomes for this reason; None is none."""
    return ReceiptOutcome.APPLIED if code is None else _OUTCOMES[row_for(code).fate]


def settled_by(code: str | None, each: Verified) -> Outcome:
    """The outcome of a message that the service, or `accept`, gave this code."""
    outcome = outcome_of(code)
    open_ = outcome in (ReceiptOutcome.DEFERRED, ReceiptOutcome.WAITING)
    need = str(each.need) if open_ and each.need is not None else None
    return Outcome(each.arrival.message_id, outcome, code, need)


def changes(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those that the inbox does not assume."""
    return [each for each in outcomes if each.outcome is not ReceiptOutcome.APPLIED]


def _edge(each: Verified) -> UUID | None:
    clear = None if each.message is None else each.message.clear
    return clear.edge_id if isinstance(clear, EdgeClear) else None
