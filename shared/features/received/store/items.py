"""Rows of `received` in one transaction: offers, notices and cases.

A service's own store names its kind and its views, and adds the methods of that kind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.core.acts.act import Subject
from shared.core.authority import state_forbids
from shared.core.contracts.base import Contract
from shared.core.contracts.questions import RaisedClear
from shared.core.envelope.content_proof import leaf_digest
from shared.core.errors import Defect, Refused, not_found
from shared.core.protocol.message import Received, Record
from shared.core.protocol.retention_grounds import folded
from shared.delivery.gate import was_restored
from shared.features.dialogues.store import PostgresQuestions
from shared.features.received.rules import HeldItem, ItemAct, ItemKey, ItemQuery, ShownItem
from shared.features.received.store import arriving
from shared.features.received.store.listing import add_replies, list_statement, read_page, store_questions, view, words
from shared.features.record_access.store import RecordStore
from shared.features.search.rules import ListFilter
from shared.messaging.placement import covered_bytes
from shared.messaging.store.incoming import gather_proofs, read_proof
from shared.platform.database.columns import Columns, Json, Statement, pairs
from shared.platform.database.journal import ErasedRecord, KeptRecord
from shared.platform.database.transactions import gather, gather_part, write_parts
from shared.platform.timers.store import COUNTED, SET_COUNTED, bind_counted
from shared.platform.timers.store import write as write_counted
from shared.platform.timers.timers import count_steps, take_begun

_OTHERS: Final = """NOT EXISTS (
    SELECT FROM unnest($3::uuid[], $4::text[]) AS b (subject, party)
    WHERE b.subject = t.subject AND b.party = t.party)"""
#: Withdrawn at least $1 seconds ago and unanswered, at most $2, except the subjects and parties of $3 and $4.
UNANSWERED: Final = f"""
SELECT subject, party, ARRAY(
    SELECT t.retention UNION
    SELECT c.retention FROM received_edge AS c WHERE c.subject = t.subject AND c.party = t.party) AS classes
FROM received AS t WHERE state = 'withdrawn' AND changed_at <= now() - make_interval(secs => $1) AND {_OTHERS}
ORDER BY changed_at LIMIT $2 FOR UPDATE OF t SKIP LOCKED
"""
#: Kept until a day before $1, likewise. With $5, only records that are not erased yet.
KEPT_UNTIL: Final = f"""
SELECT subject, party FROM received AS t WHERE state = 'withdrawal_acknowledged'
  AND answers #>> '{{fate}}' = 'kept' AND answers #>> '{{kept,until}}' < $1 AND {_OTHERS}
  AND NOT ($5 AND EXISTS (SELECT FROM erased_record AS r WHERE r.subject = t.subject AND r.party = t.party))
ORDER BY answers #>> '{{kept,until}}' LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_FIND: Final = """
SELECT subject AS subject_id, party, sender, nullif(owner, sender) AS passed_by, exercise, state, act_count AS acts,
       reported_act_count AS reported, answers AS said, revision, item_numbers AS numbers,
       jsonb_build_object(purpose, edge_revision) || coalesce((
           SELECT jsonb_object_agg(e.purpose, e.revision ORDER BY e.revision) FROM received_edge AS e
           WHERE e.subject = t.subject AND e.party = t.party AND e.purpose <> t.purpose), '{}') AS purposes,
       (SELECT true FROM erased_record AS r WHERE r.subject = t.subject AND r.party = t.party) IS TRUE AS gone
