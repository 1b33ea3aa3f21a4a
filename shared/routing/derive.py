"""What a recipient checks of an edge, knowing only what it was sent and the public documents."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from pydantic_core import from_json, to_json

from shared.contracts.decision import DecisionRef
from shared.kernel.clock import coarse
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex, PartyEntry
from shared.routing.engine import ENGINE, PlannedEdge, Setting, derive, unfit
from shared.routing.facts import ITEMS
from shared.routing.policy_index import CompiledRule, PolicyIndex
from shared.vocabulary.judgement import Tlp

#: How far a document's activity may be from the broker's time, and a message's own time from its decision's.
TOLERANCE = timedelta(minutes=5)
#: How far a decision's time may be ahead of the broker's. How far it is behind does not matter.
AHEAD_MAX = timedelta(seconds=60)


#: What the edges of a decision share is made once, for the few decisions whose messages are read now.
_setting: Final = lru_cache(maxsize=16)(Setting)


def derive_edge(
    spelt: bytes,
    ref: DecisionRef,
    *,
    directory: DirectoryIndex,
    policy: PolicyIndex,
    exercise: bool,
    stated: Mapping[str, Any] | None = None,
) -> PlannedEdge:
    """Make the edge again, from its own facts alone. Raises `Refused` unless it comes out as sent, byte for byte.

    `spelt` is its JSON, which is what its contract says; one edge has one spelling, that of `PlannedEdge.as_json`.
    `stated` is what the caller has read from it.
    Success does not mean that the facts are true, nor that no further permit stood behind the edge in the
    origin's whole facts: those the recipient does not see. Origin and audit hold the decision that binds them.
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
    """The decision is not of the future, and holds on the day on which the broker took it. Its age does not matter.

    Raises `Refused("decision_time_off")`: to be decided again.
    """
    if ref.decided_at > broker_time + AHEAD_MAX:
        raise Refused("decision_time_off", "decided after the broker took it", field="/decision/decided_at")
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
        raise another  # the time stands in the digest, and nowhere else


def _derived(stated: Mapping[str, Any], setting: Setting) -> PlannedEdge:
    """The edge as its own facts lead to it at the setting's time. Raises `Refused`."""
    return derive(stated["facts"], setting, recipient_id=stated["recipient"], claimed=stated["rules"])


def check_onward(edge: Mapping[str, Any], setting: Setting, *, to: str) -> PartyEntry:
    """The party that may be told. `edge` is that of whoever holds it, as JSON.

    Raises `Refused`: `agency_unknown` for nobody, or no other agency of the same world; `agency_not_entitled` where it
    does not take this kind of report, what is told is for its recipient alone (TLP red), no law that the edge rests on
    is in force, or one forbids it.
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
    """Whether a rule looks at what the holder was never told: then nobody can say that it does not hold."""
    read = {*facts, *(name for item in facts.get(ITEMS, ()) for name in item)}
    return not rule.reads <= read


def _not_entitled() -> Refused:
    return Refused("agency_not_entitled", "the law does not let it be told", field="/agency")
