"""The quarantine of one instance from outside its process: look, and have records judged again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from deploy.parties import built_at_once
from shared.exchange.record_table import row_for
from shared.kernel.clock import rfc3339
from shared.kernel.errors import Refused, Unavailable, not_found
from shared.runtime.post.ports import Coordinate
from shared.runtime.post.quarantine import Quarantine, Quarantined, Replayed
from shared.runtime.watch.logs import configure_logs

RECORDS_MAX: Final = 10_000


class Place(NamedTuple):
    """Where in Kafka a record stands, or stood."""

    where: Coordinate
    offset: int

    @classmethod
    def read(cls, text: str) -> Place:
        """From `topic/partition/offset`. Raises `Refused("coordinates_malformed")`."""
        topic, *numbers = text.split("/")
        if len(numbers) != 2 or not all(number.isascii() and number.isdecimal() for number in numbers):
            raise Refused("coordinates_malformed", "topic/partition/offset, as `quarantine list` has it", status=400)
        return cls(Coordinate(topic, int(numbers[0])), int(numbers[1]))

    def __str__(self) -> str:
        return f"{self.where.topic}/{self.where.partition}/{self.offset}"


@asynccontextmanager
async def quarantine_of(kind: str, instance: str, settings: Mapping[str, str]) -> AsyncIterator[Quarantine]:
    """The quarantine of an instance that may be running elsewhere. `settings` by field; the environment has the rest.

    Raises `Refused("instance_keeps_no_quarantine")` for one without an inbox, `Unavailable` without its documents.
    """
    configure_logs(instance=instance)
    app = await built_at_once(kind, instance, **settings)
    try:
        if app.handler is None:
            raise Refused("instance_keeps_no_quarantine", "it reads no inbox", status=400)
        yield app.machinery.quarantine(app.handler)
    finally:
        await app.machinery.close()


async def find(quarantine: Quarantine, place: Place) -> Quarantined:
    """The record that waits at `place`. Raises `Refused("not_found")`."""
    for each in await quarantine.page(limit=RECORDS_MAX):
        if place_of(each) == place:
            return each
    raise not_found()


async def replay_all(quarantine: Quarantine, *, reason: str | None = None) -> dict[Place, str]:
    """Replay what waits, oldest first; what became of each, or the code of what it waits for still."""
    outcomes: dict[Place, str] = {}
    for each in await quarantine.page(reason=reason, limit=RECORDS_MAX):
        place = place_of(each)
        try:
            outcomes[place] = (await quarantine.replay(*place)).value
        except Unavailable as error:
            outcomes[place] = error.code  # the next may not need what this one waits for
    return outcomes


def all_done(outcomes: Mapping[Place, str]) -> bool:
    return all(outcome == Replayed.DONE for outcome in outcomes.values())


def place_of(each: Quarantined) -> Place:
    return Place(Coordinate(each.topic, each.partition), each.offset)


def as_json(each: Quarantined) -> dict[str, Any]:
    """One record that waits, with what its reason means."""
    return {
        "coordinates": str(place_of(each)),
        "count": each.count,
        "reason": each.reason,
        "meaning": row_for(each.reason).meaning,
        "parked_at": rfc3339(each.parked_at),
        "sender": each.sender,
        "message_id": str(each.message_id) if each.message_id else None,
        "length_bytes": each.length_bytes,
        "digest": each.digest,
    }
