"""The books of a site, compared: each side as its accountant reads it, by identity, in bounded memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import asyncpg

from deploy.accounting import edges, messages, views
from deploy.accounting.differences import Difference, Found, Reconciliation
from deploy.accounting.edges import Carrier, Edges
from deploy.accounting.log import LogCheck, opening_keys, reading_of
from deploy.accounting.messages import Compacted, Emitted, Messages, Numbers
from deploy.accounting.referrals import Referrals
from deploy.accounting.sealed import Days, Sealed, id_at, sealable
from deploy.accounting.spans import Spans
from deploy.accounting.streams import Book, Line, Pair, grouped, opened
from deploy.operator.documents import document_in_force
from deploy.site.access import kafka_access
from deploy.site.endpoints import Endpoints
from deploy.site.kinds import AUDIT, keeps_referrals, kind_serving
from shared.contracts.registry import ALL
from shared.exchange.topics import INBOXES
from shared.kernel.clock import SystemClock
from shared.kernel.errors import Refused
from shared.routing.shelf import read_directory
from shared.runtime.kafka.reader import LogReader

CARRYING = tuple(message.type for message in ALL if message.edge)
#: Of so many edges at once audit is asked whether it was told of them.
_ASKED_AT_ONCE = 1000


@dataclass(slots=True)
class Findings:
    """What one reading of the books came to, and what may be sealed of it."""

    result: Reconciliation
    sealed: Sealed


@dataclass(slots=True)
class Books:
    """All books of a site, each open in a snapshot of its own, and what was sealed of them before."""

    services: Sequence[Book]
    audits: Sequence[Book]
    sealed: Sealed
    #: Up to this day, not included, what is read can be sealed: everything of these days is settled.
    over: date
    differences: Found = field(default_factory=Found)
    notes: list[str] = field(default_factory=list)
    days: Days = field(default_factory=Days)
    #: By the instance that decided them: referrals whose decision audit has, and could not read.
    _unread: dict[str, list[UUID]] = field(default_factory=dict)

    async def messages(self) -> tuple[Messages, Messages]:
        """(II): the account of everything, and that of the days which will be sealed if nothing differs."""
        emitted, gone, compacted = await self._emitted(), await self._gone(), await self._compacted()
        account = Messages(emitted, gone, _copied(self.sealed.numbers), compacted, await self._ends())
        sealing = Messages(emitted, gone, _copied(self.sealed.numbers), compacted)
        boundary = id_at(self.over)
        async for lines in grouped(self._numbered(), key=lambda line: line[:4]):
            self.differences += account.add(lines)
            early = [line for line in lines if line.message_id < boundary]
            self.days.add(early)
            if early:
                list(sealing.add(early))
        self.differences += account.missing()
        self.differences += account.ended_elsewhere()
        if self.sealed.until is None:
            self.differences += account.altered()
        self.notes += account.notes
        return account, sealing

    async def edges(self) -> Edges:
        """(III), of what is not sealed."""
        account = Edges()
        for row in await self._unread_filings():
            if not row["refused"]:
                self._unread.setdefault(row["sender"], []).append(UUID(row["subject"]))
        async for rows in grouped(self._carriers(), key=lambda row: row.message_id):
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
                where = f"{row['topic']}/{row['partition']}/{row['offset']}"
                self.differences += [Difference("III", "a decision that does not derive from its facts", where)]
        return account

    async def referrals(self) -> Referrals:
        """(I), from counts alone."""
        account = Referrals()
        for book in self.services:
            if keeps_referrals(book.kind):
                for row in await book.fetch(views.INTAKE):
                    account.intake[row["party"], row["fate"]] += row["count"]
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

    async def _note_unread(self, account: Referrals) -> None:
        """What was stated of filings to an audit that could not read it: it was told, all the same."""
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
        return [row for book in self.audits for row in await book.fetch(views.UNREAD_FILINGS)]

    async def log(self, endpoints: Endpoints) -> Mapping[str, tuple[str, int]]:
        """Audit's entries against Kafka; how far each topic need not be compared again."""
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
            )
            async for each in check.differences(await reader.topic_ids(), self.sealed.log):
                self.differences += [each]
            if not keys:
                self.notes.append("what facts state under seal was not compared: the site has no key of audit's")
            self.notes += check.notes
            for row in await book.fetch(views.IMPOSSIBLE):
                where = f"{row['topic']}/{row['partition']}/{row['offset']} {row['message_id']}"
                self.differences += [Difference("II", "an entry that audit cannot have read", where)]
            for row in await book.fetch(views.SAID):
                self.notes.append(said(row))
            for row in await book.fetch(views.UNREAD):
                self.notes.append(unread(row))
            for row in await book.fetch(views.NOBODYS):
                self.notes.append(counted(row))
            compared |= check.compared
        return compared

    async def _emitted(self) -> dict[Pair, Emitted]:
        return {
            (row["sender"], row["recipient"], row["epoch"]): Emitted(row["last"], row["closed"])
            for book in self.services
            for row in await book.fetch(views.COUNTERS)
        }

    async def _gone(self) -> dict[Pair, Spans]:
        found: dict[Pair, list[tuple[int, int]]] = {}
        for book in self.audits:
            for row in await book.fetch(views.GONE):
                pair = row["sender"], row["recipient"], row["epoch"]
                found.setdefault(pair, []).append((row["first"], row["last"]))
        return {pair: Spans(spans) for pair, spans in found.items()}

    async def _ends(self) -> dict[Pair, list[int]]:
        found: dict[Pair, list[int]] = {}
        for book in self.audits:
            for row in await book.fetch(views.ENDS):
                found.setdefault((row["sender"], row["recipient"], row["epoch"]), []).append(row["last"])
        return found

    async def _compacted(self) -> dict[tuple[str, Pair], Compacted]:
        return {
            (row["book"], (row["sender"], row["recipient"], row["epoch"])): Compacted(
                Spans((first, last) for first, last in row["spans"]), int(row["digests"])
            )
            for book in self.services
            for row in await book.fetch(views.COMPACTED)
        }

    def _numbered(self) -> list[AsyncIterator[Line]]:
        first = self.sealed.first
        named = ((messages.OUTBOX, views.OUTBOX), (messages.SETTLED, views.SETTLED), (messages.INBOX, views.INBOX))
        streams = [book.lines(query, first, book=name) for book in self.services for name, query in named]
        return streams + [book.lines(views.AUDITED, first, book=messages.AUDITED) for book in self.audits]

    def _carriers(self) -> list[AsyncIterator[Carrier]]:
        first = self.sealed.first
        streams = []
        for book in self.services:
            streams.append(_carried(book, views.CARRIERS, first, CARRYING, name=edges.MESSAGE))
            if keeps_referrals(book.kind):
                streams.append(_carried(book, views.EDGES, first, name=edges.EDGE))
        audited = views.AUDITED_CARRIERS
        return streams + [_carried(book, audited, first, CARRYING, name=edges.MESSAGE) for book in self.audits]

    async def _ask(self, account: Edges) -> None:
        links: dict[UUID, set[str]] = {}
        for book in self.audits:
            for row in await book.fetch(views.LINKS, list(account.untold)):
                links.setdefault(row["edge_id"], set()).add(row["origin"])
        for book in self.services:
            ids = self._unread.get(book.name)
            for row in await book.fetch(views.EDGES_OF, list(account.untold), ids) if ids else ():
                links.setdefault(row["edge_id"], set()).add(row["party"])
        self.differences += account.told(links)


