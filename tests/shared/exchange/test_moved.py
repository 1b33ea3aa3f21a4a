"""A party that moves to another instance: its numbers begin again, and nothing that it sends is turned away."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from shared.contracts.directory import Instance
from shared.envelope.keys import OpeningKey, SigningKey
from shared.exchange.accept import accept
from shared.exchange.message import Received
from shared.kernel.ids import uuid7
from shared.runtime.post.judge import verified
from tests.support.builders import AT, HOTLINE, POLICE
from tests.support.exchange_world import Keys, World, world
from tests.support.memory_stores import MemoryDatabase, MemoryInbox

NEW = "hotline_two"


def received(here: World, instance: str) -> list[Received]:
    """Three referrals that the party files at `instance`, as the agency reads them."""
    drafts = [here.offered(POLICE, external_ref=f"{instance}-{number}") for number in range(3)]
    return [accept(record, here.reader("law_enforcement")) for record in here.records(drafts, instance)]


def move(here: World) -> None:
    """Let another instance serve the party, with keys and a database of its own."""
    keys = Keys(SigningKey.generate(), OpeningKey.generate())
    here.keys = {**here.keys, NEW: keys}
    instance = Instance(id=NEW, kind="hotline", keys=keys.public())
    parties = tuple(
        each.model_copy(update={"instance": NEW}) if each.id == HOTLINE else each for each in here.document.parties
    )
    changes = {"version": 2, "instances": (*here.document.instances, instance), "parties": parties}
    here.place(here.document.model_copy(update=changes), AT - timedelta(minutes=1))
    here._counters.clear()


@pytest.mark.parametrize("epochs", [True, False])
async def test_the_first_three_after_a_move_are_applied(epochs: bool) -> None:
    """The control has one epoch for all that a pair ever sends, as the first release had: all three are turned away."""
    here = world()
    before = received(here, "hotline")
    move(here)
    after = received(here, NEW)
    assert [message.sender_instance for message in after] == [NEW] * 3
    assert [message.sequence for message in before + after] == [1, 2, 3] * 2
    fresh, fresh_after, reused = await admitted(before, after, epoch=None if epochs else uuid7())
    assert (fresh, fresh_after) == (3, 3 if epochs else 0)
    assert reused == ([] if epochs else ["sequence_reused"] * 3)


async def admitted(before: list[Received], after: list[Received], *, epoch: UUID | None) -> tuple[int, int, list[str]]:
    """How many of each are new, and why the others are not; all in `epoch`, if one is given."""
    found, inbox = [], MemoryInbox(MemoryDatabase())
    for messages in (before, after):
        arrivals = [verified(message, {}).arrival for message in messages]
        arrivals = arrivals if epoch is None else [replace(each, epoch=epoch) for each in arrivals]
        async with inbox.unit() as unit:
            found.append(await unit.admit(arrivals))
    return len(found[0].fresh), len(found[1].fresh), list(found[1].reused.values())
