"""`causeway flow ID`: an auditor's view of one referral's messages, and `causeway flow find`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import UUID

from cyclopts import App

from client.cli import output
from client.cli.settings import Options
from shared.kernel.clock import rfc3339

if TYPE_CHECKING:
    from client.views import FlowMessage

app = App(name="flow", help="The messages of one referral, as the log holds them.")
_OPTIONS = Options()


@app.default
async def flow(referral_id: UUID, /, *, purpose: str, options: Options = _OPTIONS) -> int:
    """List the messages of one referral, oldest first.

    Parameters
    ----------
    purpose
        Why you ask: 8 to 64 letters, digits, spaces and hyphens. It is logged with the query.
    """
    async with output.service(options) as client:
        found = await client.flow(referral_id, purpose=purpose)
        if options.json:
            output.document(found.model_dump(mode="json"))
            return output.DONE
        if output.at_a_terminal():
            for message in found.messages:
                for line in written(message):
                    output.line(line)
        else:
            columns = ("at", "place", "sender", "recipient", "type", "rules", "outcome", "code", "digest")
            output.table(columns, [_row(message) for message in found.messages])
        for message in found.messages:
            for line in _stated(message):
                output.line(line)
        return output.DONE


@app.command
async def find(
    *,
    purpose: str,
    party: str | None = None,
    reference: str | None = None,
    since: str | None = None,
    until: str | None = None,
    cursor: str | None = None,
    options: Options = _OPTIONS,
) -> int:
    """Find flows of a period, the newest first, 50 a page: of the last 30 days, unless you say which days.

    Parameters
    ----------
    purpose
        Why you ask: 8 to 64 letters, digits, spaces and hyphens. It is logged with the query.
    party
        Only those that this party has filed or was sent.
    reference
        The one that the id of a referral, notice or message belongs to, whenever it was.
    since
        Only those decided on this day (UTC) or later, for example 2026-05-04.
    until
        Only those decided on this day (UTC) or before it.
    cursor
        Where the page before ended, as it was told there.
    """
    async with output.service(options) as client:
        found = await client.flows(
            purpose=purpose, party=party, reference=reference, since=since, until=until, cursor=cursor
        )
        if options.json:
            output.document(found.model_dump(mode="json"))
            return output.DONE
        rows = [(each.referral_id, each.origin, each.decided_at, ", ".join(each.recipients)) for each in found.items]
        output.table(("referral_id", "origin", "decided_at", "sent to"), rows)
        if found.next:
            output.aside(f"there are more: --cursor {found.next}")
        return output.DONE


def _row(message: FlowMessage) -> tuple[object, ...]:
    return (
        message.at,
        _place(message),
        message.sender,
        message.recipient,
        message.type,
        " ".join(message.rules),
        message.outcome,
        message.code,
        message.digest[:12],
    )


def written(message: FlowMessage) -> Iterator[str]:
    """A message as a person reads it: what and when, from whom to whom, and where the record lies."""
    ended = " ".join(part for part in (message.outcome, message.code and f"({message.code})") if part)
    yield f"{rfc3339(message.at)}  {message.type or 'unreadable'}  {ended}".rstrip()
    yield f"  {message.sender or '?'} → {message.recipient or '?'}  {' '.join(message.rules)}".rstrip()
    yield f"  {_place(message)}  {message.digest[:12]}"


def _place(message: FlowMessage) -> str:
    return f"{message.topic}/{message.partition}/{message.offset}"


def _stated(message: FlowMessage) -> Iterator[str]:
    """What a fact states beyond its line: to whom nothing was sent, and who opened a record."""
    place = _place(message)
    for kept_out in message.not_sent:
        yield f"{place}: not sent to {kept_out.recipient} for {kept_out.purpose}: {' '.join(kept_out.rules)}"
    if (opened := message.opened) is not None:
        yield f"{place}: opened for {opened.party} as {opened.role}"
