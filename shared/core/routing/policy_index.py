"""The policy, compiled and indexed, so that a decision evaluates only rules that can match."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from shared.core.canonical import JsonView
from shared.core.errors import Refused
from shared.core.routing.directory_index import PartyEntry
from shared.core.routing.edition import DocumentVersion
from shared.core.routing.facts import JURISDICTION_FACTS, LEADING_FACTS, DayFacts, FactView, PartyNodes
from shared.core.routing.terms import EdgeTerms, combine
from shared.core.vocabulary.jurisdiction import JurisdictionTree
from shared.core.vocabulary.law import Confirmation
from shared.core.vocabulary.routing import Fact, PartyKind

_ORIGIN, _INCIDENT_KIND, _OBSERVED_ON = Fact.ORIGIN.value, Fact.INCIDENT_KIND.value, Fact.OBSERVED_ON.value
_memo = lru_cache(maxsize=16_384)
#: Facts with many different values: a bucket for one value has few rules.
_SELECTIVE = frozenset((*JURISDICTION_FACTS, Fact.PROVIDERS.value, _ORIGIN))
#: A test of a predicate on the facts, with the tree of the judged day.
_Test = Callable[[FactView, date], bool]


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """One predicate.

    `fact`, `op` and `values` are as in the policy's contract; an absent fact is the empty list.
    """

    fact: str
    op: str
    values: frozenset[str]
    holds: _Test


@dataclass(frozen=True, slots=True)
class Selection:
    """The parties that a permit proposes; `mandate` is "" for none."""

    kind: str
    how: str
    by: str
    mandate: str

    def candidates(self, view: FactView) -> Iterator[PartyEntry]:
        """Yield the parties of the kind with the right status, some perhaps more than once."""
        for value in view.stated[self.by]:
            if self.how != "named":
                yield from view.nearest(self.mandate, self.kind, value)
            elif (party := view.directory.party(value)) and (party.kind, party.status) == (self.kind, view.status):
                yield party


@dataclass(frozen=True, slots=True)
class Coverage:
    """The edges that a prohibition removes. Each non-empty list restricts them."""

    purposes: frozenset[str]
    kinds: frozenset[str]
    nodes: frozenset[str]
    parties: frozenset[str]

    def covers(self, standing: PartyNodes) -> bool:
        """Return whether it covers the recipient. The caller has checked the purpose."""
        return (
            standing.recipient.kind in self.kinds
            and (not self.nodes or not self.nodes.isdisjoint(standing.nodes))
            and (not self.parties or standing.recipient.id in self.parties)
        )


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRule:
    """A rule ready for evaluation. `order` is its position among the policy's rules sorted by id.

    `of_whole`: it reads the referral as a whole, not one item at a time.
    """

    id: str
    order: int
    reads: frozenset[str]
    conditions: tuple[Condition, ...]
    selection: Selection | None
    of_whole: bool
    coverage: Coverage | None
    purpose: str
    reason: str
    by_observation: bool
    valid_from: date
    valid_to: date
    known_from: date
    confirmed: bool
    document: JsonView

    def in_force(self, days: DayFacts) -> bool:
        """Return whether it is in force on its judged day and known by then, under a confirmed instrument.

        If that day is not among the facts, it is not in force.
        """
        day = days.observed_on if self.by_observation else days.decided_on
        if day is None or not self.confirmed:
            return False
        return self.valid_from <= day < self.valid_to and self.known_from <= days.decided_on

    def selected(self, view: FactView) -> Iterable[PartyEntry]:
        return self.selection.candidates(view) if self.selection else ()

    def judged_on(self, days: DayFacts) -> date:
        return (self.by_observation and days.observed_on) or days.decided_on

    def holds(self, view: FactView) -> bool:
        judged_on = self.judged_on(view.days)
        for condition in self.conditions:  # noqa: SIM110 - each decision passes here; a generator costs twice as much
            if not condition.holds(view, judged_on):
                return False
        return True


class EdgePlan(NamedTuple):
    """The part of an edge that follows from its recipient, permits and days, before its facts are read.

    `prohibitions` are those in force that cover it. `reads` are the facts that the edge carries: those that its permits
    and these prohibitions read, the origin, and the incident kind if the recipient limits it. A prohibition not in
    force reads no facts. But if it is judged by observation, the edge also carries that day.
    """

    terms: EdgeTerms
    prohibitions: tuple[CompiledRule, ...]
    reads: frozenset[str]


class PolicyIndex:
    """The rules of one policy document, identified by `digest`.

    `document` is its JSON, valid by its contract. Raises `Refused` if a rule reads an undeclared fact, lacks a part, or
    is contradictory.
    """

    def __init__(self, document: JsonView, digest: str, tree: JurisdictionTree) -> None:
        self.digest = digest
        self.edition = DocumentVersion.of(document)
        self.document = document
        self.instruments = {entry["id"]: entry for entry in document.get("instruments") or ()}
        issued_on = date.fromisoformat(document["issued_on"])
        numbered = sorted(enumerate(document["rules"]), key=lambda entry: str(entry[1]["id"]))
        self.rules = tuple(
            _compile(rule, order, f"/rules/{number}", confirmed=self.confirms(rule["basis"]["instrument"]))
            for order, (number, rule) in enumerate(numbered)
        )
        for earlier, later in zip(self.rules, self.rules[1:], strict=False):
            if earlier.id == later.id:
                raise Refused("rule_repeated", field=f"/rules/{numbered[later.order][0]}/id")
        for rule, (number, _) in zip(self.rules, numbered, strict=True):
            if not all(tree.known(node, issued_on) for node in _nodes_named(rule)):
                raise Refused("rule_node_unknown", field=f"/rules/{number}")
        self.permits = {rule.id: rule for rule in self.rules if rule.selection}
        self._always: list[int] = []
        self._under: dict[str, dict[str, list[int]]] = {}
        self._with: dict[str, dict[str, list[int]]] = {}
        for rule in self.permits.values():
            self._place(rule)
        self._prohibitions: dict[str, list[CompiledRule]] = {}
        for rule in self.rules:
            for purpose in rule.coverage.purposes if rule.coverage else ():
                self._prohibitions.setdefault(purpose, []).append(rule)
        # Caches of pure functions of this document; they only save time.
        self._under_any: Callable[[str, frozenset[str]], frozenset[int]] = _memo(self._find_under)
        self._in_force: Callable[[DayFacts], frozenset[int]] = lru_cache(256)(self._find_in_force)
        self._terms: Callable[[tuple[int, ...]], EdgeTerms] = _memo(self._combine)
        self.plan: Callable[[PartyNodes, tuple[int, ...], DayFacts], EdgePlan] = _memo(self._plan)

    def confirms(self, instrument: str) -> bool:
        """Return whether the policy does not list the instrument as unconfirmed."""
        entry = self.instruments.get(instrument)
        return entry is None or bool(entry["confirmation"] == Confirmation.CONFIRMED)

    def end_note(self, rule: CompiledRule) -> str | None:
        """Return the reason for a rule's last day, if it ends with its instrument."""
        entry = self.instruments.get(rule.document["basis"]["instrument"], {})
        return entry.get("end_note") if entry.get("valid_to") == rule.document.get("valid_to") else None

    def candidates(self, view: FactView) -> list[CompiledRule]:
        """Return every permit in force whose conditions could hold, sorted by id."""
        found = self._reachable(view) & self._in_force(view.days)
        return [self.rules[order] for order in sorted(found)]

    def lapsed(self, view: FactView) -> list[CompiledRule]:
        """Return every permit that is not in force, but whose conditions could hold, sorted by id."""
        found = self._reachable(view) - self._in_force(view.days)
        return [self.rules[order] for order in sorted(found)]

    def _reachable(self, view: FactView) -> set[int]:
        """Return the rules in matching buckets, at any date.

        Nodes count on the day of decision or of observation.
        """
        found = set(self._always)
        for fact in self._under:
            found |= self._under_any(fact, view.nodes_any_day(fact))
        for fact, buckets in self._with.items():
            for value in view.stated[fact]:
                found.update(buckets.get(value, ()))
        return found

    def _place(self, rule: CompiledRule) -> None:
        """Put a rule in the buckets of its most selective condition that requires a value."""
        naming = [condition for condition in rule.conditions if condition.op in ("in", "under")]
        if not naming:
            self._always.append(rule.order)
            return
        chosen = min(naming, key=lambda condition: (condition.fact not in _SELECTIVE, len(condition.values)))
        buckets = (self._under if chosen.op == "under" else self._with).setdefault(chosen.fact, {})
        for value in chosen.values:
            buckets.setdefault(value, []).append(rule.order)

    def _find_under(self, fact: str, nodes: frozenset[str]) -> frozenset[int]:
        buckets = self._under[fact]
        return frozenset(order for node in nodes for order in buckets.get(node, ()))

    def _find_in_force(self, days: DayFacts) -> frozenset[int]:
        return frozenset(rule.order for rule in self.permits.values() if rule.in_force(days))

    def _plan(self, standing: PartyNodes, permits: tuple[int, ...], days: DayFacts) -> EdgePlan:
        """Return the plan of an edge by `permits` (their orders, sorted)."""
        terms = self._terms(permits)
        reads = {_ORIGIN, _INCIDENT_KIND} if standing.recipient.accepts else {_ORIGIN}
        for order in permits:
            reads |= self.rules[order].reads
        prohibitions = []
        for rule in self._prohibitions.get(terms.purpose, ()):
            if not (rule.coverage and rule.coverage.covers(standing)) or rule.known_from > days.decided_on:
                continue
            if rule.by_observation:
                reads.add(_OBSERVED_ON)
            if rule.in_force(days):
                prohibitions.append(rule)
                reads |= rule.reads
        return EdgePlan(terms, tuple(prohibitions), frozenset(reads))

    def _combine(self, permits: tuple[int, ...]) -> EdgeTerms:
        return combine([self.rules[order].document for order in permits])


