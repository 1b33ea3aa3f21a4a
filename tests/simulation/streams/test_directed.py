"""Directed states: each is survived with its rule, and breaks without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from shared.messaging import incarnations
from shared.messaging.exceptions import RefusalCode
from shared.messaging.streams import Outgoing
from tests.simulation.streams import controls
from tests.simulation.streams.directed import (
    closed_incarnation,
    copies_for_audit,
    crossed_list,
    discarded_revision,
    dropped_numbers,
    dropped_numbers_behind_an_ack,
    early_ordinary,
    entry_for_audit,
    erased_exception,
    erased_withdrawal,
    forgotten_withdrawal,
    hole,
    left_incarnation,
    lost_outcome,
    lost_tail_below_kept,
    names_after_settling,
    new_world,
    restored_reader,
    silent_restore,
)
from tests.simulation.streams.partitions import AUDIT
from tests.simulation.streams.run import short_hours


@pytest.fixture(autouse=True)
def _hours() -> Iterator[None]:
    with short_hours():
        yield


def _no_head(*args: Any, **options: Any) -> Any:
    return controls.replace(_BUILD(*args, **options), heads=None)


def _no_closed(*args: Any, **options: Any) -> Any:
    return controls.replace(_BUILD(*args, **options), closed=None)


def _copy_by_going_back(statement: Any, own: Any) -> None:
    own.sent = min(own.sent, own.audit_acked)


def _return_as_copy(statement: Any, own: Any, number: int) -> None:
    own.copy_above = number


async def _as_it_is(scope: Any, peer: str, outgoing: Outgoing | None, *, heads: Any) -> Outgoing:
    return outgoing or await incarnations.open_incarnation(scope, peer, None)


def _no_gap(own: Any, number: int, now: Any) -> bool:
    return False


async def _keep_exceptions(scope: Any, subject: UUID) -> None:
    return None


_BUILD = controls.acks.build_ack
TOY = "tests.simulation.streams.toy."
STATES: dict[str, tuple[Any, dict[str, Any]]] = {
    "16c an acknowledgement names the closed incarnation": (
        closed_incarnation,
        {"shared.messaging.upkeep.build_ack": _no_closed},
    ),
    "20 an unknown subject's tombstone is adopted": (
        forgotten_withdrawal,
        {TOY + "Toy.adopt_withdrawal": controls.adopt_known},
    ),
    "15 a refusal brings the whole state": (
        discarded_revision,
        {"shared.messaging.resync_steps.react": controls.without_code(RefusalCode.DEAD)},
    ),
    "14 a lower acknowledgement counts": (
        restored_reader,
        {"shared.messaging.streams.OutgoingLane.note_acked": controls.acked_rises},
    ),
    "17 kept messages are carried": (
        left_incarnation,
        {"shared.messaging.incarnations._leave": controls.carry_nothing},
    ),
    "19 the peer asks in its turn": (
        lost_outcome,
        {"shared.messaging.resync_steps.ask": controls.answer_without_asking},
    ),
    "18 each start probes every peer": (silent_restore, {"shared.messaging.incarnations.await_reply": lambda *_: None}),
    "18 the journal names withdrawn subjects": (
        erased_withdrawal,
        {TOY + "Toy.erase_one": controls.erase_without_withdrawal},
    ),
    "18 the own topics are read back": (dropped_numbers, {"shared.messaging.incarnations.read_back": _as_it_is}),
    "12 an acknowledgement shows the own heads": (
        dropped_numbers_behind_an_ack,
        {"shared.messaging.upkeep.build_ack": _no_head},
    ),
    "13 audit gets copies": (copies_for_audit, {"shared.messaging.acks._copy": _copy_by_going_back}),
    "13 audit enters in the topic of the pair": (
        entry_for_audit,
        {"shared.messaging.acks._return_to": _return_as_copy},
    ),
    "19 erasure ends exceptions": (erased_exception, {TOY + "erase_exceptions": _keep_exceptions}),
    "19 outcomes and lists share a lane": (
        crossed_list,
        {"shared.messaging.sending._compose": controls.compose_outcomes_apart},
    ),
    "5 an ordinary record before the entry is a gap": (early_ordinary, {"shared.messaging.acks._may_return": _no_gap}),
    "4 a gap is answered at once": (hole, {"shared.messaging.acks._may_return": _no_gap}),
}


@pytest.mark.parametrize("name", STATES)
def test_the_state_is_survived_with_the_rule(name: str) -> None:
    state, _ = STATES[name]
    assert state() == set()


@pytest.mark.parametrize("name", STATES)
def test_the_state_breaks_without_the_rule(name: str) -> None:
    state, patches = STATES[name]
    with controls.without(controls.Control(patches)):
        assert state() != set()


def test_a_lost_tail_never_moves_the_relay_below_the_kept_messages() -> None:
    assert lost_tail_below_kept() == set()


def test_a_world_begins_at_rest() -> None:
    world = new_world()
    assert names_after_settling(world) == set()
    assert world.nodes["H"].db.tables["outgoing"].keys() == {"R", "R2", AUDIT}
