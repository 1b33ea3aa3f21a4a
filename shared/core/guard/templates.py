"""Templates of services, one row each: `data/templates-….json`, a file for each number.

Rows name hosts by their suffix, and may restrict the path. Parameters in `opens` open an item, and are listed so that
they are not redacted. Expiring or tracking parameters are redacted. A row with `unwrap` describes a redirector. A row
with `claim` has tokens in its paths, and the item's id is in this claim of the token.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from shared.core.guard.files import verified

#: The number of the current templates, and the SHA-256 of each file. An altered file is not used.
NUMBER: Final = 1
TEMPLATES_SHA256: Final[Mapping[int, str]] = {1: "a11ab91947e82cf9ccc7211007dbbef72e6461059182a30dd3b6129f847c5c90"}


class Names(NamedTuple):
    """Names of parameters: complete names and prefixes."""

    whole: frozenset[str]
    beginnings: tuple[str, ...]

    def others(self, pairs: list[str]) -> list[str]:
        """Return the pairs of a query with other names. Empty pairs are omitted."""
        return [
            pair
            for pair in pairs
            if pair and (name := pair.partition("=")[0]) not in self.whole and not name.startswith(self.beginnings)
        ]


class TemplateRule(NamedTuple):
    """One service. `cuts` are the redacted parameters, `unwrap` the parameters that hold a target."""

    name: str
    hosts: tuple[str, ...]
    path: re.Pattern[str]
    opens: tuple[str, ...]
    cuts: Names
    unwrap: tuple[str, ...]
    claim: str
    examples: tuple[tuple[str, str], ...]


class Templates(NamedTuple):
    """All rows, also by host suffix of at most `labels_max` labels, and the names redacted at other services."""

    rows: tuple[TemplateRule, ...]
    by_host: dict[str, list[TemplateRule]]
    labels_max: int
    trackers: Names
    signatures: Names

    def row(self, address: str) -> TemplateRule | None:
        """Return the row of the service of an address, None if there is none."""
        rest = address.partition("://")[2]
        host, _, path = rest.partition("/")
        labels = (
            host.rpartition("@")[2].partition(":")[0].rsplit(".", self.labels_max)
        )  # the first element may hold further labels
        for at in range(len(labels) - 1):
            for row in self.by_host.get(".".join(labels[at:]), ()):
                if row.path.fullmatch(f"/{_PATH_END.split(path, maxsplit=1)[0]}"):
                    return row
        return None


_PATH_END: Final = re.compile("[?#]")


def _names(names: list[str]) -> Names:
    """Parse the names of a file. One that ends in `*` means all names with this prefix."""
    whole = frozenset(name for name in names if not name.endswith("*"))
    return Names(whole, tuple(name.removesuffix("*") for name in names if name not in whole))


@functools.cache
def templates(number: int = NUMBER) -> Templates:
    """Return the rows of one number. Raises `ValueError` if its file was altered."""
    told = json.loads(verified(f"templates-{number}.json", TEMPLATES_SHA256[number]))
    rows = tuple(
        TemplateRule(
            name=row["name"],
            hosts=tuple(row["hosts"]),
            path=re.compile(row.get("path", ".*")),
            opens=tuple(row.get("opens", ())),
            cuts=_names(row.get("cut", [])),
            unwrap=tuple(row.get("unwrap", "").split()),
            claim=row.get("claim", ""),
            examples=tuple((before, after) for before, after in row["examples"]),
        )
        for row in told["rows"]
    )
    by_host: dict[str, list[TemplateRule]] = {}
    for row in rows:
        for host in row.hosts:
            by_host.setdefault(host, []).append(row)
    labels_max = max(1 + host.count(".") for host in by_host)
    return Templates(rows, by_host, labels_max, _names(told["trackers"]), _names(told["signatures"]))
