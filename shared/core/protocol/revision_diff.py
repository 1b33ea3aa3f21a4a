"""Differences between revisions of a record, field by field; and the words of acts, matched to feed events. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from pydantic import JsonValue

#: Fields that a page shows only when they are opened: locations, hashes and accounts.
_CLOSED: Final = frozenset({"locator", "hashes", "subject_accounts"})
Record = Mapping[str, JsonValue]


class FieldChange(NamedTuple):
    """One field that differs, by its name in words. None: it was absent before, or is absent now."""

    field: str
    before: str | None
    now: str | None
    closed: bool


class RevisionDiff(NamedTuple):
    """Two successive revisions, by their labels, with their differences; None if one of them was erased."""

    before: str
    now: str
    changes: tuple[FieldChange, ...] | None


def compared(revisions: Sequence[tuple[str, Record | None]]) -> tuple[RevisionDiff, ...]:
    """Compare each revision with the next stored one. The records are JSON, in ascending order."""
    return tuple(
        RevisionDiff(before, now, None if old is None or new is None else changed(old, new))
        for (before, old), (now, new) in pairwise(revisions)
    )


def changed(before: Record, now: Record) -> tuple[FieldChange, ...]:
    """Return the fields that differ, in the order of the current record. Items are matched by their numbers."""
    old, new = dict(_leaves(before, ())), dict(_leaves(now, ()))
    return tuple(
        FieldChange(" ".join(path).replace("_", " "), old.get(path), new.get(path), closed=_is_closed(path))
        for path in dict.fromkeys((*new, *old))
        if old.get(path) != new.get(path)
    )


def _is_closed(path: tuple[str, ...]) -> bool:
    """Return whether a field stays folded. The kind of a location is always shown."""
    return not _CLOSED.isdisjoint(path) and path[-1] != "kind"


def _leaves(value: JsonValue | Record, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every value with its path of names. A list of words is one value."""
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
