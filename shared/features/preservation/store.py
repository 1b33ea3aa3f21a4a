"""Preservations in PostgreSQL, in the same tables at agencies and providers, and the locations of a provider's notices.

Each sealed part is stored under a data key of its own.

Trust: a process that can write these tables can hide a request from its provider, or an answer from its agency. The
other side and audit still show that the message was sent and received.

Locations are stored as keyed tokens in the provider's own database. They show which notices match preservation
requests. Equal tokens show that two rows of one party name the same location, but not which one. Tokens are written
when a notice or a request arrives, and read only in the provider's own transactions. Agencies and notifiers learn
nothing of them. There is one token for each version of the location form, and only tokens of the same version are
compared.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.core.acts.act import Subject, Track
from shared.core.acts.states import TrackState, event_type
from shared.core.authority import state_forbids
from shared.core.contracts.preservation_api import PreservationRecord
from shared.core.envelope.datakeys import DataKey, KeyEncryptionKey, RowRef, protect, reveal, unwrap, wrap
from shared.core.errors import not_found
from shared.core.vocabulary.preservation import PreservationKind, PreservationTerm
from shared.core.vocabulary.routing import Instrument
from shared.features.attention.rules import (
    PRESERVATION_REFUSED,
    PRESERVATION_UNANSWERED,
    RANK_MAX,
    AttentionRow,
    ListPlace,
    Remedy,
    waits_of,
)
from shared.features.events.store import ActCodes
from shared.features.locations.store import LocationToken, tokens
from shared.features.preservation import rules
from shared.features.record_access.store import RecordStore
from shared.platform.database.columns import Columns, insert
from shared.platform.database.pages import place_cursor, read_place

TABLE: Final = "preservation"
_FIND: Final = """
SELECT preservation_id, party, counterpart, exercise, offered, answer, kind, instrument, term, until, acts,
       last_counterpart_act, wrapped_key IS NULL AS erased
FROM preservation WHERE preservation_id = ANY($1::uuid[])
"""
_LOCK: Final = f"{_FIND} ORDER BY preservation_id, party FOR UPDATE"
_MOVE: Final = """
UPDATE preservation SET state = $4, offered = $5, answer = $6, acts = $7, last_counterpart_act = $8, changed_at = now()
WHERE preservation_id = $1 AND party = $2 AND ARRAY[acts, last_counterpart_act] = $3::int[] RETURNING preservation_id
"""
_PAGE: Final = """
SELECT preservation_id, counterpart, exercise, state, kind, instrument, term, until, asked_at, code, received_at
FROM preservation
WHERE party = $1 AND ($2::text IS NULL OR state = $2)
  AND ($3::timestamptz IS NULL OR (received_at, preservation_id) < ($3, $4::uuid))
