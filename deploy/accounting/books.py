"""The comparison of a site's databases as their accountants read them, by identity, in bounded memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg

from deploy.accounting import edges, views
from deploy.accounting.book import Difference, DifferenceList, Reconciliation, Snapshot, group, open_snapshot
from deploy.accounting.edges import Carrier, EdgeCheck, IntakeCheck, SealedDays, id_at, sealable
from deploy.accounting.effects import PAGE, TERMS, EffectCheck
from deploy.accounting.log import LogCheck, opening_keys, reading_of
from deploy.accounting.streams import AuditRow, HeldMessage, ReadEnd, SentEnd, Sides, Stream, StreamCheck, Streams
from deploy.operator.documents import document_in_force
from deploy.site.access import kafka_access
from deploy.site.endpoints import Endpoints
from deploy.site.settings import AUDIT, keeps_referrals, kind_serving
from shared.catalog import CATALOG
from shared.core.clock import SystemClock
from shared.core.errors import Refused
from shared.core.protocol.authority import INBOXES
from shared.core.routing.documents import read_directory
from shared.delivery.subjects import OPEN_DAYS
from shared.messaging.streams import Lane
from shared.platform.kafka.reader import LogReader

CARRYING = tuple(message.type for message in CATALOG.messages if message.edge)
#: Edges in one question to audit.
_ASKED_AT_ONCE = 1000


@dataclass(slots=True)
class Findings:
    """The result of one reading of all databases, and the part of it that may be sealed."""

    result: Reconciliation
    sealed: SealedDays


@dataclass(slots=True)
class Comparison:
    """All databases of a site, each open in its own snapshot; the part in `sealed` need not be read again.

    `before`: the seals that a reading of everything compares with. `over`: messages from this day on are not sealed.
    """

    services: Sequence[Snapshot]
    audits: Sequence[Snapshot]
    sealed: SealedDays
    before: SealedDays
    over: date
    effects: EffectCheck = field(init=False)
    differences: DifferenceList = field(default_factory=DifferenceList)
    notes: list[str] = field(default_factory=list)
    #: By deciding instance: referrals for which audit has a decision that it could not read.
    _unread: dict[str, list[UUID]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The days that are closed at every clock are over.
        oldest = id_at(self.over - timedelta(days=OPEN_DAYS - 2))
        self.effects = EffectCheck({book.name: book for book in self.services}, self.audits, oldest)

    async def streams(self) -> Streams:
        """Compare all streams (II)."""
        account = Streams(await _read_sides(self.services, self.audits))
        audited = {Stream(*row): book for book in self.audits for row in await book.fetch(views.AUDITED_STREAMS)}
        for stream in account.every(tuple(audited)):
            check = StreamCheck(
                stream,
                account.sides,
                sealed=self.sealed.streams.get(stream),
                before=self.before.streams.get(stream),
                young=id_at(self.over),
            )
            account.checks.append(check)
            self.differences += check.compare_ends()
            if stream in audited:
                async for row in audited[stream].rows(views.AUDITED, *stream, check.seal.number):
                    self.differences += check.add(AuditRow._make(row))
                    if len(check.applied) >= PAGE:
                        self.differences += await self.effects.compare(stream, check.take_applied())
            self.differences += await self.effects.compare(stream, check.take_applied())
            self.differences += check.end()
        self.differences += account.taken_beyond()
        self.differences += account.open_differently()
        async for each in self.effects.walk(account.sides, self.sealed.first):
            self.differences += [each]
        for book in self.services:
            for peer, subject, act in await book.fetch(views.FORGOTTEN):
                where = f"{subject} {act} {book.name} → {peer}"
                self.differences += [Difference("II", "an answer that its writer has lost", where, (book.name, peer))]
        return account

    async def edges(self, sides: Sides) -> EdgeCheck:
        """Compare the edges that are not sealed (III)."""
        account = EdgeCheck(sides)
        for row in await self._unread_filings():
            if not row["refused"]:
                self._unread.setdefault(row["sender"], []).append(UUID(row["subject"]))
        async for rows in group(self._carriers(), key=lambda row: row.message_id):
            self.differences += account.add(rows)
            if len(account.untold) >= _ASKED_AT_ONCE:
                await self._ask(account)
        await self._ask(account)
        for book in self.services:
            if keeps_referrals(book.kind):
                for row in await book.fetch(views.UNSENT):
                    self.differences += account.add_unsent(row["state"], row["n"], row["example"])
        for book in self.audits:
            for row in await book.fetch(views.UNDERIVED, self.sealed.first):
                where = f"{row['topic']}/{row['partition']}/{row['offset']} {row['subject']}"
                self.differences += [Difference("III", "a decision that does not derive from its facts", where)]
        return account

    async def referrals(self) -> IntakeCheck:
        """Compare the counts of submissions and referrals (I)."""
        account = IntakeCheck()
        for book in self.services:
            if keeps_referrals(book.kind):
                for row in await book.fetch(views.INTAKE):
                    for fate in ("submitted", "accepted", "refused"):
                        account.intake[row["party"], fate] += row[fate]
                    account.counted_by[row["party"]] = book.name
                for row in await book.fetch(views.REFERRALS):
                    account.kept[row["party"], row["disposition"]] += row["n"]
        for book in self.audits:
            for row in await book.fetch(views.DECIDED):
                account.decided[row["origin"], row["disposition"]] += row["n"]
            for row in await book.fetch(views.REFUSED):
                account.refused[row["origin"]] += row["n"]
        await self._note_unread(account)
        self.differences += account.differences()
        return account

    async def _note_unread(self, account: IntakeCheck) -> None:
        """Count the statements on submissions that audit could not read: their origins did make them."""
        decided: dict[str, list[UUID]] = {}
        for row in await self._unread_filings():
            if row["refused"]:
                account.unread_refusals[row["sender"]] += row["n"]
            elif not row["told"]:
                decided.setdefault(row["sender"], []).append(UUID(row["subject"]))
        for book in self.services:
            for row in await book.fetch(views.REFERRALS_OF, decided[book.name]) if book.name in decided else ():
                account.unread[row["party"], row["disposition"]] += row["n"]

    async def _unread_filings(self) -> list[asyncpg.Record]:
        origins = {book.name for book in self.services if keeps_referrals(book.kind)}
        rows = [row for book in self.audits for row in await book.fetch(views.UNREAD_FILINGS)]
        return [row for row in rows if row["sender"] in origins]

    async def log(self, endpoints: Endpoints) -> Mapping[str, tuple[str, int]]:
        """Compare audit's entries with Kafka; return how far each partition need not be compared again."""
        compared: dict[str, tuple[str, int]] = {}
        for book in self.audits:
            reader = LogReader(kafka_access(endpoints, AUDIT), client_id="causeway-accounting", under=INBOXES)
            keys = opening_keys(endpoints.state)
            check = LogCheck(
                reader,
                book,
                await reading_of(book, keys),
                bool(keys),
                datetime(self.over.year, self.over.month, self.over.day, tzinfo=UTC),
                self.differences,
            )
            await check.compare(await reader.topic_ids(), self.sealed.log)
            if not keys:
                self.notes.append("sealed parts of facts were not compared: the site does not have audit's key")
            self.notes += check.notes
            for row in await book.fetch(views.IMPOSSIBLE):
                where = f"{row['topic']}/{row['partition']}/{row['offset']} {row['message_id']}"
                self.differences += [Difference("II", "an entry that audit cannot have read", where)]
            for row in await book.fetch(views.LOSSES):
                stream = Stream(*list(row)[:4])
                where = f"{stream} #{row['first']}-{row['last']}"
                parties = stream.writer, stream.addressee
                self.differences += [Difference("II", "taken by its recipient, lost to audit", where, parties)]
            for writer, addressee in await book.fetch(views.UNKNOWN_ENDS):
                what = f"{addressee} states that it took messages of incarnations that audit never had"
                self.differences += [Difference("II", what, f"{writer} → {addressee}", (addressee,))]
            for notes in (views.NOTES_OF_ENTRIES, views.NOTES_OF_UNREAD, views.NOTES_OF_UNPROVEN):
                self.notes += [row["note"] for row in await book.fetch(notes)]
            compared |= check.compared
        return compared

    def _carriers(self) -> list[AsyncIterator[Carrier]]:
        first = self.sealed.first
        origins = [book for book in self.services if keeps_referrals(book.kind)]
        streams = [_carried(book, views.EDGES, first, name=edges.EDGE) for book in origins]
        audited = views.AUDITED_CARRIERS
        return streams + [_carried(book, audited, first, CARRYING, name=edges.MESSAGE) for book in self.audits]

    async def _ask(self, account: EdgeCheck) -> None:
        links: dict[UUID, set[str]] = {}
        origins = [party for party, _ in account.untold.values()]
        for book in self.audits:
            for row in await book.fetch(views.LINKS, list(account.untold), origins):
                links.setdefault(row["edge_id"], set()).add(row["origin"])
        for book in self.services:
            ids = self._unread.get(book.name)
            for row in await book.fetch(views.EDGES_OF, list(account.untold), ids) if ids else ():
                links.setdefault(row["edge_id"], set()).add(row["party"])
        self.differences += account.compare_statements(links)


