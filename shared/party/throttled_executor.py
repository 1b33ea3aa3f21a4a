"""Dear work beside the event loop: step by step in a thread, which rests after each.

A thread shares the interpreter's lock with the loop: while it computes, whatever the loop wakes for waits for it, many
times for one answer. While it rests, others come through: dear filings take a third of a core, however many come.

Lists as they are posted: read item by item, beside the event loop where they are large; what is refused is owed.
"""

from __future__ import annotations

from asyncio import sleep, to_thread
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import thread_time
from typing import Final, Generic, NamedTuple, TypeVar

from shared.contracts.base import JsonObject
from shared.guard import parse_list
from shared.guard.envelope_limits import BODY_BYTES_MAX
from shared.kernel.canonical import digest
from shared.kernel.errors import Refused
from shared.runtime.admission.budgets import work_of
from shared.runtime.http.acts import Sameness
from shared.runtime.http.bodies import BATCH_ITEMS_MAX

#: For how many times as long as a processor worked for a step it rests afterwards.
REST: Final = 2
#: How long a processor works for several little steps before they rest; seconds.
TOGETHER_S: Final = 0.003

_Made = TypeVar("_Made")


async def beside(step: Callable[[], _Made]) -> _Made:
    """What the step makes. It should be short, some milliseconds: it is not interrupted. Failed ones rest, too."""
    worked_s: list[float] = []
    try:
        return await to_thread(partial(_timed, step, worked_s))
    finally:
        await sleep(REST * sum(worked_s))


async def beside_each(steps: Iterator[_Made]) -> list[_Made]:
    """What all these little steps make, some of them at a time."""
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


#: Charges whoever posted for so much work.
Owe = Callable[[int], None]


class PostedBody(NamedTuple):
    """A body as it came."""

    body: bytes
    kind: str | None
    encoding: str | None


class ReadList(NamedTuple, Generic[_Made]):
    """What was made of each item; digests of their bytes; what says that two lists are one."""

    made: Sequence[_Made]
    hashes: Sequence[str]
    same: bytes


async def read_list(
    posted: PostedBody, name: str, route: str, /, *, make: Callable[[int, JsonObject | Refused], _Made], owe: Owe
) -> ReadList[_Made]:
    """Read `{name: [ … ]}`, and `make` something of each item, by its place. Raises `Refused` for the whole."""
    same, refused = Sameness(route), 0

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
    """Where a body is refused as a whole meanwhile, whoever posted it owes the work of having read it."""
    try:
        yield
    except Refused:
        owe(work_of(len(body)))
        raise
