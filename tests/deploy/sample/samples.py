"""The sample documents with placeholder keys, and the demo's referrals decided by the engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from deploy.directory.approval import document_body, sample_directory
from deploy.policy import sample_policy
from deploy.sample.generator import SampledReferral, demo_referrals
from shared.core.canonical import canonical_json, digest
from shared.core.contracts.directory import PublicKey
from shared.core.contracts.referral import ReferralSubmission
from shared.core.protocol.facts import ReadFacts, read_facts
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import read_directory, read_policy
from shared.core.routing.engine import RoutingInput, RoutingResult, judge
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary import jurisdiction

DECIDED_AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
TREE_DATA = Path(jurisdiction.__file__).with_name("data") / "jurisdictions.json"
_SALT = "00" * 32

Edges = dict[tuple[str, str], list[str]]


@dataclass(frozen=True)
class Decided:
    """The engine's decision, reduced to the parts that a recount can derive."""

    disposition: str
    work_reason: str | None
    edges: Edges
    not_sent: Edges


@cache
def directory_document() -> Mapping[str, Any]:
    instances = ("hotline", "law_enforcement", "industry", "audit")
    keys = {
        instance: (
            PublicKey(
                key_id=f"ed25519-{number:032x}",
                use="sign",
                suite="ed25519",
                public="A" * 43,
                valid_from=datetime(2026, 1, 1, tzinfo=UTC),
            ),
        )
        for number, instance in enumerate(instances)
    }
    document: Mapping[str, Any] = json.loads(document_body(sample_directory(keys)))
    return document


def policy_document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(document_body(sample_policy()))
    return document


def index_of(document: Mapping[str, Any]) -> DirectoryIndex:
    return read_directory(canonical_json(document))


def policy_of(document: Mapping[str, Any]) -> PolicyIndex:
    return read_policy(canonical_json(document))


@cache
def demo() -> tuple[SampledReferral, ...]:
    return tuple(demo_referrals())


@cache
def demo_facts() -> tuple[ReadFacts, ...]:
    """Yield the facts of the demo's referrals, by the sample directory."""
    return facts_of(index_of(directory_document()))


def facts_of(directory: DirectoryIndex) -> tuple[ReadFacts, ...]:
    return tuple(_facts(each, directory) for each in demo())


def decide_demo(
    policy: Mapping[str, Any], *, directory: Mapping[str, Any] | None = None, decided_at: datetime = DECIDED_AT
) -> list[Decided]:
    """Return every referral of the demo, decided under `policy`."""
    index = index_of(directory or directory_document())
    setting = RoutingInput(index, policy_of(policy), exercise=True, decided_at=decided_at)
    facts = facts_of(index) if directory else demo_facts()
    return [_decided(judge(read.facts, setting, salt=_SALT, unknown=read.unknown)) for read in facts]


def digest_of_demo() -> str:
    lines = [json.dumps([each.origin, each.label, each.referral], sort_keys=True) for each in demo()]
    return digest("\n".join(lines).encode())


def _facts(each: SampledReferral, directory: DirectoryIndex) -> ReadFacts:
    origin = directory.party(each.origin)
    assert origin is not None
    return read_facts(ReferralSubmission.model_validate_json(json.dumps(each.referral)), origin, directory)


def _decided(outcome: RoutingResult) -> Decided:
    return Decided(
        outcome.disposition.value,
        outcome.work_reason.value if outcome.work_reason else None,
        {(edge.recipient, edge.terms.purpose): list(edge.terms.rules) for edge in outcome.edges},
        {(edge["recipient"], edge["purpose"]): list(edge["rules"]) for edge in outcome.not_sent},
    )