FROM received AS t WHERE subject = ANY($1::uuid[])
"""
#: Row-level security lets only the instance itself lock these rows, because only it may change them.
_LOCK: Final = f"{_FIND} ORDER BY subject, party FOR UPDATE OF t"
_CHANGE: Final = """
UPDATE received AS t SET state = a.following, changed_at = now()
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS a (subject, party, present, following)
WHERE t.subject = a.subject AND t.party = a.party AND t.state = a.present RETURNING t.subject
"""
_RESUME: Final = """
UPDATE received AS t SET state = a.state, changed_at = now(), act_count = a.act_count,
    reported_act_count = a.act_count, answers = a.answers::jsonb
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::text[]) AS a (subject, party, state, act_count, answers)
WHERE t.subject = a.subject AND t.party = a.party
"""
_HEAR: Final = """
UPDATE received SET state = $3, answers = $4::jsonb, changed_at = now() WHERE subject = $1 AND party = $2
"""
_RAISE: Final = """
UPDATE received SET state = $3, revision = $4, changed_at = now() WHERE subject = $1 AND party = $2
"""
_NAMES = "subject AS referral_id, subject AS notice_id, sender AS origin, sender AS notifier, item_numbers AS numbers"


class Reference(NamedTuple):
    """The agency's own reference of a case: protected, its wrapped key, and the token by which it is found."""

    protected: bytes | None = None
    key: bytes | None = None
    token: bytes | None = None


class _Move(NamedTuple):
    """A row as an act found it, and as the act leaves it."""

    subject: UUID
    party: str
    present: str
    following: str
    act_count: int
    revision: int
    answers: Json
    case_reference: bytes | None
    reference_key: bytes | None
    reference_token: bytes | None


_MOVES: Final = Columns.of(_Move)
_MOVE: Final = Statement(
    f"""
WITH a AS MATERIALIZED (SELECT * FROM {{moves}}), held AS MATERIALIZED (
    SELECT t.subject, t.party, t.edge_id FROM received AS t JOIN a USING (subject, party)
    WHERE t.state = a.present AND t.act_count = a.act_count AND t.revision = a.revision
    ORDER BY t.subject, t.party FOR UPDATE OF t
) UPDATE received AS t
SET state = a.following, changed_at = now(), act_count = t.act_count + 1, answers = a.answers::jsonb,
    case_reference = coalesce(a.case_reference, t.case_reference),
    reference_key = coalesce(a.reference_key, t.reference_key),
    reference_token = coalesce(a.reference_token, t.reference_token), {SET_COUNTED.format(row="t")}
FROM a JOIN held USING (subject, party) LEFT JOIN {{counted}} USING (edge_id, party)
WHERE t.subject = a.subject AND t.party = a.party RETURNING t.subject, t.edge_id
""",
    moves=_MOVES,
    counted=COUNTED,
)


async def move(
    driver: asyncpg.Connection,
    acts: Sequence[ItemAct],
    *,
    said: Sequence[Mapping[str, object]],
    references: Sequence[Reference],
) -> frozenset[UUID]:
    """Store state, words and deadlines after each act; return the subjects of the rows that were moved.

    A row that another transaction has acted on or amended since it was found is not moved. All transactions lock rows
    in one order.
    """
    moves = [
        _Move(
            item.subject_id, item.party, item.state, act.following, item.acts, item.revision, json.dumps(words), *named
        )
        for act, words, named in zip(acts, said, references, strict=True)
        for item in (act.item,)
    ]
    counted = await count_steps(driver, [step for each in acts for step in each.steps])
    rows = await driver.fetch(*_MOVE.bind(moves=_MOVES.rows(moves), counted=bind_counted(counted)))
    moved, written = frozenset(row["subject"] for row in rows), {row["edge_id"] for row in rows}
    # A case has a row of its own for each further edge.
    further = [each for each in counted if each.edge.edge_id not in written and each.edge.subject in moved]
    await write_counted(driver, further)
    return moved


