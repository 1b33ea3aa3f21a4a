"""Audit's entries against Kafka, while it has the records: each in its place, as its record says, and nothing else.

What a fact states is made again from the record itself, with audit's own key where the site has it (`keys/audit` in its
state): an entry that was altered says something else. Topics are read one after the other, record by record.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from deploy.accounting import views
from deploy.accounting.differences import Difference
from deploy.accounting.folded import Folded, FoldedDay
from deploy.accounting.spans import Spans
from deploy.accounting.streams import Book
from services.audit.domain.entries import NOBODYS, UNREAD, Entry, EntryKind, Read, Receipted, folded_as
from services.audit.domain.reading import Reading, read_records
from shared.envelope.keys import OpeningKey
from shared.envelope.sealing import Opener
from shared.exchange.message import Record
from shared.kernel.clock import SystemClock
from shared.kernel.errors import Refused
from shared.routing.shelf import DocumentShelf, read_directory, read_policy
from shared.runtime.kafka.bounds import Bounds
from shared.runtime.kafka.documents import read_document
from shared.runtime.kafka.reader import LogReader
from shared.runtime.post.ports import Coordinate

#: What an entry says of its record whoever reads it, and whenever.
_CLAIMS: Final = (
    *("message_id", "type", "subject", "sender", "recipient", "exercise"),
    *("epoch", "sequence", "previous_epoch", "previous_last", "key_id"),
)
#: What it says where the record's proof holds: that proof, and what the record states.
_PROOF: Final = ("batch_root", "batch_signature", "batch_index", "batch_size", "batch_path")
_STATED: Final = ("kind", "edge_id", "commitment", "detail")
#: What of it only audit's key can tell.
_SEALED: Final = frozenset({"kind", "detail"})
_OWN: Final = frozenset({"loss", "conflict"})
_KEY_FILES: Final = "keys/audit/*.key"


@dataclass(slots=True)
class LogCheck:
    """Compares topic by topic. `compared`: up to which offset each was, in which life, of what came before a time."""

    reader: LogReader
    book: Book
    reading: Reading
    #: Whether facts can be opened: the site has audit's key.
    opened: bool
    sealing_before: datetime
    compared: dict[str, tuple[str, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    #: How many messages of which types are of a later release than this one, which audit may read.
    _later: Counter[str] = field(default_factory=Counter)

    async def differences(
        self, lives: Mapping[str, UUID], before: Mapping[str, tuple[str, int]]
    ) -> AsyncIterator[Difference]:
        """Everything that differs, in each topic from where it was compared `before` in this life."""
        for where, bounds in sorted((await self.reader.bounds()).items()):
            life = lives.get(where.topic)
            if life is not None:
                known, offset = before.get(where.topic, ("", 0))
                first = max(bounds.first, offset if known == str(life) else 0)
                self.compared[where.topic] = str(life), first
                async for each in self._topic(where, life, Bounds(first, bounds.end)):
                    yield each
        self.notes += [
            f"{count} of {type_text} that this release cannot read: what they state was not compared"
            for type_text, count in self._later.items()
        ]

    async def _topic(self, where: Coordinate, life: UUID, bounds: Bounds) -> AsyncIterator[Difference]:
        entries = _Ahead(self.book.rows(views.ENTRIES, where.topic, life, where.partition, bounds.first))
        folded = await self._folded(where, life)
        strange: list[asyncpg.Record] = []
        lost = Spans()
        if bounds.first < bounds.end:
            async with aclosing(self.reader.read_range(where, bounds.first, bounds.end)) as batches:
                async for batch in batches:
                    compared = [_Compared(record, await entries.until(record.offset)) for record in batch]
                    for each in compared:
                        each.read(life, self.reading)
                        lost = _lost(each.rows, lost)
                        strange += each.elsewhere()
                        if each.made.problem in UNREAD:
                            self._later[each.made.type or ""] += 1
                        late = each.record.broker_time >= self.sealing_before
                        counted = each.is_counted and (folded.add(each.made) or late)
                        if each.own is not None or not counted:
                            for difference in each.differences(opened=self.opened):
                                yield difference
                        if not late:
                            self.compared[where.topic] = str(life), each.record.offset + 1
                    async for difference in self._tables(compared):
                        yield difference
        async for row in entries.rest():
            lost = _lost([row], lost)
            strange.append(row)
        for difference in () if list(lost) else folded.differences(where.topic, first=bounds.first):
            yield difference
        for row in strange:
            at = f"{where.topic}/{where.partition}/{row['offset']} {row['message_id']}"
            if row["offset"] in lost:
                self.notes.append(f"{at}: audit has it, and the topic lost it")
            elif row["kind"] not in _OWN:
                parties = _parties(row["sender"], row["recipient"])
                yield Difference("II", "in audit's log, not in Kafka", at, parties)

    async def _folded(self, where: Coordinate, life: UUID) -> Folded:
        place = where.topic, life, where.partition
        rows = await self.book.fetch(views.FOLDED, *place)
        kept = {row["day"]: FoldedDay(row["first_offset"], row["count"], int(row["digests"])) for row in rows}
        [cursor] = await self.book.fetch(views.READ_TO, *place)
        return Folded(kept, cursor["next_offset"])

    async def _tables(self, compared: Sequence[_Compared]) -> AsyncIterator[Difference]:
        """Compare what receipts and decisions of a batch say with the tables that audit shows them from."""
        stated: dict[UUID, set[Receipted]] = {}
        links, unread = [], set()
        for each in compared:
            if each.made.kind == "receipt" and each.made.message_id is not None:
                stated[each.made.message_id] = set(each.said.receipted)
            if not each.is_unread:
                links += each.said.links
            elif each.made.message_id is not None:
                unread.add(each.made.message_id)
        shown: dict[UUID, set[Receipted]] = defaultdict(set)
        for row in await self.book.fetch(views.RECEIPTED, list(stated)) if stated else ():
            shown[row["receipt_id"]].add(Receipted(*row))
        for receipt_id, entries in stated.items():
            missing = set() if receipt_id in unread else entries - shown[receipt_id]
            for entry in sorted(missing | (shown[receipt_id] - entries), key=str):
                which = "audit does not show" if entry in entries else "was never given and audit shows"
                where = f"receipt {receipt_id}: message {entry.message_id}, {entry.outcome}"
                yield Difference("II", f"a receipt's word that {which}", where)
        if links and self.opened:
            kept = {tuple(row) for row in await self.book.fetch(views.STATED_LINKS, [each.edge_id for each in links])}
            for link in links:
                if tuple(link) not in kept:
                    where = f"edge {link.edge_id} of {link.referral_id}"
                    parties = link.origin, link.recipient
                    yield Difference("III", "a decision says another edge than audit shows", where, parties)


class _Compared:
    """One record of Kafka, the rows that audit has up to its place, and what the record says when it is read again."""

    def __init__(self, record: Record, rows: Sequence[asyncpg.Record]) -> None:
        self.record = record
        self.rows = rows
        self.said = Read()

    @property
    def made(self) -> Entry:
        return self.said.entries[0]

    @property
    def own(self) -> asyncpg.Record | None:
        """The entry that it has."""
        return next((row for row in self._here if row["digest"] == self.made.digest and row["kind"] not in _OWN), None)

    @property
    def is_unread(self) -> bool:
        """Whether audit was of an earlier release than the record: what it states has led to nothing."""
        return self.own is not None and self.own["problem"] in UNREAD

    @property
    def is_counted(self) -> bool:
        """Whether it is one of those that audit counts by the day: most of them have no entry of their own.

        Where a message lay before, which the topic lost, an entry names both.
        """
        if self.own is not None:
            return self.own["kind"] in NOBODYS
        here = self._here
        return folded_as(self.made) is not None and (not here or any(_names(row, self.made.digest) for row in here))

    @property
    def _here(self) -> list[asyncpg.Record]:
        return [row for row in self.rows if row["offset"] == self.record.offset]

    def read(self, life: UUID, reading: Reading) -> None:
        read_records([self.record], self.said, topic_ids={self.record.topic: life}, reading=reading)

    def elsewhere(self) -> list[asyncpg.Record]:
        """Rows of places before this record's, where Kafka has none."""
        return [row for row in self.rows if row["offset"] != self.record.offset]

    def differences(self, *, opened: bool) -> Iterator[Difference]:
        at = f"{self.record.topic}/{self.record.partition}/{self.record.offset}"
        parties = _parties(self.made.sender, self.made.recipient)
        if all(row["kind"] in _OWN for row in self._here):
            yield Difference("II", "in Kafka, not in audit's log", at, parties)
        elif self.own is None:
            yield Difference("II", "audit has another record than Kafka", f"{at} {self.made.message_id}", parties)
        elif changed := _changed(self.made, self.own, opened=opened):
            what = f"audit's entry says another {', '.join(changed)} than its record"
            yield Difference("II", what, f"{at} {self.made.message_id}", parties)


