"""New rows of `received`, their erasure, and the locations of an agency's cases.

A row holds the opened record and the message as it came, sealed under a key of its own. The statement that erases
records deletes their keys, their ciphertext and the tokens of their locations.

The locations of cases are stored as keyed tokens. With them an agency finds other cases at the same location, and holds
of these. Equal tokens show that two rows of one party name the same location, but not which one. Tokens are written
when a case arrives, for known and new locations, and read when the agency reads a case or asks a provider. There is one
token for each version of the location form, and only tokens of the same version are compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import asyncpg

from shared.core.acts.act import Offering, Subject
from shared.core.acts.states import TrackState, shown
from shared.core.contracts.base import Contract
from shared.core.contracts.case_referral import ReferralPassedOnClear
from shared.core.contracts.decision import Edge
from shared.core.contracts.policy import LegalBasis
from shared.core.contracts.preservation_api import PreservationRecord
from shared.core.contracts.referral import EdgeClear, NoticeRecord, ReferralRecord
from shared.core.envelope.datakeys import DataKey, KeyEncryptionKey, RowRef, protect, reveal, unwrap, wrap
from shared.core.errors import Defect
from shared.core.protocol.message import Received
from shared.core.protocol.timers import Deadline
from shared.core.vocabulary.routing import Instrument
from shared.delivery.arriving import OpenedRecord, pack_opened, unpack_opened
from shared.delivery.judgement import read_edge
from shared.delivery.tracks import TrackSide, spell_edges
from shared.features.locations.store import LocationToken, tokens
from shared.features.received.rules import SimilarCase, numbers_of, revision_of
from shared.messaging.tracks import edge_act, track_of
from shared.platform.database.columns import BoundRows, Columns, Json, Statement, compress, decompress
from shared.platform.timers.store import OF_EDGE, columns_of_edge

RowT = TypeVar("RowT")


class NewItem(NamedTuple):
    """A row of `received`, or a further edge of a case. `item_numbers` are those of its items; a case names none."""

    subject: UUID
    party: str
    kind: str
    sender: str
    exercise: bool
    state: str
    purpose: str
    priority: str | None
    revision: int
    item_numbers: Sequence[str] | None
    language: str | None
    incident_kind: str | None
    flagged: bool | None
    edge_id: UUID
    retention: str
    edge: bytes
    record: bytes
    wrapped_key: bytes
    proof_id: UUID | None
    peer: str
    side: int
    track: UUID | None
    owner: str
    track_acts: Sequence[str]
    track_edges: Json


_WITH_EDGE: Final = EdgeClear | ReferralPassedOnClear
#: The article of the DSA under which trusted flaggers send notices.
_TRUSTED_FLAGGER: Final = re.compile(r"Art\. 22(?![0-9])")
_FIRST: Final = {
    kind: shown(kind, TrackState(Offering.OPEN.value)) for kind in (Subject.OFFER, Subject.NOTICE, Subject.CASE)
}
NEW: Final = Columns.of(
    NewItem, item_numbers="smallint[]", side="smallint", track_acts="uuid[]", recipient="text", **OF_EDGE
)
#: Whether a record was erased before a restore: one index lookup for each row, in any query plan.
_IS_ERASED: Final = """(
    SELECT true FROM erased_record AS r WHERE r.subject = {row}.{subject} AND r.party = {row}.party) IS TRUE"""
#: The rows of {new} as they are stored: a record that was erased before gets no key and no ciphertext.
_ARRIVED: Final = f"""
arrived AS MATERIALIZED (
    SELECT subject, party, kind, sender, exercise, state, purpose, priority, revision,
           string_to_array(item_numbers, chr(31))::smallint[] AS item_numbers, language, incident_kind, flagged,
           edge_id, retention, edge, CASE WHEN is_erased THEN '' ELSE record END AS record,
           CASE WHEN NOT is_erased THEN wrapped_key END AS wrapped_key,
           CASE WHEN NOT is_erased THEN proof_id END AS proof_id, peer, side, track, owner,
           string_to_array(track_acts, chr(31))::uuid[] AS track_acts, origin, recipient,
           track_edges::jsonb AS track_edges, clock_rules, acknowledge_h, act_h, started_at, steps::jsonb AS steps,
           timers, due_at, overdue_at, late_at
    FROM (SELECT *, {_IS_ERASED.format(row="new", subject="subject")} AS is_erased FROM {{new}}) AS given
)"""
_OF_EDGE: Final = "edge_id, retention, edge, record, wrapped_key, proof_id"
_OF_ARRIVED_EDGE: Final = ", ".join(f"a.{name}" for name in _OF_EDGE.split(", "))
_OF_ITEM: Final = f"""
subject, party, kind, sender, exercise, state, purpose, priority, revision, item_numbers, language, incident_kind,
flagged, peer, side, track, owner, track_acts, track_edges, origin, recipient, clock_rules, acknowledge_h, act_h,
started_at, steps, timers, due_at, overdue_at, late_at, {_OF_EDGE}"""


#: Inserts items. A record that was erased before gets no key.
INSERT_ITEMS: Final = Statement(
    f"""
