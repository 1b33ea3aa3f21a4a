"""The facts of one referral for the engine: every fact is a tuple of strings, absent facts are empty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from shared.core.canonical import Json, JsonView
from shared.core.routing.directory_index import DirectoryIndex, PartyEntry
from shared.core.routing.terms import encode
from shared.core.vocabulary.routing import Fact, PartyStatus

JURISDICTION_FACTS = ("reporter", "hosting", "user", "victim", "provider_establishment")
#: Facts of one item; all others belong to the referral.
ITEM_FACTS: frozenset[str] = frozenset(
    ("assessments", "hosting", "locator_kinds", "provider_establishment", "providers")
)
#: Facts that name other parties. An edge carries only their values that lead to its own recipient.
LEADING_FACTS: frozenset[str] = frozenset(("hosting", "provider_establishment", "providers"))
#: Facts that are lists: sorted, without repeats, and present in an edge that reads them even when empty.
LISTS: frozenset[str] = frozenset((*JURISDICTION_FACTS, *ITEM_FACTS, "incident_flags"))
#: Facts with exactly one value, which every referral has.
SINGLE_FACTS = tuple(fact.value for fact in Fact if fact not in LISTS)
#: The member with the facts of the items, in the items' order.
ITEMS = "items"

_OBSERVED_ON, _SANDBOX, _LIVE = Fact.OBSERVED_ON.value, PartyStatus.SANDBOX.value, PartyStatus.LIVE.value
_PROVIDERS, _ESTABLISHMENT = Fact.PROVIDERS.value, Fact.PROVIDER_ESTABLISHMENT.value
_EMPTY: dict[str, tuple[str, ...]] = {fact.value: () for fact in Fact}
_NO_LEADS: dict[str, tuple[str, ...]] = dict.fromkeys(LEADING_FACTS, ())
Stated = Mapping[str, tuple[str, ...]]


class DayFacts(NamedTuple):
    """The days for judging rules: of decision, and of observation (None if absent)."""

    decided_on: date
    observed_on: date | None


class PartyNodes(NamedTuple):
    """A recipient, and its jurisdiction nodes with all nodes above on the day of decision."""

    recipient: PartyEntry
    nodes: frozenset[str]


class FactsRead(NamedTuple):
    """Some of the facts, as JSON and as its canonical text."""

    stated: JsonView
    text: str


class FactSource(NamedTuple):
    """One value of one item by which a permit selects. `fact` is one of the facts that name others."""

    item: int
    fact: str
    value: str


class FactView:
    """The facts with the context for judging them: a directory, two days, and exercise or not.

    `facts` is JSON in the form of `Facts`. In `stated`, every fact is a tuple of strings, sorted and without repeats,
    and empty if the fact is absent. There, facts of items are those of all items together; `items` has them for each
    item.
    """

    __slots__ = ("_narrowed", "days", "directory", "items", "stated", "status")

    def __init__(self, facts: JsonView, directory: DirectoryIndex, *, decided_on: date, exercise: bool) -> None:
        self.directory = directory
        self.status = _SANDBOX if exercise else _LIVE
        self.items: Sequence[Stated] = tuple([_lists(item) for item in facts.get(ITEMS) or ()])
        stated = dict(_EMPTY)
        for name, value in facts.items():
            if name not in LISTS:
                stated[name] = (value,) if value is not None and name != ITEMS else ()
            elif value:
                stated[name] = _sorted(value)
        self.stated: Stated = stated | _union(self.items)
        observed = stated[_OBSERVED_ON]
        self.days = DayFacts(decided_on, date.fromisoformat(observed[0]) if observed else None)
        self._narrowed: dict[FactSource, FactView] = {}

    def nodes(self, fact: str, on: date) -> frozenset[str]:
        """Return the jurisdictions of the fact and every node above them on that day."""
        return self.directory.nodes(self.stated[fact], on)

    def nodes_any_day(self, fact: str) -> frozenset[str]:
        """Return the nodes on the day of decision or of observation: all that a rule may read."""
        days = self.days
        return self.directory.nodes_either(self.stated[fact], days.decided_on, days.observed_on or days.decided_on)

    def nearest(self, mandate: str, kind: str, code: str) -> tuple[PartyEntry, ...]:
        """Return `DirectoryIndex.nearest` for the day of decision and the matching status."""
        return self.directory.nearest(mandate, kind, code, self.status, self.days.decided_on)

    def standing(self, recipient: PartyEntry) -> PartyNodes:
        return PartyNodes(recipient, self.directory.nodes(recipient.jurisdictions, self.days.decided_on))

    def leads(self, fact: str) -> Iterator[FactSource]:
        """Yield every value of the fact, item by item."""
        for number, item in enumerate(self.items):
            for value in item[fact]:
                yield FactSource(number, fact, value)

    def narrowed(self, lead: FactSource) -> FactView:
        """Return the view of a referral with only this item, and only this value of facts that name others."""
        found = self._narrowed.get(lead)
        if found is None:
            found = self._narrowed[lead] = self._with({**self.items[lead.item], **_NO_LEADS, **self.shown_by(lead)})
        return found

    def shown_by(self, lead: FactSource) -> dict[str, tuple[str, ...]]:
        """Return the values that an edge of this lead may carry. A provider's edge also has its establishment."""
        shown: dict[str, tuple[str, ...]] = {lead.fact: (lead.value,)}
        if lead.fact == _PROVIDERS and (party := self.directory.party(lead.value)):
            shown[_ESTABLISHMENT] = tuple(
                [code for code in self.items[lead.item][_ESTABLISHMENT] if code in party.jurisdictions]
            )
        return shown

    def over(self, items: Sequence[int]) -> FactView:
        """Return the view of a referral with only these items."""
        return self if len(items) == len(self.items) else self._with(_union([self.items[number] for number in items]))

    def restricted(self, reads: frozenset[str], items: Sequence[int], leads: Iterable[FactSource]) -> FactsRead:
        """Return the facts in `reads` of these items.

        Lists may be empty; facts that name others have only `leads`.
        """
        stated = self.stated
        values: Json = {name: stated[name] if name in LISTS else stated[name][0] for name in sorted(reads - ITEM_FACTS)}
        texts = {name: _text(name, value) for name, value in values.items()}
        if of_items := sorted(reads & ITEM_FACTS):
            shown = [{name: () if name in LEADING_FACTS else self.items[n][name] for name in of_items} for n in items]
            at = {number: position for position, number in enumerate(items)}
            for lead in leads:
                for name, value in self.shown_by(lead).items():
                    if name in reads:
                        kept = shown[at[lead.item]]
                        kept[name] = _sorted((*kept[name], *value))
            values[ITEMS] = tuple(shown)
            texts[ITEMS] = '"items":[' + ",".join([_object(each) for each in shown]) + "]"
        return FactsRead(values, "{" + ",".join([texts[name] for name in sorted(texts)]) + "}")

    def _with(self, of_items: Stated) -> FactView:
        view = object.__new__(FactView)
        view.directory, view.status, view.days, view.items = self.directory, self.status, self.days, ()
        view.stated = {**self.stated, **of_items}
        view._narrowed = {}
        return view


def _lists(item: JsonView) -> dict[str, tuple[str, ...]]:
    return {name: _sorted(item.get(name) or ()) for name in ITEM_FACTS}


def _union(items: Sequence[Stated]) -> dict[str, tuple[str, ...]]:
    if len(items) == 1:
        return dict(items[0])
    return {name: _sorted([value for item in items for value in item[name]]) for name in ITEM_FACTS}


def _sorted(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(values) if len(values) < 2 else tuple(sorted(set(values)))


def _object(item: Stated) -> str:
    return "{" + ",".join([_text(name, value) for name, value in item.items()]) + "}"


@lru_cache(maxsize=16_384)
def _text(name: str, value: str | tuple[str, ...]) -> str:
    """Return canonical JSON of one member of an object. Cached, because few different values occur."""
    return f"{encode(name)}:{encode(value)}"
