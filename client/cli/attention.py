"""`causeway attention`: what needs a person of yours, and the act that would help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cyclopts import App
from cyclopts.types import PositiveInt

from client.cli import output
from client.cli.settings import Options

if TYPE_CHECKING:
    from client.views import Attention

app = App(name="attention", help="List what needs a person of yours: children at risk first, then the oldest first.")
_OPTIONS = Options()


@app.default
async def attention(
    *, priority: Literal["p0"] | None = None, limit: PositiveInt = 50, options: Options = _OPTIONS
) -> int:
    """List what needs a person of yours, why, since when, and the act that would help.

    Parameters
    ----------
    priority
        Only where a child is at risk: p0.
    limit
        At most so many.
    """
    async with output.service(options) as client:
        page = client.attention(priority=priority, limit=min(limit, output.PAGE_MAX))
        found = await output.first(page, limit)
        if options.json:
            output.document({"items": [item.model_dump(mode="json") for item in found]})
        else:
            output.table(("subject", "pri", "with", "why", "since", "do"), [_row(item) for item in found])
        return output.DONE


def _row(item: Attention) -> tuple[object, ...]:
    more = [f"({word})" for word in (item.code, item.clock) if word is not None]
    why = " ".join((*item.reasons, *more))
    return item.subject, output.priority(item.priority), item.party, why, output.minute(item.since), item.mend
