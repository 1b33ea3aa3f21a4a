"""The agencies' own tables: cases, and the edges on which each was offered.

Content is kept only under a data key per edge, and an agency's own reference under one per case.
Trust: whoever can write these tables can hide a case from its agency or misstate its progress here; origin and
audit still show that it was sent and taken, and what was answered.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from services.law_enforcement.ports import (
    CaseAct,
    CasePage,
    EarlierEdge,
    FurtherEdge,
    LookedCase,
    OpenedCase,
    OpenedFurtherEdge,
    ShownCase,
)
from shared.contracts.answers import CaseAcceptedClear, CaseRecord
from shared.contracts.base import Contract
from shared.contracts.holds import OF_HOLDS
from shared.contracts.questions import RaisedClear
from shared.contracts.referral import ReferralRecord
from shared.envelope.datakeys import DataKey, KeyEncryptionKey, Place, protect, reveal, unwrap, wrap
from shared.exchange.act import Subject
from shared.exchange.events import event_type
from shared.exchange.message import Received, Record
from shared.exchange.passed import Passable
from shared.exchange.rows.passing import COME_BACK
from shared.exchange.states import personal
from shared.kernel.clock import rfc3339
from shared.party.recipient.domain import Item
from shared.party.recipient.ports import ItemAct, Page
from shared.party.recipient.ports.passings import PassedCase
from shared.party.recipient.store.arriving import NewItem, new_items
from shared.party.recipient.store.contacts import contacts_of, contacts_seen, note_contacts
from shared.party.recipient.store.holds import AskedHolds
from shared.party.recipient.store.items import ItemTable, PostgresItems
from shared.party.recipient.store.leases import CLAIMED, MINE, PostgresLeases
from shared.party.recipient.store.passing import (
    Binding,
    bind_edges,
    binding,
    came_from,
    note_amended,
    note_passed,
    note_passing,
    passable,
    passings,
    refuse_passings,
)
from shared.party.recipient.store.places import LOCATION, alike, bind_places, note_places
from shared.party.recipient.store.questions import acted
from shared.party.recipient.store.views import view, words
from shared.party.said import Said
from shared.party.sought import Sought
from shared.runtime.database.columns import Columns, Statement

_TABLE: Final = ItemTable(
    name="case_file",
    subject="referral_id",
    sender="origin",
    shown="referral_id, origin, exercise, state, received_at, priority, revision, said",
    more=CLAIMED,
    purposes="ARRAY(SELECT purpose FROM case_edge AS e"
    " WHERE e.referral_id = case_file.referral_id AND e.party = case_file.party)",
    contents="case_edge",
    places="case_location",
    keeps="said ? 'accepted_at'",
    claimed=MINE,
    passed_by="(SELECT by_party FROM case_passed AS p"
    " WHERE p.referral_id = case_file.referral_id AND p.party = case_file.party)",
    beside=("case_reference", "reference_key", "reference_token"),
)
_NEW: Final = Columns.of(NewItem, edge_id="uuid", decision="text", salt="text", spelt="text")
#: One row a referral, one per purpose for which it was offered to the agency, and the places where its items lie.
_ADD: Final = Statement(
    """
WITH files AS (
    INSERT INTO case_file (referral_id, party, origin, exercise, state, priority, revision)
    SELECT subject_id, party, sender, exercise, 'offered', priority, revision FROM {new} ON CONFLICT DO NOTHING
), places AS (
    INSERT INTO case_location ({places.names}) SELECT {places.values} FROM {places} ON CONFLICT DO NOTHING
)
INSERT INTO case_edge (referral_id, party, purpose, edge, content, evidence, wrapped_key, revision, edge_id, decision,
                       salt, spelt)
SELECT subject_id, party, purpose, edge::jsonb, content, evidence, wrapped_key, revision, edge_id, decision::jsonb,
       salt, spelt
FROM {new}
""",
    new=_NEW,
    places=LOCATION,
)
#: What stands of each, by its first place; `earlier` is what stood before.
_EDGES: Final = """
SELECT referral_id, party, purpose, revision, edge, content, wrapped_key, received_at,
       revision < max(revision) OVER purposes AS earlier