ORDER BY received_at DESC, preservation_id DESC LIMIT $5
"""
_ONE: Final = "SELECT * FROM preservation WHERE preservation_id = $1"
_TIMELINE: Final = """
SELECT track, name, number, state, details AS said, at FROM preservation_act
WHERE preservation_id = $1 AND party = $2 ORDER BY id
"""
_REFUSED: Final = """
UPDATE preservation AS p SET code = r.code, refused_at = now()
FROM unnest($1::uuid[], $2::text[]) AS r (message_id, code) JOIN preservation_act AS a ON a.message_id = r.message_id
WHERE (p.preservation_id, p.party) = (a.preservation_id, a.party) AND p.counterpart = ANY($3::text[])
"""
_WORDS: Final = """
SELECT CASE WHEN (a.track = 'offer') = p.is_requester THEN NULL ELSE p.counterpart END AS by, a.name, a.state, a.details
FROM preservation_act AS a JOIN preservation AS p USING (preservation_id, party)
WHERE p.preservation_id = $1 AND p.party = $2 ORDER BY a.id
"""


_NEW: Final = Columns.of(
    rules.Preservation,
    without=("standing", "erased"),
    state="text",
    offered="text",
    answer="text",
    is_requester="bool",
    content="bytea",
    wrapped_key="bytea",
    asked_at="timestamptz",
)
_ADD: Final = insert(TABLE, _NEW)


_ACT: Final = Columns.of(rules.TimelineAct, details="jsonb")
_KEEP: Final = insert("preservation_act", _ACT)


async def preservation_words(driver: asyncpg.Connection, party: str, preservation_id: UUID) -> Sequence[ActCodes]:
    """Return the words of each act of both sides, in the order in which the party learned of them."""
    rows = await driver.fetch(_WORDS, preservation_id, party)
    return [
        ActCodes(row["by"], row["state"], row["details"], [event_type(Subject.PRESERVATION, row["name"])])
        for row in rows
    ]


class PostgresPreservations(RecordStore):
    """The preservations of a party, within one transaction."""

    async def take_turns(self, requests: Iterable[tuple[str, PreservationRecord]]) -> None:
        """Do nothing: agencies remove no content, so there is no removal to wait for."""

    async def refused(self, codes: Mapping[UUID, str], by: Collection[str]) -> None:
        """Mark the acts of these messages to the parties `by` as refused, with the codes."""
        await self._driver.execute(_REFUSED, list(codes), list(codes.values()), list(by))

    async def find(self, ids: Sequence[UUID]) -> dict[rules.PreservationKey, rules.Preservation]:
        """Return the preservations of these ids. Absent ones and those of other parties are left out."""
        return await self._known(_FIND, ids)

    async def lock(self, ids: Sequence[UUID]) -> dict[rules.PreservationKey, rules.Preservation]:
        """Return the preservations of these ids, locked until the transaction ends. For the instance itself only."""
        return await self._known(_LOCK, ids)

    async def add(self, preservation: rules.Preservation, record: PreservationRecord, at: datetime) -> None:
        """Store a new preservation, with its sealed part under a data key of its own."""
        content, wrapped = protected_record(
            preservation.preservation_id, preservation.party, record=record, kek=self._kek
        )
        rows = _NEW.rows(
            [preservation],
            offered=[preservation.standing.offered],
            answer=[preservation.standing.answer],
            is_requester=[preservation.acts > 0],  # the request is an act of the party that asks
            content=[content],
            wrapped_key=[wrapped],
            asked_at=[at],
        )
        await self._driver.execute(*_ADD.bind(rows=rows))

    async def move(self, before: rules.Preservation, after: rules.Preservation) -> None:
        """Store the new state. Raises `Refused("state_forbids")` if another transaction has changed the row."""
        known = before.preservation_id, before.party, [before.acts, before.last_counterpart_act]
        moved = await self._driver.fetchval(
            _MOVE, *known, after.state, *after.standing, after.acts, after.last_counterpart_act
        )
        if moved is None:
            raise state_forbids()

    async def keep(self, done: Sequence[rules.TimelineAct]) -> None:
        """Append acts to timelines."""
        await self._driver.execute(*_KEEP.bind(rows=_ACT.rows(done)))

    async def page(self, party: str, state: str | None, cursor: str | None, *, limit: int) -> rules.PreservationPage:
        above = (None, None) if cursor is None else read_place(cursor)[1:]
        rows = await self._driver.fetch(_PAGE, party, state, *above, limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        following = None if last is None else place_cursor((0, last["received_at"], last["preservation_id"]))
        return rules.PreservationPage(items=tuple(_shown(row) for row in rows[:limit]), next=following)

    async def look(self, preservation_id: UUID) -> rules.PreservationSummary:
        """Return one without its sealed part.

        Raises `Refused("not_found")` for absent ids and those of other parties.
        """
        return rules.PreservationSummary.model_validate((await self._one(preservation_id))[1])

    async def show(self, preservation_id: UUID) -> rules.OpenedPreservation:
        """Return one with its sealed part. Raises `Refused` as `look`."""
        row, looked = await self._one(preservation_id)
        matches = await self._matches(preservation_id, row["party"])
        opened = {"record": opened_record(row, self._kek), "matches": matches}
        return rules.OpenedPreservation.model_validate(looked | opened)

    async def _one(self, preservation_id: UUID) -> tuple[asyncpg.Record, dict[str, object]]:
        """Return the row of a preservation, and its view without the sealed part."""
        row = await self._driver.fetchrow(_ONE, preservation_id)
        if row is None:
            raise not_found()
        acts = await self._driver.fetch(_TIMELINE, preservation_id, row["party"])
        shown = {name: row[name] for name in rules.ShownPreservation.model_fields}
        return row, shown | {"timeline": [_act(each, row) for each in acts]}

    async def _matches(self, preservation_id: UUID, party: str) -> tuple[rules.MatchedItem, ...]:
        """Return no matches: only providers have notices."""
        return ()

    async def _known(self, statement: str, ids: Sequence[UUID]) -> dict[rules.PreservationKey, rules.Preservation]:
        rows = await self._driver.fetch(statement, list(ids)) if ids else []
        return {(row["preservation_id"], row["party"]): _preservation(row) for row in rows}


def _preservation(row: asyncpg.Record) -> rules.Preservation:
    same = ("preservation_id", "party", "counterpart", "exercise", "until", "acts", "last_counterpart_act", "erased")
    return rules.Preservation(
        **{name: row[name] for name in same},
        standing=TrackState(row["offered"], row["answer"]),
        kind=PreservationKind(row["kind"]),
        instrument=Instrument(row["instrument"]),
        term=None if row["term"] is None else PreservationTerm(row["term"]),
    )


def _shown(row: asyncpg.Record) -> rules.ShownPreservation:
    return rules.ShownPreservation.model_validate({name: row[name] for name in rules.ShownPreservation.model_fields})


def _act(row: asyncpg.Record, of: asyncpg.Record) -> rules.PreservationAct:
    """Return the view of an act. The offer track has the agency's acts; with `is_requester`, the reader is."""
    own = (row["track"] == Track.OFFER.value) == of["is_requester"]
    details = {"by": of["party"] if own else of["counterpart"]}
    return rules.PreservationAct.model_validate(
        {name: details.get(name) or row[name] for name in rules.PreservationAct.model_fields}
    )


