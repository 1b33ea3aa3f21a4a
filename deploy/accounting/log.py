"""Comparison of audit's entries with Kafka, while it has the records: each message must match its record.

The check reads the records as audit does, with audit's key (`keys/audit` of the site's state), partition by partition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import zip_longest
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from deploy.accounting import views
from deploy.accounting.book import Difference, DifferenceList, Snapshot
from deploy.accounting.streams import Stream
from services.audit.domain.entries import UNREAD, AuditBatch, AuditDecision, AuditEntry, EntryKind, ReportedOutcome
from services.audit.domain.reading import ObservedRecord, Reading, read_records
from services.audit.intake import StreamBatch, StreamVerifier, pair_of
from shared.catalog import CATALOG
from shared.core.clock import SystemClock
from shared.core.envelope.keys import OpeningKey
from shared.core.errors import Refused
from shared.core.routing.documents import DocumentStore, read_directory, read_policy
from shared.messaging.contract import CODE_UNKNOWN
from shared.messaging.streams import Lane, Pair
from shared.platform.kafka.documents import read_document
from shared.platform.kafka.reader import LogReader
from shared.platform.kafka.topic_metadata import Coordinate, Offsets


class DayCount(NamedTuple):
    """Audit's counts for one day of a topic: first offset, number of records, and sum of digests.

    The counts are over all reasons, because a key that was revoked since changes a record's reason.
    """

    first: int
    records: int
    digests: int


@dataclass(slots=True)
class DayCheck:
    """The comparison of one topic's counted records, fed in order, with audit's counts by day in `kept`.

    `read_to` is the offset up to which, not included, audit has read: all before it is counted.
    """

    kept: Mapping[date, DayCount]
    read_to: int
    _found: dict[date, tuple[int, int]] = field(default_factory=dict)

    def add(self, record: AuditEntry) -> bool:
        """Count a record; return False if audit has not read up to it. Later records are not compared."""
        if record.offset >= self.read_to:
            return False
        day = record.broker_time.astimezone(UTC).date()
        count, digests = self._found.get(day, (0, 0))
        self._found[day] = count + 1, digests + int(record.digest[:15], 16)
        return True

    def differences(self, topic: str, *, first: int) -> Iterator[Difference]:
        """Yield the days with other sums, if all records of the day, from offset `first` on, were read."""
        for day in sorted(self.kept.keys() | self._found.keys()):
            kept = self.kept.get(day, DayCount(first, 0, 0))
            if kept.first >= first and self._found.get(day, (0, 0)) != (kept.records, kept.digests):
                yield Difference("II", "audit has counted other records than Kafka has", f"{topic}, {day.isoformat()}")


#: Columns of an entry that are the same for every reader at any time.
_CLAIMS: Final = ("digest", "message_id", "type", "subject", "sender", "recipient", "exercise")
#: Columns of an entry whose record's proof holds: that proof, and the record's statements.
_PROOF: Final = ("salt", "proof")
_STATED: Final = ("kind", "edge_id", "act", "commitment", "detail")
#: Columns that only audit's key can open.
_SEALED: Final = frozenset({"kind", "detail"})
#: Values of a decision, and those of them in the clear.
_DECIDED: Final = ("referral_id", "exercise", "entitled", "origin", "disposition", "detail", "links")
_IN_THE_CLEAR: Final = frozenset({"referral_id", "exercise"})
_OWN: Final = frozenset({"loss", "conflict"})
#: A record whose key was revoked since, or whose segment began before the first record that Kafka has.
_UNPROVABLE: Final = frozenset({"proof_missing", "key_unknown"})
_OFFSET_MAX: Final = 2**62
_PLACE: Final = ("topic", "topic_id", "partition", "offset")
_Row = Mapping[str, Any]
_place_of, _placed_as = attrgetter(*_PLACE), itemgetter(*_PLACE)


@dataclass(slots=True)
class LogCheck:
    """The comparison of entries with Kafka, partition by partition.

    `opened`: facts can be opened, because the site has audit's key. `compared`: per partition the topic's id, and the
    offset up to which all records before `sealing_before` were compared.
    """

    reader: LogReader
    book: Snapshot
    reading: Reading
    opened: bool
    sealing_before: datetime
    found: DifferenceList
    compared: dict[str, tuple[str, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    #: By type, the messages of a later release than this one, which audit may read.
    _later: Counter[str] = field(default_factory=Counter)
    _read: dict[Stream, int] = field(default_factory=dict)
    _read_to: dict[Coordinate, tuple[UUID | None, int]] = field(default_factory=dict)
    #: Of the partition that is compared: the first and last offset of each loss that audit has named.
    _lost: list[tuple[int, int]] = field(default_factory=list)

    async def compare(self, lives: Mapping[str, UUID], before: Mapping[str, tuple[str, int]]) -> None:
        """Add all differences to `found`. `lives`: the topics' ids. `before`: the offsets compared earlier."""
        for writer, addressee, incarnation, lane, taken, _ in await self.book.fetch(views.TAKEN):
            self._read[Stream(writer, addressee, incarnation, lane)] = taken
        for row in await self.book.fetch(views.READ_TO):
            self._read_to[Coordinate(row["topic"], row["partition"])] = row["topic_id"], row["next_offset"]
        for where, bounds in sorted((await self.reader.bounds()).items()):
            life, pair = lives.get(where.topic), pair_of(where.topic)
            if life is not None and pair is not None:
                known, offset = before.get(_name(where), ("", 0))
                first = max(bounds.first, offset if known == str(life) else 0)
                self.compared[_name(where)] = str(life), first
                await self._partition(where, life, pair, bounds=Offsets(first, bounds.end))
        self.notes += [
            f"{count} of {type_text} that this release cannot read: their statements were not compared"
            for type_text, count in self._later.items()
        ]

    async def _partition(self, where: Coordinate, life: UUID, pair: Pair, *, bounds: Offsets) -> None:
        verifier = StreamVerifier(pair, Lane(where.partition), self.reading.signing_keys, topic_id=life)
        read_to = self._read_to.get(where, (None, 0))
        folded = await self._folded(where, life, read_to=read_to[1] if read_to[0] == life else 0)
        losses = await self.book.fetch(views.LOST, where.topic, life, where.partition)
        self._lost = [(first, last) for first, last in losses if last >= bounds.first]
        following, strange = bounds.first, list[_Row]()
        if bounds.first < bounds.end:
            async with aclosing(self.reader.read_range(where, bounds.first, bounds.end)) as batches:
                async for records in batches:
                    rows = await self._rows(where, life, first=following, last=records[-1].offset)
                    following = records[-1].offset + 1
                    batch = verifier.verify(records)
                    await self._batch(batch, rows, folded)
                    offsets = {record.offset for record in records}
                    strange += [row for row in rows if row["offset"] not in offsets]
                    if all(record.broker_time < self.sealing_before for record in records):
                        self.compared[_name(where)] = str(life), verifier.resume_offset(following)
        strange += await self._rows(where, life, first=following, last=_OFFSET_MAX)
        if not self._lost:
            self.found += folded.differences(where.topic, first=bounds.first)
        for row in strange:
            self._gone("in audit's log, not in Kafka", row)

    async def _rows(self, where: Coordinate, life: UUID, *, first: int, last: int) -> list[asyncpg.Record]:
        return await self.book.fetch(views.ENTRIES, where.topic, life, where.partition, first, last)

    async def _folded(self, where: Coordinate, life: UUID, *, read_to: int) -> DayCheck:
        rows = await self.book.fetch(views.FOLDED, where.topic, life, where.partition)
        kept = {row["day"]: DayCount(row["first_offset"], row["count"], int(row["digests"])) for row in rows}
        return DayCheck(kept, read_to)

    async def _batch(self, batch: StreamBatch, rows: Sequence[_Row], folded: DayCheck) -> None:
        """Compare the records of one batch with the entries of their numbers, and at their offsets."""
        numbered = list(_numbered(batch))
        entries = await self._entries(numbered)
        own: list[ObservedRecord] = []
        #: Messages of a later release than audit's: their statements had no effect there.
        unread: list[ObservedRecord] = []
        for item in numbered:
            row = entries.get((item.stream, item.number))
            if row is not None and _placed_as(row) == _place_of(item.observed.record):
                (unread if row["problem"] in UNREAD else own).append(item.observed)
            else:
                self._elsewhere(item, row)
        read, apart = AuditBatch(), AuditBatch()
        read_records([*own, *batch.unreadable], read, reading=self.reading)
        read_records(unread, apart, reading=self.reading)
        by_offset = _by_offset(rows)
        for made in (*read.entries, *apart.entries):
            row = by_offset.get(made.offset, {}).pop(made.digest, None)
            self._same(made, row, folded)
        unprovable = {item.record.offset for item in batch.unreadable if item.code in _UNPROVABLE}
        for offset in sorted(by_offset.keys() & {record.offset for record in batch.arrived}):
            for row in by_offset[offset].values():
                if row["number"] is not None and offset in unprovable:
                    self.notes.append(f"{_at(row)}: its proof cannot be checked any more")
                else:
                    self._gone("audit has another record than Kafka", row)
        await self._tables(read)

    def _differs(self, what: str, row: _Row) -> None:
        parties = tuple(each for each in (row["sender"], row["recipient"]) if each)
        self.found += [Difference("II", what, _at(row), parties)]

    async def _entries(self, numbered: Sequence[_NumberedRecord]) -> dict[tuple[Stream, int], _Row]:
        """Return audit's entries of these numbers, at any offset."""
        spans: dict[Stream, tuple[int, int]] = {}
        for each in numbered:
            first, last = spans.get(each.stream, (each.number, each.number))
            spans[each.stream] = min(first, each.number), max(last, each.number)
        return {
            (stream, row["number"]): row
            for stream, span in spans.items()
            for row in await self.book.fetch(views.PLACED, *stream, *span)
        }

    def _elsewhere(self, each: _NumberedRecord, row: _Row | None) -> None:
        """Judge a message that audit did not take from this record: it was appended again, or never taken."""
        record = each.observed.record
        at = f"{record.topic}/{record.partition}/{record.offset} {each.stream} #{each.number}"
        if row is None and each.number <= self._read.get(each.stream, 0):
            self.found += [Difference("II", "in Kafka, not in audit's log", at, tuple(each.observed.pair))]
        elif row is not None and row["digest"] != each.digest:
            self.notes.append(f"{at}: another message than audit took under this number")

    def _same(self, made: AuditEntry, row: _Row | None, folded: DayCheck) -> None:
        """Compare a record with audit's entry of the same digest at its offset."""
        if made.problem in UNREAD:
            self._later[made.type or ""] += 1
        if made.number is None:
            # Most records without a number have no entry: audit counts them.
            folded.add(made)
        if row is None and made.number is not None:
            self._differs("audit has another record than Kafka", made._asdict())
        elif row is not None:
            if changed := _changed(made, row, opened=self.opened):
                self._differs(f"audit's entry says another {', '.join(changed)} than its record", row)
            for decision in _changed_decisions(made, row, opened=self.opened):
                self._differs(decision, row)

    def _gone(self, what: str, row: _Row) -> None:
        """Name an entry whose record Kafka does not have; a loss that audit entered explains it."""
        if any(first <= row["offset"] <= last for first, last in self._lost):
            self.notes.append(f"{_at(row)}: audit has it, and the topic lost it")
        elif row["kind"] not in _OWN:
            self._differs(what, row)

    async def _tables(self, read: AuditBatch) -> None:
        """Compare reported outcomes with the table from which audit shows them."""
        reports = [made.message_id for made in read.entries if made.kind == EntryKind.OUTCOMES]
        stated = set(map(_unplaced, read.outcomes))
        found = await self.book.fetch(views.STATED_OUTCOMES, reports)
        kept = ((ReportedOutcome(*row), is_placed) for *row, is_placed in found)
        shown = {_unplaced(each) if is_placed else each for each, is_placed in kept}
        # One of the two releases does not know the code of an outcome that it reads as unknown.
        unread = {each._replace(code=None) for each in stated | shown if each.code == CODE_UNKNOWN}
        differing = (each for each in stated ^ shown if each.code is None or each._replace(code=None) not in unread)
        for each in sorted(differing, key=str):
            what = "audit does not show" if each in stated else "no recipient reported and audit shows"
            where = f"report {each.report_id}: message {each.message_id}, {each.outcome}"
            self.found += [Difference("II", f"an outcome that {what}", where)]


