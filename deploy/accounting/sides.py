"""The accounts of writers, recipients and audit on all streams (`deploy.accounting.streams`)."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.accounting import views
from deploy.accounting.book import Book
from deploy.accounting.streams import End, HeldMessage, Sent, Sides, Stream
from deploy.site.kinds import AUDIT
from shared.messaging.streams import Lane


async def read_sides(services: Sequence[Book], audits: Sequence[Book]) -> Sides:
    """Read all accounts of streams. Tables grow with the peers and the open exceptions, not with the messages."""
    sides = Sides()
    taken = dict[str, dict[Stream, End]]()
    for book in (*services, *audits):
        taken[book.name] = {
            Stream(row["writer"], row["addressee"], row["incarnation"], row["lane"]): End(row["taken"], row["chain"])
            for row in await book.fetch(views.TAKEN)
        }
        sides.taken |= {stream: end for stream, end in taken[book.name].items() if stream.addressee == book.name}
        for row in await book.fetch(views.SENT):
            stream = Stream(book.name, row["peer"], row["incarnation"], row["lane"])
            sides.sent[stream] = Sent(row["numbered"], row["chain"], row["taken"])
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
            sides.taken[stream] = End(sent.acked, None)
    _note_reports(sides, services, taken)
    return sides


def _note_reports(sides: Sides, services: Sequence[Book], taken: dict[str, dict[Stream, End]]) -> None:
    """Note the pairs whose recipient's outcomes were read to the end: by audit, and by the writer.

    A recipient reports outcomes in the urgent lane of its own stream to the writer, and audit has none to report.
    """
    for writer in (book.name for book in services):
        sides.reported.add((writer, AUDIT))
        sides.heard.add((writer, AUDIT))
        for addressee in (book.name for book in services):
            reports = [
                (stream, sent.last)
                for stream, sent in sides.sent.items()
                if (stream.writer, stream.addressee, stream.lane) == (addressee, writer, Lane.URGENT)
            ]
            if all(_through(sides.read, stream) >= last for stream, last in reports):
                sides.reported.add((writer, addressee))
            if all(_through(taken[writer], stream) >= last for stream, last in reports):
                sides.heard.add((writer, addressee))


def _through(read: dict[Stream, End], stream: Stream) -> int:
    return read[stream].through if stream in read else 0
