"""What recipients say that they hold of an origin's edges, compared with what the origin has, in PostgreSQL.

    not held there, or an earlier revision, or fewer acts      missing: issued anew, a batch at a time; while it is
                                                               under way, where that tells fewer acts than are known
    taken back here and not there, or taken there after that   missing: taken back there once more, also where its
                                                               recipient was until it moved
    more acts there, a withdrawal, another message             the referral goes on the work list
    held there and not here                                    stray: listed
    refused there, as taken back, and not taken back here      the referral goes on the work list

Only edges that lie at the instance which says so, or did, are looked at: whatever it says, it costs nobody else
anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from shared.contracts.delivery import HeldEdge, StandingClear
from shared.exchange.message import Draft
from shared.party.origin.domain import RECIPIENT_AHEAD
from shared.party.origin.ports import Filed, Told
from shared.party.origin.use_cases.unknown import TakenBack
from shared.party.taking import Taking
from shared.runtime.database.columns import Columns, Statement
from shared.runtime.post import outbox
from shared.runtime.post.ports import Settlement
from shared.vocabulary.referral import WithdrawalReason

#: Strays that are kept of one instance; what it says beyond that is passed over.
STRAYS_MAX: Final = 10_000
_HELD: Final = Columns[HeldEdge](
    {"edge_id": "uuid", "revision": "int", "digest": "text", "track": "int", "withdrawn": "bool"}
)
_UNDER_WAY: Final = "EXISTS (SELECT FROM outbox AS o WHERE o.message_id = {id} AND NOT o.done)"
_REFUSED: Final = """
(EXISTS (SELECT FROM outbox AS o WHERE o.message_id = e.message_id AND o.outcome = 'refused')
 OR EXISTS (SELECT FROM settled AS s WHERE s.message_id = e.message_id AND s.outcome = 'refused'))
"""
#: Locked in the order of referrals, as whoever changes edges locks them. What is erased cannot be issued anew.
_LACKS = Statement(
    f"""
WITH lacks AS MATERIALIZED (
    SELECT e.edge_id, r.referral_id, r.state = 'withdrawn' OR EXISTS (
        SELECT FROM data_key AS k WHERE k.subject = r.referral_id) AS kept
    FROM edge AS e JOIN referral AS r USING (referral_id) LEFT JOIN {{held}} ON held.edge_id = e.edge_id
    WHERE e.state = 'emitted' AND e.instance = {{by}} AND NOT e.missing
      AND e.edge_id > {{above}} AND e.edge_id <= {{upto}}
      AND CASE WHEN {_UNDER_WAY.format(id="e.message_id")}
               THEN r.state <> 'withdrawn' AND e.acts > greatest(e.acts_told, coalesce(held.track, 0))
               WHEN r.state = 'withdrawn'
               THEN NOT held.withdrawn AND NOT {_UNDER_WAY.format(id="e.withdrawal_id")}
               ELSE held.track < e.acts OR coalesce(held.revision, 1) < e.revision
                    OR held.edge_id IS NULL AND e.message_id > {{compacted}} AND NOT {_REFUSED} END
    ORDER BY r.referral_id FOR UPDATE OF e, r
), missing AS (
    UPDATE edge AS e SET missing = true FROM lacks WHERE lacks.kept AND e.edge_id = lacks.edge_id
)
UPDATE referral AS r SET work_reason = 'undeliverable' FROM lacks
WHERE NOT lacks.kept AND r.referral_id = lacks.referral_id AND r.work_reason IS NULL
""",
    held=_HELD,
    by="text",
    above="uuid",
    upto="uuid",
    compacted="uuid",
)
#: What is under way to there is told once more: it has one effect. Whoever is reached there may have it by what is
#: forgotten here.
_HELD_BEFORE = Statement(
    """
