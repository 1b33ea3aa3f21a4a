"""Items that other parties sent, in PostgreSQL: what the tables of offers, cases and notices have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.message import Received
from shared.kernel.authority import state_forbids
from shared.runtime.database.content import seal_contents

State = TypeVar("State", bound=StrEnum)

#: An item is known by its subject (referral or notice id) and the party it was sent to.
ItemKey = tuple[UUID, str]


def item_columns(messages: Sequence[Received], kek: KeyEncryptionKey) -> list[list[Any]]:
    """One array per column: subject, party, sender, exercise, purpose, edge as JSON, content, wrapped key.

    Each sealed part is under a new data key: deleting the wrapped key erases it.
    """
    contents = seal_contents(messages, kek)
    edges = [message.clear.edge for message in messages]  # type: ignore[attr-defined]
    return [
        [UUID(message.subject) for message in messages],
        [message.recipient for message in messages],
        [message.sender for message in messages],
        [message.exercise for message in messages],
        [edge.purpose.value for edge in edges],
        [edge.model_dump_json(exclude_none=True) for edge in edges],
        [content for content, _ in contents],
        [wrapped for _, wrapped in contents],
    ]


async def change_states(
    driver: asyncpg.Connection, statement: str, changes: Mapping[ItemKey, tuple[State, State]]
) -> None:
    """Move items from one state to another, all or none.

    `statement` updates by the arrays subject, party, present and following state, and returns one row per item.
    Raises `Refused("state_forbids")` if an item is no longer in its present state.
    """
    if changes:
        changed = await driver.fetch(
            statement,
            [subject for subject, _ in changes],
            [party for _, party in changes],
            [present.value for present, _ in changes.values()],
            [following.value for _, following in changes.values()],
        )
        if len(changed) != len(changes):
            raise state_forbids()
