"""Three hundred decisions under their own documents, committed in `golden/decisions.jsonl`.

`golden/policy.json` and `golden/parties.json` are copies that were made once, so a refresh of the sample's law never
changes a decision here. `python -m tests.shared.core.routing.golden` writes the decisions again. Do that only for an
intended change of the engine, and review the difference: every changed line is a referral with another route.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from shared.core.canonical import canonical_json
from shared.core.clock import parse_rfc3339
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.engine import RoutingInput, judge
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.jurisdiction import TREE

ROOT = Path(__file__).parents[4]
GOLDEN = Path(__file__).parent / "golden"
DECISIONS = GOLDEN / "decisions.jsonl"
#: Replaces the documents' digests, so that a decision changes only with its content.
NO_DIGEST = "0" * 64


def pinned_documents() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the pinned directory and policy as JSON. Instances have no keys, since routing ignores them."""
    parties = json.loads((GOLDEN / "parties.json").read_bytes())["parties"]
    policy = json.loads((GOLDEN / "policy.json").read_bytes())
    instances = [
        {"id": instance, "kind": kind}
        for instance, kind in sorted({(party["instance"], party["kind"]) for party in parties})
    ]
    return {"version": 1, "valid_until": "2027-05-08", "instances": instances, "parties": parties}, policy


def cases() -> list[dict[str, Any]]:
    """Return the committed cases, each with its decision."""
    return [json.loads(line) for line in DECISIONS.read_bytes().splitlines()]


@cache
def _indexes() -> tuple[DirectoryIndex, PolicyIndex]:
    directory, policy = pinned_documents()
    return DirectoryIndex(directory, NO_DIGEST, TREE), PolicyIndex(policy, NO_DIGEST, TREE)


def decided_case(case: dict[str, Any]) -> dict[str, Any]:
    """Return the case with its decision in a short, readable form."""
    setting = RoutingInput(*_indexes(), exercise=case["exercise"], decided_at=parse_rfc3339(case["decided_at"]))
    outcome = judge(case["facts"], setting, salt=case["salt"], unknown=case["unknown"])
    decision = {
        "disposition": outcome.disposition,
        "work_reason": outcome.work_reason,
        "sent": {f"{edge.recipient} {edge.terms.purpose}": edge.terms.rules for edge in outcome.edges},
        "not_sent": {f"{edge['recipient']} {edge['purpose']}": edge["rules"] for edge in outcome.not_sent},
        "digests": [edge.digest for edge in outcome.edges],
    }
    return case | {"decision": decision}


def main() -> None:
    DECISIONS.write_bytes(b"".join(canonical_json(decided_case(case)) + b"\n" for case in cases()))


if __name__ == "__main__":
    main()
