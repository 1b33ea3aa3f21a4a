"""The routing decision.

Pure, total and deterministic; standard library only; JSON in, the same bytes out. Permits propose edges, prohibitions
remove them, and no rule reads another rule. So each edge can be derived again from its own facts (`derive`), without
those of any other edge. Facts that name other recipients (hosting, providers, establishments) are evaluated value by
value, so an edge carries only the values that lead to its own recipient.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from typing import NamedTuple

from shared.core.canonical import Json, JsonView, digest
from shared.core.clock import rfc3339
from shared.core.errors import Defect, Refused
from shared.core.routing.directory_index import DirectoryIndex, PartyEntry
from shared.core.routing.facts import (
    ITEM_FACTS,
    ITEMS,
    JURISDICTION_FACTS,
    SINGLE_FACTS,
    FactSource,
    FactsRead,
    FactView,
)
from shared.core.routing.policy_index import CompiledRule, EdgePlan, PolicyIndex
from shared.core.routing.terms import EdgeTerms
from shared.core.vocabulary.routing import Disposition, Fact, PartyKind, Reason, WorkReason

#: The version of these semantics. Recipients derive edges only of versions that they know.
ENGINE = 2
_ORIGIN, _INCIDENT_KIND = Fact.ORIGIN.value, Fact.INCIDENT_KIND.value
_PROVIDERS = Fact.PROVIDERS.value
#: A decision above these limits needs a person, because audit gets a whole decision in one record.
EDGES_MAX = 200
RULES_PER_EDGE_MAX = 32


@dataclass(slots=True)
class RoutingInput:
    """The common data of all edges of one decision: documents, time, exercise or not."""

    directory: DirectoryIndex
    policy: PolicyIndex
    exercise: bool
    decided_at: datetime
    time: str = field(init=False)
    _decided_on: date = field(init=False)
    _before_edge: str = field(init=False)
    _after_edge: str = field(init=False)

    def __post_init__(self) -> None:
        exercise = "true" if self.exercise else "false"
        self.time, self._decided_on = rfc3339(self.decided_at), self.decided_at.astimezone(UTC).date()
        self._before_edge = f'{{"decided_at":"{self.time}","directory":"{self.directory.digest}","edge":'
        self._after_edge = f',"engine":{ENGINE},"exercise":{exercise},"policy":"{self.policy.digest}"}}'

    def view(self, facts: JsonView) -> FactView:
        """Return the view of `facts` on the decision's UTC day, by the law known on that day."""
        return FactView(facts, self.directory, decided_on=self._decided_on, exercise=self.exercise)

    def edge(self, recipient_id: str, terms: EdgeTerms, facts: FactsRead, *, items: tuple[int, ...]) -> RoutedEdge:
        """Return the edge with its digest, which covers the canonical JSON of the edge and its setting.

        It covers {decided_at, directory, edge, engine, exercise, policy}. The text is written piecewise because this is
        the hot path. A test compares it with the canonical JSON.
        """
        text = f'{terms.before_facts}{facts.text}{terms.before_recipient}"{recipient_id}"{terms.after_recipient}'
        covered = f"{self._before_edge}{text}{self._after_edge}"
        return RoutedEdge(recipient_id, terms, facts.stated, digest(covered.encode()), items)


class RoutedEdge(NamedTuple):
    """One recipient for one purpose. `digest` covers the edge, the documents and the time.

    `items` are the positions of its items in the referral. The recipient gets no other items.
    """

    recipient: str
    terms: EdgeTerms
    facts: JsonView
    digest: str
    items: tuple[int, ...]

    def as_json(self) -> Json:
        """Return the edge as in its contract, without None values. Its parts are shared: do not change them.

        Its members have this order and its facts are sorted by name, so an edge has exactly one text.
        """
        terms = self.terms
        return {
            "recipient": self.recipient,
            "purpose": terms.purpose,
            "rules": terms.rules,
            "reason": terms.reason,
            "basis": terms.basis,
            "handling": terms.handling,
            "withheld": terms.withheld,
            "deadlines": terms.deadlines,
            "facts": self.facts,
            "digest": self.digest,
        }


@dataclass(frozen=True)
class RoutingResult:
    """A decision: its disposition, edges and removed edges; sorted by (recipient, purpose)."""

    setting: RoutingInput
    salt: str
    disposition: Disposition
    work_reason: WorkReason | None = None
    edges: tuple[RoutedEdge, ...] = ()
    not_sent: tuple[JsonView, ...] = ()

    @cached_property
    def ref(self) -> Json:
        """The reference to the decision, sealed with every edge. All edges share it: do not change it."""
        return {
            "directory": self.setting.directory.digest,
            "policy": self.setting.policy.digest,
            "engine": ENGINE,
            "decided_at": self.setting.time,
        }

    def as_json(self) -> Json:
        """Return the decision as in its contract, without None values."""
        head = {"ref": self.ref, "salt": self.salt, "disposition": self.disposition}
        if self.work_reason is not None:
            head["work_reason"] = self.work_reason
        return head | {"edges": [edge.as_json() for edge in self.edges], "not_sent": self.not_sent}


