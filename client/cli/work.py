"""`causeway notice work`, `answer-work`, `disown-work`: notices of several notifiers about one location, as one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from cyclopts import App
from cyclopts.types import PositiveInt

from client.cli import output
from client.cli.settings import Options, zoned

if TYPE_CHECKING:
    from client.work_items import WorkAnswered, WorkItem

_OPTIONS = Options()


def add_work(app: App) -> None:
    """The verbs for work items."""
    app.command(work)
    app.command(answer_work)
    app.command(disown_work)


async def work(*, limit: PositiveInt = 50, options: Options = _OPTIONS) -> int:
    """List what is open, one line for each location, however many notices name it: a child at risk first.

    Parameters
    ----------
    limit
        At most so many.
    """
    async with output.service(options) as client:
        found = await output.first(client.work_items(limit=min(limit, output.PAGE_MAX)), limit)
        if options.json:
            output.document({"items": [item.model_dump(mode="json") for item in found]})
        else:
            output.table(("work_item", "pri", "notices", "from", "received_at"), [_row(item) for item in found])
        return output.DONE


async def answer_work(
    work_item: UUID, /, *words: str, effective_at: datetime | None = None, options: Options = _OPTIONS
) -> int:
    """Say what was done about one location, or why nothing was: to each notifier, of its own notice alone.

    Parameters
    ----------
    words
        As `causeway notice answer` has them, without numbers.
    effective_at
        When what was done took effect. UTC if it names no zone.
    """
    async with output.service(options) as client:
        from client.statements import outcomes

        said = outcomes(words, zoned(effective_at))
        return _print(await client.answer_work_item(work_item, said), options)


async def disown_work(work_item: UUID, /, *, suggested: str | None = None, options: Options = _OPTIONS) -> int:
    """Say that you do not host what lies at one location: to each notifier, of its own notice alone.

    Parameters
    ----------
    suggested
        The party that does, by its id in the directory, if you know.
    """
    async with output.service(options) as client:
        return _print(await client.disown_work_item(work_item, suggested=suggested), options)


def _row(item: WorkItem) -> tuple[object, ...]:
    first = item.items[0]
    notices = {each.notice_id for each in item.items}
    notifiers = " ".join(sorted({each.notifier for each in item.items}))
    return item.work_item, output.priority(first.priority), len(notices), notifiers, first.received_at


def _print(answered: WorkAnswered, options: Options) -> int:
    if options.json:
        output.document(answered.model_dump(mode="json"))
    else:
        for each in answered.results:
            output.line(f"{each.notice_id}: {each.state or (each.problem and each.problem.code)}")
    return output.DONE if all(each.problem is None for each in answered.results) else output.FAILED