def protected_record(
    preservation_id: UUID, party: str, *, record: PreservationRecord, kek: KeyEncryptionKey
) -> tuple[bytes, bytes]:
    """Return the record encrypted under a new data key, and that key wrapped."""
    key, place = DataKey.generate(), _place(preservation_id, party)
    content = protect(record.model_dump_json(exclude_none=True).encode(), key, place.column("content"))
    return content, wrap(key, kek, place.column("wrapped_key"))


def opened_record(row: asyncpg.Record, kek: KeyEncryptionKey) -> PreservationRecord | None:
    """Return the decrypted record; None if it was erased."""
    if row["wrapped_key"] is None:
        return None
    place = _place(row["preservation_id"], row["party"])
    key = unwrap(row["wrapped_key"], kek, place.column("wrapped_key"))
    return PreservationRecord.model_validate(json.loads(reveal(row["content"], key, place.column("content"))))


def _place(preservation_id: UUID, party: str) -> RowRef:
    return RowRef(TABLE, str(preservation_id), party)


_UNANSWERED: Final = """
SELECT preservation_id AS id, preservation_id AS subject, counterpart AS party, asked_at AS since FROM preservation
WHERE party = $1 AND state = 'requested' AND (asked_at, preservation_id) > ($2::timestamptz, $3)
ORDER BY asked_at, preservation_id LIMIT $4
"""
#: An ended preservation needs no attention. A provider can still correct its answer, so it is not over for a provider.
_NOT_TAKEN: Final = """
SELECT preservation_id AS id, preservation_id AS subject, counterpart AS party, code, refused_at AS since
FROM preservation
WHERE party = $1 AND refused_at IS NOT NULL AND (refused_at, preservation_id) > ($2::timestamptz, $3)
  AND state NOT IN ('ended', 'withdrawn', 'withdrawal_acknowledged')
  AND NOT (is_requester AND state IN ('refused', 'not_possible', 'too_late'))
ORDER BY refused_at, preservation_id LIMIT $4
"""


async def unanswered_waits(
    driver: asyncpg.Connection, party: str, above: ListPlace, /, *, rank_max: int, limit: int
) -> list[AttentionRow]:
    """Return the requests without an answer, the oldest first: the first `limit` after `above`."""
    # A request does not state that a child is at risk, so all have the last rank.
    rows = await driver.fetch(_UNANSWERED, party, *above.of_last_rank(), limit) if rank_max == RANK_MAX else []
    return [waits_of(row, PRESERVATION_UNANSWERED, kind=Subject.PRESERVATION, mend=Remedy.ANSWER) for row in rows]


async def refused_waits(
    driver: asyncpg.Connection, party: str, above: ListPlace, /, *, rank_max: int, limit: int
) -> list[AttentionRow]:
    """Return open preservations with an act that the other side's instance has refused, the oldest first."""
    rows = await driver.fetch(_NOT_TAKEN, party, *above.of_last_rank(), limit) if rank_max == RANK_MAX else []
    return [waits_of(row, PRESERVATION_REFUSED, kind=Subject.PRESERVATION, mend=Remedy.REFILE) for row in rows]


class NoticeLocation(NamedTuple):
    """An item of a notice, and a token of its location."""

    notice_id: UUID
    party: str
    n: int
    version: int
    token: bytes