class _NumberedRecord(NamedTuple):
    """A numbered message with its place, and its digest in hexadecimal."""

    observed: ObservedRecord
    stream: Stream
    number: int
    digest: str


def _numbered(batch: StreamBatch) -> Iterator[_NumberedRecord]:
    """Yield a batch's numbered messages and copies of other pairs' messages, in the order of offsets."""
    for pair, message, record in batch.numbered:
        place = message.place
        stream = Stream(*pair, place.incarnation, int(place.lane))
        yield _NumberedRecord(ObservedRecord(record, pair, place), stream, place.number, message.digest.hex())


def _by_offset(rows: Sequence[_Row]) -> dict[int, dict[str, _Row]]:
    """Map entries by offset and digest. An offset has several if a topic lost its end and grew again."""
    found: dict[int, dict[str, _Row]] = {}
    for row in rows:
        if row["kind"] not in _OWN:
            found.setdefault(row["offset"], {})[row["digest"]] = row
    return found


def _unplaced(outcome: ReportedOutcome) -> ReportedOutcome:
    return outcome._replace(number=0, reported_at=datetime.min.replace(tzinfo=UTC))


def _name(where: Coordinate) -> str:
    return f"{where.topic}/{where.partition}"


def _at(row: _Row) -> str:
    place = f"{row['topic']}/{row['partition']}/{row['offset']}"
    return f"{place} {row['message_id']}" if row["message_id"] else place


