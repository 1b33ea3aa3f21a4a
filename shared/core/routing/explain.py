"""Explanation of a decision: every rule of the policy with its effect. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from shared.core.routing.engine import RoutingInput, RoutingResult, judge, questions, unfit
from shared.core.routing.facts import FactView
from shared.core.routing.policy_index import CompiledRule, PolicyIndex
from shared.core.vocabulary.routing import WorkReason

_VALUES_SHOWN = 5


def explain(
    facts: Mapping[str, Any], setting: RoutingInput, *, known_on: date | None = None, unknown: WorkReason | None = None
) -> dict[str, Any]:
    """Return the decision and the effect of every rule, or the reason for none.

    JSON; arguments as for `judge`. `rules[].outcome` is one of `proposes`, `removes`, `not_known_yet`, `unconfirmed`,
    `not_in_force`, `conditions_fail`, `selects_nobody`, `covers_nothing`, `codes_unknown`.
    """
    view = setting.view(facts, known_on)
    outcome = judge(facts, setting, salt="", known_on=known_on, unknown=unknown)
    return {
        "decided_on": view.days.decided_on.isoformat(),
        "known_on": view.days.known_on.isoformat(),
        "directory": setting.directory.digest,
        "policy": setting.policy.digest,
        "exercise": setting.exercise,
        "disposition": outcome.disposition,
        "work_reason": outcome.work_reason,
        "edges": [edge.as_json() for edge in outcome.edges],
        "not_sent": list(outcome.not_sent),
        "rules": [_rule(rule, view, outcome, policy=setting.policy) for rule in setting.policy.rules],
    }


def explanation_text(explanation: Mapping[str, Any]) -> str:
    """Return an explanation for people, with one statement per line."""
    return "\n".join(_lines(explanation))


def _rule(rule: CompiledRule, view: FactView, outcome: RoutingResult, *, policy: PolicyIndex) -> dict[str, Any]:
    judged_on = rule.judged_on(view.days)
    asked = [each for _, each in questions(rule, view)]
    conditions = [
        {
            "fact": condition.fact,
            "op": condition.op,
            "values": sorted(condition.values),
            "holds": any(condition.holds(each, judged_on) for each in asked or [view]),
        }
        for condition in rule.conditions
    ]
    selected = {party.id: unfit(party, view) for each in asked for party in rule.selected(each)}
    return {
        "rule": rule.id,
        "effect": rule.document["effect"],
        "basis": rule.document["basis"],
        "outcome": _said(rule, view, outcome),
        "judged_on": judged_on.isoformat(),
        "valid_from": rule.document["valid_from"],
        "last_day": (rule.valid_to - timedelta(days=1)).isoformat() if rule.document.get("valid_to") else None,
        "end_note": policy.end_note(rule),
        "known_from": rule.document["known_from"],
        "conditions": conditions,
        "selects": [{"recipient": party_id, "dropped": selected[party_id]} for party_id in sorted(selected)],
    }


def _said(rule: CompiledRule, view: FactView, outcome: RoutingResult) -> str:
    if outcome.disposition == "unknown_code":
        return "codes_unknown"
    if rule.known_from > view.days.known_on:
        return "not_known_yet"
    if not rule.in_force(view.days):
        return "not_in_force" if rule.confirmed else "unconfirmed"
    asked = [each for _, each in questions(rule, view)]
    holding = [each for each in asked if rule.holds(each)]
    if asked and not holding:
        return "conditions_fail"
    if rule.selection:
        selected = [party for each in holding for party in rule.selected(each)]
        return "proposes" if any(unfit(party, view) is None for party in selected) else "selects_nobody"
    return "removes" if any(rule.id in edge["rules"] for edge in outcome.not_sent) else "covers_nothing"


def _lines(explanation: Mapping[str, Any]) -> Iterator[str]:
    reason = f" ({explanation['work_reason']})" if explanation["work_reason"] else ""
    yield f"{explanation['disposition']}{reason}, decided for {explanation['decided_on']}"
    for edge in explanation["edges"]:
        yield f"  to {edge['recipient']} for {edge['purpose']}: {edge['reason']}"
        for rule, basis in zip(edge["rules"], edge["basis"], strict=True):
            yield f"     by {rule} ({basis['instrument']} {basis['article']}, {basis['jurisdiction']})"
    for edge in explanation["not_sent"]:
        yield f"  not to {edge['recipient']} for {edge['purpose']}: {', '.join(edge['rules'])}"
    for rule in explanation["rules"]:
        yield f"  rule {rule['rule']}: {rule['outcome']}{_because(rule)}"


def _because(rule: Mapping[str, Any]) -> str:
    if rule["outcome"] == "not_known_yet":
        return f", known from {rule['known_from']}"
    if rule["outcome"] == "not_in_force":
        note = f" ({rule['end_note']})" if rule["end_note"] else ""
        until = f"until the end of {rule['last_day']}{note}" if rule["last_day"] else "without an end"
        return f" on {rule['judged_on']}, in force from {rule['valid_from']} {until}"
    if rule["outcome"] == "conditions_fail":
        return "".join(f"; not {_condition(entry)}" for entry in rule["conditions"] if not entry["holds"])
    dropped = [entry for entry in rule["selects"] if entry["dropped"]]
    return "".join(f"; {entry['recipient']} {entry['dropped']}" for entry in dropped)


def _condition(condition: Mapping[str, Any]) -> str:
    values = condition["values"]
    shown = ", ".join(values[:_VALUES_SHOWN]) + (", …" if len(values) > _VALUES_SHOWN else "")
    return f"{condition['fact']} {condition['op']} {shown}"
