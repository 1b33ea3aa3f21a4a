"""What is known of services, row by row: `data/templates-….json`, a file for each number.

Rows name hosts by their ending, and may bound the path. What `opens` an item stands there so that nobody cuts it; what
expires or tracks is cut; a row that `unwrap`s is a redirector's.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from shared.guard.files import verified

#: The number of the templates of today, and the SHA-256 of each file: one that was altered is not used.
NUMBER: Final = 1
TEMPLATES_SHA256: Final[Mapping[int, str]] = {1: "b2797ae8b78c9ecc1c370a72c59932614ee2f2f13ed4447462d7c0340beece53"}


class Names(NamedTuple):
    """Names of parameters: whole names, and the beginnings of others."""

    whole: frozenset[str]
    beginnings: tuple[str, ...]

    def others(self, pairs: list[str]) -> list[str]:
        """The pairs of a query whose name is none of these. An empty pair is left out."""
        return [
            pair
            for pair in pairs
            if pair and (name := pair.partition("=")[0]) not in self.whole and not name.startswith(self.beginnings)
        ]


class Row(NamedTuple):
    """One service. `cuts` has the names of parameters that are cut, `unwrap` of those that hold a target."""

    name: str
    hosts: tuple[str, ...]
    path: re.Pattern[str]
    opens: tuple[str, ...]
    cuts: Names
    unwrap: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]


class Templates(NamedTuple):
    """All rows, and by the ending of hosts, of at most `labels_max` labels; and the names that are cut everywhere."""

    rows: tuple[Row, ...]
    by_host: dict[str, list[Row]]
    labels_max: int
    everywhere: Names

    def row(self, address: str) -> Row | None:
        """That of the service where an address lies."""
        rest = address.partition("://")[2]
        host, _, path = rest.partition("/")
        labels = host.partition(":")[0].rsplit(".", self.labels_max)  # one more than rows know may stand before these
        for at in range(len(labels) - 1):
            for row in self.by_host.get(".".join(labels[at:]), ()):
                if row.path.fullmatch(f"/{_PATH_END.split(path, maxsplit=1)[0]}"):
                    return row
        return None


_PATH_END: Final = re.compile("[?#]")


def _names(names: list[str]) -> Names:
    """The names as a file lists them; one that ends in `*` stands for all names with this beginning."""
    whole = frozenset(name for name in names if not name.endswith("*"))
    return Names(whole, tuple(name.removesuffix("*") for name in names if name not in whole))


@functools.cache
def templates(number: int = NUMBER) -> Templates:
    """The rows of one number. Raises `ValueError` where its file was altered."""
    told = json.loads(verified(f"templates-{number}.json", TEMPLATES_SHA256[number]))
    rows = tuple(
        Row(
            name=row["name"],
            hosts=tuple(row["hosts"]),
            path=re.compile(row.get("path", ".*")),
            opens=tuple(row.get("opens", ())),
            cuts=_names(row.get("cut", [])),
            unwrap=tuple(row.get("unwrap", "").split()),
            examples=tuple((before, after) for before, after in row["examples"]),
        )
        for row in told["rows"]
    )
    by_host: dict[str, list[Row]] = {}
    for row in rows:
        for host in row.hosts:
            by_host.setdefault(host, []).append(row)
    labels_max = max(1 + host.count(".") for host in by_host)
    return Templates(rows, by_host, labels_max, _names(told["everywhere"]))
