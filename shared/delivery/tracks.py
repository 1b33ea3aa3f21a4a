"""Tracks in PostgreSQL: each side's acts on a subject, and the revisions of edges that are held here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from operator import attrgetter
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from shared.core.envelope.base64url import to_base64url
from shared.core.protocol.message import Draft
from shared.messaging.streams import WireRole
from shared.messaging.tracks import act_of, parties_of, role_of, track_of
from shared.platform.database.columns import Columns, Json, Statement
from shared.platform.database.transactions import gather_part, write_parts


class TrackSide(IntEnum):
    """The side of a track's row, seen from this instance."""

    #: Subjects of the peer that are held here.
    HELD = 0
    #: Answers of the peer on own subjects.
    ANSWERS = 1
    #: Own subjects at the peer.
    OWN = 2
    #: Own answers at the peer.
    GIVEN = 3


#: The version of the ids that are digests.
EDGE_VERSION: Final = 8

#: The sides of the party that an item was sent to, and those of the party that sent it.
_OF_OTHERS: Final = [TrackSide.HELD, TrackSide.GIVEN]
_OF_OWNERS: Final = [TrackSide.OWN, TrackSide.ANSWERS]


class TrackKey(NamedTuple):
    """The key of a row. `subject`: the track's, as messaging names it."""

    peer: str
    side: TrackSide
    subject: UUID


@dataclass(frozen=True, slots=True)
class TrackRow:
    """One side of a track. `subject`: its key; `item`: the subject of its messages. A withdrawn one is a tombstone.

    `edges`: by the id of an edge that is held, in base64url, its highest revision and the digest of its content.
    """

    peer: str
    side: TrackSide
    subject: UUID
    item: UUID
    owner: str
    other: str
    acts: tuple[UUID, ...] = ()
    edges: Mapping[str, str] = field(default_factory=dict)
    is_withdrawn: bool = False
    is_erased: bool = False


class EdgeRevision(NamedTuple):
    """A revision of an edge, and the digest of its content in base64url."""

    edge_id: UUID
    revision: int
    content: str


@dataclass(slots=True)
class TrackChange:
    """The new acts of one side of a track, in order, the edges that are held from then on, or its withdrawal."""

    key: TrackKey
    item: UUID
    owner: str
    other: str
    acts: dict[UUID, None] = field(default_factory=dict)
    edges: dict[UUID, EdgeRevision] = field(default_factory=dict)
    is_withdrawn: bool = False

    @property
    def is_arrival(self) -> bool:
        """Whether the change is one message with one edge."""
        return len(self.acts) == len(self.edges) == 1 and not self.is_withdrawn


class _Change(NamedTuple):
    peer: str
    side: int
    track: UUID
    subject: UUID
    owner: str
    recipient: str
    track_acts: tuple[str, ...]
    track_edges: Json
    is_withdrawn: bool


class _Act(NamedTuple):
    peer: str
    side: int
    track: UUID
    act: UUID


_CHANGE: Columns[_Change] = Columns.of(_Change, side="smallint", track_acts="uuid[]")
_ACT: Columns[_Act] = Columns.of(_Act, side="smallint")
_KEY: Columns[TrackKey] = Columns.of(TrackKey, side="smallint")

#: The acts of a row `t` with those of a change. A tombstone and an erased row have none.
_MERGED: Final = """CASE WHEN t.is_erased OR t.side = 0 AND (t.is_withdrawn OR {withdrawn}) THEN '{{{{}}}}'::uuid[]
           ELSE t.track_acts || ARRAY(SELECT new FROM unnest({acts}) AS new WHERE new <> ALL (t.track_acts)) END"""
