"""Evaluations without sending: a preview before submission, another day, or another policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from shared.core.contracts.decision import Facts
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import DocumentStore
from shared.core.routing.engine import RoutingInput, RoutingResult, judge
from shared.core.routing.explain import explain
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.routing import WorkReason


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


def preview(referral: DecisionInput, shelf: DocumentStore, *, known_on: date | None = None) -> dict[str, Any]:
    """Return the explained decision with the documents in force at `decided_at`.

    For a preview, that is now.
    """
    at = referral.decided_at
    setting = RoutingInput(shelf.directories.active(at), shelf.policies.active(at), referral.exercise, at)
    return explain(_stated(referral.facts), setting, known_on=known_on, unknown=referral.unknown)


def replay(
    referral: DecisionInput,
    shelf: DocumentStore,
    *,
    at: datetime,
    known_on: date | None = None,
    observed_on: date | None = None,
) -> dict[str, Any]:
    """Return the explained decision at time `at`, with documents, law and tree of that time.

    `known_on` selects the law as known on that day. `observed_on` replaces the day of observation, because the law of
    that day applies to the observation, however late the decision is.
    """
    facts = referral.facts.model_copy(update={"observed_on": observed_on} if observed_on else {})
    moved = DecisionInput(facts, referral.exercise, at, referral.unknown)
    return preview(moved, shelf, known_on=known_on)


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


def _terms_by_key(outcome: RoutingResult) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return each edge by its key, without the digest, which differs with the policy's digest."""
    edges = (edge.as_json() for edge in outcome.edges)
    return {(edge["recipient"], edge["purpose"]): edge | {"digest": None} for edge in edges}


def _stated(facts: Facts) -> dict[str, Any]:
    return facts.model_dump(mode="json", exclude_none=True)