NOTICED: Final = Columns.of(NoticeLocation)
_ASKED: Final = Columns.of(LocationToken, preservation_id="uuid", party="text")
_ADD_ASKED: Final = insert("preservation_location", _ASKED, end="ON CONFLICT DO NOTHING")
_UNANSWERED_AT: Final = """
SELECT DISTINCT p.preservation_id FROM notice_location AS n
JOIN preservation_location AS a ON a.party = n.party AND a.version = n.version AND a.token = n.token
JOIN preservation AS p ON p.preservation_id = a.preservation_id AND p.party = a.party
WHERE n.notice_id = $1 AND n.party = $2 AND n.n = ANY($3::smallint[]) AND p.state = 'requested'
ORDER BY p.preservation_id
"""
_MATCHES: Final = """
SELECT DISTINCT n.notice_id, n.n FROM preservation_location AS a
JOIN notice_location AS n ON n.party = a.party AND n.version = a.version AND n.token = a.token
JOIN received AS t ON t.subject = n.notice_id AND t.party = n.party
WHERE a.preservation_id = $1 AND a.party = $2 AND t.state IN ('issued', 'acknowledged', 'in_part', 'reappeared')
ORDER BY n.notice_id, n.n LIMIT $3
"""
# A request and a removal at the same location run one after the other, so the later one sees the earlier one. Removals
# do not exclude each other. Each transaction locks all of its rows first and in their order, which prevents deadlocks.
# An advisory lock was rejected, because any login could take it.
_ASK: Final = "SELECT FROM location_lock_slot WHERE slot = ANY($1::smallint[]) ORDER BY slot FOR UPDATE"
_REMOVE: Final = "SELECT FROM location_lock_slot WHERE slot = ANY($1::smallint[]) ORDER BY slot FOR SHARE"
#: The number of rows that the first migration inserts.
_SLOTS: Final = 32_768
_TOKENS: Final = "SELECT token FROM notice_location WHERE notice_id = $1 AND party = $2 AND n = ANY($3::smallint[])"
_ALL_TOKENS: Final = "SELECT token FROM notice_location WHERE notice_id = ANY($1::uuid[]) AND party = $2"


class ProviderPreservations(PostgresPreservations):
    """The preservation requests to a provider, and its notices that they match."""

    async def take_turns(self, requests: Iterable[tuple[str, PreservationRecord]]) -> None:
        await self._lock(_ASK, [each.token for party, record in requests for each in self._tokens(party, record)])

    async def add(self, preservation: rules.Preservation, record: PreservationRecord, at: datetime) -> None:
        party = preservation.party
        await super().add(preservation, record, at)
        found = self._tokens(party, record)
        ids, parties = [preservation.preservation_id] * len(found), [party] * len(found)
        await self._driver.execute(*_ADD_ASKED.bind(rows=_ASKED.rows(found, preservation_id=ids, party=parties)))

    async def unanswered(self, notice_id: UUID, party: str, items: Collection[int]) -> list[UUID]:
        """Return the unanswered requests at the locations of these items of a notice, and lock these locations."""
        numbers = sorted(items)
        lying = await self._driver.fetch(_TOKENS, notice_id, party, numbers)
        await self._lock(_REMOVE, [row["token"] for row in lying])
        rows = await self._driver.fetch(_UNANSWERED_AT, notice_id, party, numbers)
        return [row["preservation_id"] for row in rows]

    async def before_removing(self, party: str, notices: Sequence[UUID]) -> None:
        """Lock the locations of these notices against new requests until the transaction ends.

        This waits for transactions that store a request for one of these locations.
        """
        rows = await self._driver.fetch(_ALL_TOKENS, notices, party)
        await self._lock(_REMOVE, [row["token"] for row in rows])

    def _tokens(self, party: str, record: PreservationRecord) -> list[LocationToken]:
        return list(dict.fromkeys(one for each in record.locations for one in tokens(each, self._kek, party)))

    async def _lock(self, statement: str, lying: Collection[bytes]) -> None:
        if lying:
            await self._driver.execute(statement, list({int.from_bytes(each[:2], "big") % _SLOTS for each in lying}))

    async def _matches(self, preservation_id: UUID, party: str) -> tuple[rules.MatchedItem, ...]:
        rows = await self._driver.fetch(_MATCHES, preservation_id, party, rules.MATCHED_MAX)
        return tuple(rules.MatchedItem(notice_id=row["notice_id"], n=row["n"]) for row in rows)
