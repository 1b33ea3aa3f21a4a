"""A timeline as lines of text: what stories expect, what the demo prints, and what both are compared by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import JsonValue

from client.timeline import Entry

_TIME_OR_ID: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T|[0-9a-f]{8}-[0-9a-f]{4}-")


def line(entry: Entry, called: Mapping[str, str]) -> str:
    """`TYPE STATE by WHOM word=code …`, without times and ids. `called`: party → its name in the story."""
    said = [entry.type]
    if entry.state is not None:
        said.append(entry.state)
    if entry.by is not None:
        said.append(f"by {called.get(entry.by, entry.by)}")
    return " ".join([*said, *_words(entry.said or {}, called)])


def _words(said: Mapping[str, JsonValue], called: Mapping[str, str]) -> Iterator[str]:
    for name, value in sorted(said.items()):
        match value:
            case list():
                yield from (each for item in value if isinstance(item, dict) for each in _item(item, called))
                yield from (f"{name}={item}" for item in value if isinstance(item, str) and _is_code(item))
            case dict():
                yield from _words(value, called)
            case str() if _is_code(value):
                yield f"{name}={called.get(value, value)}"


def _item(item: Mapping[str, JsonValue], called: Mapping[str, str]) -> Iterator[str]:
    number = item.get("n")
    for name, value in sorted(item.items()):
        if isinstance(value, str) and _is_code(value):
            yield f"{'' if number is None else f'{number}:'}{name}={called.get(value, value)}"


def _is_code(value: str) -> bool:
    """Whether it is neither a time nor an id: these are others each time a story is played."""
    return not _TIME_OR_ID.match(value)
