"""Searches for flows: by a party and a period, or by an id. The statements derive every flow from entries."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from services.audit.domain.shown import FlowFilter, FlowPage, FlowSummary
from shared.platform.database.pages import place_cursor, read_place
from shared.platform.database.transactions import Session

#: Statements that one page runs at most. A page that ends here is shorter than others.
_STATEMENTS_MAX: Final = 20
# A flow is listed by decisions of a party and by messages to it. `id` distinguishes those of one time. Of several
# decisions on a referral at one time, one lists it.
_DECISIONS: Final = """
SELECT DISTINCT ON (d.broker_time, d.referral_id) d.origin AS party, d.broker_time, d.referral_id AS id, d.referral_id,
       NULL::text AS sender, NULL::text AS recipient, NULL::uuid AS edge_id, true AS is_decision
FROM decision AS d
WHERE d.entitled AND d.exercise = $1 AND d.broker_time >= $4 AND (d.broker_time, d.referral_id) < ($5, $6::uuid)
"""
_MESSAGES: Final = """
SELECT m.party, m.broker_time, m.message_id, CASE WHEN m.edge_id IS NULL THEN m.subject::uuid END, m.sender,
       m.recipient, m.edge_id, false
FROM flow_message AS m
WHERE m.exercise = $1 AND m.broker_time >= $4 AND (m.broker_time, m.message_id) < ($5, $6::uuid)
"""
# The newest of every party: of each as many as a page has, so that a page reads no more if a party has more.
_NEWEST: Final = """
SELECT mine.* FROM unnest($7::text[]) AS one (party) CROSS JOIN LATERAL (
    ({decisions} AND d.origin = one.party ORDER BY d.broker_time DESC, d.referral_id DESC LIMIT $2)
    UNION ALL ({messages} AND m.party = one.party ORDER BY m.broker_time DESC, m.message_id DESC LIMIT $2)
) AS mine
ORDER BY mine.broker_time DESC, mine.id DESC LIMIT $2
"""
_KEYS_OF_PARTIES: Final = _NEWEST.format(decisions=_DECISIONS, messages=_MESSAGES)
_KEYS_OF_ALL: Final = _DECISIONS + "ORDER BY d.broker_time DESC, d.referral_id DESC LIMIT $2"
# A message with an edge belongs to the referral for which its sender stated that edge first.
_FIRST_STATED: Final = """
SELECT l.referral_id AS id FROM flow_edge AS l
WHERE flow_edge_keys(l.origin, l.edge_ids) @> flow_edge_keys({message}.sender, ARRAY[{message}.edge_id])
  AND l.edge_id = {message}.edge_id AND l.origin = {message}.sender AND l.recipient = {message}.recipient
  AND l.exercise = $1
ORDER BY l.stated_at, l.referral_id LIMIT 1
"""
_REFERRAL_OF_ENTRY: Final = """
SELECT c.referral_id AS id WHERE c.edge_id IS NULL
UNION ALL ({first_stated})
"""
_REFERRAL_OF_ID: Final = """
SELECT $2::uuid AS id
UNION SELECT stated.id FROM entry AS m CROSS JOIN LATERAL ({first_stated}) AS stated
WHERE (m.subject = ($2::uuid)::text OR m.message_id = $2)
  AND ($3::text[] IS NULL OR m.sender = ANY($3) OR m.recipient = ANY($3))
"""
# The first decision of a referral names its origin. A decision that audit cannot open counts if there is no other.
# `$3` are the parties in scope, null for all: a flow, and a party of it, are found by a pair with a party in scope.
_FLOW: Final = """
SELECT referral.id AS referral_id, first.decided_at, first.origin, (
    SELECT array_agg(sent.party ORDER BY sent.party) FROM (
        SELECT l.recipient AS party FROM flow_edge AS l
        WHERE l.referral_id = referral.id AND l.origin = first.origin AND l.exercise = $1
        UNION SELECT e.party FROM flow_message AS e
        WHERE e.subject = referral.id::text AND e.edge_id IS NULL AND e.exercise = $1
    ) AS sent
    WHERE sent.party IS DISTINCT FROM first.origin
      AND ($3::text[] IS NULL OR sent.party = ANY($3) OR first.origin = ANY($3))) AS recipients
