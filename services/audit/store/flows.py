"""Flows, derived from entries: searches by a party and a period or by an id, and the pages of one flow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from services.audit.domain import shown as views
from services.audit.domain.shown import EntryView, FlowFilter, FlowPage, FlowSummary
from shared.catalog import CATALOG
from shared.core.contracts.registry import CLAIM_GRANTED, PRESERVATION_REQUESTED, REFERRAL_PASSED_ON, name_of
from shared.core.errors import not_found
from shared.core.protocol.authority import AUDIT
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
SELECT $2::uuid AS id UNION SELECT stated.id FROM (SELECT * FROM entry WHERE message_id = $2 UNION ALL
    SELECT * FROM entry WHERE subject = ($2::uuid)::text AND kind <> 'decision'
) AS m CROSS JOIN LATERAL ({first_stated}) AS stated
WHERE $3::text[] IS NULL OR m.sender = ANY($3) OR m.recipient = ANY($3)
"""
# The speakers of a subject, one probe of the index each, however many records each of them has.
_SPEAKERS: Final = """
WITH RECURSIVE entry_speaker AS (
    (SELECT f.speaker FROM flow_entry AS f WHERE f.subject = {subject}::text ORDER BY f.speaker LIMIT 1)
    UNION ALL
    SELECT (SELECT f.speaker FROM flow_entry AS f WHERE f.subject = {subject}::text AND f.speaker > s.speaker
            ORDER BY f.speaker LIMIT 1)
    FROM entry_speaker AS s WHERE s.speaker IS NOT NULL
), decision_speaker AS (
    (SELECT coalesce(d.origin, d.sender) AS speaker FROM decision AS d WHERE d.referral_id = {subject}
     ORDER BY 1 LIMIT 1)
    UNION ALL
    SELECT (SELECT coalesce(d.origin, d.sender) FROM decision AS d
            WHERE d.referral_id = {subject} AND coalesce(d.origin, d.sender) > s.speaker ORDER BY 1 LIMIT 1)
    FROM decision_speaker AS s WHERE s.speaker IS NOT NULL
)
"""
# The first message that can begin a subject: an edge, a request for a preservation, or a decision that audit can open.
_BEGUN: Final = (
    _SPEAKERS  # noqa: S608 - our own constants
    + """
SELECT begun.* FROM (
    SELECT first.* FROM entry_speaker AS s CROSS JOIN LATERAL (
        SELECT f.sender AS party, f.recipient, f.type, f.writer, f.addressee, f.broker_time FROM flow_entry AS f
        WHERE f.subject = {subject}::text AND f.speaker = s.speaker AND f.relates = 1 AND f.exercise = {exercise}
        ORDER BY f.broker_time LIMIT 1
    ) AS first
    UNION ALL
    SELECT first.* FROM decision_speaker AS s CROSS JOIN LATERAL (
        SELECT d.origin, NULL, '', d.sender, NULL, d.broker_time FROM decision AS d
        WHERE d.referral_id = {subject} AND coalesce(d.origin, d.sender) = s.speaker AND d.origin = s.speaker
          AND d.exercise = {exercise}
        ORDER BY d.broker_time LIMIT 1
    ) AS first
) AS begun ORDER BY begun.broker_time LIMIT 1
"""
)
# The origin's first decision lists a referral. A decision that audit cannot open counts if there is no other.
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
      AND coalesce(d.origin = ({begun}), true)
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
_ORIGIN: Final = f"SELECT party FROM ({_BEGUN.format(subject='referral.id', exercise='$1')}) AS begun"  # noqa: S608
_OF_ENTRY: Final = _FLOW.format(
    begun=_ORIGIN,
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
_BY_ID: Final = _FLOW.format(begun=_ORIGIN, referral=_OF_ID, in_scope=_SENT_IN_SCOPE) + _ONE_PAGE


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


#: The messages of a page of one flow, and the last reports of each that it shows.
MESSAGES_MAX: Final = 100
_REPORTS_MAX: Final = 5
#: The outsiders of a flow that are listed, the speakers that are counted, and the count at which counting ends.
_OUTSIDERS_MAX, _SPEAKERS_MAX, _COUNT_MAX = 100, 1_000, 1_000
# Notices have subjects of their own: those of the origin's messages with an edge that it stated for this referral. The
# parties concerned are those to which it sent an edge, and those to which one of these passed the referral on.
_RELATED: Final = """
WITH subjects AS (
    SELECT ($1::uuid)::text AS subject
    UNION SELECT e.subject FROM (
        SELECT DISTINCT l.edge_id, l.recipient FROM decision AS d
        CROSS JOIN LATERAL unnest(d.edge_ids, d.edge_recipients) AS l (edge_id, recipient)
        WHERE d.referral_id = $1 AND coalesce(d.origin, d.sender) = $3
    ) AS l JOIN entry AS e ON e.edge_id = l.edge_id AND e.sender = $3 AND e.recipient = l.recipient
), own AS (
    SELECT DISTINCT f.type, f.subject, f.sender, f.recipient, f.writer, f.addressee
    FROM subjects JOIN flow_entry AS f ON f.subject = subjects.subject
    WHERE f.speaker = $3 AND f.relates IN (1, 2) AND f.exercise = $2
)
SELECT * FROM own
UNION SELECT f.type, f.subject, f.sender, f.recipient, f.writer, f.addressee
FROM (SELECT DISTINCT subject, recipient FROM own) AS had JOIN flow_entry AS f ON f.subject = had.subject
WHERE f.speaker = had.recipient AND f.relates = 2 AND f.exercise = $2
UNION SELECT '', ($1::uuid)::text, d.sender, NULL, NULL, NULL FROM decision AS d
WHERE d.referral_id = $1 AND coalesce(d.origin, d.sender) = $3 AND d.exercise = $2
"""
_EVERYBODY: Final = f"""
SELECT found.* FROM unnest($1::uuid[]) AS one (subject) CROSS JOIN LATERAL (
    {_SPEAKERS.format(subject="one.subject")}
    SELECT one.subject::text, s.speaker FROM entry_speaker AS s WHERE s.speaker IS NOT NULL
    UNION ALL SELECT NULL, s.speaker FROM decision_speaker AS s WHERE s.speaker IS NOT NULL LIMIT $2
) AS found LIMIT $2
"""  # noqa: S608 - our own constants
# Records of the given speakers ($3, $4: subject and name), as far as the scope ($5, null for all) permits. Without a
# subject, decisions about the referral are meant.
_SPOKEN: Final = "unnest($3::text[], $4::text[]) AS one (subject, speaker)"
_ENTRIES_OF_ONE: Final = """
f.subject = one.subject AND f.speaker = one.speaker AND f.exercise = $2
  AND NOT (f.verified AND starts_with(f.type, 'causeway.referral_decided.v') AND EXISTS (
      SELECT FROM decision AS d WHERE d.message_id = f.message_id AND d.digest = f.digest))
"""
_DECISIONS_OF_ONE: Final = """
one.subject IS NULL AND f.referral_id = $1 AND coalesce(f.origin, f.sender) = one.speaker AND f.exercise = $2
"""
_IN_SCOPE: Final = "($5::text[] IS NULL OR f.sender = ANY($5) OR f.recipient = ANY($5) OR f.speaker = ANY($5))"
_OUTSIDERS: Final = f"""
SELECT one.speaker AS sender, sum(found.count)::bigint AS count FROM {_SPOKEN} CROSS JOIN LATERAL (
    SELECT count(*) FROM (SELECT * FROM flow_entry AS f WHERE {_ENTRIES_OF_ONE} LIMIT {_COUNT_MAX}) AS f
    WHERE {_IN_SCOPE}
    UNION ALL SELECT count(*) FROM (SELECT * FROM decision AS f WHERE {_DECISIONS_OF_ONE} LIMIT {_COUNT_MAX}) AS f
    WHERE $5::text[] IS NULL OR f.origin = ANY($5)
) AS found GROUP BY 1 HAVING sum(found.count) > 0 ORDER BY 2 DESC, 1 LIMIT {_OUTSIDERS_MAX + 1}
"""  # noqa: S608 - our own constants
_AFTER: Final = "f.broker_time >= $6 AND (f.broker_time, f.message_id) > ($6, $7::uuid)"
_IN_ORDER: Final = f"ORDER BY f.broker_time, f.message_id FETCH FIRST {MESSAGES_MAX + 1} ROWS WITH TIES"
# Rules are those that a message's own sender stated. The last report by the instance that the message's stream leads to
# counts. A message without a report is applied if this instance has acknowledged a range that contains one of its
# places, with audit's own chain at the end. It has another place in each incarnation that carried it.
_FLOW_PAGE: Final = f"""
WITH place AS (
    SELECT f.* FROM {_SPOKEN} CROSS JOIN LATERAL (
        SELECT f.* FROM generate_series(0, 2) AS level CROSS JOIN LATERAL (
            SELECT f.broker_time, f.message_id, f.topic_id, f.partition, f."offset", f.digest, NULL::smallint AS ordinal
            FROM flow_entry AS f
            WHERE {_ENTRIES_OF_ONE} AND f.relates = level AND {_AFTER} AND {_IN_SCOPE}
            {_IN_ORDER}
        ) AS f
        UNION ALL (
            SELECT f.broker_time, f.message_id, e.topic_id, e.partition, e."offset", e.digest, f.ordinal
            FROM decision AS f JOIN entry AS e ON e.verified AND e.message_id = f.message_id AND e.digest = f.digest
            WHERE {_DECISIONS_OF_ONE} AND {_AFTER}
              AND ($5::text[] IS NULL OR e.sender = ANY($5) OR e.recipient = ANY($5) OR f.origin = ANY($5))
            {_IN_ORDER})
    ) AS f {_IN_ORDER}
), link AS MATERIALIZED (
    SELECT d.broker_time AS stated_at, l.* FROM decision AS d CROSS JOIN LATERAL unnest(
        d.edge_ids, d.edge_recipients, d.edge_rules, d.edge_commitments
    ) AS l (edge_id, recipient, rules, commitment)
    WHERE d.referral_id = $1 AND coalesce(d.origin, d.sender) = $8
), found AS (
    SELECT s.*, f.broker_time AS placed_at FROM place AS f JOIN statement AS s
        ON (s.topic_id, s.partition, s."offset", s.digest) = (f.topic_id, f.partition, f."offset", f.digest)
       AND s.ordinal IS NOT DISTINCT FROM f.ordinal AND (f.ordinal IS NULL OR s.referral_id = $1)
), about AS (
    SELECT o.*, min(f.placed_at) AS placed_at FROM found AS f CROSS JOIN LATERAL (
        SELECT said.report_id, said.reported_by, said.writer FROM outcome AS said
        WHERE said.message_id = f.message_id AND said.writer = f.writer AND said.reported_by = f.addressee
        ORDER BY said.reported_at DESC, said.number DESC, said.position DESC LIMIT {_REPORTS_MAX}
    ) AS o GROUP BY 1, 2, 3
)
SELECT f.*, m.rules, m.committed, r.code, coalesce(r.outcome, taken.outcome) AS outcome, NULL::integer AS reports_on
FROM found AS f LEFT JOIN LATERAL (
    SELECT l.rules, f.commitment = l.commitment AS committed FROM link AS l
    WHERE l.edge_id = f.edge_id AND l.recipient = f.recipient AND f.sender = $8
    ORDER BY f.commitment = l.commitment DESC, l.stated_at, l.rules DESC LIMIT 1
) AS m ON true LEFT JOIN LATERAL (
    SELECT said.outcome, said.code FROM outcome AS said
    WHERE said.message_id = f.message_id AND said.writer = f.writer AND said.reported_by = f.addressee
    ORDER BY said.reported_at DESC, said.number DESC, said.position DESC LIMIT 1
) AS r ON true LEFT JOIN LATERAL (
    SELECT 'applied' AS outcome FROM entry AS e JOIN acknowledgement AS a USING (writer, addressee, incarnation, lane)
    WHERE e.message_id = f.message_id AND e.writer = f.writer AND e.addressee = f.addressee
      AND (e.number <= a.matched_through OR (e.number <= a.through AND EXISTS (
          SELECT FROM entry AS last
          WHERE (last.writer, last.addressee, last.incarnation, last.lane, last.number, last.chain)
              = (a.writer, a.addressee, a.incarnation, a.lane, a.through, a.chain)))) LIMIT 1
) AS taken ON true
UNION ALL SELECT e.*, about.placed_at, NULL, NULL, NULL, NULL, 1 FROM about JOIN statement AS e
    ON e.message_id = about.report_id AND e.writer = about.reported_by AND e.addressee = about.writer
WHERE e.kind = 'outcomes'
"""  # noqa: S608 - our own constants
_EDGES: Final = frozenset(each.name for each in CATALOG.messages if each.edge)
_Shown = Callable[[int, asyncpg.Record], EntryView]


async def read(
    session: Session, referral_id: UUID, *, exercise: bool, parties: list[str] | None, cursor: str | None, shown: _Shown
) -> views.FlowContent:
    """Return a page of one flow, in the order of the broker's time. Raises `Refused`: `cursor_invalid`, `not_found`.

    The work of a page grows neither with the records of outsiders nor with the pages before it.
    """
    fetch, asked = session.driver.fetch, (referral_id, exercise)
    _, *after = (0, datetime.min.replace(tzinfo=UTC), UUID(int=0)) if cursor is None else read_place(cursor)
    relations, concerned, subjects = await _related(session, referral_id, exercise)
    everybody = [_Speaker(*row) for row in await fetch(_EVERYBODY, sorted(subjects), _SPEAKERS_MAX + 1)]
    concerned = concerned or set(everybody[:_OUTSIDERS_MAX])  # nothing has begun the subject: every speaker is listed
    if not concerned:
        raise not_found()
    said = map(list, zip(*concerned, strict=True))
    rows = await fetch(_FLOW_PAGE, *asked, *said, parties, *after, relations.origin)
    places = sorted(map(_place_of, (row for row in rows if row["reports_on"] is None)))
    end = places[-1] if len(places) > MESSAGES_MAX else None
    if end is not None and places[0] != end:
        end = next(place for place in reversed(places) if place < places[-1])
        rows = [row for row in rows if _place_of(row) <= end]
    outside = [each for each in everybody if each not in concerned] if cursor is None else []
    said = map(list, zip(*outside, strict=True))
    others = [views.OutsiderCount(**row) for row in await fetch(_OUTSIDERS, *asked, *said, parties)] if outside else []
    messages = [shown(number, row) for number, row in enumerate(sorted(rows, key=_in_order), start=1)]
    more = len(others) > _OUTSIDERS_MAX or (parties is None and len(everybody) > _SPEAKERS_MAX)
    following = None if end is None else place_cursor((0, *end))
    return views.FlowContent(messages, relations, tuple(others[:_OUTSIDERS_MAX]), more, following)


class _Speaker(NamedTuple):
    """A speaker of a subject. Without a subject, its decisions about the referral are meant."""

    subject: str | None
    name: str


def _place_of(row: asyncpg.Record) -> tuple[datetime, UUID]:
    """Return the place of a message in the flow; of a report, that of the first of its messages, before all ids."""
    return row["placed_at"], row["message_id"] if row["reports_on"] is None else UUID(int=0)


def _in_order(row: asyncpg.Record) -> tuple[object, ...]:
    return row["broker_time"], row["topic"], row["topic_id"], row["partition"], row["offset"], row["ordinal"] or 0


async def _related(
    session: Session, referral_id: UUID, exercise: bool
) -> tuple[views.FlowRelations, set[_Speaker], set[UUID]]:
    """Return the relations of a flow, the speakers concerned with it, and its subjects."""
    begun = await session.driver.fetchrow(_BEGUN.format(subject="$1::uuid", exercise="$2"), referral_id, exercise)
    whole, subjects = str(referral_id), {referral_id}
    if begun is None:
        return views.FlowRelations(), set(), subjects
    names = {begun[name] for name in ("party", "recipient", "writer", "addressee")} - {None, AUDIT}
    if name_of(begun["type"]) == PRESERVATION_REQUESTED.name:
        asked = begun["party"], begun["recipient"]
        return views.FlowRelations(asked=asked), {_Speaker(whole, name) for name in names}, subjects
    origin = begun["party"]
    rows = await session.driver.fetch(_RELATED, referral_id, exercise, origin)
    said = [(name_of(type_), *place) for type_, *place in rows]
    speakers = frozenset(by for name, _, by, *_ in said if not name)
    own = {each[1:4] for each in said if each[0] in _EDGES and each[2] == origin}
    passed = [each for each in said if each[0] == REFERRAL_PASSED_ON.name]
    sent = own | {(of, origin, to) for _, of, by, to, *_ in passed if (of, origin, by) in own}
    granted = frozenset(to for name, _, by, to, *_ in said if (name, by) == (CLAIM_GRANTED.name, origin))
    places = {(of, name) for _, of, by, to, *at in said if (of, origin, to) in sent for name in (to, *at)}
    places |= {(of, origin) for of, *_ in sent} | {(whole, name) for name in (*speakers, *names)}
    concerned = {_Speaker(of, name) for of, name in places if name not in (None, AUDIT)}
    concerned |= {_Speaker(None, name) for name in (origin, *(speakers or {begun["writer"]}))}
    subjects |= {UUID(of) for of, *_ in sent}
    return views.FlowRelations(origin, None, speakers, frozenset(sent), granted), concerned, subjects