def _parties(*named: str | None) -> tuple[str, ...]:
    return tuple(each for each in named if each)


class _Ahead:
    """Rows in the order of their offsets, asked for by offsets that rise."""

    def __init__(self, rows: AsyncIterator[asyncpg.Record]) -> None:
        self._rows = rows
        self._next: asyncpg.Record | None = None

    async def until(self, offset: int) -> list[asyncpg.Record]:
        """The rows up to this offset, included, that were not given yet."""
        found = []
        while (row := await self._peek()) is not None and row["offset"] <= offset:
            self._next = None
            found.append(row)
        return found

    async def rest(self) -> AsyncIterator[asyncpg.Record]:
        while (row := await self._peek()) is not None:
            self._next = None
            yield row

    async def _peek(self) -> asyncpg.Record | None:
        if self._next is None:
            self._next = await anext(self._rows, None)
        return self._next


def _changed(made: Entry, row: asyncpg.Record, *, opened: bool) -> list[str]:
    names = list(_CLAIMS)
    if made.verified:
        if not row["verified"] and row["problem"] != "document_unknown":
            names.append("verified")
        names += _PROOF
    elif row["verified"] and made.problem != "key_revoked":
        return ["verified"]
    found = [name for name in names if getattr(made, name) != row[name]]
    return found + _otherwise(made, row, opened=opened) if made.verified else found


