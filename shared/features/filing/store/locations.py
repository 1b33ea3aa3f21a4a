"""Links between a party's referrals, and an origin's edges as messaging sees them.

A separate step makes tokens and links after each referral was answered, never the intake. So known and new locations
get the same bytes in the same time, because no link exists yet when the answer commits. The step follows the party's
feed by arrival, with one position for each version of the form. For a new version it makes the tokens of all records
again, so that links continue.

For messaging, this module stores the places of edges in streams, and marks the edges that a peer lacks:

    the peer lacks the edge, or part of it             `missing`: the edge is sent again, a batch at a time
    the peer lacks the withdrawal of the edge          `missing` or `untold`: the withdrawal is sent there again
    the peer has a withdrawal that is not here         the referral is listed as unrouted
    no edge is known of the subject                    the operator's list names it

Only edges whose present or former instance is the peer are changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from shared.core.authority import Role
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.protocol.derived_referral import derived_from
from shared.core.protocol.locations import FORMS, locations
from shared.core.vocabulary.referral import RelationKind
from shared.delivery.subjects import FeatureTracks, TrackItem, list_items
from shared.features.filing.rules import RECIPIENT_AHEAD
from shared.features.filing.store.edge_rows import PLACE, insert_placed, list_placed
from shared.features.filing.store.intake import revealed
from shared.messaging.streams import Lane, StreamPlace
from shared.platform.database.columns import Statement, pairs
from shared.platform.database.failure_isolation import ClaimedBatch, Isolation, apart_from_others
from shared.platform.database.transactions import Database, RowScope
from shared.platform.observability.logs import log

#: Referrals of a party that one transaction examines.
BATCH: Final = 200
#: The name of this work in retry backoff.
LINK: Final = "link"
LOOK_EVERY_S: Final = 5.0
_BEGIN: Final = """
INSERT INTO location_token_position (party, version, arrival) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING
"""
_PLACE: Final = "SELECT arrival FROM location_token_position WHERE party = $1 AND version = $2 FOR UPDATE"
# The position never passes a referral in retry backoff, so that a new process tries it and all later ones again.
_MOVE: Final = """
UPDATE location_token_position SET arrival = greatest(arrival, least(
    $3, (SELECT min(arrival) - 1 FROM referral WHERE party = $1 AND referral_id = ANY($4::uuid[]))))
WHERE party = $1 AND version = $2
"""
# With CASE an index finds newer rows despite row-level security. COALESCE would read all rows of the party.
_BEHIND: Final = """
SELECT of.party FROM unnest($1::text[]) AS of (party)
LEFT JOIN location_token_position AS l ON l.party = of.party AND l.version = $2 WHERE EXISTS (
    SELECT FROM referral AS r
    WHERE r.party = of.party AND r.arrival > CASE WHEN l.arrival IS NULL THEN 0 ELSE l.arrival END)