async def compare_all(endpoints: Endpoints, sealed: SealedDays, *, before: SealedDays | None = None) -> Findings:
    """Compare everything that is not sealed. A message in transit may be in only one of two databases.

    `before`: seals that must still hold. Raises `Refused`, before any database is read, if the site lacks an instance
    of the directory or knows it as another kind: the counts would match without that instance. An instance that only
    the site has is read with the others.
    """
    async with AsyncExitStack() as held:
        kinds = _kinds(endpoints)
        found = [
            await held.enter_async_context(open_snapshot(endpoints.database(name).accountant_url, kind=kind, name=name))
            for name, kind in sorted(kinds.items(), key=lambda each: each[1] == AUDIT)
        ]
        services = [book for book in found if book.kind != AUDIT]
        audits = [book for book in found if book.kind == AUDIT]
        now = SystemClock().now()
        books = Comparison(services, audits, sealed, before or SealedDays(), sealable(now))
        account = await books.streams()
        carried = await books.edges(account.sides)
        referrals = await books.referrals()
        log = await books.log(endpoints)
        result = Reconciliation(
            referrals.totals(),
            account.totals(),
            carried.totals(sealed.edges),
            tuple(sorted(set(books.notes))),
            books.differences.sorted(),
            referrals.by_origin(),
            account.by_pair(),
            effects={name: books.effects.terms[name] for name in TERMS},
        )
        until = sealable(now, account.oldest_unsettled(), carried.oldest_unread)
        return Findings(result, _to_seal(sealed, account, carried, until=until, log=log))


