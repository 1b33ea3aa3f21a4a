"""What an amendment has changed, field by field: what a record said before beside what it says now. Pure.

What single acts have said, and which event of a feed each of them belongs to. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from pydantic import JsonValue

from shared.runtime.database.feed_reading import Numbered

#: What a page shows only unfolded: where something lies, what it looks like to a machine, whose it is.
_CLOSED: Final = frozenset({"locator", "hashes", "subject_accounts"})
Record = Mapping[str, JsonValue]


class Changed(NamedTuple):
    """One field that is otherwise, by its name in words. None: it was not there before, or is not there now."""

    field: str
    before: str | None
    now: str | None
    closed: bool


class Comparison(NamedTuple):
    """Two revisions, one after the other, by what they are called, and what is otherwise; None: one was erased."""

    before: str
    now: str
    changes: tuple[Changed, ...] | None


def compared(revisions: Sequence[tuple[str, Record | None]]) -> tuple[Comparison, ...]:
    """Each revision with the next that is kept, of records as JSON, the first first."""
    return tuple(
        Comparison(before, now, None if old is None or new is None else changed(old, new))
        for (before, old), (now, new) in pairwise(revisions)
    )


def changed(before: Record, now: Record) -> tuple[Changed, ...]:
    """The fields that are otherwise, in the order of the record that stands; items are told apart by their numbers."""
    old, new = dict(_leaves(before, ())), dict(_leaves(now, ()))
    return tuple(
        Changed(" ".join(path).replace("_", " "), old.get(path), new.get(path), closed=_is_closed(path))
        for path in dict.fromkeys((*new, *old))
        if old.get(path) != new.get(path)
    )


def _is_closed(path: tuple[str, ...]) -> bool:
    """What kind of place it is may be seen."""
    return not _CLOSED.isdisjoint(path) and path[-1] != "kind"


def _leaves(value: JsonValue | Record, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every value with the names that lead to it. A list of words is one value."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _leaves(each, (*path, name))
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for place, each in enumerate(value, 1):
            number = each.get("n", place) if isinstance(each, Mapping) else place
            inner = {name: one for name, one in each.items() if name != "n"} if isinstance(each, Mapping) else each
            yield from _leaves(inner, (*path[:-1], f"{path[-1].removesuffix('s')} {number}"))
    elif isinstance(value, list):
        if value:
            yield path, ", ".join(map(str, value))
    elif isinstance(value, bool):
        yield path, "yes" if value else "no"
    elif value is not None:
        yield path, str(value)


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