WITH {_ARRIVED}
INSERT INTO received ({_OF_ITEM}, edge_revision) SELECT {_OF_ITEM}, revision FROM arrived
""",
    new=NEW,
)


def insert_locations(tokens: str, located: Columns[RowT]) -> Statement:
    """Return the statement that inserts rows of `located` into the table `tokens`. Erased records get no token.

    The first column of `located` is the subject. A stored location is not changed.
    """
    erased = _IS_ERASED.format(row="places", subject=next(iter(located.sql_types)))
    end = f"WHERE NOT {erased} ON CONFLICT DO NOTHING"
    return Statement(
        f"INSERT INTO {tokens} ({{places.names}}) SELECT {{places.values}} FROM {{places}} {end}", places=located
    )


#: Adds edges to cases that have a row.
INSERT_EDGES: Final = Statement(
    f"""
WITH {_ARRIVED}
INSERT INTO received_edge (subject, party, purpose, revision, {_OF_EDGE})
SELECT subject, party, purpose, revision, {_OF_EDGE} FROM arrived
""",
    new=NEW,
)
_REPLACED: Final = ", ".join(f"{name} = a.{name}" for name in _OF_EDGE.split(", "))
#: Replaces one record by the next revision of its edge. An accepted case keeps its earlier revision as a further row.
REPLACE: Final = Statement(
    f"""
WITH {_ARRIVED}, item AS MATERIALIZED (
    SELECT t.*, t.kind = 'case' AND t.answers ? 'accepted_at' AS is_kept FROM received AS t
    JOIN arrived AS a ON a.subject = t.subject AND a.party = t.party
), kept AS (
    INSERT INTO received_edge (subject, party, purpose, revision, received_at, {_OF_EDGE})
    SELECT subject, party, purpose, edge_revision, coalesce(amended_at, received_at), {_OF_EDGE} FROM item
    WHERE is_kept AND purpose = (SELECT purpose FROM arrived)
), added AS (
    INSERT INTO received_edge (subject, party, purpose, revision, {_OF_EDGE})
    SELECT a.subject, a.party, a.purpose, a.revision, {_OF_ARRIVED_EDGE}
    FROM arrived AS a JOIN item AS t ON t.is_kept AND t.purpose <> a.purpose
), replaced AS (
    UPDATE received_edge AS e SET revision = a.revision, {_REPLACED} FROM arrived AS a JOIN item AS t ON NOT t.is_kept
    WHERE e.subject = a.subject AND e.party = a.party AND e.purpose = a.purpose
), raised AS (
    UPDATE received AS t SET priority = a.priority
    FROM arrived AS a WHERE t.subject = a.subject AND t.party = a.party AND t.purpose <> a.purpose
)
UPDATE received AS t SET edge_revision = a.revision, amended_at = now(), priority = a.priority,
    item_numbers = a.item_numbers, language = a.language, incident_kind = a.incident_kind, flagged = a.flagged,
    {_REPLACED}