async def read_books(endpoints: Endpoints, sealed: Sealed) -> Findings:
    """Compare everything that is not sealed. What is on its way meanwhile may stand in one book and not yet in another.

    Raises `Refused`, before any is read, where the site lacks an instance of the directory or knows one as of another
    kind: books that nobody read add up too. An instance that the site alone still has is read with the others.
    """
    async with AsyncExitStack() as stack:
        kinds = _kinds(endpoints)
        found = [
            await stack.enter_async_context(opened(endpoints.database(name).accountant_url, kind=kind, name=name))
            for name, kind in sorted(kinds.items(), key=lambda each: each[1] == AUDIT)
        ]
        services = [book for book in found if book.kind != AUDIT]
        audits = [book for book in found if book.kind == AUDIT]
        books = Books(services, audits, sealed, await _over(services))
        account, sealing = await books.messages()
        carried = await books.edges()
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
        )
        return Findings(result, _to_seal(books, sealing, carried.sealable(sealed.edges), log=log))


def _to_seal(
    books: Books, sealing: Messages, terms: Mapping[str, int], *, log: Mapping[str, tuple[str, int]]
) -> Sealed:
    """What the next reading need not read."""
    if books.sealed.until is not None and books.over <= books.sealed.until:
        return books.sealed
    return Sealed(books.over, books.sealed.days | books.days.digests(), sealing.numbers, dict(terms), dict(log))


async def _over(services: Sequence[Book]) -> date:
    open_ids = [row["message_id"] for book in services for row in await book.fetch(views.OLDEST_OPEN)]
    return sealable(SystemClock().now(), min(open_ids, default=None))


def _copied(numbers: Mapping[Pair, Numbers]) -> dict[Pair, Numbers]:
    return {pair: Numbers(Spans(found.seen), found.fates.copy()) for pair, found in numbers.items()}


async def _carried(book: Book, query: str, *arguments: object, name: str) -> AsyncIterator[Carrier]:
    async for row in book.rows(query, *arguments):
        yield Carrier._make((*row, name))


def said(row: Mapping[str, object]) -> str:
    """What a row of `views.SAID` says, for a person."""
    place = f"{row['topic']}/{row['partition']}/{row['offset']}"
    if row["kind"] == "not_entitled":
        return f"{place}: {row['sender']} had no right to say {row['type']}"
    return f"{place}: {row['kind']} ({row['problem']})"


def unread(row: Mapping[str, object]) -> str:
    """What a row of `views.UNREAD` says, for a person."""
    place = f"{row['topic']}/{row['partition']}/{row['first']} to {row['last']}"
    return f"{place}: {row['count']} of {row['type']} that audit could not read ({row['problem']})"


def counted(row: Mapping[str, object]) -> str:
    """What a row of `views.NOBODYS` says, for a person."""
    place = f"{row['topic']}/{row['partition']}/{row['first']} to {row['last']}"
    return f"{place}: {row['count']} that nobody has proven to have written ({row['reason']})"


def _kinds(endpoints: Endpoints) -> dict[str, str]:
    """The kind of every instance whose books count, by its name."""
    directory = read_directory(document_in_force(endpoints.state or Path(), "directory"))
    known = {instance: kind_serving(party) for instance, party in directory.kinds().items()}
    for instance, kind in known.items():
        if endpoints.kind(instance) != kind:
            raise Refused("instance_of_another_kind", f"`{instance}` is {kind} by the directory", status=400)
        endpoints.database(instance)
    return known | {name: endpoints.kind(name) for name in endpoints.databases}
