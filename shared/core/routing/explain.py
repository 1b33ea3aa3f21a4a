"""Explanation of a decision, and evaluations without sending: a preview, another day, or another policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from shared.core.canonical import Json, JsonView
from shared.core.contracts.decision import Facts
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import DocumentStore
from shared.core.routing.engine import RoutingInput, RoutingResult, judge, questions, unfit
from shared.core.routing.facts import FactView
from shared.core.routing.policy_index import CompiledRule, PolicyIndex
from shared.core.vocabulary.routing import WorkReason

_VALUES_SHOWN = 5


def explain(facts: JsonView, setting: RoutingInput, *, unknown: WorkReason | None = None) -> Json:
    """Return the decision and the effect of every rule, or the reason for none.

    JSON; arguments as for `judge`. `rules[].outcome` is one of `proposes`, `removes`, `not_known_yet`, `unconfirmed`,
    `not_in_force`, `conditions_fail`, `selects_nobody`, `covers_nothing`, `codes_unknown`.
    """
    view = setting.view(facts)
    outcome = judge(facts, setting, salt="", unknown=unknown)
    return {
        "decided_on": view.days.decided_on.isoformat(),
        "known_on": view.days.decided_on.isoformat(),
        "directory": setting.directory.digest,
        "policy": setting.policy.digest,
        "exercise": setting.exercise,
        "disposition": outcome.disposition,
        "work_reason": outcome.work_reason,
        "edges": [edge.as_json() for edge in outcome.edges],
        "not_sent": list(outcome.not_sent),
        "rules": [_rule(rule, view, outcome, policy=setting.policy) for rule in setting.policy.rules],
    }


def explanation_text(explanation: JsonView) -> str:
    """Return an explanation for people, with one statement per line."""
    return "\n".join(_lines(explanation))


def _rule(rule: CompiledRule, view: FactView, outcome: RoutingResult, *, policy: PolicyIndex) -> Json:
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
    if rule.known_from > view.days.decided_on:
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


def _lines(explanation: JsonView) -> Iterator[str]:
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


def _because(rule: JsonView) -> str:
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


def _condition(condition: JsonView) -> str:
    values = condition["values"]
    shown = ", ".join(values[:_VALUES_SHOWN]) + (", …" if len(values) > _VALUES_SHOWN else "")
    return f"{condition['fact']} {condition['op']} {shown}"


@dataclass(frozen=True, slots=True)
class DecisionInput:
    """The stored input of a decision, for deciding again."""

    facts: Facts
    exercise: bool
    decided_at: datetime
    unknown: WorkReason | None = None


@dataclass(slots=True)
class DecisionDiff:
    """The number of changes by another policy, by (recipient, purpose) or (before, after).

    `rules` counts by (rule, direction), an edge once for each rule. `sends`: the rule now supports an edge that it did
    not support before. `stops`: it now removes an edge. The suffix `_no_more` marks the reverse.
    """

    referrals: int = 0
    changed: int = 0
    gained: Counter[tuple[str, str]] = field(default_factory=Counter)
    lost: Counter[tuple[str, str]] = field(default_factory=Counter)
    altered: Counter[tuple[str, str]] = field(default_factory=Counter)
    dispositions: Counter[tuple[str, str]] = field(default_factory=Counter)
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)


def preview(referral: DecisionInput, shelf: DocumentStore) -> Json:
    """Return the explained decision with the documents in force at `decided_at`.

    For a preview, that is now.
    """
    at = referral.decided_at
    setting = RoutingInput(shelf.directories.active(at), shelf.policies.active(at), referral.exercise, at)
    return explain(_stated(referral.facts), setting, unknown=referral.unknown)


def replay(referral: DecisionInput, shelf: DocumentStore, *, at: datetime, observed_on: date | None = None) -> Json:
    """Return the explained decision at time `at`, with documents, law and tree of that time.

    `observed_on` replaces the day of observation, because the law of that day applies to the observation, however late
    the decision is.
    """
    facts = referral.facts.model_copy(update={"observed_on": observed_on} if observed_on else {})
    return preview(DecisionInput(facts, referral.exercise, at, referral.unknown), shelf)


def compare(
    referrals: Iterable[DecisionInput], *, directory: DirectoryIndex, old: PolicyIndex, new: PolicyIndex
) -> DecisionDiff:
    """Decide each referral by both policies, at its own time.

    `altered` edges keep their key but change their terms.
    """
    comparison = DecisionDiff()
    for referral in referrals:
        before, after = (_decided(referral, directory, policy) for policy in (old, new))
        had, has = _terms_by_key(before), _terms_by_key(after)
        comparison.referrals += 1
        comparison.changed += had != has or before.disposition != after.disposition
        comparison.gained.update(has.keys() - had.keys())
        comparison.lost.update(had.keys() - has.keys())
        comparison.altered.update(key for key in had.keys() & has.keys() if had[key] != has[key])
        comparison.dispositions[before.disposition, after.disposition] += 1
        comparison.rules.update(_moved(before, after))
    return comparison


def _decided(referral: DecisionInput, directory: DirectoryIndex, policy: PolicyIndex) -> RoutingResult:
    setting = RoutingInput(directory, policy, referral.exercise, referral.decided_at)
    return judge(_stated(referral.facts), setting, salt="", unknown=referral.unknown)


def _moved(before: RoutingResult, after: RoutingResult) -> Iterator[tuple[str, str]]:
    """Yield (rule, direction), once for each edge that the rule supports or removes on one side only."""
    sides = (("sends", _sending(before), _sending(after)), ("stops", _stopping(before), _stopping(after)))
    for verb, had, has in sides:
        yield from ((rule, verb) for _, _, rule in has - had)
        yield from ((rule, f"{verb}_no_more") for _, _, rule in had - has)


def _sending(outcome: RoutingResult) -> set[tuple[str, str, str]]:
    return {(edge.recipient, edge.terms.purpose, rule) for edge in outcome.edges for rule in edge.terms.rules}


def _stopping(outcome: RoutingResult) -> set[tuple[str, str, str]]:
    return {(edge["recipient"], edge["purpose"], rule) for edge in outcome.not_sent for rule in edge["rules"]}


def _terms_by_key(outcome: RoutingResult) -> dict[tuple[str, str], JsonView]:
    """Return each edge by its key, without the digest, which differs with the policy's digest."""
    edges = (edge.as_json() for edge in outcome.edges)
    return {(edge["recipient"], edge["purpose"]): edge | {"digest": None} for edge in edges}


def _stated(facts: Facts) -> Json:
    return facts.model_dump(mode="json", exclude_none=True)