WITH holds AS MATERIALIZED (
    SELECT e.edge_id FROM {held} JOIN edge AS e ON e.edge_id = held.edge_id JOIN referral AS r USING (referral_id)
    WHERE NOT held.withdrawn AND r.state = 'withdrawn' AND e.state = 'emitted'
      AND {by} <> ALL (e.untold || e.instance)
      AND ({by} = ANY (e.instances_before) OR e.recipient = ANY ({reached}))
    ORDER BY r.referral_id FOR UPDATE OF e, r
)
UPDATE edge AS e SET untold = e.untold || {by} FROM holds WHERE e.edge_id = holds.edge_id
""",
    held=_HELD,
    by="text",
    reached="text[]",
)
#: Another digest is another message, where all that carried the edge are known.
_AHEAD = Statement(
    """
UPDATE referral AS r SET work_reason = {reason}
FROM edge AS e JOIN {held} ON held.edge_id = e.edge_id, LATERAL (
    SELECT array_agg(digest) AS digests FROM (
        SELECT s.digest FROM settled AS s WHERE s.message_id = ANY (e.messages_before || e.message_id)
        UNION ALL SELECT o.digest FROM outbox AS o WHERE o.message_id = ANY (e.messages_before || e.message_id)) AS each
) AS sent
WHERE r.referral_id = e.referral_id AND r.work_reason IS NULL AND r.state <> 'withdrawn'
  AND e.state = 'emitted' AND e.instance = {by}
  AND (held.withdrawn AND NOT e.taken_back
       OR held.track > greatest(e.acts, (
           SELECT count(*) FROM answer_act AS a
           WHERE a.subject = coalesce(e.notice_id, e.referral_id) AND a.sender = e.recipient))
       OR held.digest <> ALL (sent.digests) AND cardinality(sent.digests) = cardinality(e.messages_before) + 1)
""",
    held=_HELD,
    by="text",
    reason="text",
)
_STRAYS = Statement(
    """
WITH found AS (
    SELECT held.edge_id FROM {held} WHERE NOT EXISTS (
        SELECT FROM edge AS e WHERE e.edge_id = held.edge_id AND {by} = ANY (e.instances_before || e.instance))
), over AS (
    DELETE FROM stray WHERE instance = {by} AND edge_id > {above} AND edge_id <= {upto}
      AND edge_id NOT IN (SELECT edge_id FROM found)
)
INSERT INTO stray (instance, edge_id) SELECT {by}, edge_id FROM found
WHERE (SELECT count(*) FROM stray WHERE instance = {by}) < {most} ON CONFLICT DO NOTHING
""",
    held=_HELD,
    by="text",
    above="uuid",
    upto="uuid",
    most="bigint",
)
_REFUSED_AS_TAKEN_BACK: Final = """
UPDATE referral AS r SET work_reason = $2 FROM edge AS e
WHERE e.message_id = ANY ($1::uuid[]) AND e.state = 'emitted' AND r.referral_id = e.referral_id
  AND r.work_reason IS NULL AND r.state <> 'withdrawn' AND NOT e.taken_back
"""
#: Receipts that come together say nothing of which was first, and may be of one edge from several places. What carried
#: the edge before may be taken late, too.
_TAKEN_LATE: Final = f"""
UPDATE edge AS e SET (missing, untold) = (
    SELECT e.missing OR bool_or(late.by = e.instance),
           e.untold || array_agg(DISTINCT late.by) FILTER (WHERE late.by <> ALL (e.untold || e.instance))
    FROM unnest(taken.ids, taken.places) AS late (message_id, by)
    WHERE late.message_id = ANY (e.messages_before || e.message_id))
FROM (
    SELECT edge_id, array_agg(message_id) AS ids, array_agg(by) AS places
    FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS each (message_id, edge_id, by) GROUP BY edge_id
) AS taken, referral AS r
WHERE e.edge_id = taken.edge_id AND taken.ids && (e.messages_before || e.message_id) AND e.state = 'emitted'
  AND r.referral_id = e.referral_id AND r.state = 'withdrawn' AND e.withdrawal_id <> ALL ($1::uuid[])
  AND NOT {_UNDER_WAY.format(id="e.withdrawal_id")}
