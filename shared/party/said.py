"""What single acts have said, and which event of a feed each of them belongs to. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from pydantic import JsonValue

from shared.runtime.database.feed_reading import Numbered


class Said(NamedTuple):
    """What one act has said: by whom (None: by the party itself), what it has come to, and its words.

    `types` are the events that may be this act's; None: whichever led to that state.
    """

    by: str | None
    state: str
    words: dict[str, JsonValue]
    types: Collection[str] | None = None

    def belongs_to(self, event: Numbered) -> bool:
        if self.types is not None and event.type not in self.types:
            return False
        return (self.by, self.state) == (event.by, event.state)


def with_words(
    events: Iterable[Numbered], said: Iterable[Said]
) -> Iterator[tuple[Numbered, dict[str, JsonValue] | None]]:
    """Each event with the words of its act: of one party's acts that led to one state, the first to the first."""
    waiting = list(said)
    for event in events:
        its = next((each for each in waiting if each.belongs_to(event)), None)
        if its is not None:
            waiting.remove(its)
        yield event, None if its is None else its.words