def _to_seal(
    sealed: SealedDays, account: Streams, carried: EdgeCheck, *, until: date, log: Mapping[str, tuple[str, int]]
) -> SealedDays:
    """Return the part that the next reading may skip if nothing differs."""
    streams, log = dict(account.seals()), dict(log)
    if sealed.until is not None and until <= sealed.until:
        return SealedDays(sealed.until, streams, sealed.edges, log)
    return SealedDays(until, streams, carried.sealable(sealed.edges, until=until), log)


async def _carried(book: Snapshot, query: str, *arguments: object, name: str) -> AsyncIterator[Carrier]:
    async for row in book.rows(query, *arguments):
        yield Carrier._make((*row, book.name, name))


def _kinds(endpoints: Endpoints) -> dict[str, str]:
    """Return the kind of every instance that is compared, by its name."""
    directory = read_directory(document_in_force(endpoints.state or Path(), "directory"))
    known = {instance: kind_serving(party) for instance, party in directory.kinds().items()}
    for instance, kind in known.items():
        if endpoints.kind(instance) != kind:
            raise Refused("instance_of_another_kind", f"`{instance}` is {kind} by the directory", status=400)
        endpoints.database(instance)
    return known | {name: endpoints.kind(name) for name in endpoints.databases}


async def _read_sides(services: Sequence[Snapshot], audits: Sequence[Snapshot]) -> Sides:
    """Read all accounts of streams.

    Tables grow with the peers and the open exceptions, not with the messages.
    """
    sides = Sides()
    taken = dict[str, dict[Stream, ReadEnd]]()
    for book in (*services, *audits):
        taken[book.name] = {
            Stream(row["writer"], row["addressee"], row["incarnation"], row["lane"]): ReadEnd(
                row["taken"], row["chain"]
            )
            for row in await book.fetch(views.TAKEN)
        }
        sides.taken |= {stream: end for stream, end in taken[book.name].items() if stream.addressee == book.name}
        for row in await book.fetch(views.SENT):
            stream = Stream(book.name, row["peer"], row["incarnation"], row["lane"])
            sides.sent[stream] = SentEnd(row["numbered"], row["chain"], row["taken"])
        for row in await book.fetch(views.HELD):
            stream = Stream(row["writer"], book.name, row["incarnation"], row["lane"])
            held = HeldMessage(stream, row["number"], row["message_id"], row["outcome"])
            sides.held[stream.writer, book.name, held.message_id] = held
        for row in await book.fetch(views.TOLD_OPEN):
            sides.told_open[book.name, row["peer"], row["message_id"]] = row["outcome"]
    for book in audits:
        sides.read |= taken[book.name]
    for stream, sent in sides.sent.items():
        if stream.addressee not in taken:
            sides.taken[stream] = ReadEnd(sent.acked, None)
    _note_reports(sides, services, taken)
    return sides


def _note_reports(sides: Sides, services: Sequence[Snapshot], taken: dict[str, dict[Stream, ReadEnd]]) -> None:
    """Note the pairs whose recipient's outcomes were read to the end: by audit, and by the writer.

    A recipient reports outcomes in the urgent lane of its own stream to the writer, and audit has none to report.
    """
    for writer in (book.name for book in services):
        sides.reported.add((writer, AUDIT))
        sides.heard.add((writer, AUDIT))
        for addressee in (book.name for book in services):
            reports = [
                (stream, sent.number)
                for stream, sent in sides.sent.items()
                if (stream.writer, stream.addressee, stream.lane) == (addressee, writer, Lane.URGENT)
            ]
            if all(_through(sides.read, stream) >= last for stream, last in reports):
                sides.reported.add((writer, addressee))
            if all(_through(taken[writer], stream) >= last for stream, last in reports):
                sides.heard.add((writer, addressee))


def _through(read: dict[Stream, ReadEnd], stream: Stream) -> int:
    return read[stream].number if stream in read else 0