def _changed(made: AuditEntry, row: _Row, *, opened: bool) -> list[str]:
    names = list(_CLAIMS)
    if made.verified:
        if not row["verified"] and row["problem"] != "document_unknown":
            names.append("verified")
        names += _PROOF
    elif row["verified"] and made.problem != "sender_unknown":
        return ["verified"]
    found = [name for name in names if getattr(made, name) != row[name]]
    return found + _otherwise(made, row, opened=opened) if made.verified else found


def _otherwise(made: AuditEntry, row: _Row, *, opened: bool) -> list[str]:
    """Return the columns that differ from the record's statement.

    A release that could not read the statement has fewer values in its columns.
    """
    ours, theirs = ({name: stated[name] for name in _STATED} for stated in (made._asdict(), row))
    ours["detail"], theirs["detail"] = _json(ours["detail"]), _json(theirs["detail"])
    return _differing(ours, theirs, (made.problem, row["problem"]), opened=opened, clear=frozenset(_STATED) - _SEALED)


def _changed_decisions(made: AuditEntry, row: _Row, *, opened: bool) -> Iterator[str]:
    """Yield a description of each difference between the decisions of the entry and those of the record.

    A release that could not read the message has no decision in its entry.
    """
    sides = (made.problem, made.decisions), (row["problem"], kept := views.read_decisions(row["decisions"]))
    is_unread = made.problem != row["problem"] and any(problem in UNREAD and not listed for problem, listed in sides)
    for ours, theirs in zip_longest(made.decisions, kept) if made.verified and not is_unread else ():
        if ours is None or theirs is None:
            referral_id = theirs["referral_id"] if ours is None else ours.referral_id
            yield f"audit has{'' if ours is None else ' no'} decision on {referral_id}, unlike its record"
            continue
        compared = _decided(ours, made, kept_as=theirs["problem"]), {name: theirs[name] for name in _DECIDED}
        if changed := _differing(*compared, (ours.problem, theirs["problem"]), opened=opened, clear=_IN_THE_CLEAR):
            yield f"audit's decision on {ours.referral_id} says another {', '.join(changed)} than its record"


