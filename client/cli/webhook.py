"""`causeway webhook verify`: whether a message is what it says."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import ExistingFile

from client.cli import output
from client.cli.settings import Options, webhook_secret, zoned
from shared.kernel.clock import SystemClock

_OPTIONS = Options()


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