def judge(facts: JsonView, setting: RoutingInput, *, salt: str, unknown: WorkReason | None = None) -> RoutingResult:
    """Decide. `facts` is JSON in the form of `Facts`.

    `unknown` is a code that their extraction could not resolve. `salt` is 64 hexadecimal digits that only origin and
    audit know. It never raises for complete facts. A missing single fact is a `Defect` of the caller, since no edge
    could be derived again from such facts.
    """
    view = setting.view(facts)
    if not all(map(view.stated.get, SINGLE_FACTS)):
        raise Defect("facts_incomplete")
    if unknown := unknown or unknown_code(view):
        return RoutingResult(setting, salt, Disposition.UNKNOWN_CODE, unknown)
    edges: list[RoutedEdge] = []
    not_sent: list[JsonView] = []
    for (recipient_id, purpose), proposal in sorted(propose(setting.policy.candidates(view), view).items()):
        plan = setting.policy.plan(view.standing(proposal.recipient), _orders(proposal.permits), view.days)
        if removing := [rule.id for rule in proposal.removed_by(plan.prohibitions, view)]:
            not_sent.append({"purpose": purpose, "recipient": recipient_id, "rules": removing})
            continue
        edges.append(proposal.edge(plan, setting, view))
    return _disposed(RoutingResult(setting, salt, Disposition.ROUTED, None, tuple(edges), tuple(not_sent)), view)


def derive(facts: JsonView, setting: RoutingInput, *, recipient_id: str, claimed: Sequence[str]) -> RoutedEdge:
    """Return the edge to `recipient_id` that these facts lead to, if exactly `claimed` permits support it.

    Only permits are evaluated that read no more than the claimed ones entitle the recipient to, since it lacks the
    facts of others. It also lacks the items that it was not sent: permits that read the whole referral are evaluated
    only if a claimed permit does. Raises `Refused` if the facts are not exactly those, or the edge differs.
    """
    permits = [rule for rule_id in claimed if (rule := setting.policy.permits.get(rule_id))]
    recipient = setting.directory.party(recipient_id)
    if recipient is None or not permits or len(permits) != len(claimed):
        raise Refused("edge_not_reproducible", "no such recipient or permit")
    view, purpose = setting.view(facts), permits[0].purpose
    plan = setting.policy.plan(view.standing(recipient), _orders(permits), view.days)
    if not _carries(facts, plan.reads):
        raise Refused("edge_not_reproducible", "not exactly the facts that its rules read", field="/facts")
    whole = any(rule.of_whole for rule in permits)
    asked = [
        rule
        for rule in setting.policy.candidates(view)
        if rule.purpose == purpose and rule.reads <= plan.reads and (whole or not rule.of_whole)
    ]
    proposal = propose(asked, view).get((recipient_id, purpose))
    if proposal is None or proposal.permits != permits or unknown_code(view):
        raise Refused("edge_not_reproducible", "its facts lead to other permits", field="/rules")
    if proposal.removed_by(plan.prohibitions, view):
        raise Refused("edge_not_reproducible", "a prohibition removes it", field="/rules")
    return proposal.edge(plan, setting, view)


def _carries(facts: JsonView, reads: frozenset[str]) -> bool:
    of_items = reads & ITEM_FACTS
    return facts.keys() == (reads - ITEM_FACTS) | ({ITEMS} if of_items else set()) and all(
        item.keys() == of_items for item in facts.get(ITEMS, ())
    )


@dataclass(slots=True)
class Proposal:
    """The proposals of permits for one recipient and purpose.

    `whole`: one permit reads the whole referral. `permits` are sorted by id. `leads` are the values by which the other
    permits select the recipient.
    """

    recipient: PartyEntry
    permits: list[CompiledRule] = field(default_factory=list)
    leads: list[FactSource] = field(default_factory=list)
    whole: bool = False

    def note(self, rule: CompiledRule, lead: FactSource | None) -> None:
        if rule not in self.permits[-1:]:  # a permit may select a party twice, for two places
            self.permits.append(rule)
        if lead is None:
            self.whole = True
        else:
            self.leads.append(lead)

    def items(self, view: FactView) -> tuple[int, ...]:
        """Return the edge's items: those that lead to its recipient, or all if a permit reads the whole."""
        return tuple(range(len(view.items))) if self.whole else tuple(sorted({lead.item for lead in self.leads}))

    def removed_by(self, prohibitions: Iterable[CompiledRule], view: FactView) -> list[CompiledRule]:
        """Return the prohibitions that apply to the edge's items."""
        if not prohibitions:
            return []
        seen = view.over(self.items(view))
        return [rule for rule in prohibitions if rule.holds(seen)]

    def edge(self, plan: EdgePlan, setting: RoutingInput, view: FactView) -> RoutedEdge:
        items = self.items(view)
        facts = view.restricted(plan.reads, items, self.leads)
        return setting.edge(self.recipient.id, plan.terms, facts, items=items)