def _decided(decision: AuditDecision, made: AuditEntry, *, kept_as: str | None) -> dict[str, object]:
    # Without its documents the rules of the decision cannot be determined.
    return {
        "referral_id": str(decision.referral_id),
        "exercise": made.exercise,
        "entitled": decision.entitled,
        "origin": decision.origin,
        "disposition": decision.disposition,
        "detail": from_json(decision.detail),
        "links": [[str(a), b, c, d * (kept_as != "document_unknown"), e] for a, b, c, d, e in decision.links] or None,
    }


def _differing(
    ours: _Row, theirs: _Row, problems: tuple[str | None, str | None], *, opened: bool, clear: frozenset[str]
) -> list[str]:
    """Return the names of differing columns: those in the clear, and the sealed ones if `opened`."""
    made, kept = problems
    if kept in UNREAD:
        return [name for name in ours if not _is_of(theirs[name], ours[name])]
    if made in UNREAD:
        return [name for name in ours if not _is_of(ours[name], theirs[name])]
    found = [name for name in ours if ours[name] != theirs[name] and (opened or name in clear)]
    return [*found, "problem"] if opened and kept not in (made, "document_unknown") else found


def _is_of(less: object, more: object) -> bool:
    if isinstance(less, dict) and isinstance(more, dict):
        return less.items() <= more.items()
    if isinstance(less, list) and isinstance(more, list):
        # A decision that could not be derived states its edges without rules.
        return less in (more, [[*link[:3], "", link[4]] for link in more])
    return less in (None, EntryKind.RECORD, more)


def _json(value: object) -> object:
    return from_json(value) if isinstance(value, str) else value


async def reading_of(book: Snapshot, keys: Sequence[OpeningKey]) -> Reading:
    """Return the context in which audit reads: its documents, and the given ones of its keys."""
    shelf = DocumentStore()
    for row in await book.fetch(views.DOCUMENTS):
        activated, body = read_document(row["body"])
        if activated.kind == "directory":
            shelf.directories.place(read_directory(body), activated.active_from)
        else:
            shelf.policies.place(read_policy(body), activated.active_from)
    return Reading(shelf, keys, SystemClock(), CATALOG)


def opening_keys(state: Path | None) -> list[OpeningKey]:
    """Return audit's own keys, if the site's state has them."""
    keys = []
    for file in sorted(state.glob("keys/audit/*.key")) if state is not None else ():
        try:
            keys.append(OpeningKey.load(file.read_text(encoding="ascii")))
        except (Refused, ValueError, OSError):
            continue  # a signing key, or a file that this user may not read
    return keys
