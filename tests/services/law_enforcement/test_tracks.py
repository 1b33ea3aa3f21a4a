"""Peer sync at agencies: a subject of an agency that a peer lacks goes on the operator's list."""

from __future__ import annotations

from uuid import UUID

import pytest

from shared.kernel.ids import uuid7
from shared.party.stores import ListedTracks
from tests.services.law_enforcement.agency import Agencies

_LINES = "SELECT kind, peer, closed_at IS NULL AS is_open FROM operator_line WHERE subject = $1"
_CLOSE = "UPDATE operator_line SET closed_at = now(), closed_by = 'somebody' WHERE subject = $1"
PEER = "industry"


async def lines(agencies: Agencies, subject: UUID) -> list[tuple[str, str, bool]]:
    return [tuple(row) for row in await agencies.database.fetch(_LINES, subject)]


@pytest.mark.parametrize("hook", ["mark_missing", "mark_untold", "taken_back_there"])
async def test_a_subject_that_cannot_be_sent_again_is_listed_once_until_it_is_closed(
    agencies: Agencies, hook: str
) -> None:
    subject = uuid7()
    for _ in range(2):
        async with agencies.database.transaction() as session:
            tracks = ListedTracks(session.driver)
            await getattr(tracks, hook)([(subject, "provider-a.example")] * 2, PEER)
            await tracks.note_places({PEER: {}})
        assert await lines(agencies, subject) == [("undecidable", PEER, True)]
    async with agencies.database.transaction() as session:
        await session.driver.execute(_CLOSE, subject)
    assert await lines(agencies, subject) == [("undecidable", PEER, False)]
    async with agencies.database.transaction() as session:
        await getattr(ListedTracks(session.driver), hook)([(subject, "provider-a.example")], PEER)
    assert await lines(agencies, subject) == [("undecidable", PEER, True)], "it can happen again"