FROM case_edge WHERE referral_id = ANY($1::uuid[]) WINDOW purposes AS (PARTITION BY referral_id, party, purpose)
ORDER BY min(received_at) OVER purposes, purpose, revision
"""
_EVIDENCE: Final = """
SELECT party, purpose, evidence, wrapped_key FROM case_edge WHERE referral_id = $1 ORDER BY received_at, purpose
"""


_ADD_ACT: Final = """
INSERT INTO case_act (referral_id, party, number, state, said, at) VALUES ($1, $2, $3, $4, $5, $6)
"""
_ACTS: Final = "SELECT number, state, said, at FROM case_act WHERE referral_id = $1 AND party = $2 ORDER BY number"


#: So many cases that an agency calls alike are found by their name: the newest.
NAMED_MAX: Final = 100
_BY_REFERENCE: Final = """
SELECT referral_id FROM case_file WHERE party = $1 AND reference_token = $2 ORDER BY referral_id DESC LIMIT $3
"""
#: The events of an agency's own acts: what an origin says may leave a case where it stands, too.
_OWN: Final = frozenset(event_type(row.subject, row.name) for row in (*personal(Subject.CASE), COME_BACK))


async def case_words(driver: asyncpg.Connection, party: str, referral_id: UUID) -> Sequence[Said]:
    """The codes of each of the agency's own acts, in the order in which it did them."""
    return [Said(None, row["state"], row["said"], _OWN) for row in await driver.fetch(_ACTS, referral_id, party)]


class PostgresCases(PostgresItems):
    """The cases of agencies, within one transaction."""

    table = _TABLE

    async def add(self, messages: Sequence[Received]) -> None:
        if messages:
            new = new_items(messages, self._kek, table=self.table.contents)
            beside = dict(zip(Binding._fields, zip(*map(binding, messages), strict=True), strict=True))
            places = bind_places(messages, self._kek)
            await self._driver.execute(*_ADD.bind(new=_NEW.rows(new, **beside), places=places))

    async def amend(self, messages: Sequence[Received], items: Sequence[Item]) -> None:
        await super().amend(messages, items)
        await bind_edges(self._driver, messages)
        await note_places(self._driver, messages, self._kek)

    async def act_many(self, acts: Sequence[ItemAct], at: datetime) -> frozenset[UUID]:
        references = [self._reference(each) for each in acts]
        said = [_kept_words(each.clear, at) for each in acts]
        moved = await self._move(acts, said, *([each[place] for each in references] for place in range(3)))
        done = [each for each in acts if each.item.subject_id in moved]
        rows = [
            (each.item.subject_id, each.item.party, each.item.acts + 1, each.following, words(each.clear), at)
            for each in done
        ]
        await self._driver.executemany(_ADD_ACT, rows)
        for each in done:
            await self.holds.acted(each.item, each.clear, at)
        await contacts_seen(self._driver, [each.item for each in done])
        await acted(self.questions, done, at)
        return moved

    def _reference(self, act: ItemAct) -> tuple[bytes | None, bytes | None, bytes | None]:
        """The agency's own reference is class S2: it goes under a data key of its own, never among the words.

        Beside it is what it is found by.
        """
        if act.sealed is None:
            return None, None, None
        assert isinstance(act.sealed, CaseRecord)
        named, reference = (act.item.subject_id, act.item.party), act.sealed.case_reference
        token = self._kek.reference_token(act.item.party, reference)
        return *protected_reference(*named, reference=reference, kek=self._kek), token

    async def heard(self, messages: Sequence[Received]) -> None:
        await self.holds.heard(messages)
        await note_passed(self._driver, messages)
        await note_contacts(self._driver, messages)
        await super().heard(messages)

    async def passable(self, referral_id: UUID) -> Sequence[Passable] | None:
        if await self._driver.fetchrow(self.table.one, referral_id) is None:
            return None
        return await passable(self._driver, referral_id, self._kek, table=self.table.contents)

    async def note_passing(self, passed: PassedCase) -> None:
        await note_passing(self._driver, passed)

    async def note_amended(self, passed: PassedCase) -> None:
        await note_amended(self._driver, passed)

    async def refuse_passings(self, message_ids: Collection[UUID]) -> Sequence[PassedCase]:
        return await refuse_passings(self._driver, message_ids)

    async def passings(self, message_ids: Collection[UUID]) -> Sequence[PassedCase]:
        return await passings(self._driver, message_ids)

    async def item_numbers(self, referral_id: UUID) -> frozenset[int]:
        opened = [self._opened(each, referral_id) for each in (await self._edges([referral_id]))[referral_id]]
        records = [ReferralRecord.model_validate(each) for each in opened if each is not None]
        return frozenset(item.n for record in records for item in record.items)

    @property
    def holds(self) -> AskedHolds:
        """What the agency has asked origins to hold."""
        return AskedHolds(self._driver)

    @property
    def leases(self) -> PostgresLeases:
        """Which officers have the agency's cases."""
        return PostgresLeases(self._driver, self._kek)

    async def evidence(self, subject_id: UUID) -> list[Record]:
        await self._one(subject_id)
        return [self._evidence(row, subject_id) for row in await self._driver.fetch(_EVIDENCE, subject_id)]

    async def page(self, party: str, page: Page) -> CasePage:
        rows, following = await self._page(party, page)
        edges = await self._edges([row["referral_id"] for row in rows])
        return CasePage(items=tuple(_case(row, edges[row["referral_id"]]) for row in rows), next=following)

    async def _named(self, party: str, sought: Sought) -> list[UUID]:
        assert sought.reference is not None
        token = self._kek.reference_token(party, sought.reference)
        rows = await self._driver.fetch(_BY_REFERENCE, party, token, NAMED_MAX)
        return [*await super()._named(party, sought), *(row["referral_id"] for row in rows)]

    async def look(self, subject_id: UUID) -> LookedCase:
        row = await self._one(subject_id)
        first, *further = standing((await self._edges([subject_id]))[subject_id])
        return view(
            LookedCase,
            row,
            purpose=first["purpose"],
            edge=first["edge"],
            further=[view(FurtherEdge, each) for each in further],
            timeline=await self._timeline(row),
            passed_on=await came_from(self._driver, subject_id),
            contacts=await contacts_of(self._driver, subject_id),
            alike=await alike(self._driver, subject_id),
        )

    async def show(self, subject_id: UUID) -> OpenedCase:
        row = await self._one(subject_id)
        edges = (await self._edges([subject_id]))[subject_id]
        (first, *further), earlier = standing(edges), [each for each in edges if each["earlier"]]
        return view(
            OpenedCase,
            row,
            purpose=first["purpose"],
            edge=first["edge"],
            record=self._opened(first, subject_id),
            further=[view(OpenedFurtherEdge, each, record=self._opened(each, subject_id)) for each in further],
            earlier=[view(EarlierEdge, each, record=self._opened(each, subject_id)) for each in earlier],
            case_reference=case_reference(row, self._kek),
            timeline=await self._timeline(row),
            passed_on=await came_from(self._driver, subject_id),
            contacts=await contacts_of(self._driver, subject_id),
            alike=await alike(self._driver, subject_id),
        )

    async def _timeline(self, row: asyncpg.Record) -> list[CaseAct]:
        acts = await self._driver.fetch(_ACTS, row["referral_id"], row["party"])
        return [view(CaseAct, each) for each in acts]

    async def _edges(self, referral_ids: Sequence[UUID]) -> dict[UUID, list[asyncpg.Record]]:
        edges: dict[UUID, list[asyncpg.Record]] = {referral_id: [] for referral_id in referral_ids}
        for row in await self._driver.fetch(_EDGES, list(referral_ids)):
            edges[row["referral_id"]].append(row)
        return edges


