"""Whose pairs an auditor sees: those with a party in scope, by the directory of now, also of what lies back. Pure."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from shared.exchange.topics import AUDIT
from shared.kernel.authority import Scope
from shared.routing.directory_index import DirectoryIndex


class Within(NamedTuple):
    """`parties` are those in scope; of `instances` all parties are, so that a topic of theirs has no other pair.

    Audit is none of these, whoever it serves: in its topics lies what every instance states. `places` serve a party in
    scope, or have served it.
    """

    parties: frozenset[str]
    instances: frozenset[str]
    places: frozenset[str] = frozenset()


def within(auditor: str, scope: Scope | None, directory: DirectoryIndex, *, on: date) -> Within | None:
    """What the scope of one's role leaves of what the organisation `auditor` looks at; None for everything.

    An organisation with jurisdictions in the directory looks at parties below these, one without at all of them.
    """
    organisation = directory.party(auditor)
    places = frozenset(organisation.jurisdictions if organisation is not None else ())
    if not places and scope is None:
        return None
    seen = []
    for entry in directory.document["parties"]:
        party = directory.party(entry["id"])
        assert party is not None
        nodes = directory.nodes(party.jurisdictions, on)
        named = scope is None or party.id in scope.parties or not nodes.isdisjoint(scope.jurisdictions)
        if named and (not places or not nodes.isdisjoint(places)):
            seen.append(party.id)
    parties = frozenset(seen)
    served = {name: directory.parties_of(name) for name in directory.kinds() if name != AUDIT}
    instances = frozenset(name for name, all_of in served.items() if all_of and parties.issuperset(all_of))
    places = frozenset(place for each in parties for place in directory.places_of(each) if place != AUDIT)
    return Within(parties, instances, places)