"""
_NEW: Final = """
WITH newer AS (
    SELECT referral_id, party, arrival, content, wrapped_key FROM referral
    WHERE party = $1 AND arrival > $2 AND referral_id <> ALL($5::uuid[]) ORDER BY arrival LIMIT $3
), again AS (
    SELECT referral_id, party, arrival, content, wrapped_key FROM referral
    WHERE party = $1 AND (arrival > $2) IS NOT TRUE AND referral_id = ANY($4::uuid[]) AND referral_id <> ALL($5::uuid[])
)
TABLE newer UNION ALL TABLE again ORDER BY arrival LIMIT $3
"""
_ADD: Final = """
INSERT INTO location_token (party, referral_id, n, version, token)
SELECT $1, referral_id, n, $2, token FROM unnest($3::uuid[], $4::smallint[], $5::bytea[]) AS t (referral_id, n, token)
ON CONFLICT DO NOTHING
"""
# Each referral is linked to the first one with the location, so there is one link per repetition. The statement also
# records the referrals in `contact_suggestion_queue`.
_LINK: Final = """
WITH linked AS (
INSERT INTO referral_relation (party, referral_id, other_referral_id, kind)
SELECT DISTINCT $1, t.referral_id, first.referral_id, t.kind
FROM unnest($3::uuid[], $4::bytea[], $5::text[]) AS t (referral_id, token, kind) CROSS JOIN LATERAL (
    SELECT l.referral_id FROM location_token AS l WHERE l.party = $1 AND l.version = $2 AND l.token = t.token
    ORDER BY l.referral_id LIMIT 1
) AS first WHERE first.referral_id <> t.referral_id ON CONFLICT DO NOTHING RETURNING referral_id, party
)
INSERT INTO contact_suggestion_queue (referral_id, party) SELECT DISTINCT referral_id, party FROM linked
"""

#: A transferred referral belongs to another origin. The party's own referrals have no such link.
_DERIVE: Final = """
INSERT INTO referral_relation (party, referral_id, other_referral_id, kind)
SELECT $1, t.referral_id, t.other_referral_id, $4
FROM unnest($2::uuid[], $3::uuid[]) AS t (referral_id, other_referral_id)
WHERE t.referral_id <> t.other_referral_id ON CONFLICT DO NOTHING
"""


class Locations:
    """The links among the referrals of each of an instance's parties."""

    def __init__(
        self, database: Database, kek: KeyEncryptionKey, parties: Callable[[], Sequence[str]], *, apart: Isolation
    ) -> None:
        self._database = database
        self._kek = kek
        self._parties = parties
        self._apart = apart
        #: The position of this process in each party's feed, past the referrals in retry backoff.
        self._ahead: dict[tuple[str, int], int] = {}

    async def run(self) -> None:
        """Make tokens and links endlessly."""
        while True:
            async with apart_from_others("locations", lambda code: log("locations_wait", code=code)):
                while await self.look():
                    pass
            await self._database.changes.pause(LOOK_EVERY_S)

    async def look(self) -> int:
        """Make tokens and links for new referrals, a batch of each party. Return the number of referrals."""
        async with self._database.transaction(RowScope(self._parties(), Role.SERVICE, "apply")) as session:
            behind = await session.driver.fetch(_BEHIND, list(self._parties()), max(FORMS))
        looked = [
            await self._apart.batch(LINK, BATCH, partial(self._party, row["party"]), whole=False) for row in behind
        ]
        return sum(looked)

    async def _party(self, party: str, taking: ClaimedBatch) -> None:
        version = max(FORMS)
        async with self._database.transaction(RowScope([party], Role.SERVICE, "apply")) as session:
            driver = session.driver
            await driver.execute(_BEGIN, party, version)
            place = max(await driver.fetchval(_PLACE, party, version), self._ahead.get((party, version), 0))
            again = [subject for subject, _ in taking.again]
            rows = taking.take(await driver.fetch(_NEW, party, place, taking.limit, again, taking.passed_over))
            if rows:
                await self._link(driver, rows, party=party, version=version)
                place = max(place, rows[-1]["arrival"])
                still = [key[0] for key in (*taking.but, *taking.again) if key not in taking.taken]
                await driver.execute(_MOVE, party, version, place, still)
        self._ahead[party, version] = place

    async def _link(
        self, driver: asyncpg.Connection, rows: Sequence[asyncpg.Record], *, party: str, version: int
    ) -> None:
        kept = [row for row in rows if row["wrapped_key"] is not None]
        # A cache of strings would keep values of class S3 in memory.
        records = [(row["referral_id"], from_json(revealed(row, self._kek), cache_strings="none")) for row in kept]
        found = [
            (referral_id, each.n, self._kek.location_token(party, version, each.form), each.kind.value)
            for referral_id, record in records
            for each in locations(record, version)
        ]
        derived = [(referral_id, each) for referral_id, record in records for each in derived_from(record)]
        subjects, tokens = [each[0] for each in found], [each[2] for each in found]
        await driver.execute(_ADD, party, version, subjects, [each[1] for each in found], tokens)
        await driver.execute(_LINK, party, version, subjects, tokens, [each[3] for each in found])
        if derived:
            named = [each for each, _ in derived], [other for _, other in derived]
            await driver.execute(_DERIVE, party, *named, RelationKind.DERIVED_FROM.value)


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
#: Items of these tracks without an edge here.
_UNKNOWN: Final = f"{_EDGES} SELECT DISTINCT item FROM asked WHERE item NOT IN (SELECT item FROM found)"
#: Rows are locked in the order of referrals, as in all statements that change edges. Excluded are edges whose message
#: still waits for the relay, and edges that the peer lists as exceptions and will try again. An erased referral cannot
#: be sent again. A waiting message that states too few acts is replaced at once, without the hour of `edges.missing`.
_MISSING: Final = f"""
{_EDGES}, lacking AS MATERIALIZED (
    SELECT e.edge_id, r.referral_id, r.wrapped_key IS NOT NULL AS is_kept, e.number > s.sent AS waits
    FROM found JOIN edge AS e USING (edge_id) JOIN referral AS r USING (referral_id)
    LEFT JOIN stream AS s ON s.peer = e.instance AND s.lane = e.lane AND s.incarnation = e.incarnation
    WHERE e.state = 'emitted' AND e.instance = $3 AND NOT e.is_missing AND NOT e.is_retracted AND r.state <> 'withdrawn'
      AND (e.number > s.sent AND e.acts <= e.acts_notified) IS NOT TRUE
      AND NOT EXISTS (SELECT FROM outcome_open AS o WHERE o.peer = $3 AND o.message_id = e.message_id)
    ORDER BY r.referral_id FOR UPDATE OF e, r
), missing AS (
    UPDATE edge AS e SET is_missing = true, repeated_at = CASE WHEN lacking.waits THEN NULL ELSE e.repeated_at END
    FROM lacking WHERE lacking.is_kept AND e.edge_id = lacking.edge_id
)
UPDATE referral AS r SET unrouted_reason = 'undeliverable' FROM lacking
WHERE NOT lacking.is_kept AND r.referral_id = lacking.referral_id AND r.unrouted_reason IS NULL
"""
_UNTOLD: Final = f"""
{_EDGES}, holding AS MATERIALIZED (
    SELECT e.edge_id FROM found JOIN edge AS e USING (edge_id) JOIN referral AS r USING (referral_id)
    WHERE e.state IN ('emitted', 'referred') AND (r.state = 'withdrawn' OR e.is_retracted)
    ORDER BY r.referral_id FOR UPDATE OF e, r
)
UPDATE edge AS e SET is_missing = e.is_missing OR e.instance = $3,
    unnotified_instances = CASE WHEN $3 = ANY (e.unnotified_instances || e.instance) THEN e.unnotified_instances
        ELSE e.unnotified_instances || $3 END FROM holding WHERE e.edge_id = holding.edge_id
"""
_TAKEN_BACK_THERE: Final = f"""
{_EDGES}
UPDATE referral AS r SET unrouted_reason = $3 FROM found JOIN edge AS e USING (edge_id)
WHERE e.state = 'emitted' AND NOT e.is_retracted AND $4 = ANY (e.previous_instances || e.instance)
  AND r.referral_id = e.referral_id AND r.unrouted_reason IS NULL AND r.state <> 'withdrawn'
"""
#: The last step of a transaction writes places as the instance, even if the action itself may not change edges.
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