class PostgresItems(RecordStore):
    """`Items` of one kind. `more` are further columns of a view; `erases` and `lists` are its statements.

    Its views: `listed` in a list, `paged` as a page of them, and `opened`.
    """

    kind: Subject
    listed: type[ShownItem]
    paged: type[Contract]
    opened: type[ShownItem]
    erases: str
    more: str = ""
    lists: Statement = list_statement()

    async def find(self, subjects: Sequence[UUID]) -> dict[ItemKey, HeldItem]:
        return await self._items(_FIND, subjects)

    async def lock(self, subjects: Sequence[UUID]) -> dict[ItemKey, HeldItem]:
        await self.write_new()
        return await self._items(_LOCK, subjects)

    def add(self, messages: Sequence[Received]) -> None:
        """Gather the rows of new items. `write_new` or the next statement with gathered parts writes them."""
        if messages:
            items = self._new(messages)
            begun = take_begun(self._driver, {(each.edge_id, each.party) for each in items})
            tracks = frozenset((each.peer, each.side, each.track) for each in items)
            new = arriving.bind_items(items, begun)
            gather_part(self._driver, arriving.INSERT_ITEMS.part(new=new)._replace(tracks=tracks))
            self._locate(messages)

    def _new(self, messages: Sequence[Received]) -> list[arriving.NewItem]:
        """Return the rows of new records, and gather the proofs that they share."""
        gather_proofs(self._driver, [each.record.shared for each in messages])
        return arriving.new_items(messages, self._kek, kind=self.kind)

    async def write_new(self) -> None:
        """Write the rows of new items, because later statements change or read them."""
        await write_parts(self._driver)

    async def add_edges(self, messages: Sequence[Received]) -> None:
        if messages:
            new = arriving.bind_items(self._new(messages), {})
            await self._driver.execute(*arriving.INSERT_EDGES.bind(new=new))
            self._locate(messages)

    async def change(self, changes: Mapping[ItemKey, tuple[str, str]]) -> None:
        if not changes:
            return
        rows = [(*key, *states) for key, states in changes.items()]
        changed = await self._driver.fetch(_CHANGE, *map(list, zip(*rows, strict=True)))
        if len(changed) != len(changes):
            raise state_forbids()

    async def restored(self) -> bool:
        return await was_restored(self._driver)

    async def apply_statements(self, messages: Sequence[Received]) -> None:
        await add_replies(self.questions, messages)

    async def resume(self, items: Sequence[HeldItem]) -> None:
        rows = [(each.subject_id, each.party, each.state, each.acts, json.dumps(dict(each.said))) for each in items]
        if rows:
            await self._driver.execute(_RESUME, *map(list, zip(*rows, strict=True)))

    async def amend(self, messages: Sequence[Received], items: Sequence[HeldItem]) -> None:
        for each in self._new(messages):
            await self._driver.execute(*arriving.REPLACE.bind(new=arriving.bind_items([each], {})))
        self._locate(messages)
        rows = [(item.subject_id, item.party, item.state, item.revision) for item in items]
        await self._driver.executemany(_RAISE, rows)

    async def store_checks(self, items: Sequence[HeldItem]) -> None:
        rows = [(each.subject_id, each.party, each.state, dict(each.said)) for each in items]
        if rows:
            await self._driver.executemany(_HEAR, rows)

    async def act(self, act: ItemAct, at: datetime) -> None:
        if not await self.act_many([act], at):
            raise state_forbids()

    async def act_many(self, acts: Sequence[ItemAct], at: datetime) -> frozenset[UUID]:
        if any(each.sealed is not None for each in acts):
            raise Defect("sealed_words_without_place")
        # The content of a question is stored with the question, not among the words of the answer.
        statements = [{} if isinstance(each.clear, RaisedClear) else words(each.clear) for each in acts]
        moved = await self._move(acts, statements, [Reference()] * len(acts))
        await store_questions(self.questions, [each for each in acts if each.item.subject_id in moved], at)
        return moved

    @property
    def questions(self) -> PostgresQuestions:
        return PostgresQuestions(self._driver)

    async def evidence(self, subject_id: UUID) -> list[Record]:
        return [await self._evidence(await self._one(subject_id))]

    async def erase(self, item: HeldItem) -> None:
        await self._driver.execute(self.erases, [item.subject_id], [item.party])
        gather(self._driver, [ErasedRecord(arriving.ERASED_RECEIVED, item.subject_id, item.party)])

    async def keep(self, item: HeldItem) -> None:
        gather(self._driver, [KeptRecord(arriving.ERASED_RECEIVED, item.subject_id, item.party)])

    async def taken_back(self, age_s: float, limit: int, *, but: Sequence[ItemKey] = ()) -> dict[ItemKey, list[str]]:
        rows = await self._driver.fetch(UNANSWERED, age_s, limit, *pairs(but))
        return {(row["subject"], row["party"]): row["classes"] for row in rows}

    async def kept_until(
        self, before: date, limit: int, *, but: Sequence[ItemKey] = (), there: bool = False
    ) -> list[ItemKey]:
        rows = await self._driver.fetch(KEPT_UNTIL, before.isoformat(), limit, *pairs(but), there)
        return [(row["subject"], row["party"]) for row in rows]

    async def page(self, party: str, page: ItemQuery) -> Contract:
        rows, following = await self._page(party, page)
        return self.paged.model_validate({"items": [view(self.listed, row) for row in rows], "next": following})

    async def look(self, subject_id: UUID) -> ShownItem:
        return view(self.listed, await self._one(subject_id))

    async def show(self, subject_id: UUID) -> ShownItem:
        row = await self._one(subject_id)
        return view(self.opened, row, record=self._opened(row))

    def _locate(self, messages: Sequence[Received]) -> None:
        """Gather the rows of the items' locations, for kinds whose locations are stored."""

    async def _items(self, statement: str, subjects: Sequence[UUID]) -> dict[ItemKey, HeldItem]:
        rows = await self._driver.fetch(statement, list(subjects)) if subjects else []
        items = [_item(row) for row in rows]
        return {(item.subject_id, item.party): item for item in items}

    async def _move(
        self, acts: Sequence[ItemAct], statements: Sequence[Mapping[str, object]], references: Sequence[Reference]
    ) -> frozenset[UUID]:
        all_said = [folded(each.item.said, one) for each, one in zip(acts, statements, strict=True)]
        return await move(self._driver, acts, said=all_said, references=references)

    async def _page(self, party: str, page: ItemQuery) -> tuple[list[asyncpg.Record], str | None]:
        """Return the rows of a page, and the cursor of the one that follows."""
        named = None if page.sought.reference is None else await self._named(party, page.sought)
        return await read_page(self._driver, party, page, statement=self.lists, named=named)

    async def _named(self, party: str, sought: ListFilter) -> list[UUID]:
        """Return the subjects that a reference may be of."""
        return [] if sought.id is None else [sought.id]

    async def _one(self, subject_id: UUID) -> asyncpg.Record:
        row = await self._driver.fetchrow(f"SELECT *, {_NAMES}{self.more} FROM received WHERE subject = $1", subject_id)
        if row is None:
            raise not_found()
        return row

    def _opened(self, row: asyncpg.Record) -> object:
        """Return the record of a row as JSON; None if it was erased."""
        opened = arriving.open_record(row, self._kek)
        return None if opened is None else json.loads(opened.part.plaintext)["record"]

    async def _evidence(self, row: asyncpg.Record) -> Record:
        opened = arriving.open_record(row, self._kek)
        if opened is None:
            raise Refused("evidence_erased", "the evidence was erased with the record", status=410)
        record = opened.record
        if row["proof_id"] is not None:
            digest = leaf_digest(record.salt, covered_bytes(record.headers, record.value or b""))
            record.proof = (await read_proof(self._driver, row["proof_id"])).prove(digest, record.salt)
        return record


def _item(row: asyncpg.Record) -> HeldItem:
    return HeldItem(**(dict(row) | {"numbers": tuple(row["numbers"] or ())}))
