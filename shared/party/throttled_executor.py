"""Expensive work in a worker thread, with a pause after each step; and the reading of posted lists.

The worker thread shares the interpreter lock with the event loop. While it computes, the loop's tasks wait for the
lock, many times for one answer. In the pauses they run. So expensive submissions take at most a third of a core.

Posted lists are read item by item; large lists are read in the worker thread. The sender is charged for the work of
reading refused items.
"""

from __future__ import annotations

from asyncio import sleep, to_thread
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import thread_time
from typing import Final, Generic, NamedTuple, TypeVar

from shared.core.canonical import digest
from shared.core.contracts.base import JsonObject
from shared.core.errors import Refused
from shared.core.guard import parse_list
from shared.core.guard.envelope_limits import BODY_BYTES_MAX
from shared.platform.admission.budgets import work_of
from shared.platform.http.acts import RequestFingerprint
from shared.platform.http.bodies import BATCH_ITEMS_MAX

#: The pause after a step, as a multiple of its processor time.
REST: Final = 2
#: Processor time of several small steps before a pause, in seconds.
TOGETHER_S: Final = 0.003

_Made = TypeVar("_Made")


async def beside(step: Callable[[], _Made]) -> _Made:
    """Run a step in a worker thread, pause, and return its result. A failed step also pauses.

    The step should take only some milliseconds, because it is not interrupted.
    """
    worked_s: list[float] = []
    try:
        return await to_thread(partial(_timed, step, worked_s))
    finally:
        await sleep(REST * sum(worked_s))


async def beside_each(steps: Iterator[_Made]) -> list[_Made]:
    """Run small steps in a worker thread, several at a time, and return all their results."""
    made: list[_Made] = []
    while some := await beside(partial(_some, steps)):
        made += some
    return made


def _timed(step: Callable[[], _Made], worked_s: list[float]) -> _Made:
    begun = thread_time()
    try:
        return step()
    finally:
        worked_s.append(thread_time() - begun)


def _some(steps: Iterator[_Made]) -> list[_Made]:
    begun, made = thread_time(), list[_Made]()
    for each in steps:
        made.append(each)
        if thread_time() - begun > TOGETHER_S:
            break
    return made


#: Charges the sender for this amount of work.
Owe = Callable[[int], None]


class RequestBody(NamedTuple):
    """A body as it came."""

    body: bytes
    kind: str | None
    encoding: str | None


class ReadList(NamedTuple, Generic[_Made]):
    """The result for each item, the digests of their bytes, and a hash by which equal lists are recognized."""

    made: Sequence[_Made]
    hashes: Sequence[str]
    same: bytes


async def read_list(
    posted: RequestBody, name: str, route: str, /, *, make: Callable[[int, JsonObject | Refused], _Made], owe: Owe
) -> ReadList[_Made]:
    """Read `{name: [ … ]}` and call `make` with the place and value of each item.

    Raises `Refused` if the list as a whole is refused.
    """
    same, refused = RequestFingerprint(route), 0

    def steps() -> Iterator[tuple[_Made, str]]:
        nonlocal refused
        items = parse_list(posted.kind, posted.encoding, posted.body, name=name, items_max=BATCH_ITEMS_MAX)
        for place, (read, raw) in enumerate(items):
            same.add_item(read, raw)
            refused += len(raw) if isinstance(read, Refused) else 0
            yield make(place, read), digest(raw)

    with refused_is_owed(posted.body, owe):
        read = await beside_each(steps()) if len(posted.body) > BODY_BYTES_MAX else list(steps())
    if refused:
        owe(work_of(refused))
    return ReadList([made for made, _ in read], [sha256 for _, sha256 in read], same.value())


@contextmanager
def refused_is_owed(body: bytes, owe: Owe) -> Iterator[None]:
    """Charge the sender for the work of reading the body, if the body is refused as a whole."""
    try:
        yield
    except Refused:
        owe(work_of(len(body)))
        raise
