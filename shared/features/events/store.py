"""Words of acts that a service stores, beside the events of a subject."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from pydantic import JsonValue

from shared.platform.database.feed import FeedEvent


class ActCodes(NamedTuple):
    """The words of one act: the party that did it (None: the party itself), the state after it, and the words.

    `types` are the event types that the act can have; None: any type that led to that state.
    """

    by: str | None
    state: str
    words: dict[str, JsonValue]
    types: Collection[str] | None = None

    def belongs_to(self, event: FeedEvent) -> bool:
        if self.types is not None and event.type not in self.types:
            return False
        return (self.by, self.state) == (event.by, event.state)


def with_words(
    events: Iterable[FeedEvent], details: Iterable[ActCodes]
) -> Iterator[tuple[FeedEvent, dict[str, JsonValue] | None]]:
    """Yield each event with the words of its act. Acts with the same party and state are matched in order."""
    waiting = list(details)
    for event in events:
        its = next((each for each in waiting if each.belongs_to(event)), None)
        if its is not None:
            waiting.remove(its)
        yield event, None if its is None else its.words
