"""`causeway webhook …`: where your events are sent, what came of it, and whether a message is what it says."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from cyclopts import App, Parameter
from cyclopts.types import ExistingFile, NonNegativeInt, PositiveInt

from client.cli import output
from client.cli.settings import Options, webhook_secret, zoned
from shared.kernel.clock import SystemClock

if TYPE_CHECKING:
    from client.feed_views import WebhookSecret, WebhookState

app = App(name="webhook", help="Have your events sent to an address of yours, signed.")
_OPTIONS = Options()


@app.command
async def add(url: str, /, *, after: NonNegativeInt | None = None, options: Options = _OPTIONS) -> int:
    """Have your events sent to an address. Prints its id and its secret, which is shown this once.

    Parameters
    ----------
    url
        https, a public name, port 443 or 8443.
    after
        Send what follows the event of this number, 0 for all there is. Without it, what comes next.
    """
    async with output.service(options) as client:
        _made(await client.add_webhook(url, after=after), options)
        return output.DONE


@app.command(name="list")
async def list_(*, options: Options = _OPTIONS) -> int:
    """List your addresses: how far each receiver is, and since when it fails."""
    async with output.service(options) as client:
        found = await client.webhooks()
        if options.json:
            output.document([each.model_dump(mode="json") for each in found])
        else:
            rows = [
                (each.webhook_id, each.state, f"{each.number}/{each.last}", each.failing_since, each.due_at, each.url)
                for each in found
            ]
            output.table(("webhook", "state", "confirmed", "failing since", "next", "address"), rows)
        return output.DONE


@app.command
async def deliveries(webhook_id: UUID, /, *, limit: PositiveInt = 50, options: Options = _OPTIONS) -> int:
    """List the newest attempts at an address.

    Parameters
    ----------
    limit
        How many, 200 at most.
    """
    async with output.service(options) as client:
        found = await client.deliveries(webhook_id, limit=min(limit, output.PAGE_MAX))
        if options.json:
            output.document([each.model_dump(mode="json") for each in found])
        else:
            rows = [(each.number, each.attempt, each.at, each.code, each.status, each.duration_ms) for each in found]
            output.table(("event", "attempt", "at", "outcome", "status", "ms"), rows)
        return output.DONE


@app.command
async def replay(
    webhook_id: UUID,
    /,
    *,
    start: Annotated[PositiveInt | None, Parameter(name="--from")] = None,
    options: Options = _OPTIONS,
) -> int:
    """Send again, in order and under the same ids; also what begins one again that was paused.

    Parameters
    ----------
    start
        From the event of this number on. Without it, from the first that was not confirmed.
    """
    async with output.service(options) as client:
        _moved(await client.replay_webhook(webhook_id, start), options)
        return output.DONE


@app.command
async def rotate(webhook_id: UUID, /, *, options: Options = _OPTIONS) -> int:
    """Take another secret, shown this once. The one before signs beside it for a day."""
    async with output.service(options) as client:
        _made(await client.rotate_webhook(webhook_id), options)
        return output.DONE


@app.command
async def trigger(webhook_id: UUID, /, *, options: Options = _OPTIONS) -> int:
    """Have an event that means nothing sent, as any other."""
    async with output.service(options) as client:
        _moved(await client.trigger_webhook(webhook_id), options)
        return output.DONE


@app.command
async def remove(webhook_id: UUID, /, *, options: Options = _OPTIONS) -> int:
    """Send nothing to an address any more. Your feed shows everything all the same."""
    async with output.service(options) as client:
        _moved(await client.remove_webhook(webhook_id), options)
        return output.DONE


@app.command
async def verify(
    body: ExistingFile,
    /,
    *,
    message_id: Annotated[str, Parameter(name="--id")],
    timestamp: str,
    signature: str,
    secret: Annotated[str | None, Parameter(show_default=False)] = None,
    at: datetime | None = None,
    options: Options = _OPTIONS,
) -> int:
    """Check a message that came, offline. Ends with 1 if it does not hold.

    Parameters
    ----------
    body
        The body, byte for byte.
    message_id
        The header webhook-id.
    timestamp
        The header webhook-timestamp.
    signature
        The header webhook-signature.
    secret
        The secret of the address. Without it, CAUSEWAY_WEBHOOK_SECRET, which other users of the machine cannot see.
    at
        Judge its time as of this one; now if none is given. UTC if it names no zone.
    """
    with output.ending(options):
        from shared.envelope.webhooks import verify_webhook

        headers = {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
        judged_at = zoned(at) or SystemClock().now()
        found = verify_webhook(webhook_secret(secret), headers, body.read_bytes(), at=judged_at)
        if options.json:
            output.document({"message_id": found, "verified": True})
        else:
            output.line(f"{found}: signed under this secret")
        return output.DONE


def _made(made: WebhookSecret, options: Options) -> None:
    if options.json:
        output.document(made.model_dump(mode="json"))
        return
    output.line(f"{made.webhook_id}: {made.state}")
    output.line(made.secret)


def _moved(moved: WebhookState, options: Options) -> None:
    if options.json:
        output.document(moved.model_dump(mode="json", exclude_none=True))
        return
    after = "" if moved.number is None else f", after event {moved.number}"
    output.line(f"{moved.webhook_id}: {moved.state}{after}")
