"""The edges of a submission: none is silently left out."""

from __future__ import annotations

import asyncpg
import pytest

from shared.kernel.authority import Role
from shared.kernel.ids import uuid4
from shared.party.origin.store.edge_rows import (
    _SENT_EDGE,
    EdgeRow,
    MessagePlace,
    UnplacedEdges,
    _with_tracks,
    gather_edges,
    insert_placed,
)
from shared.runtime.database.transactions import RowScope
from shared.runtime.timers.store import columns_of_edge
from tests.services.hotline.origin import Origin
from tests.support.builders import AT, HOTLINE, PROVIDER


async def test_an_edge_without_its_referral_fails_the_transaction(origin: Origin) -> None:
    row = EdgeRow(
        edge_id=uuid4(),
        message_id=uuid4(),
        instance="industry-1",
        referral_id=uuid4(),
        notice_id=None,
        party=HOTLINE,
        recipient=PROVIDER,
        purpose="takedown",
        reason="rule",
        rules=(),
        items=(),
        law="1",
        decided_at=AT,
    )
    assert row.message_id is not None

    async def insert(placed: MessagePlace) -> None:
        async with origin.database.transaction(RowScope([HOTLINE], Role.MACHINE, "submit")) as session:
            bound = _SENT_EDGE.rows(_with_tracks([row]), **columns_of_edge([None]))
            gather_edges(session.driver, UnplacedEdges([placed.message_id], bound))
            assert insert_placed(session.driver, [placed]) == {placed.message_id}

    with pytest.raises(asyncpg.NotNullViolationError, match="rank"):
        await insert(MessagePlace(row.message_id, row.instance, uuid4(), 1, 1))