def _compile(rule: JsonView, order: int, field: str, *, confirmed: bool) -> CompiledRule:
    select, scope, valid_to = rule.get("select"), rule.get("scope"), rule.get("valid_to")
    compiled = CompiledRule(
        id=rule["id"],
        order=order,
        reads=frozenset(rule["reads"]),
        conditions=tuple(_condition(entry["fact"], entry["op"], frozenset(entry["values"])) for entry in rule["when"]),
        selection=select and Selection(select["kind"], select["how"], select["by"], select.get("mandate") or ""),
        of_whole=not select or select["by"] not in LEADING_FACTS,
        coverage=scope
        and Coverage(
            frozenset(scope["purposes"]),
            frozenset(scope["kinds"]),
            frozenset(scope.get("nodes") or ()),
            frozenset(scope.get("parties") or ()),
        ),
        purpose=rule.get("purpose") or "",
        reason=rule.get("reason") or "",
        by_observation=rule.get("judged_by") == "observation",
        valid_from=date.fromisoformat(rule["valid_from"]),
        valid_to=date.fromisoformat(valid_to) if valid_to else date.max,
        known_from=date.fromisoformat(rule["known_from"]),
        confirmed=confirmed,
        document=rule,
    )
    _check(compiled, field)
    return compiled


def _condition(fact: str, op: str, values: frozenset[str]) -> Condition:
    disjoint = values.isdisjoint
    tests: dict[str, _Test] = {
        "in": lambda view, _: not disjoint(view.stated[fact]),
        "not_in": lambda view, _: disjoint(view.stated[fact]),
        "under": lambda view, on: not disjoint(view.directory.nodes(view.stated[fact], on)),
        "not_under": lambda view, on: disjoint(view.directory.nodes(view.stated[fact], on)),
        # As for selection, the day of decision decides which party serves a place.
        "unserved": lambda view, _: any(not view.nearest("", min(values), code) for code in view.stated[fact]),
    }
    return Condition(fact, op, values, tests[op])


