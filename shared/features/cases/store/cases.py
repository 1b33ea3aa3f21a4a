"""Cases of agencies, in PostgreSQL: the further data of a case, and the agency's own reference of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.core.acts.act import Subject
from shared.core.acts.states import event_type, personal
from shared.core.acts.table import COME_BACK
from shared.core.clock import rfc3339
from shared.core.contracts.answers import CaseAcceptedClear, CaseRecord
from shared.core.contracts.base import Contract
from shared.core.contracts.holds import OF_HOLDS
from shared.core.contracts.questions import RaisedClear
from shared.core.contracts.referral import ReferralRecord
from shared.core.envelope.datakeys import DataKey, KeyEncryptionKey, RowRef, protect, reveal, unwrap, wrap
from shared.core.protocol.case_referral import CaseFile
from shared.core.protocol.message import Received, Record
from shared.features.cases import ports
from shared.features.cases.store import leases, passed_cases
from shared.features.contacts import store as contacts_store
from shared.features.events.store import ActCodes
from shared.features.holds import store as holds_store
from shared.features.received.rules import ItemAct, ItemQuery
from shared.features.received.store import listing
from shared.features.received.store.arriving import INSERT_LOCATIONS, alike, bind_places, erase_statement
from shared.features.received.store.items import PostgresItems, Reference
from shared.features.search.rules import ListFilter
from shared.platform.database.transactions import gather_part

#: The edges of cases besides those in their rows. `earlier` marks revisions before the current one.
_EDGES: Final = """
SELECT e.subject, e.party, e.edge_id, e.purpose, e.revision, e.edge, e.record, e.wrapped_key, e.proof_id,
       e.received_at, e.purpose = t.purpose OR e.revision < max(e.revision) OVER purposes AS earlier
FROM received_edge AS e JOIN received AS t ON t.subject = e.subject AND t.party = e.party
WHERE e.subject = ANY($1::uuid[]) WINDOW purposes AS (PARTITION BY e.subject, e.party, e.purpose)
ORDER BY min(e.received_at) OVER purposes, e.purpose, e.revision
"""
_ADD_ACT: Final = """
INSERT INTO case_act (referral_id, party, number, state, details, at) VALUES ($1, $2, $3, $4, $5, $6)
"""
_ACTS: Final = "SELECT number, state, details, at FROM case_act WHERE referral_id = $1 AND party = $2 ORDER BY number"


#: The most cases that are found by one reference, the newest first.
NAMED_MAX: Final = 100
_BY_REFERENCE: Final = """
SELECT subject FROM received WHERE party = $1 AND reference_token = $2 ORDER BY subject DESC LIMIT $3
"""
#: The events of an agency's own acts. Messages of an origin can leave the state unchanged, too.
_OWN: Final = frozenset(event_type(row.subject, row.name) for row in (*personal(Subject.CASE), COME_BACK))


async def case_words(driver: asyncpg.Connection, party: str, referral_id: UUID) -> Sequence[ActCodes]:
    """Return the codes of each of the agency's own acts, in order."""
    return [ActCodes(None, row["state"], row["details"], _OWN) for row in await driver.fetch(_ACTS, referral_id, party)]