def _otherwise(made: Entry, row: asyncpg.Record, *, opened: bool) -> list[str]:
    """What it says of what the record states. A release that could not read that says less of it, and nothing else."""
    ours, theirs = _said(made._asdict()), _said(row)
    if row["problem"] in UNREAD:
        return [name for name in _STATED if not _is_of(theirs[name], ours[name])]
    if made.problem in UNREAD:
        return [name for name in _STATED if not _is_of(ours[name], theirs[name])]
    found = [name for name in _STATED if ours[name] != theirs[name] and (opened or name not in _SEALED)]
    if opened and row["problem"] not in (made.problem, "document_unknown"):
        found.append("problem")
    return found


def _said(entry: Mapping[str, Any]) -> dict[str, object]:
    return {name: entry[name] for name in _STATED} | {"detail": _json(entry["detail"])}


def _is_of(less: object, more: object) -> bool:
    if isinstance(less, dict) and isinstance(more, dict):
        return less.items() <= more.items()
    return less in (None, EntryKind.RECORD, more)


def _names(row: asyncpg.Record, digest: str) -> bool:
    """Whether it says that audit found this record where it had read another."""
    detail = _json(row["detail"]) if row["kind"] == "conflict" else None
    return isinstance(detail, dict) and detail["found"] == digest


def _json(value: object) -> object:
    return from_json(value) if isinstance(value, str) else value


def _lost(rows: Iterable[asyncpg.Record], before: Spans) -> Spans:
    """With what entries say was lost of this topic."""
    spans = list(before)
    for row in rows:
        if row["kind"] == "loss":
            detail = _json(row["detail"])
            if isinstance(detail, dict):
                spans.append((int(detail["first"]), int(detail.get("last", 2**62))))
    return Spans(spans)


async def reading_of(book: Book, keys: Sequence[OpeningKey]) -> Reading:
    """How audit reads: by the documents that it has, with these of its keys."""
    shelf = DocumentShelf()
    for row in await book.fetch(views.DOCUMENTS):
        activated, body = read_document(row["body"])
        if activated.kind == "directory":
            shelf.directories.place(read_directory(body), activated.active_from)
        else:
            shelf.policies.place(read_policy(body), activated.active_from)
    return Reading(shelf, Opener(keys), SystemClock())


def opening_keys(state: Path | None) -> list[OpeningKey]:
    """Audit's own keys, where the site's state has them."""
    keys = []
    for file in sorted(state.glob(_KEY_FILES)) if state is not None else ():
        try:
            keys.append(OpeningKey.load(file.read_text(encoding="ascii")))
        except (Refused, ValueError, OSError):
            continue  # a signing key, or one that is not ours to read
    return keys