FROM arrived AS a WHERE t.subject = a.subject AND t.party = a.party AND t.purpose = a.purpose
""",
    new=NEW,
)


def new_items(messages: Sequence[Received], kek: KeyEncryptionKey, *, kind: Subject) -> list[NewItem]:
    """Return a row for each message, its record under a new data key: deleting the key erases it."""
    return [_new_item(each, kek, kind=kind, is_case=kind is Subject.CASE) for each in messages]


def bind_items(items: Sequence[NewItem], begun: Mapping[tuple[UUID, str], Deadline]) -> BoundRows[NewItem]:
    """Bind rows, with the deadlines that begin, by their edges and parties."""
    deadlines = columns_of_edge([begun.get((each.edge_id, each.party)) for each in items])
    parties, subjects = [each.party for each in items], [each.subject for each in items]
    return NEW.rows(items, **(deadlines | {"subject": subjects, "recipient": parties}))


def _new_item(message: Received, kek: KeyEncryptionKey, *, kind: Subject, is_case: bool) -> NewItem:
    edge, spelt, record, clear = message.edge, message.spelt, message.sealed, message.clear
    if edge is None or spelt is None or not isinstance(clear, _WITH_EDGE):
        raise Defect("sealed_part_missing")
    notice = record if isinstance(record, NoticeRecord) else None
    protected, wrapped_key = seal_record(message, kek)
    act = edge_act(clear.edge_id, revision_of(message)) if isinstance(clear, EdgeClear) else clear.act
    return NewItem(
        subject=message.subject_id,
        party=message.recipient,
        kind=kind.value,
        sender=message.filed_by,
        exercise=message.exercise,
        state=_FIRST[kind],
        purpose=edge.purpose.value,
        priority=_priority(record, edge),
        revision=revision_of(message),
        item_numbers=None if is_case else [str(n) for n in numbers_of(message)],
        language=None if notice is None else notice.language,
        incident_kind=None if notice is None else notice.incident_kind.value,
        flagged=None if notice is None else _is_flagged(edge.basis),
        edge_id=clear.edge_id,
        retention=edge.handling.retention.value,
        edge=compress(spelt.edge),
        record=protected,
        wrapped_key=wrapped_key,
        proof_id=message.record.shared and message.record.shared.proof_id,
        peer=message.sender_instance,
        side=TrackSide.HELD,
        track=track_of(message.message, message.sender, message.recipient, subject=message.subject_id),
        owner=message.sender,
        track_acts=[str(act)],
        track_edges=spell_edges(edge_revision for edge_revision in (read_edge(message),) if edge_revision),
    )


def _is_flagged(basis: Iterable[LegalBasis]) -> bool | None:
    """Return whether a trusted flagger sent a notice under the DSA; None where it was not sent under the DSA."""
    articles = [each.article for each in basis if each.instrument is Instrument.DSA]
    return any(_TRUSTED_FLAGGER.match(each) for each in articles) if articles else None


def _priority(record: Contract | None, edge: Edge) -> str | None:
    """Return the priority that the record names, else that of the facts from which the edge was derived."""
    if isinstance(record, ReferralRecord):
        return record.priority.level.value
    return edge.facts.priority.value if edge.facts.priority is not None else None


def record_place(subject: UUID, *, party: str, purpose: str) -> RowRef:
    """Return the place to which a record is bound: one for each subject, party and purpose."""
    return RowRef("received", f"{subject}.{purpose}", party)


def seal_record(message: Received, kek: KeyEncryptionKey) -> tuple[bytes, bytes]:
    """Return a message as it came, protected, and its wrapped key, both bound to its place.

    Its row has its edge and ids, so the message is compressed against these.
    """
    edge, clear = message.edge, message.clear
    if message.opened is None or edge is None or message.spelt is None or not isinstance(clear, _WITH_EDGE):
        raise Defect("sealed_part_missing")
    key = DataKey.generate()
    place = record_place(message.subject_id, party=message.recipient, purpose=edge.purpose.value)
    known = message.spelt.edge + f"{message.subject_id} {clear.edge_id}".encode()
    protected = protect(pack_opened(message.record, message.opened, known), key, place.column("record"))
    return protected, wrap(key, kek, place.column("wrapped_key"))


def open_record(row: asyncpg.Record, kek: KeyEncryptionKey) -> OpenedRecord | None:
    """Return the message of a row as it came; None if it was erased."""
    if row["wrapped_key"] is None:
        return None
    place = record_place(row["subject"], party=row["party"], purpose=row["purpose"])
    key = unwrap(row["wrapped_key"], kek, place.column("wrapped_key"))
    known = decompress(row["edge"]) + f"{row['subject']} {row['edge_id']}".encode()
    return unpack_opened(reveal(row["record"], key, place.column("record")), known)


_GIVEN: Final = "unnest($1::uuid[], $2::text[]) AS e (subject, party)"
_EMPTY: Final = "SET wrapped_key = NULL, record = '', proof_id = NULL"
#: The name of these records in the erasure journal.
ERASED_RECEIVED: Final = "received"


def erase_statement(tokens: str = "", key: str = "") -> str:
    """Return the statement, bound by subjects and their parties. `tokens` is the table of locations, `key` its subject.

    Erasing a record again changes nothing.
    """

    def found(subject: str) -> str:
        return f"FROM {_GIVEN} WHERE c.{subject} = e.subject AND c.party = e.party"

    forgotten = f"forgotten AS (DELETE FROM {tokens} AS c {found(key).replace('FROM', 'USING', 1)}), " if tokens else ""
    return (
        f"WITH {forgotten}further AS (UPDATE received_edge AS c {_EMPTY} {found('subject')} "
        f"AND c.wrapped_key IS NOT NULL) "
        f"UPDATE received AS c {_EMPTY} {found('subject')} AND c.wrapped_key IS NOT NULL"
    )


#: The most other cases shown with a case, the newest first. With the case itself, one request can act on all of them.
ALIKE_MAX: Final = 99


class CaseLocation(NamedTuple):
    """An item of a case, and a token of its location."""

    referral_id: UUID
    party: str
    n: int
    version: int
    token: bytes


_TOKENS: Final = Columns.of(LocationToken)
LOCATION: Final = Columns.of(CaseLocation)
INSERT_LOCATIONS: Final = insert_locations("case_location", LOCATION)
_ALIKE: Final = """
SELECT c.subject AS referral_id, c.sender AS origin, c.state, EXISTS (
    SELECT FROM hold AS h
    WHERE h.referral_id = c.subject AND h.party = c.party AND h.state IN ('asked', 'active')) AS held