def _kept_words(clear: Contract, at: datetime) -> dict[str, object]:
    """The words of an act that are kept with the case. What is asked is kept with the hold or the question."""
    said = {} if isinstance(clear, (*OF_HOLDS, RaisedClear)) else words(clear)
    return said | ({"accepted_at": rfc3339(at)} if isinstance(clear, CaseAcceptedClear) else {})


def standing(edges: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
    """What stands of each purpose, without what stood before."""
    return [each for each in edges if not each["earlier"]]


def _case(row: asyncpg.Record, edges: Sequence[asyncpg.Record]) -> ShownCase:
    """A case as its agency sees it: the edge it began with, and those for further purposes."""
    first, *further = standing(edges)
    return view(
        ShownCase,
        row,
        purpose=first["purpose"],
        edge=first["edge"],
        further=[view(FurtherEdge, each) for each in further],
    )


def protected_reference(referral_id: UUID, party: str, *, reference: str, kek: KeyEncryptionKey) -> tuple[bytes, bytes]:
    """An agency's own reference of a case under a key of its own, and that key wrapped."""
    key, place = DataKey.generate(), _place(referral_id, party)
    protected = protect(reference.encode(), key, place.column("case_reference"))
    return protected, wrap(key, kek, place.column("reference_key"))


def case_reference(row: asyncpg.Record, kek: KeyEncryptionKey) -> str | None:
    """The agency's own reference; None where it has named none."""
    if row["reference_key"] is None:
        return None
    place = _place(row["referral_id"], row["party"])
    key = unwrap(row["reference_key"], kek, place.column("reference_key"))
    return reveal(row["case_reference"], key, place.column("case_reference")).decode()


def _place(referral_id: UUID, party: str) -> Place:
    return Place("case_file", str(referral_id), party)
