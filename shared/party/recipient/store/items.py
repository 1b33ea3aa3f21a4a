"""Items that other parties sent, in PostgreSQL: what the tables of offers, cases and notices have in common.

A service's own store names its table and columns, adds what is new, and makes the views.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.contracts.base import Contract
from shared.contracts.facts import RecordRevealedClear
from shared.contracts.questions import RaisedClear
from shared.envelope.datakeys import KeyEncryptionKey, reveal, unwrap
from shared.exchange.clocks import Clocked, Happened
from shared.exchange.events import Event
from shared.exchange.message import Draft, Received, Record
from shared.exchange.words import folded
from shared.kernel.authority import state_forbids
from shared.kernel.errors import Defect, Refused, not_found
from shared.party.looks import note_look
from shared.party.questions.store import PostgresQuestions
from shared.party.recipient.domain import Item, ItemKey
from shared.party.recipient.ports import ItemAct, Page, ShownItem
from shared.party.recipient.store.acting import move
from shared.party.recipient.store.arriving import content_place, new_items
from shared.party.recipient.store.erasing import Erasing
from shared.party.recipient.store.listing import AT_RISK, Listing
from shared.party.recipient.store.questions import acted, heard
from shared.party.recipient.store.revisions import revise
from shared.party.recipient.store.views import view, words
from shared.party.recipient.store.withdrawn import OfWithdrawn
from shared.party.sought import Sought
from shared.runtime.database.columns import pairs
from shared.runtime.database.feed import Listed, note_acts
from shared.runtime.database.journal import Erased, Kept
from shared.runtime.database.pages import next_cursor
from shared.runtime.database.transactions import gather
from shared.runtime.delivery.kept_record import unpack
from shared.runtime.delivery.sending import send
from shared.runtime.timers.steps import clock

#: Whether this database was restored once: an own stream had an earlier incarnation. One that was read here has ends.
_RESTORED: Final = "SELECT EXISTS (SELECT FROM incarnation WHERE urgent_through IS NULL)"


@dataclass(frozen=True, slots=True)
class ItemTable:
    """A table of items: its name, the columns of subject and sender, and those that a list shows.

    Every such table has `party`, `exercise`, `state`, `acts` and `said`, the number and the words of the party's own
    acts. `purposes` and `numbers` are SQL expressions for what an item was sent for and for the numbers of its items,
    `keeps` for which keep a record that is replaced, `claimed` for which a person has, `passed_by` for who has
    passed it on, `beside` are columns that an act may set besides, `more` what is shown besides. Contents lie in a
    table of the same name, unless `contents` names theirs; tokens of where they lie in `places`, if anywhere.
    """

    name: str
    subject: str
    sender: str
    shown: str
    more: str = ""
    purposes: str = "ARRAY[purpose]"
    numbers: str = "'{}'::smallint[]"
    beside: tuple[str, ...] = ()
    contents: str = ""
    places: str = ""
    keeps: str = "false"
    claimed: str = "false"
    passed_by: str = "NULL::text"
    find: str = field(init=False)
    #: Also locks them. Only whoever may change them sees them so: the instance itself, applying messages.
    lock: str = field(init=False)
    change: str = field(init=False)
    resume: str = field(init=False)
    erasing: Erasing = field(init=False)
    of_withdrawn: OfWithdrawn = field(init=False)
    listing: Listing = field(init=False)
    attention: str = field(init=False)
    one: str = field(init=False)

    @property
    def listed(self) -> Listed:
        """What is numbered when an item begins."""
        return Listed(self.name, self.subject)

    @property
    def hear(self) -> str:
        """Keeps what the origin of an item has said, and the state that it has come to."""
        changed = "state = $3, said = $4::jsonb, changed_at = now()"
        return f"UPDATE {self.name} SET {changed} WHERE {self.subject} = $1 AND party = $2"

    def __post_init__(self) -> None:
        table, subject = self.name, self.subject
        object.__setattr__(self, "contents", self.contents or table)
        listing = Listing.of(
            table, subject=subject, sender=self.sender, shown=self.shown + self.more, claimed=self.claimed
        )
        object.__setattr__(self, "listing", listing)
        object.__setattr__(self, "erasing", Erasing.of(self.contents, subject=subject, places=self.places))
        of_withdrawn = OfWithdrawn.among(table, subject=subject, contents=self.contents)
        object.__setattr__(self, "of_withdrawn", of_withdrawn)
        texts = {
            "find": f"SELECT {subject} AS subject_id, party, {self.sender} AS sender, exercise, state, "
            f"acts, told, said, revision, {self.purposes} AS purposes, {self.numbers} AS numbers, "
            f"{self.passed_by} AS passed_by, EXISTS (SELECT FROM erased_record AS r "
            f"WHERE r.subject = {table}.{subject} AND r.party = {table}.party) AS gone "
            f"FROM {table} WHERE {subject} = ANY($1::uuid[])",
            "change": f"UPDATE {table} AS t SET state = a.following, changed_at = now() "
            "FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS a(subject, party, present, following) "
            f"WHERE t.{subject} = a.subject AND t.party = a.party AND t.state = a.present RETURNING t.{subject}",
            "resume": f"UPDATE {table} AS t SET state = a.state, changed_at = now(), acts = a.acts, told = a.acts, "
            "said = a.said::jsonb "
            "FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::text[]) "
            f"AS a(subject, party, state, acts, said) WHERE t.{subject} = a.subject AND t.party = a.party",
            "attention": f"SELECT {subject} AS subject, {self.sender} AS sender, state, priority, received_at AS since "
            f"FROM {table} WHERE party = $1 AND place - {AT_RISK} >= 0 AND (received_at, {subject}) > ($2, $3) "
            f"ORDER BY received_at, {subject} LIMIT $4",
            "one": f"SELECT *{self.more} FROM {table} WHERE {subject} = $1",
        }
        texts["lock"] = f"{texts['find']} ORDER BY {subject}, party FOR UPDATE"
        for name, text in texts.items():
            object.__setattr__(self, name, text)


class PostgresItems:
    """What the items of all kinds do within one transaction."""

    table: ItemTable

    def __init__(self, driver: asyncpg.Connection, kek: KeyEncryptionKey) -> None:
        self._driver = driver
        self._kek = kek

    async def find(self, subjects: Sequence[UUID]) -> dict[ItemKey, Item]:
        return await self._items(self.table.find, subjects)

    async def lock(self, subjects: Sequence[UUID]) -> dict[ItemKey, Item]:
        return await self._items(self.table.lock, subjects)

    async def change(self, changes: Mapping[ItemKey, tuple[str, str]]) -> None:
        if not changes:
            return
        changed = await self._driver.fetch(
            self.table.change,
            [subject for subject, _ in changes],
            [party for _, party in changes],
            [present for present, _ in changes.values()],
            [following for _, following in changes.values()],
        )
        if len(changed) != len(changes):
            raise state_forbids()

    async def restored(self) -> bool:
        return bool(await self._driver.fetchval(_RESTORED))

    async def heard(self, messages: Sequence[Received]) -> None:
        await heard(self.questions, messages)

    async def resume(self, items: Sequence[Item]) -> None:
        if items:
            await self._driver.execute(
                self.table.resume,
                [item.subject_id for item in items],
                [item.party for item in items],
                [item.state for item in items],
                [item.acts for item in items],
                [json.dumps(dict(item.said)) for item in items],
            )

    async def amend(self, messages: Sequence[Received], items: Sequence[Item]) -> None:
        new = new_items(messages, self._kek, table=self.table.contents)
        await revise(self._driver, self.table, new, items=items)

    async def hear(self, items: Sequence[Item]) -> None:
        rows = [(each.subject_id, each.party, each.state, dict(each.said)) for each in items]
        if rows:
            await self._driver.executemany(self.table.hear, rows)

    async def act(self, item: Item, following: str, clear: Contract, *, sealed: Contract | None, at: datetime) -> None:
        if not await self.act_many([ItemAct(item, following, clear, sealed)], at):
            raise state_forbids()

    async def act_many(self, acts: Sequence[ItemAct], at: datetime) -> frozenset[UUID]:
        if any(each.sealed is not None for each in acts):
            raise Defect("sealed_words_without_place")
        # What is asked is kept with the question, and is no word of the answer.
        said = [{} if isinstance(each.clear, RaisedClear) else words(each.clear) for each in acts]
        moved = await self._move(acts, said)
        await acted(self.questions, [each for each in acts if each.item.subject_id in moved], at)
        return moved

    @property
    def questions(self) -> PostgresQuestions:
        return PostgresQuestions(self._driver)

    async def evidence(self, subject_id: UUID) -> list[Record]:
        row = await self._one(subject_id)
        return [self._evidence(row, subject_id)]

    async def erase(self, item: Item) -> None:
        await self._driver.execute(self.table.erasing.many, [item.subject_id], [item.party])
        gather(self._driver, [Erased(self.table.name, item.subject_id, item.party)])

    async def keep(self, item: Item) -> None:
        gather(self._driver, [Kept(self.table.name, item.subject_id, item.party)])

    async def erase_returned(self, subjects: Sequence[UUID]) -> None:
        await self._driver.execute(self.table.erasing.returned, list(subjects))

    async def taken_back(self, age_s: float, limit: int, *, but: Sequence[ItemKey] = ()) -> dict[ItemKey, list[str]]:
        rows = await self._driver.fetch(self.table.of_withdrawn.taken_back, age_s, limit, *pairs(but))
        return {(row["subject_id"], row["party"]): row["classes"] for row in rows}

    async def kept_until(
        self, before: date, limit: int, *, but: Sequence[ItemKey] = (), there: bool = False
    ) -> list[ItemKey]:
        statement = self.table.of_withdrawn.kept_until
        rows = await self._driver.fetch(statement, before.isoformat(), limit, *pairs(but), there)
        return [(row["subject_id"], row["party"]) for row in rows]

    async def note_look(self, subject: UUID, opened: RecordRevealedClear, at: datetime) -> None:
        await note_look(self._driver, subject, opened, at=at)

    async def send(self, drafts: Sequence[Draft]) -> None:
        send(self._driver, drafts)

    async def clock(self, begun: Sequence[Clocked], steps: Sequence[Happened]) -> None:
        await clock(self._driver, begun, steps)

    async def note(self, events: Sequence[Event]) -> None:
        note_acts(self._driver, events)

    async def _items(self, statement: str, subjects: Sequence[UUID]) -> dict[ItemKey, Item]:
        rows = await self._driver.fetch(statement, list(subjects)) if subjects else []
        items = [_item(row) for row in rows]
        return {(item.subject_id, item.party): item for item in items}

    async def _move(
        self, acts: Sequence[ItemAct], said: Sequence[Mapping[str, object]], *beside: Sequence[bytes | None]
    ) -> frozenset[UUID]:
        all_said = [folded(each.item.said, one) for each, one in zip(acts, said, strict=True)]
        return await move(self._driver, self.table, acts, said=all_said, beside=beside)

    async def _page(self, party: str, page: Page) -> tuple[list[asyncpg.Record], str | None]:
        """The rows of a page, and the cursor of the one that follows."""
        sought = page.sought
        named = None if sought.reference is None else await self._named(party, sought)
        rows = await self.table.listing.read(self._driver, party, page, named=named)
        return rows[: page.limit], next_cursor(rows, page.limit)

    async def _named(self, party: str, sought: Sought) -> list[UUID]:
        """The subjects that a reference is one of, as far as it says."""
        return [] if sought.id is None else [sought.id]

    async def _one(self, subject_id: UUID) -> asyncpg.Record:
        row = await self._driver.fetchrow(self.table.one, subject_id)
        if row is None:
            raise not_found()
        return row

    def _opened(self, row: asyncpg.Record, subject_id: UUID) -> object:
        """The record of a row as JSON; None once it was erased."""
        if row["wrapped_key"] is None:
            return None
        place = content_place(self.table.contents, subject_id, party=row["party"], purpose=row["purpose"])
        key = unwrap(row["wrapped_key"], self._kek, place.column("wrapped_key"))
        return json.loads(reveal(row["content"], key, place.column("content")))

    def _evidence(self, row: asyncpg.Record, subject_id: UUID) -> Record:
        if row["wrapped_key"] is None:
            raise Refused("evidence_erased", "it was erased with the record", status=410)
        place = content_place(self.table.contents, subject_id, party=row["party"], purpose=row["purpose"])
        key = unwrap(row["wrapped_key"], self._kek, place.column("wrapped_key"))
        return unpack(reveal(row["evidence"], key, place.column("evidence")))


@dataclass(frozen=True, slots=True)
class Views:
    """What is shown of an item that came on one edge: in a list, as a page of them, and opened."""

    listed: type[ShownItem]
    page: type[Contract]
    opened: type[ShownItem]


class PostgresOneEdgeItems(PostgresItems):
    """Items that are sent once, each on one edge: what is shown of them needs no second table."""

    views: Views

    async def page(self, party: str, page: Page) -> Contract:
        rows, following = await self._page(party, page)
        items = [view(self.views.listed, row) for row in rows]
        return self.views.page.model_validate({"items": items, "next": following})

    async def look(self, subject_id: UUID) -> ShownItem:
        return view(self.views.listed, await self._one(subject_id))

    async def show(self, subject_id: UUID) -> ShownItem:
        row = await self._one(subject_id)
        return view(self.views.opened, row, record=self._opened(row, subject_id))


def _item(row: asyncpg.Record) -> Item:
    return Item(**(dict(row) | {"purposes": frozenset(row["purposes"]), "numbers": tuple(row["numbers"])}))
