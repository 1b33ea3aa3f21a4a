"""The dated tree of jurisdictions: countries, their subdivisions, and blocs with changing membership.

The data and the source of each list are in `data/jurisdictions.json`. Codes: ISO 3166-1 alpha-2 (`NL`),
ISO 3166-2 (`US-CA`), or own codes for blocs (`BLOC-EU`). A span without dates is valid at all times.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

from shared.core.canonical import JsonView

_REMEMBERED_MAX = 16_384


@dataclass(frozen=True, slots=True)
class _Span:
    """The first day, and the first day after the end."""

    first: date
    after: date

    def __contains__(self, day: date) -> bool:
        return self.first <= day < self.after


class JurisdictionTree:
    """Look-up of the nodes above a code on a day. Immutable; safe to share."""

    def __init__(self, data: JsonView) -> None:
        """Index `data`, as in `data/jurisdictions.json`. Raises `ValueError` for an unknown parent or member."""
        self._parents: dict[str, str] = {entry["code"]: entry["parent"] for entry in data["subdivisions"]}
        self._countries: dict[str, _Span] = {entry["code"]: _span(entry) for entry in data["countries"]}
        self._alpha3: dict[str, str] = {entry["alpha3"]: entry["code"] for entry in data["countries"]}
        self._blocs: frozenset[str] = frozenset(bloc["code"] for bloc in data["blocs"])
        self._memberships: dict[str, list[tuple[str, _Span]]] = {}
        for bloc in sorted(data["blocs"], key=lambda entry: str(entry["code"])):
            for member in bloc["members"]:
                self._memberships.setdefault(member["code"], []).append((bloc["code"], _span(member)))
        self._climb_once = lru_cache(_REMEMBERED_MAX)(self._climb)
        places = self._countries.keys() | self._parents.keys()
        if not (set(self._parents.values()) <= places and self._memberships.keys() <= places):
            raise ValueError("a parent or a member is not in the tree")

    def known(self, code: str, on: date) -> bool:
        """Return whether `code` is a jurisdiction on that day: Netherlands Antilles (`AN`) are not in 2026."""
        return bool(self.ancestors(code, on))

    def ancestors(self, code: str, on: date) -> tuple[str, ...]:
        """Return `code` itself, then the nodes above it, nearest first: subdivision, country, blocs by code.

        Empty for a code that is unknown on that day.
        """
        return self._climb_once(code, on)

    def alpha2(self, alpha3: str) -> str | None:
        """Return the two-letter code of a three-letter one, as in published tables; None if there is none."""
        return self._alpha3.get(alpha3)

    def _climb(self, code: str, on: date) -> tuple[str, ...]:
        if code in self._blocs:
            return (code,)
        path = [code]
        while path[-1] in self._parents:
            path.append(self._parents[path[-1]])
        country = self._countries.get(path[-1])
        if country is None or on not in country:
            return ()
        return (*path, *(bloc for bloc, span in self._memberships.get(path[-1], ()) if on in span))


def _span(entry: JsonView) -> _Span:
    first, after = entry.get("from"), entry.get("to")
    return _Span(date.fromisoformat(first) if first else date.min, date.fromisoformat(after) if after else date.max)


#: The tree, the same for all parties with one version of the software.
TREE = JurisdictionTree(json.loads((Path(__file__).with_name("data") / "jurisdictions.json").read_bytes()))