#: The proposal for each (recipient, purpose).
Proposals = dict[tuple[str, str], Proposal]


def propose(permits: Iterable[CompiledRule], view: FactView) -> Proposals:
    """Return the proposals of those `permits` (sorted by id) that hold.

    A permit that selects by a fact with names of others is evaluated for each item and value alone. So its result for
    one recipient depends on nothing that another is sent. Other permits are evaluated for the whole referral.
    """
    proposed: Proposals = {}
    for rule in permits:
        for lead, asked in questions(rule, view):
            if not rule.holds(asked):
                continue
            for recipient in rule.selected(asked):
                if unfit(recipient, view) is None:
                    key = recipient.id, rule.purpose
                    if (proposal := proposed.get(key)) is None:
                        proposal = proposed[key] = Proposal(recipient)
                    proposal.note(rule, lead)
    return proposed


def questions(rule: CompiledRule, view: FactView) -> Sequence[tuple[FactSource | None, FactView]]:
    """Return the views for evaluating a rule: the whole referral, or each value that it may select by."""
    if rule.of_whole:
        return [(None, view)]
    assert rule.selection is not None
    return [(lead, view.narrowed(lead)) for lead in view.leads(rule.selection.by)]


def unfit(recipient: PartyEntry, view: FactView) -> str | None:
    """Return why a party is no recipient: it is the origin, or does not accept this kind of report."""
    if recipient.id in view.stated[_ORIGIN]:
        return "is_origin"
    if recipient.accepts and recipient.accepts.isdisjoint(view.stated[_INCIDENT_KIND]):
        return "kind_not_accepted"
    return None


def unknown_code(view: FactView) -> WorkReason | None:
    """Return the reason if the facts have an unknown code. It is never guessed and always needs a person."""
    for fact in JURISDICTION_FACTS:
        if not view.directory.all_known(view.stated[fact], view.days.decided_on):
            return WorkReason.UNKNOWN_JURISDICTION
    for provider_id in view.stated[_PROVIDERS]:
        provider = view.directory.party(provider_id)
        if provider is None or provider.kind != PartyKind.INDUSTRY:
            return WorkReason.UNKNOWN_PROVIDER
    return None


def _orders(permits: Sequence[CompiledRule]) -> tuple[int, ...]:
    return tuple([rule.order for rule in permits])


def _disposed(outcome: RoutingResult, view: FactView) -> RoutingResult:
    """Set the disposition.

    Orphaned: a hotline gets it by its orphan mandate, and no hotline for another reason.
    """
    edges = outcome.edges
    rules = [*[edge.terms.rules for edge in edges], *[edge["rules"] for edge in outcome.not_sent]]
    if max(len(edges), len(outcome.not_sent)) > EDGES_MAX or max(map(len, rules), default=0) > RULES_PER_EDGE_MAX:
        return RoutingResult(outcome.setting, outcome.salt, Disposition.UNROUTABLE, WorkReason.TOO_WIDE)
    if not edges:
        reason = WorkReason.PROHIBITED if outcome.not_sent else _without_edges(view, outcome.setting.policy)
        return replace(outcome, disposition=Disposition.UNROUTABLE, work_reason=reason)
    if Reason.ORPHAN_MANDATE in set().union(*[edge.terms.reasons for edge in edges]) and not any(
        edge.terms.reasons - {Reason.ORPHAN_MANDATE} for edge in edges if _is_hotline(edge.recipient, view)
    ):
        return replace(outcome, disposition=Disposition.ORPHANED, work_reason=WorkReason.NO_HOTLINE)
    return outcome


def _is_hotline(party_id: str, view: FactView) -> bool:
    party = view.directory.party(party_id)
    return party is not None and party.kind == PartyKind.HOTLINE


def _without_edges(view: FactView, policy: PolicyIndex) -> WorkReason:
    """Return `no_basis` if a permit out of force would have proposed an edge, else `no_route`."""
    return WorkReason.NO_BASIS if propose(policy.lapsed(view), view) else WorkReason.NO_ROUTE
