"""Whether an agency may pass on what it was sent: the other is one of its kind, and nothing keeps it from that. Pure.

No rule proposes the other agency, or it would have been sent it. What entitles it is the edge of the first: the other
may be told as much of the referral as that one was, unless a prohibition would remove an edge to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.kernel.errors import Refused
from shared.routing.directory_index import PartyEntry
from shared.routing.engine import Setting, unfit
from shared.routing.facts import ITEMS
from shared.routing.policy_index import CompiledRule
from shared.vocabulary.judgement import Tlp


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
