"""`causeway flow ID`: an auditor's view of the messages of one referral."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import UUID

from client.cli import output
from client.cli.settings import Options
from shared.kernel.clock import rfc3339

if TYPE_CHECKING:
    from client.views import FlowMessage

_OPTIONS = Options()


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
