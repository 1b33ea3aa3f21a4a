"""The facts of one referral as the engine sees them: every fact a tuple of strings, absent facts empty."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from shared.routing.directory_index import DirectoryIndex, PartyEntry
from shared.routing.terms import encode
from shared.vocabulary.routing import Fact, PartyStatus

JURISDICTION_FACTS = ("reporter", "hosting", "user", "victim", "provider_establishment")
#: Facts that are lists: sorted, without repeats, and present in an edge that reads them even when empty.
LISTS: frozenset[str] = frozenset((*JURISDICTION_FACTS, "incident_flags", "locator_kinds", "assessments", "providers"))
#: Facts that are one value, which every referral has.
SINGLE_FACTS = tuple(fact.value for fact in Fact if fact not in LISTS)

_OBSERVED_ON, _SANDBOX, _LIVE = Fact.OBSERVED_ON.value, PartyStatus.SANDBOX.value, PartyStatus.LIVE.value
_EMPTY: dict[str, tuple[str, ...]] = {fact.value: () for fact in Fact}


class Days(NamedTuple):
    """The days a rule may be judged by: of decision, of observation (None if not among the facts), of our knowledge."""

    decided_on: date
    observed_on: date | None
    known_on: date


class Standing(NamedTuple):
    """A recipient, and the nodes it stands at or under on the day of decision."""

    recipient: PartyEntry
    nodes: frozenset[str]


class FactsRead(NamedTuple):
    """Some of the facts, as JSON and as its canonical text."""

    stated: Mapping[str, str | tuple[str, ...]]
    text: str


class FactView:
    """The facts together with what they are judged against: a directory, two days, and exercise or not.

    `facts` is JSON as `Facts` writes it. In `stated`, every fact is a tuple of strings, sorted and without
    repeats, and empty where the fact is absent.
    """

    __slots__ = ("days", "directory", "stated", "status")

    def __init__(
        self,
        facts: Mapping[str, Any],
        directory: DirectoryIndex,
        *,
        decided_on: date,
        known_on: date,
        exercise: bool,
    ) -> None:
        self.directory = directory
        self.status = _SANDBOX if exercise else _LIVE
        self.stated = stated = dict(_EMPTY)
        for name, value in facts.items():
            if name not in LISTS:
                stated[name] = (value,) if value is not None else ()
            elif value:
                stated[name] = tuple(value) if len(value) == 1 else tuple(sorted(set(value)))
        observed = stated[_OBSERVED_ON]
        self.days = Days(decided_on, date.fromisoformat(observed[0]) if observed else None, known_on)

    def nodes(self, fact: str, on: date) -> frozenset[str]:
        """The jurisdictions of the fact and every node above them on that day."""
        return self.directory.nodes(self.stated[fact], on)

    def nodes_any_day(self, fact: str) -> frozenset[str]:
        """The nodes on the day of decision or of observation: all that a rule may ask about."""
        days = self.days
        return self.directory.nodes_either(self.stated[fact], days.decided_on, days.observed_on or days.decided_on)

    def nearest(self, mandate: str, kind: str, code: str) -> tuple[PartyEntry, ...]:
        """`DirectoryIndex.nearest` for the day of decision and the status that fits."""
        return self.directory.nearest(mandate, kind, code, self.status, self.days.decided_on)

    def standing(self, recipient: PartyEntry) -> Standing:
        return Standing(recipient, self.directory.nodes(recipient.jurisdictions, self.days.decided_on))

    def restricted(self, reads: frozenset[str]) -> FactsRead:
        """The facts named in `reads`: lists also when empty."""
        stated = self.stated
        values = {name: stated[name] if name in LISTS else stated[name][0] for name in reads}
        return FactsRead(values, "{" + ",".join([_text(name, values[name]) for name in sorted(values)]) + "}")


@lru_cache(maxsize=16_384)
def _text(name: str, value: str | tuple[str, ...]) -> str:
    """Canonical JSON of one member of an object. Memoised: the same few values come again and again."""
    return f"{encode(name)}:{encode(value)}"