FROM received AS c WHERE c.state IN ('offered', 'accepted', 'ongoing') AND (c.subject, c.party) IN (
    SELECT other.referral_id, other.party
    FROM case_location AS mine JOIN case_location AS other USING (party, version, token)
    WHERE mine.referral_id = $1 AND other.referral_id <> $1)
ORDER BY c.received_at DESC, c.subject LIMIT $2
"""
_STAND: Final = Statement(
    """
SELECT EXISTS (SELECT FROM {places} JOIN case_location AS l USING (version, token)
               JOIN hold AS h USING (referral_id, party)
               WHERE l.party = {party} AND h.state IN ('asked', 'active'))
""",
    places=_TOKENS,
    party="text",
)


def bind_places(messages: Sequence[Received], kek: KeyEncryptionKey) -> BoundRows[CaseLocation]:
    """Bind the locations of the items of these cases."""
    return LOCATION.rows([row for message in messages for row in _placed(message, kek)])


async def alike(driver: asyncpg.Connection, referral_id: UUID) -> list[SimilarCase]:
    """Return the agency's other open cases at the locations of this one, the newest first."""
    return [SimilarCase.model_validate(dict(row)) for row in await driver.fetch(_ALIKE, referral_id, ALIKE_MAX)]


@dataclass(frozen=True, slots=True)
class HeldLocations:
    """The holds of an agency, by the locations of its cases."""

    driver: asyncpg.Connection
    kek: KeyEncryptionKey

    async def has_hold(self, party: str, record: PreservationRecord) -> bool:
        """Return whether the party has a requested or active hold at any of these locations."""
        places = _TOKENS.rows([one for each in record.locations for one in tokens(each, self.kek, party)])
        return bool(await self.driver.fetchval(*_STAND.bind(places=places, party=party)))


def _placed(message: Received, kek: KeyEncryptionKey) -> Iterator[CaseLocation]:
    if isinstance(message.sealed, ReferralRecord):
        for item in message.sealed.items:
            for each in tokens(item.locator, kek, message.recipient):
                yield CaseLocation(message.subject_id, message.recipient, item.n, *each)
