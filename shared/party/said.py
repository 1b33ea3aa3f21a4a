"""What single acts have said, and which event of a feed each of them belongs to. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple, Protocol, TypeVar

from pydantic import JsonValue


class Happening(Protocol):
    """An event, as far as it tells whose act it was, and which."""

    @property
    def type(self) -> str: ...
    @property
    def by(self) -> str | None: ...
    @property
    def state(self) -> str | None: ...


class Said(NamedTuple):
    """What one act has said: by whom (None: by the party itself), what it has come to, and its words.

    `types` are the events that may be this act's; None: whichever led to that state.
    """

    by: str | None
    state: str
    words: dict[str, JsonValue]
    types: Collection[str] | None = None

    def belongs_to(self, event: Happening) -> bool:
        if self.types is not None and event.type not in self.types:
            return False
        return (self.by, self.state) == (event.by, event.state)


HappeningT = TypeVar("HappeningT", bound=Happening)


def with_words(
    events: Iterable[HappeningT], said: Iterable[Said]
) -> Iterator[tuple[HappeningT, dict[str, JsonValue] | None]]:
    """Each event with the words of its act: of one party's acts that led to one state, the first to the first."""
    waiting = list(said)
    for event in events:
        its = next((each for each in waiting if each.belongs_to(event)), None)
        if its is not None:
            waiting.remove(its)
        yield event, None if its is None else its.words
