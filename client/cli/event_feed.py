"""`causeway timeline`, `listen`: past events, and events as they happen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self
from uuid import UUID

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt, PositiveInt

from client.cli import output
from client.cli.settings import ClientOptions, write_private
from shared.core.clock import rfc3339
from shared.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from client.api import CausewayClient
    from client.views import EventPageView, EventView

_OPTIONS = ClientOptions()


async def timeline(subject: UUID, /, *, options: ClientOptions = _OPTIONS) -> int:
    """List each act on a subject, in the order in which you learned of it, with time (UTC) and codes.

    Parameters
    ----------
    subject
        Your id of it, of a referral, offer, case or notice.
    """
    async with output.service(options) as client:
        found = await client.timeline(subject)
        if options.json:
            output.document([each.model_dump(mode="json", exclude_none=True) for each in found])
        else:
            rows = [
                (f"{each.at:%Y-%m-%d %H:%M:%S}", each.type, each.state or "", each.by or "", _codes(each.said))
                for each in found
            ]
            output.table(("when", "what", "state", "by", "said"), rows)
        return output.DONE


def _codes(details: Mapping[str, object] | None) -> str:
    return " ".join(f"{name}={value}" for name, value in (details or {}).items() if isinstance(value, str))


#: Shorter than the time after which network devices close a silent connection.
_WAIT_S = 20
#: Pause between two requests that both returned at once without events.
_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class FeedCursor:
    """A reader's position: it has read the event of this number, and all before it."""

    epoch: UUID
    number: int

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read the position in a file, None without a file. Raises `Refused("state_file_unreadable")`."""
        if not path.exists():
            return None
        try:
            noted = json.loads(path.read_text(encoding="utf-8"))
            return cls(UUID(noted["epoch"]), int(noted["number"]))
        except (ValueError, LookupError, TypeError, AttributeError):
            pass  # refused below: the parser's own error quotes the file
        raise Refused("state_file_unreadable", "--state did not write this file: name another", status=400)

    def write(self, path: Path) -> None:
        """Store the position, in one step."""
        write_private(path, json.dumps({"epoch": str(self.epoch), "number": self.number}).encode() + b"\n")


async def listen(
    *,
    start: Annotated[NonNegativeInt | None, Parameter(name="--from")] = None,
    limit: PositiveInt | None = None,
    state: Path | None = None,
    options: ClientOptions = _OPTIONS,
) -> int:
    """Print each event that concerns you: number, time, act, subject, its state, and the actor.

    Parameters
    ----------
    start
        Begin after this number, 0 for all events. Without it, begin with the next event.
    limit
        End after this number of events. Without it, continue until interrupted.
    state
        File that stores your position after each page. If it exists, the command continues from there.
    """
    async with output.service(options) as client:
        place, left = await _begun(client, start, state), limit
        async for page in _pages(client, place, left):
            for event in page.items[:left]:
                _print(event, page.epoch, options)
            place = FeedCursor(page.epoch, page.items[:left][-1].number)
            if state is not None:
                place.write(state)
            if left is not None and (left := left - len(page.items)) <= 0:
                break
        return output.DONE


async def _begun(client: CausewayClient, start: int | None, state: Path | None) -> FeedCursor:
    if state is not None and (noted := FeedCursor.read(state)) is not None:
        return noted
    first = await client.events(limit=1)
    return FeedCursor(first.epoch, first.last if start is None else start)


async def _pages(client: CausewayClient, place: FeedCursor, limit: int | None) -> AsyncIterator[EventPageView]:
    """Yield pages with events, forever."""
    loop, most = asyncio.get_running_loop(), min(limit or output.PAGE_MAX, output.PAGE_MAX)
    while True:
        asked_at = loop.time()
        page = await client.events(after=place.number, epoch=place.epoch, limit=most, wait_s=_WAIT_S)
        if page.items:
            yield page
            place = FeedCursor(page.epoch, page.items[-1].number)
        elif loop.time() - asked_at < _PAUSE_S:
            await asyncio.sleep(_PAUSE_S)


def _print(event: EventView, epoch: UUID, options: ClientOptions) -> None:
    if options.json:
        shown = event.model_dump(mode="json", exclude_unset=True)
        print(json.dumps({"epoch": str(epoch), **shown}, ensure_ascii=False), flush=True)
        return
    cells = (event.number, rfc3339(event.at), event.type, event.subject, event.state or "", event.by or "")
    print("\t".join(map(str, cells)).rstrip("\t"), flush=True)