FROM ({referral}) AS referral CROSS JOIN LATERAL (
    SELECT d.origin, d.broker_time AS decided_at FROM decision AS d
    WHERE d.referral_id = referral.id AND d.entitled AND d.exercise = $1
    ORDER BY d.origin IS NULL, d.broker_time, d.message_id, d.ordinal LIMIT 1
) AS first
WHERE ($3::text[] IS NULL OR first.origin = ANY($3) OR {in_scope})
"""
_ONE_PAGE: Final = "ORDER BY referral.id <> $2::uuid, first.decided_at, referral.id LIMIT $4"
_SENT_IN_SCOPE: Final = """EXISTS (
    SELECT FROM flow_edge AS l
    WHERE l.referral_id = referral.id AND l.origin = first.origin AND l.recipient = ANY($3) AND l.exercise = $1)"""
# Each key is returned, with its flow if the entry shows one: the last key is the place of the next statement. An origin
# finds its flow at the first decision alone; a recipient finds it at messages.
_PAGE: Final = """
SELECT c.broker_time, c.id, flow.* FROM ({keys}) AS c LEFT JOIN LATERAL ({flow}
  AND CASE WHEN c.is_decision THEN first.decided_at = c.broker_time
           ELSE c.party IS DISTINCT FROM first.origin AND (c.edge_id IS NULL OR first.origin = c.sender) END{further}
) AS flow ON true
ORDER BY c.broker_time DESC, c.id DESC
"""
# A flow is shown once, at its first entry for one of the parties. An earlier entry counts only if the flow is shown at
# that entry: in this world, in the period, and for a party that is not the origin.
_AT_FIRST_ENTRY: Final = """
  AND (NOT c.is_decision OR c.party = first.origin) AND NOT (coalesce(first.origin = ANY($7), false)
    AND first.decided_at >= $4 AND (first.decided_at, referral.id) < (c.broker_time, c.id))
  AND NOT EXISTS (
    SELECT FROM flow_edge AS l
    JOIN flow_message AS e ON e.edge_id = l.edge_id AND e.sender = l.origin AND e.party = l.recipient
    WHERE l.referral_id = referral.id AND l.origin = first.origin AND l.recipient <> l.origin AND l.recipient = ANY($7)
      AND l.exercise = $1 AND e.exercise = $1
      AND e.broker_time >= $4 AND (e.broker_time, e.message_id) < (c.broker_time, c.id)
      AND referral.id = ({first_stated}))
  AND NOT EXISTS (
    SELECT FROM flow_message AS e
    WHERE e.subject = referral.id::text AND e.edge_id IS NULL AND e.party = ANY($7)
      AND e.exercise = $1 AND e.party IS DISTINCT FROM first.origin
      AND e.broker_time >= $4 AND (e.broker_time, e.message_id) < (c.broker_time, c.id))"""
_OF_ENTRY: Final = _FLOW.format(
    referral=_REFERRAL_OF_ENTRY.format(first_stated=_FIRST_STATED.format(message="c")),
    in_scope=f"c.party = ANY($3) OR (c.is_decision AND {_SENT_IN_SCOPE})",
)
_OF_ANYBODY: Final = _PAGE.format(keys=_KEYS_OF_ALL, flow=_OF_ENTRY, further="")
_OF_PARTIES: Final = _PAGE.format(
    keys=_KEYS_OF_PARTIES,
    flow=_OF_ENTRY,
    further=_AT_FIRST_ENTRY.format(first_stated=_FIRST_STATED.format(message="e")),
)
_OF_ID: Final = _REFERRAL_OF_ID.format(first_stated=_FIRST_STATED.format(message="m"))
_BY_ID: Final = _FLOW.format(referral=_OF_ID, in_scope=_SENT_IN_SCOPE) + _ONE_PAGE


async def find(
    session: Session, sought: FlowFilter, *, exercise: bool, parties: list[str] | None, limit: int, cursor: str | None
) -> FlowPage:
    """Return a page of flows, the newest first. Raises `Refused("cursor_invalid")`.

    The work of a page does not grow with the flows of a party, or of others.
    """
    if sought.reference is not None:
        rows = await session.driver.fetch(_BY_ID, exercise, sought.reference, parties, limit)
        return FlowPage(items=tuple(map(_found, rows)), next=None)
    whose = [sought.party] if sought.party is not None else parties
    statement = _OF_ANYBODY if whose is None else _OF_PARTIES
    asked: tuple[object, ...] = () if whose is None else (whose,)
    place: tuple[datetime, UUID] | None = _begin(sought, cursor)
    found: list[asyncpg.Record] = []
    for _ in range(_STATEMENTS_MAX):
        if place is None or len(found) > limit:
            break
        rows = await session.driver.fetch(statement, exercise, limit + 1, parties, sought.since, *place, *asked)
        found += [row for row in rows if row["referral_id"] is not None]
        place = _place(rows[-1]) if len(rows) > limit else None
    if len(found) > limit:
        place = _place(found[limit - 1])
    following = None if place is None else place_cursor((0, *place))
    return FlowPage(items=tuple(map(_found, found[:limit])), next=following)


def _begin(sought: FlowFilter, cursor: str | None) -> tuple[datetime, UUID]:
    """Return the place before which a page begins. The lowest id is before all entries of its moment."""
    if cursor is not None:
        _, at, message_id = read_place(cursor)
        if at <= sought.until:
            return at, message_id
    return sought.until, UUID(int=0)


def _place(row: asyncpg.Record) -> tuple[datetime, UUID]:
    return row["broker_time"], UUID(int=row["id"].int)


def _found(row: asyncpg.Record) -> FlowSummary:
    read = {name: row[name] for name in FlowSummary.model_fields}
    return FlowSummary.model_validate(read | {"recipients": row["recipients"] or ()})