#: Inserts the rows that no table of subjects has.
_ADD: Final = f"""
INSERT INTO track AS t ({{changes.names}}) SELECT {{changes.values}} FROM {{changes.ordered}}
WHERE NOT EXISTS (
    SELECT FROM track AS o WHERE (o.peer, o.side, o.track) = (changes.peer, changes.side, changes.track) OFFSET 0
) ORDER BY changes.position
ON CONFLICT (peer, side, track) DO UPDATE SET
    is_withdrawn = t.is_withdrawn OR excluded.is_withdrawn, track_edges = t.track_edges || excluded.track_edges,
    track_acts = {_MERGED.format(withdrawn="excluded.is_withdrawn", acts="excluded.track_acts")}
"""  # noqa: S608 - our own constant
_ADD_NEW: Final = Statement(_ADD, changes=_CHANGE)
#: `OFFSET 0` has each key looked up. The rows are locked in the order of their keys.
_NOTE: Final = Statement(
    f"""
WITH found AS MATERIALIZED (
    SELECT t.*, c.acts, c.edges, c.withdrawn FROM (
        SELECT peer, side, track, string_to_array(track_acts, chr(31))::uuid[] AS acts, track_edges::jsonb AS edges,
               is_withdrawn AS withdrawn FROM {{changes.ordered}} ORDER BY position
    ) AS c CROSS JOIN LATERAL (
        SELECT * FROM track AS t WHERE (t.peer, t.side, t.track) = (c.peer, c.side, c.track) OFFSET 0 FOR UPDATE
    ) AS t
), merged AS MATERIALIZED (
    SELECT peer, side, track, is_withdrawn OR withdrawn AS withdrawn, track_edges || edges AS edges,
           {_MERGED.format(withdrawn="withdrawn", acts="acts")} AS acts
    FROM found AS t
), changed AS (
    UPDATE track AS t SET is_withdrawn = m.withdrawn, track_edges = m.edges, track_acts = m.acts FROM merged AS m
    WHERE t.track = ANY({{tracks}}) AND (t.peer, t.side, t.track) = (m.peer, m.side, m.track)
      AND (t.is_withdrawn, t.track_edges, t.track_acts) IS DISTINCT FROM (m.withdrawn, m.edges, m.acts)
)
{_ADD.strip()}
""",  # noqa: S608 - our own constants
    changes=_CHANGE,
    tracks="uuid[]",
)
_LOAD: Final = Statement(
    """
SELECT t.* FROM {keys} CROSS JOIN LATERAL (
    SELECT * FROM track AS t WHERE (t.peer, t.side, t.track) = (keys.peer, keys.side, keys.subject) OFFSET 0
) AS t
""",
    keys=_KEY,
)
_FORGET: Final = Statement(
    """
UPDATE track AS t SET track_acts = ARRAY(SELECT act FROM unnest(t.track_acts) AS act WHERE act <> ALL (gone.acts))
FROM (SELECT peer, side, track, array_agg(act) AS acts FROM {acts} GROUP BY peer, side, track) AS gone
WHERE t.track = ANY({tracks}) AND (t.peer, t.side, t.track) = (gone.peer, gone.side, gone.track)
""",
    acts=_ACT,
    tracks="uuid[]",
)
_ERASE: Final = """
UPDATE track AS t SET track_acts = '{}', is_erased = true
FROM unnest($1::uuid[], $2::text[]) AS erased (subject, party)
WHERE t.subject = ANY($1::uuid[]) AND t.subject = erased.subject AND NOT t.is_erased
  AND (erased.party = t.recipient AND t.side = ANY($3::smallint[])
       OR erased.party = t.owner AND t.side = ANY($4::smallint[]))
RETURNING t.track
"""


async def note_tracks(driver: asyncpg.Connection, changes: Iterable[TrackChange], *, are_new: bool = False) -> None:
    """Add acts, edges and withdrawals to tracks, in one statement.

    A track whose row is that of its subject exists already, or is gathered, with everything from its first message.
    `are_new`: no other transaction has a row of these subjects. This statement runs together with a later one.
    """
    begun = {key for part in driver.parts for key in part.tracks}
    ordered = sorted((each for each in changes if not (each.is_arrival and each.key in begun)), key=attrgetter("key"))
    rows = _CHANGE.rows([_change(each) for each in ordered])
    if ordered and are_new and all(each.is_arrival for each in ordered):
        gather_part(driver, _ADD_NEW.part(changes=rows))
    elif ordered:
        await write_parts(driver)
        await driver.execute(*_NOTE.bind(changes=rows, tracks=[each.key.subject for each in ordered]))


