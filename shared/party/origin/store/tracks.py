"""An origin's edges as messaging sees them, in PostgreSQL: their places in streams, and what a peer lacks of them.

    the peer lacks the edge, or part of it             `missing`: the edge is issued anew, a batch at a time
    the peer does not know that it was taken back      `missing` or `untold`: the withdrawal is sent there again
    the peer has a withdrawal that is not here         the referral goes on the work list
    no edge is known of the subject                    the operator's list names it

Only edges that lie at the peer, or did, are changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import asyncpg

from shared.messaging.streams import Lane, Place
from shared.party.origin.domain import RECIPIENT_AHEAD
from shared.party.origin.store.edge_rows import PLACE, insert_placed, list_placed
from shared.party.tracks import TrackItem, list_items
from shared.runtime.database.columns import Statement

_EDGES: Final = """
WITH asked AS (
    SELECT DISTINCT * FROM unnest($1::uuid[], $2::text[]) AS t (item, recipient)
), found AS (
    SELECT asked.item, e.edge_id FROM asked
    JOIN edge AS e ON e.referral_id = asked.item AND e.recipient = asked.recipient AND e.notice_id IS NULL
    UNION ALL
    SELECT asked.item, e.edge_id FROM asked JOIN edge AS e ON e.notice_id = asked.item AND e.recipient = asked.recipient
)
"""
#: The items of these tracks that have no edge here.
_UNKNOWN: Final = f"{_EDGES} SELECT DISTINCT item FROM asked WHERE item NOT IN (SELECT item FROM found)"
#: Rows are locked in the order of referrals, as all that changes edges locks them. An edge whose message waits for the
#: relay arrives by itself, and one that the peer holds as an exception is tried again there. An erased referral cannot
#: be issued anew. An edge that was issued anew and sent is not issued again for an hour, whatever the peer says.
_MISSING: Final = f"""
{_EDGES}, lacking AS MATERIALIZED (
    SELECT e.edge_id, r.referral_id, r.wrapped_key IS NOT NULL AS is_kept
    FROM found JOIN edge AS e USING (edge_id) JOIN referral AS r USING (referral_id)
    LEFT JOIN stream AS s ON s.peer = e.instance AND s.lane = e.lane AND s.incarnation = e.incarnation
    WHERE e.state = 'emitted' AND e.instance = $3 AND NOT e.missing AND NOT e.taken_back AND r.state <> 'withdrawn'
      AND (e.number > s.sent AND e.acts <= e.acts_told) IS NOT TRUE
      AND NOT EXISTS (SELECT FROM outcome_open AS o WHERE o.peer = $3 AND o.message_id = e.message_id)
      AND (e.messages_before = '{{}}' OR e.number > s.sent
           OR e.decided_at NOT BETWEEN now() - interval '1 hour' AND now() + interval '5 minutes')
    ORDER BY r.referral_id FOR UPDATE OF e, r
), missing AS (
    UPDATE edge AS e SET missing = true FROM lacking WHERE lacking.is_kept AND e.edge_id = lacking.edge_id
)
UPDATE referral AS r SET work_reason = 'undeliverable' FROM lacking
WHERE NOT lacking.is_kept AND r.referral_id = lacking.referral_id AND r.work_reason IS NULL
"""
_UNTOLD: Final = f"""
{_EDGES}, holding AS MATERIALIZED (
    SELECT e.edge_id FROM found JOIN edge AS e USING (edge_id) JOIN referral AS r USING (referral_id)
    WHERE e.state IN ('emitted', 'referred') AND (r.state = 'withdrawn' OR e.taken_back)
    ORDER BY r.referral_id FOR UPDATE OF e, r
)
UPDATE edge AS e SET missing = e.missing OR e.instance = $3,
    untold = CASE WHEN $3 = ANY (e.untold || e.instance) THEN e.untold ELSE e.untold || $3 END
FROM holding WHERE e.edge_id = holding.edge_id
"""
_TAKEN_BACK_THERE: Final = f"""
{_EDGES}
UPDATE referral AS r SET work_reason = $3 FROM found JOIN edge AS e USING (edge_id)
WHERE e.state = 'emitted' AND NOT e.taken_back AND $4 = ANY (e.instances_before || e.instance)
  AND r.referral_id = e.referral_id
  AND r.work_reason IS NULL AND r.state <> 'withdrawn'
"""
#: The last step of a transaction writes places for the instance, whatever the action of the transaction may change.
_AS_INSTANCE: Final = """
SELECT set_config('causeway.role', 'service', true), set_config('causeway.action', 'apply', true)
"""
_PLACES: Final = Statement(
    """
WITH placed AS (
    SELECT * FROM {places}
), withdrawals AS (
    UPDATE edge AS e SET withdrawal_incarnation = p.incarnation, withdrawal_number = p.number
    FROM placed AS p WHERE p.lane = {urgent} AND e.withdrawal_id = p.message_id AND e.instance = p.peer
)
UPDATE edge AS e SET incarnation = p.incarnation, lane = p.lane, number = p.number
FROM placed AS p WHERE e.message_id = p.message_id AND e.instance = p.peer
""",
    places=PLACE,
    urgent="smallint",
)


class OriginTracks:
    """The subjects of an origin within one transaction, in which its instance acts for all its parties.

    An item is the subject of messages, a referral or a notice, with its recipient.
    """

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._driver = driver

    async def mark_missing(self, items: Sequence[TrackItem], peer: str) -> None:
        """Note the edges that the peer lacks, or has only in part: they are issued anew."""
        await self._change(_MISSING, items, peer)

    async def mark_untold(self, items: Sequence[TrackItem], peer: str) -> None:
        """Note the edges of which the peer does not know that they were taken back: it is told again."""
        await self._change(_UNTOLD, items, peer)

    async def taken_back_there(self, items: Sequence[TrackItem], peer: str) -> None:
        """Put referrals on the work list of which the peer has a withdrawal that is not known here."""
        await self._driver.execute(_TAKEN_BACK_THERE, *_columns(items), RECIPIENT_AHEAD, peer)

    async def note_places(self, places: Mapping[str, Mapping[UUID, Place]]) -> None:
        """Write the places of own messages to the edges that they carry or take back. Gathered edges are inserted."""
        placed = list_placed(places)
        inserted = insert_placed(self._driver, placed)
        if others := [each for each in placed if each.message_id not in inserted]:
            await self._driver.execute(_AS_INSTANCE)
            await self._driver.execute(*_PLACES.bind(places=PLACE.rows(others), urgent=Lane.URGENT))

    async def _change(self, statement: str, items: Sequence[TrackItem], peer: str) -> None:
        columns = _columns(items)
        unknown = [row["item"] for row in await self._driver.fetch(_UNKNOWN, *columns)]
        await self._driver.execute(statement, *columns, peer)
        await list_items(self._driver, unknown, peer)


def _columns(items: Sequence[TrackItem]) -> tuple[list[UUID], list[str]]:
    return [item for item, _ in items], [recipient for _, recipient in items]