"""
_NONE, _LAST = UUID(int=0), UUID(int=2**128 - 1)

_TAKEN_BACK: Final = """
SELECT e.*, at.instance AS place FROM (
    SELECT e.edge_id, e.referral_id, e.party, e.recipient, e.notice_id, e.instance, e.missing, e.untold, r.state,
           r.exercise, r.traceparent, r.withdrawn_reason
    FROM edge AS e JOIN referral AS r USING (referral_id)
    WHERE (e.missing OR e.untold <> '{}') AND r.state = 'withdrawn' AND r.referral_id <> ALL($2::uuid[])
    ORDER BY e.referral_id LIMIT $1 FOR UPDATE OF e, r
) AS e, unnest(e.untold || CASE WHEN e.missing THEN ARRAY[e.instance] END) AS at (instance)
"""
_TOLD_AGAIN: Final = """
UPDATE edge AS e SET missing = false, untold = '{}', withdrawal_id = coalesce(t.message_id, e.withdrawal_id)
FROM unnest($1::uuid[], $2::uuid[]) AS t (edge_id, message_id) WHERE e.edge_id = t.edge_id
"""


async def compare(driver: asyncpg.Connection, by: str, standing: StandingClear, *, reached: Sequence[str] = ()) -> None:
    """Note what instance `by` lacks of the edges that lie there, or did, and list what it has beyond what is here.

    `reached`: the parties that it serves, or did until they moved.
    """
    held = _HELD.rows(standing.held)
    of = {"held": held, "by": by, "above": standing.above or _NONE, "upto": standing.upto or _LAST}
    await driver.execute(*_LACKS.bind(**of, compacted=standing.compacted or _NONE))
    if standing.held:
        await driver.execute(*_HELD_BEFORE.bind(held=held, by=by, reached=list(reached)))
        await driver.execute(*_AHEAD.bind(held=held, by=by, reason=RECIPIENT_AHEAD))
    await driver.execute(*_STRAYS.bind(**of, most=STRAYS_MAX))


async def taken_late(driver: asyncpg.Connection, taken: Sequence[Settlement]) -> None:
    """Of these messages, which were applied, what was taken back before is taken back once more.

    Its recipient had forgotten the withdrawal when it took what that had ended.
    """
    ids = [each.message_id for each in taken]
    edges = [each for each in taken if each.edge_id is not None]
    if edges:
        columns = zip(*((each.message_id, each.edge_id, each.by) for each in edges), strict=True)
        await driver.execute(_TAKEN_LATE, ids, *map(list, columns))


async def refused_as_taken_back(driver: asyncpg.Connection, message_ids: Sequence[UUID]) -> None:
    """List what these messages carried: their recipient has a withdrawal of ours that is not here."""
    await driver.execute(_REFUSED_AS_TAKEN_BACK, message_ids, RECIPIENT_AHEAD)


class PostgresMissing:
    """`Missing` within one transaction."""

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._driver = driver

    async def taken_back(self, taking: Taking) -> list[TakenBack]:
        rows = await self._driver.fetch(_TAKEN_BACK, taking.limit, taking.passed_over)
        return [
            TakenBack(
                row["edge_id"],
                row["referral_id"],
                row["party"],
                Told(row["recipient"], row["notice_id"], row["place"], row["place"] == row["instance"]),
                Filed(row["state"], row["exercise"], row["traceparent"]),
                WithdrawalReason(row["withdrawn_reason"]),
            )
            for row in taking.take(rows)
        ]

    async def tell_again(self, told: Sequence[tuple[TakenBack, Draft | None]]) -> None:
        by: dict[UUID, UUID | None] = {each.edge_id: None for each, _ in told}
        by |= {each.edge_id: draft.message_id for each, draft in told if draft is not None and each.told.there}
        await outbox.enqueue(self._driver, [draft for _, draft in told if draft is not None])
        await self._driver.execute(_TOLD_AGAIN, list(by), list(by.values()))