class PostgresCases(PostgresItems):
    """The cases of agencies, within one transaction."""

    kind = Subject.CASE
    erases = erase_statement("case_location", "referral_id")
    more = leases.CLAIMED
    lists = listing.list_statement(more=leases.CLAIMED, claimed=leases.MINE)

    async def act_many(self, acts: Sequence[ItemAct], at: datetime) -> frozenset[UUID]:
        references = [self._reference(each) for each in acts]
        statements = [_kept_words(each.clear, at) for each in acts]
        moved = await self._move(acts, statements, references)
        done = [each for each in acts if each.item.subject_id in moved]
        rows = [
            (each.item.subject_id, each.item.party, each.item.acts + 1, each.following, listing.words(each.clear), at)
            for each in done
        ]
        await self._driver.executemany(_ADD_ACT, rows)
        for each in done:
            await self.holds.store_act(each.item, each.clear, at)
        await contacts_store.contacts_seen(self._driver, [each.item for each in done])
        await listing.store_questions(self.questions, done, at)
        return moved

    def _reference(self, act: ItemAct) -> Reference:
        """Return the agency's own reference, protected, with its lookup token.

        The reference is class S2. It is stored under a data key of its own, never with the words of the act.
        """
        if act.sealed is None:
            return Reference()
        assert isinstance(act.sealed, CaseRecord)
        named, reference = (act.item.subject_id, act.item.party), act.sealed.case_reference
        token = self._kek.reference_token(act.item.party, reference)
        return Reference(*protected_reference(*named, reference=reference, kek=self._kek), token)

    async def apply_statements(self, messages: Sequence[Received]) -> None:
        await self.holds.apply_statements(messages)
        await passed_cases.note_passed(self._driver, messages)
        await super().apply_statements(messages)

    async def passable(self, referral_id: UUID) -> Sequence[CaseFile] | None:
        if not await self.find([referral_id]):
            return None
        return await passed_cases.passable(self._driver, referral_id, self._kek)

    async def item_numbers(self, referral_id: UUID) -> frozenset[int]:
        rows = [await self._one(referral_id), *(await self._edges([referral_id]))[referral_id]]
        records = [ReferralRecord.model_validate(each) for row in rows if (each := self._opened(row)) is not None]
        return frozenset(item.n for record in records for item in record.items)

    @property
    def holds(self) -> holds_store.RequestedHolds:
        """The holds that the agency has requested from origins."""
        return holds_store.RequestedHolds(self._driver)

    @property
    def leases(self) -> leases.PostgresLeases:
        """The leases of the agency's cases."""
        return leases.PostgresLeases(self._driver, self._kek)

    async def evidence(self, subject_id: UUID) -> list[Record]:
        first = await self._one(subject_id)
        further = sorted(
            (await self._edges([subject_id]))[subject_id], key=lambda row: (row["received_at"], row["purpose"])
        )
        return [await self._evidence(row) for row in (first, *further)]

    async def page(self, party: str, page: ItemQuery) -> ports.CasePage:
        rows, following = await self._page(party, page)
        edges = await self._edges([row["subject"] for row in rows])
        items = tuple(listing.view(ports.ShownCase, row, further=_further(edges[row["subject"]])) for row in rows)
        return ports.CasePage(items=items, next=following)

    async def _named(self, party: str, sought: ListFilter) -> list[UUID]:
        assert sought.reference is not None
        token = self._kek.reference_token(party, sought.reference)
        rows = await self._driver.fetch(_BY_REFERENCE, party, token, NAMED_MAX)
        return [*await super()._named(party, sought), *(row["subject"] for row in rows)]

    async def look(self, subject_id: UUID) -> ports.CaseSummary:
        row = await self._one(subject_id)
        edges = (await self._edges([subject_id]))[subject_id]
        return listing.view(ports.CaseSummary, row, further=_further(edges), **await self._beside(row))

    async def show(self, subject_id: UUID) -> ports.OpenedCase:
        row = await self._one(subject_id)
        edges = (await self._edges([subject_id]))[subject_id]
        records = [(each, self._opened(each)) for each in edges]
        return listing.view(
            ports.OpenedCase,
            row,
            record=self._opened(row),
            further=[
                listing.view(ports.OpenedFurtherEdge, each, record=record)
                for each, record in records
                if not each["earlier"]
            ],
            earlier=[
                listing.view(ports.EarlierEdge, each, record=record) for each, record in records if each["earlier"]
            ],
            case_reference=case_reference(row, self._kek),
            **await self._beside(row),
        )

    async def _beside(self, row: asyncpg.Record) -> dict[str, object]:
        """Return the fields of a case view besides its edges."""
        subject = row["subject"]
        acts = await self._driver.fetch(_ACTS, subject, row["party"])
        return {
            "timeline": [listing.view(ports.CaseAct, each) for each in acts],
            "passed_on": await passed_cases.came_from(self._driver, subject),
            "contacts": await contacts_store.contacts_of(self._driver, subject),
            "alike": await alike(self._driver, subject),
        }

    async def _edges(self, subjects: Sequence[UUID]) -> dict[UUID, list[asyncpg.Record]]:
        edges: dict[UUID, list[asyncpg.Record]] = {subject: [] for subject in subjects}
        for row in await self._driver.fetch(_EDGES, list(subjects)):
            edges[row["subject"]].append(row)
        return edges

    def _locate(self, messages: Sequence[Received]) -> None:
        gather_part(self._driver, INSERT_LOCATIONS.part(places=bind_places(messages, self._kek)))


def _kept_words(clear: Contract, at: datetime) -> dict[str, object]:
    """Return the words of an act to store with the case. Holds and questions are stored in their own rows."""
    kept = {} if isinstance(clear, (*OF_HOLDS, RaisedClear)) else listing.words(clear)
    return kept | ({"accepted_at": rfc3339(at)} if isinstance(clear, CaseAcceptedClear) else {})


def _further(edges: Sequence[asyncpg.Record]) -> list[ports.FurtherEdge]:
    """Return the current edges for further purposes."""
    return [listing.view(ports.FurtherEdge, each) for each in edges if not each["earlier"]]


def protected_reference(referral_id: UUID, party: str, *, reference: str, kek: KeyEncryptionKey) -> tuple[bytes, bytes]:
    """Return an agency's own reference of a case, encrypted under a new key, and that key wrapped."""
    key, place = DataKey.generate(), _place(referral_id, party)
    protected = protect(reference.encode(), key, place.column("case_reference"))
    return protected, wrap(key, kek, place.column("reference_key"))


def case_reference(row: asyncpg.Record, kek: KeyEncryptionKey) -> str | None:
    """Return the agency's own reference; None if it has given none."""
    if row["reference_key"] is None:
        return None
    place = _place(row["subject"], row["party"])
    key = unwrap(row["reference_key"], kek, place.column("reference_key"))
    return reveal(row["case_reference"], key, place.column("case_reference")).decode()


def _place(referral_id: UUID, party: str) -> RowRef:
    return RowRef("received", str(referral_id), party)
