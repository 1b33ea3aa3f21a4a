"""`causeway notice …`: what a provider makes of the notices issued to it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

from cyclopts import App

from client.cli import output
from client.cli.settings import Options, zoned
from shared.kernel.clock import SystemClock
from shared.kernel.errors import Refused
from shared.vocabulary.answers import NoticeAction, NoticeRejection

app = App(name="notice", help="Answer the notices issued to you. `causeway inbox notices` lists them.")
_OPTIONS = Options()


@app.command
async def evidence(notice_id: UUID, /, *, out: Path, options: Options = _OPTIONS) -> int:
    """Write what proves that the notice was issued to you: `causeway verify evidence` checks it offline.

    Parameters
    ----------
    out
        File to write, readable by you alone. It holds no record in the clear.
    """
    async with output.service(options) as client:
        output.written(out, await client.notice_evidence(notice_id))
        return output.DONE


@app.command
async def acknowledge(notice_id: UUID, /, *, options: Options = _OPTIONS) -> int:
    """Say that your organisation has the notice in hand."""
    async with output.service(options) as client:
        output.moved(await client.acknowledge_notice(notice_id), options)
        return output.DONE


@app.command
async def action(
    notice_id: UUID, /, *actions: NoticeAction, effective_at: datetime | None = None, options: Options = _OPTIONS
) -> int:
    """Report what was done.

    Parameters
    ----------
    actions
        What was done, one word each, for example: removed preserved.
    effective_at
        When it took effect; now if no time is given. UTC if it names no zone.
    """
    async with output.service(options) as client:
        if not actions:
            raise Refused("actions_missing", "name at least one action", status=400)
        at = zoned(effective_at) or SystemClock().now()
        output.moved(await client.action_notice(notice_id, actions, effective_at=at), options)
        return output.DONE


@app.command
async def reject(notice_id: UUID, /, *, reason: NoticeRejection, options: Options = _OPTIONS) -> int:
    """Reject the notice, with the reason."""
    async with output.service(options) as client:
        output.moved(await client.reject_notice(notice_id, reason), options)
        return output.DONE


@app.command
async def not_ours(notice_id: UUID, /, *, suggested: str | None = None, options: Options = _OPTIONS) -> int:
    """Say that you do not host the items.

    Parameters
    ----------
    suggested
        The party that does, by its id in the directory, if you know.
    """
    async with output.service(options) as client:
        output.moved(await client.not_ours(notice_id, suggested=suggested), options)
        return output.DONE


@app.command
async def acknowledge_withdrawal(notice_id: UUID, /, *, options: Options = _OPTIONS) -> int:
    """Say that you have stopped acting on a notice that was withdrawn."""
    async with output.service(options) as client:
        output.moved(await client.acknowledge_notice_withdrawal(notice_id), options)
        return output.DONE
