"""The engine in terms of the contracts: `Facts` in, `Decision` out."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from typing import Any

from shared.contracts.decision import Decision, Edge, Facts
from shared.contracts.policy import Deadlines, Handling, LegalBasis
from shared.routing.directory_index import DirectoryIndex
from shared.routing.engine import Judged, PlannedEdge, Setting, judge
from shared.routing.policy_index import PolicyIndex
from shared.routing.terms import Terms
from shared.vocabulary.routing import WorkReason


def decide(
    facts: Facts,
    *,
    directory: DirectoryIndex,
    policy: PolicyIndex,
    exercise: bool,
    decided_at: datetime,
    salt: str,
    known_on: date | None = None,
    unknown: WorkReason | None = None,
) -> Decision:
    """Who receives the referral with these facts, for what, and by which law; or why nobody does.

    `facts` are all of the referral's. `salt` (32 random bytes, hexadecimal, fresh per decision) is for origin
    and audit alone. `unknown` says what the extraction of the facts could not place: the decision then is
    `unknown_code`. `known_on` asks what would have been decided with the law as known on that day. Total.
    """
    setting = Setting(directory, policy, exercise, decided_at)
    stated = facts.model_dump(mode="json", exclude_none=True)
    return as_contract(judge(stated, setting, salt=salt, known_on=known_on, unknown=unknown))


def as_contract(outcome: Judged) -> Decision:
    """The decision as a contract. What it is made of was valid before: this validation guards our own code."""
    read: dict[int, Facts] = {}
    edges = []
    for planned in outcome.edges:
        edge = edge_contract(planned, read.get(id(planned.facts)))
        read[id(planned.facts)] = edge.facts  # edges that read the same facts share one object
        edges.append(edge)
    return Decision.model_validate(
        {
            "ref": outcome.ref,
            "salt": outcome.salt,
            "disposition": outcome.disposition,
            "work_reason": outcome.work_reason,
            "edges": tuple(edges),
            "not_sent": outcome.not_sent,
        }
    )


def edge_contract(planned: PlannedEdge, facts: Facts | None = None) -> Edge:
    """The edge as a contract; `facts` are its facts where they were made into a contract before."""
    if facts is None:
        facts = Facts.model_validate(planned.facts)
    return Edge.model_validate(
        _terms_contract(planned.terms) | {"recipient": planned.recipient, "facts": facts, "digest": planned.digest}
    )


@lru_cache(4096)
def _terms_contract(terms: Terms) -> dict[str, Any]:
    return {
        "purpose": terms.purpose,
        "rules": terms.rules,
        "reason": terms.reason,
        "basis": tuple(LegalBasis.model_validate(basis) for basis in terms.basis),
        "handling": Handling.model_validate(terms.handling),
        "withheld": terms.withheld,
        "deadlines": Deadlines.model_validate(terms.deadlines),
    }
