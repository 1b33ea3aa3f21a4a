"""Three hundred decisions under their own documents, committed in `golden/decisions.jsonl`.

`golden/policy.json` and `golden/parties.json` are copies that were made once, so a refresh of the sample's law never
changes a decision here. `python -m tests.shared.core.routing.golden` writes the decisions again. Do that only for an
intended change of the engine, and review the difference: every changed line is a referral with another route.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from shared.core.canonical import canonical_json
from shared.core.clock import parse_rfc3339, rfc3339
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.engine import RoutingInput, judge
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.jurisdiction import TREE

ROOT = Path(__file__).parents[4]
GOLDEN = Path(__file__).parent / "golden"
DECISIONS = GOLDEN / "decisions.jsonl"
COUNT = 300
#: Replaces the documents' digests, so that a decision changes only with its content.
NO_DIGEST = "0" * 64
PLACES = (
    *("NL", "DE", "DE-BE", "FR", "BE", "IE", "AT", "US", "US-CA", "US-TX", "GB", "GB-EAW", "CA", "AU", "JP", "BR"),
    *("KE", "GH", "ZA", "PH", "CN", "IS", "NZ", "MD", "AE", "TV", "CH", "SG", "GR", "MT"),
)
#: Places of the submitting parties: enough kinds of law, few enough places that each occurs.
ORIGINS = {"NL", "FR", "AU", "US", "US-CA", "CA", "GB", "JP", "IE", "BR"}


def pinned_documents() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the pinned directory and policy as JSON. Instances have no keys, since routing ignores them."""
    parties = json.loads((GOLDEN / "parties.json").read_bytes())["parties"]
    policy = json.loads((GOLDEN / "policy.json").read_bytes())
    instances = [
        {"id": instance, "kind": kind}
        for instance, kind in sorted({(party["instance"], party["kind"]) for party in parties})
    ]
    return {"version": 1, "valid_until": "2027-05-08", "instances": instances, "parties": parties}, policy


def cases() -> Iterator[dict[str, Any]]:
    """Yield the inputs of decisions: facts, time, exercise or not. They are the same at every call."""
    random = Random(2026)
    directory, _ = pinned_documents()
    by_kind = {
        kind: [party for party in directory["parties"] if party["kind"] == kind] for kind in ("hotline", "industry")
    }
    for number in range(COUNT):
        yield _case(random, by_kind, f"{number:064x}")


def decided_case(case: dict[str, Any]) -> dict[str, Any]:
    """Return the case with its decision in a short, readable form."""
    directory, policy = pinned_documents()
    setting = RoutingInput(
        DirectoryIndex(directory, NO_DIGEST, TREE),
        PolicyIndex(policy, NO_DIGEST, TREE),
        exercise=case["exercise"],
        decided_at=parse_rfc3339(case["decided_at"]),
    )
    outcome = judge(case["facts"], setting, salt=case["salt"], unknown=case["unknown"])
    decision = {
        "disposition": outcome.disposition,
        "work_reason": outcome.work_reason,
        "sent": {f"{edge.recipient} {edge.terms.purpose}": edge.terms.rules for edge in outcome.edges},
        "not_sent": {f"{edge['recipient']} {edge['purpose']}": edge["rules"] for edge in outcome.not_sent},
        "digests": [edge.digest for edge in outcome.edges],
    }
    return case | {"decision": decision}


def _case(random: Random, by_kind: dict[str, list[dict[str, Any]]], salt: str) -> dict[str, Any]:
    kind = random.choice(("hotline", "industry"))
    origin = random.choice([party for party in by_kind[kind] if ORIGINS & set(party["jurisdictions"])])
    by_hotline = kind == "hotline"
    named = random.sample(by_kind["industry"], random.randint(0, 2)) if by_hotline else []
    observed = date(2026, 3, 15) + timedelta(days=random.randrange(37))
    facts = {
        "origin": origin["id"],
        "origin_kind": kind,
        "reporter": origin["jurisdictions"],
        "incident_kind": random.choice(
            ("csam", "csam", "csam", "enticement", "sextortion", "generative_ai", "virtual")
        ),
        "incident_flags": random.sample(("viral", "infant", "spam"), random.randint(0, 1)),
        "media_kind": random.choice(("image", "video")),
        "viewed_by": random.choice(("human", "automated_only")),
        "priority": random.choice(("p0_child_at_risk", "p1_urgent", "p2_normal", "p2_normal")),
        "actionable": random.choice(("actionable", "informational")),
        "user": random.sample(PLACES, random.choice((0, 0, 1) if by_hotline else (0, 1, 1, 1, 2))),
        "victim": random.sample(PLACES, random.choice((0, 0, 0, 0, 1))),
        "observed_on": observed.isoformat(),
        "items": [_item(random, named, by_hotline=by_hotline) for _ in range(random.choice((1, 1, 1, 2, 3)))],
    }
    if random.random() < 0.04:
        facts["user"] = ["AN"]
    decided_at = datetime(random.choice((2026, 2026, 2027)), 4, 21, tzinfo=UTC) + timedelta(
        hours=random.randrange(6000)
    )
    unknown = "unknown_jurisdiction" if random.random() < 0.03 else None
    exercise = random.random() < 0.95
    return {"facts": facts, "exercise": exercise, "decided_at": rfc3339(decided_at), "salt": salt, "unknown": unknown}


def _item(random: Random, named: list[dict[str, Any]], *, by_hotline: bool) -> dict[str, Any]:
    hosts = named[: random.randint(0, len(named))]
    on_the_web = by_hotline and random.random() < 0.9
    return {
        "assessments": [random.choice(("interpol_baseline:baseline", "iwf:B", "iwf:C"))] if by_hotline else [],
        "hosting": random.sample(PLACES, random.choice((0, 1, 1, 2))) if by_hotline else [],
        "locator_kinds": ["url"] if on_the_web else [random.choice(("account", "message", "message"))],
        "provider_establishment": sorted({place for party in hosts for place in party["jurisdictions"]}),
        "providers": [party["id"] for party in hosts],
    }


def main() -> None:
    DECISIONS.parent.mkdir(exist_ok=True)
    DECISIONS.write_bytes(b"".join(canonical_json(decided_case(case)) + b"\n" for case in cases()))


if __name__ == "__main__":
    main()
