"""Controls: each removes one rule of the real code, and a seed or a directed state must show it.

A control is a set of patches. `mood`: the mood in which it shows soonest. Rules whose absence costs only time or
traffic, because another rule repairs the same state, are in `DIRECTED` only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

from shared.messaging import acks, incarnations, reactions, reception, resync, resync_steps, sending
from shared.messaging.acks import OpeningReason
from shared.messaging.exceptions import OutcomeKind, RefusalCode
from shared.messaging.streams import Incoming, Lane, Outgoing, Reader, RecordFit, WireRole
from tests.simulation.streams import subjects
from tests.simulation.streams.run import mood_of, short_hours, simulate
from tests.simulation.streams.toy import Body, Toy

M = "shared.messaging."
TOY = "tests.simulation.streams.toy."


@dataclass(frozen=True, slots=True)
class Control:
    """Patches by target. `is_soon`: nine runs are enough."""

    patches: dict[str, Any]
    mood: str | None = None
    is_soon: bool = False


def _soon(target: str, other: Any, mood: str | None = None) -> Control:
    return Control({target: other}, mood, is_soon=True)


@contextmanager
def without(control: Control) -> Iterator[None]:
    with ExitStack() as stack:
        for target, other in control.patches.items():
            stack.enter_context(patch(target, other))
        yield


def runs_needed(control: Control, *, runs_max: int) -> int | None:
    """Return the number of runs until something breaks, or None. A crash or an endless run counts as broken."""
    with short_hours(), without(control):
        for seed in range(runs_max):
            with suppress(AssertionError, LookupError, TypeError, ValueError, AttributeError):
                if not simulate(seed, control.mood or mood_of(seed)).violations:
                    continue
            return seed + 1
    return None


def _fit(change: Callable[[Incoming, Any, RecordFit], RecordFit]) -> Any:
    original = Incoming.fit

    def fit(self: Incoming, place: Any, at: Any) -> RecordFit:
        return change(self, place, original(self, place, at))

    return fit


def _take_any(incoming: Incoming, place: Any, fit: RecordFit) -> RecordFit:
    is_gap = place.incarnation == incoming.incarnation and place.number > incoming.lanes[place.lane].through
    return RecordFit.TAKE if is_gap else fit


def _enter_anywhere(incoming: Incoming, place: Any, fit: RecordFit) -> RecordFit:
    is_unknown = place.incarnation != incoming.incarnation and place.incarnation not in incoming.closed
    return RecordFit.ENTER if is_unknown else fit


def _take_again(incoming: Incoming, place: Any, fit: RecordFit) -> RecordFit:
    is_last = place.incarnation == incoming.incarnation and place.number == incoming.lanes[place.lane].through
    return RecordFit.TAKE if is_last else fit


def _without_opening(*reasons: OpeningReason) -> Any:
    original = acks._Statement.open

    def open_other(self: Any, why: OpeningReason, unknown: UUID | None = None) -> None:
        if why not in reasons:
            original(self, why, unknown)

    return open_other


def without_code(*codes: RefusalCode) -> Any:
    original = reactions.react

    def react(actions: Any, outcome: Any, own: Any) -> None:
        if outcome.code not in codes:
            original(actions, outcome, own)

    return react


def acked_rises(self: Any, reader: Reader, number: int) -> None:
    if number > self.acked_by(reader):
        if reader is Reader.RECIPIENT:
            self.acked = number
        else:
            self.audit_acked = number


def _merge_again(held: Any, named: Any) -> Any:
    after = replace(held, acts=held.acts + named.acts)
    return subjects.Applied(after, OutcomeKind.APPLIED, new_acts=named.acts)


def _apply_any_revision(original: Any) -> Any:
    def apply_message(held: Any, named: Any, **options: Any) -> Any:
        if named.role is WireRole.STATE and named.revision is not None and held is not None and held.revision:
            held = replace(held, revision=0) if named.revision <= held.revision else held
        return original(held, named, **options)

    return apply_message


async def _say_nothing(*_: Any, **__: Any) -> None:
    return None


async def adopt_known(self: Toy, subject: UUID, peer: str) -> None:
    if subject in self.table("own"):
        await _ADOPT(self, subject, peer)


_ADOPT = Toy.adopt_withdrawal


def _withdraw_at_place(self: Toy, subject: UUID) -> None:
    own = self.table("own")[subject]
    self.send(self.node.place(own.party), Body(self.name(WireRole.WITHDRAWAL, subject), own.party))


def _no_final_refusal(*codes: RefusalCode) -> Any:
    original = subjects.find_final_refusal

    def find(held: Any, role: WireRole, *, is_day_closed: bool) -> RefusalCode | None:
        found = original(held, role, is_day_closed=is_day_closed)
        return None if found in codes else found

    return find


def _open_day(held: Any, role: WireRole, *, is_day_closed: bool) -> RefusalCode | None:
    return _FIND_REFUSAL(held, role, is_day_closed=False)


_FIND_REFUSAL = subjects.find_final_refusal


async def _forget_journal(self: Toy, owner: str, subject: UUID, *, is_withdrawn: bool = False) -> None:
    if (owner, subject) not in self.node.journal:
        await _ERASE(self, owner, subject, is_withdrawn=is_withdrawn)


_ERASE = Toy.erase_one


async def erase_without_withdrawal(self: Toy, owner: str, subject: UUID, *, is_withdrawn: bool = False) -> None:
    await _ERASE(self, owner, subject)


def _answers_of_withdrawn(track: Any, row: Any) -> bool:
    return bool(set(track.acts).difference(() if row is None else row.acts))


def carry_nothing(old: Outgoing) -> Any:
    source = _LEAVE(old)
    for lane in source.lanes:
        lane.position = lane.last
    return source


_LEAVE = incarnations._leave


def _plan_without_bound(incoming: Incoming, lane: Lane, records: Any, *, room: int) -> Any:
    return _PLAN(incoming, lane, records, room=10**6)


_PLAN = reception.plan_batch


def compose_outcomes_apart(scope: Any) -> Any:
    for peer, outcomes in scope.outcomes.items():
        of_peer = scope.drafts.get((peer, Lane.ORDINARY), [])
        scope.drafts[peer, Lane.ORDINARY] = sending._draft_outcomes(peer, outcomes) + of_peer
    scope.outcomes = {}
    return _COMPOSE(scope)


_COMPOSE = sending._compose


async def answer_without_asking(scope: Any, peer: str, *, is_first: bool) -> None:
    if is_first:
        await _ASK(scope, peer, is_first=is_first)


_ASK = resync_steps.ask


def _send_erased(actions: Any, track: Any, row: Any) -> None:
    _SEND_SUBJECT(actions, track, None if row is not None and row.is_erased else row)


_SEND_SUBJECT = resync._send_subject


CONTROLS: dict[str, Control] = {
    "4 records are taken in order": _soon(M + "streams.Incoming.fit", _fit(_take_any)),
    "4 a record that comes twice is dropped": _soon(M + "streams.Incoming.fit", _fit(_take_again), "late"),
    "5 an incarnation is entered at number 1": _soon(M + "streams.Incoming.fit", _fit(_enter_anywhere), "restore"),
    "6 an act is applied once": _soon("tests.simulation.streams.subjects._merge", _merge_again),
    "6 a revision is above the held one": _soon(TOY + "apply_message", _apply_any_revision(subjects.apply_message)),
    "7 an act follows a known act": Control(
        {"tests.simulation.streams.subjects._has_gap": lambda *_: False}, "restore"
    ),
    "8 an exception's bytes are kept": _soon(M + "reception.OPEN", frozenset(), "version"),
    "9 a withdrawal goes everywhere": Control({TOY + "Toy.withdraw": _withdraw_at_place}),
    "10 a full stream stops": _soon(M + "reception.plan_batch", _plan_without_bound, "version"),
    "11 an outcome is told": _soon(M + "scope.Scope.say", lambda *_: None, "version"),
    "13 a probe without progress goes back": _soon(M + "acks.STILL_PAUSE", timedelta(days=999), "tail"),
    "13 unacknowledged numbers are probed": _soon(M + "acks._is_probe_due", lambda *_: False, "tail"),
    "3 a segment is kept for both readers": _soon(
        M + "streams.Outgoing.lowest_acked", lambda own, lane: own.lanes[lane].acked, "any"
    ),
    "16a a number above the own one opens": Control(
        {M + "acks._Statement.open": _without_opening(OpeningReason.AHEAD)}, "restore"
    ),
    "16b another chain opens": Control(
        {M + "acks._Statement.open": _without_opening(OpeningReason.OTHER_CHAIN)}, "restore"
    ),
    "16d a number that is not kept opens": _soon(
        M + "acks._Statement.open", _without_opening(OpeningReason.NOT_KEPT), "restore"
    ),
    "16 one incarnation an hour and reader": _soon(M + "acks.INCARNATION_PAUSE", timedelta(0), "hostile"),
    "16 one answer an hour and peer": _soon(M + "resync.HOLDINGS_PAUSE", timedelta(0), "hostile"),
    "18 the erasure journal is applied": _soon(TOY + "Toy.erase_one", _forget_journal, "restore"),
    "19 an incarnation asks for holdings": _soon(M + "reception.take_request", _say_nothing, "restore"),
    "19 unknown items are listed": _soon(M + "reactions.Actions.list_subject", lambda *_: None, "restore"),
    "19 an erased subject is refused": _soon(
        TOY + "find_final_refusal", _no_final_refusal(RefusalCode.ERASED), "erasure"
    ),
    "19 a closed day is refused": _soon(TOY + "find_final_refusal", _open_day, "erasure"),
    "19 an erased answer is not sent again": _soon(M + "resync._send_subject", _send_erased, "erasure"),
    "19 answers on a withdrawn subject are not sent again": Control(
        {M + "resync._lacks_answers": _answers_of_withdrawn}, "tail"
    ),
    "20 a tombstone is adopted": Control({TOY + "Toy.adopt_withdrawal": _say_nothing}, "restore"),
}
