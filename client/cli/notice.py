"""`causeway notice …`: what a provider makes of the notices issued to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

from cyclopts import App, Parameter

from client.cli import output
from client.cli.answer_many import add_answer_many
from client.cli.keeping import Kept
from client.cli.questions import add_raising
from client.cli.settings import Options, zoned
from client.cli.work import add_work
from shared.kernel.clock import SystemClock
from shared.kernel.errors import CausewayError
from shared.vocabulary.answers import ReinstateReason

if TYPE_CHECKING:
    from client.api import CausewayClient

#: An agency wants kept what the answer says was removed.
_UNANSWERED: Final = "preservation_unanswered"

app = App(name="notice", help="Answer the notices issued to you. `causeway inbox notices` lists them.")
_OPTIONS = Options()
add_answer_many(app, "notice")
add_work(app)
_ERASED = Kept()


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
async def report(
    *,
    since: date,
    until: date,
    out: Path,
    exercises: Annotated[bool, Parameter(negative="")] = False,
    options: Options = _OPTIONS,
) -> int:
    """Write your notices as rows of (EU) 2024/2835, part 4 (a mapping: docs/statistics.md says what is empty).

    Parameters
    ----------
    since
        The first day, UTC.
    until
        The last day, UTC.
    out
        File to write.
    exercises
        Count exercises, and nothing else.
    """
    async with output.service(options) as client:
        from client.reports import dsa_notices

        output.kept(out, await dsa_notices(client, since=since, until=until, exercises=exercises))
        return output.DONE


@app.command
async def acknowledge(notice_id: UUID, /, *, options: Options = _OPTIONS) -> int:
    """Say that your organisation has the notice in hand."""
    async with output.service(options) as client:
        output.moved(await client.acknowledge_notice(notice_id), options)
        return output.DONE


@app.command
async def answer(
    notice_id: UUID, /, *words: str, effective_at: datetime | None = None, options: Options = _OPTIONS
) -> int:
    """Say what was done about the items, or why nothing was.

    Parameters
    ----------
    words
        What was done, one word each, for example: removed preserved. Or why an item is rejected: not_found,
        insufficient_detail, disputed_legality, jurisdiction, technical, authentication_failed. A word is said of every
        item that nothing was said of, unless it names one: 1=removed 2=not_found.
    effective_at
        When what was done took effect; now if no time is given. UTC if it names no zone.
    """
    async with output.service(options) as client:
        from client.statements import statements

        said = statements(words, zoned(effective_at) or SystemClock().now())
        try:
            output.moved(await client.answer_notice(notice_id, said), options)
        except CausewayError as error:
            if error.code == _UNANSWERED and not options.json:
                await _name_unanswered(client)
            raise
        return output.DONE


async def _name_unanswered(client: CausewayClient) -> None:
    """Say which requests have no answer yet: which of them matches, the provider sees where it looks at one."""
    from client.preservations import listed

    async for page in listed(client, state="requested"):
        for each in page.items:
            asked = f"{each.asked_at:%Y-%m-%d} by {each.counterpart} ({each.instrument})"
            output.aside(f"unanswered since {asked}: causeway preservation show {each.preservation_id}")


@app.command
async def not_ours(
    notice_id: UUID, /, *, item: Sequence[int] = (), suggested: str | None = None, options: Options = _OPTIONS
) -> int:
    """Say that you do not host items.

    Parameters
    ----------
    item
        The number of one that you do not host, as often as needed; without it, all that you have said nothing of.
    suggested
        The party that does, by its id in the directory, if you know.
    """
    async with output.service(options) as client:
        from client.statements import disowning

        output.moved(await client.not_ours(notice_id, disowning(item, suggested)), options)
        return output.DONE


@app.command
async def reinstate(
    notice_id: UUID, /, *, reason: ReinstateReason, item: Sequence[int] = (), options: Options = _OPTIONS
) -> int:
    """Say that items are available again that you had acted on.

    Parameters
    ----------
    item
        The number of one, as often as needed; without it, all that were acted on.
    """
    async with output.service(options) as client:
        from client.statements import reinstating

        output.moved(await client.act_on_notice("reinstate", notice_id, reinstating(item, reason)), options)
        return output.DONE


@app.command
async def acknowledge_withdrawal(notice_id: UUID, /, *, kept: Kept = _ERASED, options: Options = _OPTIONS) -> int:
    """Say that you have stopped acting on a notice that was withdrawn. Its record is erased unless it is kept."""
    async with output.service(options) as client:
        output.moved(await client.acknowledge_notice_withdrawal(notice_id, kept.keeping()), options)
        return output.DONE


add_raising(app, "notice")
