"""Where this process stands in each topic it reads: what of a batch is news, and whether its place is still there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from shared.exchange.message import Record, record_digest
from shared.runtime.post.arrivals import Cursor, Step
from shared.runtime.post.ports import Coordinate


@dataclass(slots=True)
class Place:
    """A cursor as this process knows it. `unproved` until the record before it was seen to be the one it followed."""

    cursor: Cursor
    unproved: bool

    @property
    def read_from(self) -> int:
        """The offset to read from: that of the record that proves the place, if there must be one."""
        return self.cursor.following - self.unproved


class News(NamedTuple):
    """What of a batch was not taken yet, with the steps over it, and the places whose last record is another now."""

    records: list[Record]
    steps: list[Step]
    lost: list[Coordinate]


class Places:
    """The places of the topics that are read, one a partition."""

    def __init__(self, cursors: Iterable[Cursor]) -> None:
        self._places = {Coordinate(each.topic, each.partition): _place(each) for each in cursors}

    def __iter__(self) -> Iterable[tuple[Coordinate, Place]]:
        return iter(self._places.items())

    def items(self) -> list[tuple[Coordinate, Place]]:
        return list(self._places.items())

    def put(self, cursor: Cursor) -> Place:
        """Stand there from now on."""
        place = self._places[Coordinate(cursor.topic, cursor.partition)] = _place(cursor)
        return place

    def doubt(self) -> None:
        """Another broker leads, or the same one anew: what lies behind each place may be lost, and filled again."""
        for place in self._places.values():
            place.unproved = place.cursor.tail is not None

    def news(self, records: Sequence[Record]) -> News:
        """Sort a batch. It moves nothing: `moved` does, once the steps are durable."""
        by_place: dict[Coordinate, list[Record]] = {}
        for record in records:
            by_place.setdefault(Coordinate(record.topic, record.partition), []).append(record)
        news = News([], [], [])
        for where, read in by_place.items():
            place = self._places.get(where)
            if place is None:
                continue
            # Below are records that were fetched before this process went to its place.
            read = [record for record in read if record.offset >= place.read_from]
            if read and place.unproved:
                if (read[0].offset, record_digest(read[0])) != (place.read_from, place.cursor.tail):
                    news.lost.append(where)
                    continue
                place.unproved = False
                read = read[1:]
            if read:
                last = read[-1]
                after = replace(place.cursor, following=last.offset + 1, tail=record_digest(last))
                news.records.extend(read)
                news.steps.append(Step(place.cursor.following, after))
        return news

    def moved(self, steps: Sequence[Step]) -> None:
        """The steps are durable."""
        for step in steps:
            self._places[Coordinate(step.after.topic, step.after.partition)].cursor = step.after


def _place(cursor: Cursor) -> Place:
    return Place(cursor, unproved=cursor.tail is not None)
