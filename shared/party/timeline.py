"""The HTTP door at which a party sees what has happened to one subject: all acts on it, its own and those of others.

What is shown is the party's own feed, of that subject alone and in the same order, and beside each act the codes it has
said, where its service keeps them. Nothing is kept for it, and so nothing of it can be overwritten.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Path, Query
from pydantic import ConfigDict, Field, JsonValue
from starlette.responses import Response

from shared.contracts.base import Contract, Uuid
from shared.exchange.act import Subject
from shared.exchange.events import NUMBERED, PERMIT
from shared.kernel.authority import Authority
from shared.kernel.errors import not_found
from shared.party.events import ShownEvent
from shared.party.recipient.api import Serving, viewed
from shared.party.said import Said, with_words
from shared.runtime.database.feed_reading import Numbered, read_subject
from shared.runtime.database.transactions import RowScope
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import shows
from shared.runtime.http.paging import BIGINT_MAX, Limit

#: What names a subject in the path of its collection; of all others its referral does.
_KEYS: Final = {"notices": "notice_id", "preservations": "preservation_id"}
_PRESERVATIONS: Final = "preservations"
#: What falls due of whatever subject.
_CLOCK: Final = "clock"
_EXAMPLE: Final[dict[str, JsonValue]] = {
    "subject": "019b2d3c-4400-7000-8000-000000000002",
    "items": [
        {
            "number": 1041,
            "type": "case.decline",
            "subject": "019b2d3c-4400-7000-8000-000000000002",
            "at": "2026-05-04T12:00:00.000Z",
            "state": "declined",
            "by": "police-nl.example",
            "said": {"reason": "no_capacity"},
        }
    ],
    "next": None,
}


#: Reads what the acts on a subject have said, in the order in which they were done.
Words = Callable[[asyncpg.Connection, str, UUID], Awaitable[Sequence[Said]]]


class ShownAct(ShownEvent):
    """An event of the party's feed, and what the act has said: codes and times, where they are kept act by act."""

    said: dict[str, JsonValue] | None = None


class Timeline(Contract):
    """What has happened to one subject, in the order in which the party learned of it. `next`: ask on after it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    subject: Uuid
    items: tuple[ShownAct, ...]
    next: Annotated[int, Field(ge=1)] | None


async def no_words(driver: asyncpg.Connection, party: str, subject: UUID) -> Sequence[Said]:
    """Of a service that keeps what was said for the whole subject alone."""
    return ()


class Collection(NamedTuple):
    """A collection, and what reads the words of the acts on its subjects."""

    collection: str
    words: Words

    def has(self, event: Numbered) -> bool:
        """Whether an event may be of one of its subjects: what is to be kept has a collection of its own."""
        kind = event.type.partition(".")[0]
        return kind == _CLOCK or (kind == Subject.PRESERVATION) is (self.collection == _PRESERVATIONS)


@dataclass(frozen=True, slots=True)
class Timelines:
    """What the routes do."""

    serving: Serving
    authority: Authority

    async def read(self, identity: Identity, subject: UUID, listed: Collection, *, after: int, limit: int) -> Timeline:
        """One page. Raises `Refused`: `forbidden`, and `not_found` of what is not the party's, or of nothing at all."""
        self.authority.require(PERMIT.resource, identity.role, action=PERMIT.action, state=NUMBERED)
        async with self.serving.database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            driver = session.driver
            found = await read_subject(driver, identity.party, subject, above=after, limit=limit + 1)
            said = await listed.words(driver, identity.party, subject) if found else ()
        if (not found and after == 0) or not all(listed.has(event) for event in found):
            raise not_found()
        shown = found[:limit]
        return Timeline(
            subject=subject,
            items=tuple(_shown(event, words) for event, words in with_words(shown, said)),
            next=shown[-1].number if len(found) > limit else None,
        )


def timelines_router(serving: Serving, authority: Authority, collections: Mapping[str, Words]) -> APIRouter:
    """The routes /v1/COLLECTION/ID/timeline, each with what reads the words of the acts on its subjects."""
    router, timelines = APIRouter(prefix="/v1"), Timelines(serving, authority)
    who = Depends(serving.identified)

    def add(listed: Collection) -> None:
        collection = listed.collection
        key = _KEYS.get(collection, "referral_id")
        named = Path(alias=key)

        @router.get(f"/{collection}/{{{key}}}/timeline", tags=[collection], name="timeline", **shows(Timeline))
        async def timeline(
            subject: UUID = named,
            identity: Identity = who,
            after: Annotated[int, Query(ge=0, le=BIGINT_MAX, description="The last number that you have.")] = 0,
            limit: Limit = 50,
        ) -> Response:
            """What has happened to it: each act, by whom, to which state, and the codes that it said."""
            return viewed(await timelines.read(identity, subject, listed, after=after, limit=limit))

    for collection, words in collections.items():
        add(Collection(collection, words))
    return router


def _shown(event: Numbered, words: dict[str, JsonValue] | None) -> ShownAct:
    found = event._asdict() | {"said": words}
    return ShownAct(**{name: value for name, value in found.items() if value is not None})