def _check(rule: CompiledRule, field: str) -> None:
    """Check limits that the contract cannot express.

    Otherwise a rule could read a fact that its edge lacks.
    """
    used = {condition.fact for condition in rule.conditions}
    if rule.selection:
        used.add(rule.selection.by)
    if rule.by_observation:
        used.add(Fact.OBSERVED_ON)
    if not used <= rule.reads:
        raise Refused("rule_reads_undeclared", field=f"{field}/reads")
    if others := rule.reads & LEADING_FACTS - _shown_to_selected(rule.selection):
        # Facts with names of others go only to recipients selected by them. No other recipient could derive the edge.
        raise Refused("rule_reads_others", ", ".join(sorted(others)), field=f"{field}/reads")
    proposes = (rule.selection, rule.purpose, rule.reason, rule.document.get("handling"))
    whole = all(proposes) and not rule.coverage
    if not (whole if rule.document["effect"] == "permit" else rule.coverage and not any(proposes[:3])):
        raise Refused("rule_incomplete", field=field)
    if not all(_matched(condition) for condition in rule.conditions):
        raise Refused("rule_mismatched", field=f"{field}/when")
    if rule.selection and not _selection_matched(rule.selection):
        raise Refused("rule_mismatched", field=f"{field}/select")
    reached = rule.coverage.kinds if rule.coverage else {rule.selection.kind} if rule.selection else set()
    if PartyKind.INDUSTRY in reached and Fact.OBSERVED_ON in rule.reads:
        # The provider would get this fact. It could compute how long a notice waited, and infer the reason.
        raise Refused("rule_dates_a_notice", field=f"{field}/reads")


def _shown_to_selected(selection: Selection | None) -> frozenset[str]:
    if selection is None:
        return frozenset()
    by_provider = {Fact.PROVIDER_ESTABLISHMENT.value} if selection.by == Fact.PROVIDERS else set()
    return frozenset({selection.by, *by_provider})


def _matched(condition: Condition) -> bool:
    if condition.op in ("in", "not_in"):
        return True
    kinds_named = len(condition.values) == 1 and condition.values <= set(PartyKind)
    return condition.fact in JURISDICTION_FACTS and (condition.op != "unserved" or kinds_named)


def _selection_matched(selection: Selection) -> bool:
    by_place = selection.by in JURISDICTION_FACTS
    if selection.how == "named":
        return selection.by == Fact.PROVIDERS and not selection.mandate
    return by_place and (selection.how == "mandated") == bool(selection.mandate)


def _nodes_named(rule: CompiledRule) -> Iterator[str]:
    yield rule.document["basis"]["jurisdiction"]
    if rule.coverage:
        yield from rule.coverage.nodes
    for condition in rule.conditions:
        if condition.op in ("under", "not_under"):
            yield from condition.values