class OriginTracks(FeatureTracks):
    """The subjects of an origin within one transaction, in which its instance acts for all its parties.

    An item is the subject of messages, a referral or a notice, with its recipient.
    """

    async def mark_missing(self, items: Sequence[TrackItem], peer: str) -> None:
        """Mark the edges that the peer lacks, entirely or in part, so that they are sent again."""
        await self._change(_MISSING, items, peer)

    async def mark_untold(self, items: Sequence[TrackItem], peer: str) -> None:
        """Mark the withdrawn edges whose withdrawal the peer lacks, so that it is sent again."""
        await self._change(_UNTOLD, items, peer)

    async def taken_back_there(self, items: Sequence[TrackItem], peer: str) -> None:
        """List referrals as unrouted that the peer knows as withdrawn and this origin does not."""
        await self._driver.execute(_TAKEN_BACK_THERE, *pairs(items), RECIPIENT_AHEAD, peer)

    async def note_places(self, places: Mapping[str, Mapping[UUID, StreamPlace]]) -> None:
        """Write the places of own messages to their edges and withdrawals. Insert gathered edges."""
        placed = list_placed(places)
        inserted = insert_placed(self._driver, placed)
        if others := [each for each in placed if each.message_id not in inserted]:
            await self._driver.execute(_AS_INSTANCE)
            await self._driver.execute(*_PLACES.bind(places=PLACE.rows(others), urgent=Lane.URGENT))

    async def _change(self, statement: str, items: Sequence[TrackItem], peer: str) -> None:
        columns = pairs(items)
        unknown = [row["item"] for row in await self._driver.fetch(_UNKNOWN, *columns)]
        await self._driver.execute(statement, *columns, peer)
        await list_items(self._driver, unknown, peer)