async def load_tracks(driver: asyncpg.Connection, keys: Collection[TrackKey]) -> dict[TrackKey, TrackRow]:
    """Return those of the rows that exist."""
    if not keys:
        return {}
    await write_parts(driver)
    rows = await driver.fetch(*_LOAD.bind(keys=_KEY.rows(list(keys))))
    return {(found := read_row(row))[0]: found[1] for row in rows}


async def forget_acts(driver: asyncpg.Connection, acts: Mapping[TrackKey, Collection[UUID]]) -> None:
    """Remove acts from tracks because the peer has refused them."""
    rows = [_Act(*key, act) for key, of in sorted(acts.items(), key=lambda each: each[0]) for act in of]
    if rows:
        await driver.execute(*_FORGET.bind(acts=_ACT.rows(rows), tracks=[key.subject for key in acts]))


async def erase_tracks(driver: asyncpg.Connection, items: Sequence[tuple[UUID, str]]) -> list[UUID]:
    """Erase the acts of tracks after the records of these items and parties were erased; return the tracks' keys."""
    await write_parts(driver)
    columns = [item for item, _ in items], [party for _, party in items]
    rows = await driver.fetch(_ERASE, *columns, _OF_OTHERS, _OF_OWNERS) if items else []
    return sorted({row["track"] for row in rows})


def list_sent(drafts: Iterable[Draft]) -> list[TrackChange]:
    """Return the changes that own drafts make to own tracks. Facts change nothing."""
    changes: dict[TrackKey, TrackChange] = {}
    for draft in drafts:
        role, item = role_of(draft.message), UUID(draft.subject)
        subject = track_of(draft.message, draft.sender, draft.recipient, subject=item)
        if subject is None:
            continue
        side = TrackSide.GIVEN if role is WireRole.ANSWER else TrackSide.OWN
        key = TrackKey(draft.recipient_instance, side, subject)
        change = changes.setdefault(key, TrackChange(key, item, *parties_of(role, draft.sender, draft.recipient)))
        if role is WireRole.WITHDRAWAL:
            change.is_withdrawn = True
        else:
            change.acts[act_of(draft.message_id, draft.clear)] = None
    return list(changes.values())


def list_told_once(acts: Iterable[UUID]) -> frozenset[UUID]:
    """Return the acts that are no edges. Edges are issued again; their acts are digests (`messaging.tracks.act_of`)."""
    return frozenset(act for act in acts if act.version != EDGE_VERSION)


def read_row(row: asyncpg.Record) -> tuple[TrackKey, TrackRow]:
    """Return a row of `track` with its key."""
    key = TrackKey(row["peer"], TrackSide(row["side"]), row["track"])
    named, acts = (row["subject"], row["owner"], row["recipient"]), tuple(row["track_acts"])
    return key, TrackRow(*key, *named, acts, row["track_edges"], row["is_withdrawn"], row["is_erased"])


def _change(each: TrackChange) -> _Change:
    """Return the row of a change. A tombstone has no acts; the owner keeps those of a withdrawn subject."""
    is_tombstone = each.is_withdrawn and each.key.side is TrackSide.HELD
    acts = () if is_tombstone else tuple(map(str, each.acts))
    edges = spell_edges(each.edges.values())
    return _Change(*each.key, each.item, each.owner, each.other, acts, edges, each.is_withdrawn)


def spell_edges(edges: Iterable[EdgeRevision]) -> str:
    """Return edges as the column holds them: by id, revision and digest."""
    return to_json({to_base64url(each.edge_id.bytes): f"{each.revision} {each.content}" for each in edges}).decode()
