"""Small documents and facts for routing tests. All fields have default values."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import Field
from pydantic_core import to_json

from shared.core.canonical import canonical_json
from shared.core.contracts.base import Contract, Digest
from shared.core.contracts.decision import EDGES_MAX, DecisionRef, Edge, Facts, NotSent
from shared.core.contracts.directory import Directory, Instance, Party, PublicKey
from shared.core.contracts.policy import Policy, Predicate, Rule
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import read_directory, read_policy
from shared.core.routing.engine import RoutingInput, judge
from shared.core.routing.facts import ITEM_FACTS
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.routing import Disposition, WorkReason

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
SALT = "5a" * 32
KEY = PublicKey(
    key_id=f"hotline-{1:032x}",
    use="sign",
    suite="ed25519",
    public="A" * 43,
    valid_from=datetime(2026, 1, 1, tzinfo=UTC),
)
KINDS = ("hotline", "law_enforcement", "industry")
#: The end of documents, later than any test.
FOREVER = date(9998, 1, 1)


class Decision(Contract):
    """The routing outcome: always with a disposition, deterministic, and sorted by (recipient, purpose).

    It stays with origin and audit. The salt of each edge's commitment is derived from `salt`.
    """

    ref: DecisionRef
    salt: Digest
    disposition: Disposition
    work_reason: WorkReason | None = None
    edges: Annotated[tuple[Edge, ...], Field(max_length=EDGES_MAX)]
    not_sent: Annotated[tuple[NotSent, ...], Field(max_length=EDGES_MAX)]


def party(party_id: str, kind: str, *jurisdictions: str, status: str = "sandbox", **more: Any) -> Party:
    return Party.model_validate(
        {"id": party_id, "kind": kind, "status": status, "instance": kind, "jurisdictions": jurisdictions, **more}
    )


def hotline(party_id: str, *jurisdictions: str, **more: Any) -> Party:
    return party(party_id, "hotline", *jurisdictions, **more)


def agency(party_id: str, *jurisdictions: str, **more: Any) -> Party:
    return party(party_id, "law_enforcement", *jurisdictions, **more)


def provider(party_id: str, *jurisdictions: str, **more: Any) -> Party:
    return party(party_id, "industry", *jurisdictions, **more)


def directory_document(*parties: Party, version: int = 1) -> Directory:
    instances = tuple(
        Instance.model_validate(
            {"id": kind, "kind": kind, "keys": [KEY.model_copy(update={"key_id": f"sample-{number:032x}"})]}
        )
        for number, kind in enumerate(KINDS)
    )
    return Directory(
        version=version, issued_on=date(2026, 1, 1), valid_until=FOREVER, instances=instances, parties=parties
    )


def when(fact: str, op: str, *values: str) -> Predicate:
    return Predicate.model_validate({"fact": fact, "op": op, "values": values})


def permit(rule_id: str, *conditions: Predicate, **more: Any) -> Rule:
    """Return a permit to the hotline at the place of hosting, for assessment, changed by `more`."""
    select = more.pop("select", {"kind": "hotline", "how": "serving", "by": "hosting"})
    rule = {
        "effect": "permit",
        "select": select,
        "purpose": "assessment",
        "reason": "hosting_jurisdiction",
        "handling": {"tlp": "amber"},
        "reads": sorted([select["by"], *(condition.fact.value for condition in conditions)]),
    }
    return _rule(rule_id, conditions, rule | more)


def prohibition(rule_id: str, *conditions: Predicate, **more: Any) -> Rule:
    """Return a prohibition of every assessment by a hotline, changed by `more`."""
    rule = {
        "effect": "prohibit",
        "scope": {"purposes": ["assessment"], "kinds": ["hotline"]},
        "reads": [condition.fact.value for condition in conditions] or ["origin"],
    }
    return _rule(rule_id, conditions, rule | more)


def policy_document(*rules: Rule, version: int = 1) -> Policy:
    return Policy(version=version, issued_on=date(2026, 1, 1), valid_until=FOREVER, rules=rules)


def directory_of(*parties: Party) -> DirectoryIndex:
    return read_directory(canonical_json(directory_document(*parties).model_dump(mode="json")))


def policy_of(*rules: Rule) -> PolicyIndex:
    return read_policy(canonical_json(policy_document(*rules).model_dump(mode="json")))


def facts(**more: Any) -> Facts:
    """Return a hotline's referral about a page hosted in the Netherlands, with the facts of each of `items`."""
    stated: dict[str, Any] = {
        "origin": "hotline-fr.example",
        "origin_kind": "hotline",
        "reporter": ["FR"],
        "incident_kind": "csam",
        "media_kind": "image",
        "viewed_by": "human",
        "priority": "p2_normal",
        "actionable": "actionable",
        "observed_on": "2026-04-01",
    }
    of_item = {name: more.pop(name) for name in sorted(ITEM_FACTS & more.keys())}
    items = more.pop("items", [{}])
    return Facts.model_validate(stated | more | {"items": [item(**{**of_item, **each}) for each in items]})


def item(**more: Any) -> dict[str, Any]:
    """Return the facts of a page hosted in the Netherlands. Lists that are not given are empty."""
    return {name: [] for name in ITEM_FACTS} | {"hosting": ["NL"], "locator_kinds": ["url"]} | more


def decided(
    stated: Facts,
    directory: DirectoryIndex,
    policy: PolicyIndex,
    *,
    exercise: bool = True,
    at: datetime = AT,
    salt: str = SALT,
    **more: Any,
) -> Decision:
    setting = RoutingInput(directory, policy, exercise, at)
    outcome = judge(stated.model_dump(mode="json", exclude_none=True), setting, salt=salt, **more)
    return Decision.model_validate_json(to_json(outcome.as_json()), strict=True)


def spelt(edge: Edge) -> bytes:
    """Return the edge as its origin writes it: the members in the order of its contract, its facts by name."""
    stated = edge.model_dump(mode="json", exclude_none=True)
    facts = dict(sorted(stated["facts"].items()))
    if "items" in facts:
        facts["items"] = [dict(sorted(item.items())) for item in facts.pop("items")]
    return to_json(stated | {"facts": facts})


def sent(decision: Decision) -> list[tuple[str, str]]:
    return [(edge.recipient, edge.purpose.value) for edge in decision.edges]


def _rule(rule_id: str, conditions: tuple[Predicate, ...], rule: dict[str, Any]) -> Rule:
    basis = {"instrument": "inhope_mou", "article": "1", "jurisdiction": "NL"}
    dates = {"valid_from": "2020-01-01", "known_from": "2020-01-01"}
    reads = sorted(set(rule.pop("reads")))
    return Rule.model_validate({"id": rule_id, "when": conditions, "basis": basis, "reads": reads} | dates | rule)
