"""A recipient's check of an edge, from the data that it was sent and the public documents alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from pydantic_core import from_json, to_json

from shared.core.clock import coarse
from shared.core.contracts.decision import DecisionRef
from shared.core.errors import Refused
from shared.core.routing.directory_index import DirectoryIndex, PartyEntry
from shared.core.routing.engine import ENGINE, RoutedEdge, RoutingInput, derive, unfit
from shared.core.routing.facts import ITEMS
from shared.core.routing.policy_index import CompiledRule, PolicyIndex
from shared.core.vocabulary.judgement import Tlp

#: Maximum distance of a document's activity from the broker's time, and of a message's time from its decision's.
TOLERANCE = timedelta(minutes=5)
#: Maximum time by which a decision may be ahead of the broker's time. Any earlier time is allowed.
AHEAD_MAX = timedelta(seconds=60)


#: The common data of a decision's edges is built once, for the few decisions whose messages are read now.
_setting: Final = lru_cache(maxsize=16)(RoutingInput)


def derive_edge(
    spelt: bytes,
    ref: DecisionRef,
    *,
    directory: DirectoryIndex,
    policy: PolicyIndex,
    exercise: bool,
    stated: Mapping[str, Any] | None = None,
) -> RoutedEdge:
    """Derive the edge again from its own facts alone.

    Raises `Refused` unless the result equals it, byte for byte. `spelt` is its JSON, which its contract has accepted.
    An edge has exactly one text, that of `RoutedEdge.as_json`. `stated` is the value that the caller has parsed from
    it. Success does not mean that the facts are true. It does not exclude further permits in the origin's complete
    facts, which the recipient does not see. Origin and audit hold the decision that binds them.
    """
    if (ref.directory, ref.policy) != (directory.digest, policy.digest):
        raise Refused("edge_not_reproducible", "not the documents of its decision", field="/decision")
    if ref.engine != ENGINE:
        raise Refused("engine_unknown", field="/decision/engine")
    derived = _derived(stated or from_json(spelt), _setting(directory, policy, exercise, ref.decided_at))
    if to_json(derived.as_json()) != spelt:
        raise Refused("edge_not_reproducible", "its facts lead to another edge")
    return derived


def check_time(
    spelt: bytes,
    ref: DecisionRef,
    broker_time: datetime,
    *,
    documents: tuple[DirectoryIndex, PolicyIndex],
    exercise: bool,
) -> None:
    """Check that the decision is not ahead of the broker's time and holds on the broker's day.

    The decision may be of any age. Raises `Refused("decision_time_off")`: the origin must decide again.
    """
    if ref.decided_at > broker_time + AHEAD_MAX:
        raise Refused("decision_time_off", "decided after the broker's time", field="/decision/decided_at")
    if ref.decided_at.date() == broker_time.date():
        return
    directory, policy = documents
    another = Refused("decision_time_off", "another edge on the broker's day", field="/decision/decided_at")
    try:
        stated = from_json(spelt)
        derived = _derived(stated, _setting(directory, policy, exercise, coarse(broker_time)))
    except Refused:
        raise another from None
    if to_json(derived.as_json() | {"digest": stated["digest"]}) != spelt:
        raise another  # only the digest may differ, because it covers the time


def _derived(stated: Mapping[str, Any], setting: RoutingInput) -> RoutedEdge:
    """Return the edge that its own facts lead to at the setting's time. Raises `Refused`."""
    return derive(stated["facts"], setting, recipient_id=stated["recipient"], claimed=stated["rules"])


def check_onward(edge: Mapping[str, Any], setting: RoutingInput, *, to: str) -> PartyEntry:
    """Return the party to which a holder may pass its edge on. `edge` is the holder's edge, as JSON.

    Raises `Refused`: `agency_unknown` if the party is unknown, or not another agency of the same status.
    `agency_not_entitled` if it does not accept this kind of report, the edge is TLP red, no law of the edge is in
    force, or a law prohibits it.
    """
    facts, holder = edge["facts"], edge["recipient"]
    directory, by = setting.directory, setting.directory.party(holder)
    other = directory.party(to)
    if by is None or other is None or other.id == holder or (other.kind, other.status) != (by.kind, by.status):
        raise Refused("agency_unknown", "no other agency of the directory", field="/agency")
    view = setting.view(facts)
    permits = [
        rule for name in edge["rules"] if (rule := setting.policy.permits.get(name)) and rule.in_force(view.days)
    ]
    if edge["handling"]["tlp"] == Tlp.RED or not permits or unfit(other, view) is not None:
        raise _not_entitled()
    plan = setting.policy.plan(view.standing(other), tuple(rule.order for rule in permits), view.days)
    if any(_unread(rule, facts) or rule.holds(view) for rule in plan.prohibitions):
        raise _not_entitled()
    return other


def _unread(rule: CompiledRule, facts: Mapping[str, Any]) -> bool:
    """Return whether a rule reads facts that the holder does not have. Then its result is unknown."""
    read = {*facts, *(name for item in facts.get(ITEMS, ()) for name in item)}
    return not rule.reads <= read


def _not_entitled() -> Refused:
    return Refused("agency_not_entitled", "the law does not allow passing it on", field="/agency")
