"""Prints what one decision costs. `python -m tests.shared.routing.measure_routing`; no assertion on time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from random import Random
from statistics import linear_regression
from string import ascii_uppercase
from time import perf_counter_ns, process_time
from typing import Any

from shared.contracts.decision import Facts
from shared.contracts.directory import Directory
from shared.contracts.policy import Policy
from shared.kernel.canonical import canonical_json
from shared.routing.derive import derive_edge
from shared.routing.directory_index import DirectoryIndex
from shared.routing.engine import Setting, judge
from shared.routing.policy_index import PolicyIndex
from shared.routing.shelf import read_directory, read_policy
from shared.vocabulary.jurisdiction import TREE
from tests.shared.routing import golden
from tests.shared.routing.builders import (
    AT,
    SALT,
    agency,
    decided,
    directory_document,
    hotline,
    permit,
    policy_document,
    prohibition,
    provider,
    spelt,
    when,
)
from tests.shared.routing.generated import CODES, PROVIDERS, generated_directory, generated_facts, generated_policy

REFERRALS = 2_000


def main() -> None:
    directory, policy = golden.pinned_documents()
    facts = [Facts.model_validate(case["facts"]) for case in golden.cases()]
    indexed = DirectoryIndex(directory, golden.NO_DIGEST, TREE), PolicyIndex(policy, golden.NO_DIGEST, TREE)
    measure(f"sample law, {len(policy['rules'])} rules", *indexed, facts * (REFERRALS // len(facts)))
    for rules in (20, 1_000):
        letters = ["".join(pair) for pair in product(ascii_uppercase, repeat=2)]
        countries = [code for code in letters if TREE.known(code, AT.date())][: rules // 4]
        measure_generated(
            f"national law, {rules} rules", national_directory(countries), national_policy(countries), countries
        )
    parties = generated_directory(random := Random(1))
    measure_generated("random law, 1000 rules", parties, generated_policy(random, 950, 50), list(CODES))


def national_directory(countries: list[str]) -> Directory:
    parties = [hotline(f"hotline-{code.lower()}.example", code) for code in countries]
    parties += [agency(f"police-{code.lower()}.example", code) for code in countries]
    return directory_document(*parties, *(provider(name, "US") for name in PROVIDERS))


def national_policy(countries: list[str]) -> Policy:
    """Four rules a country: to its hotline, to its police, to the provider, and one prohibition."""
    rules = []
    for code in countries:
        name, police = code.lower(), {"kind": "law_enforcement", "how": "serving"}
        rules += [
            permit(f"{name}-hosting", when("hosting", "under", code), when("incident_kind", "not_in", "other")),
            permit(
                f"{name}-user",
                when("user", "under", code),
                when("priority", "in", "p0_child_at_risk", "p1_urgent", "p2_normal"),
                select=police | {"by": "user"},
                purpose="investigation",
                reason="user_location",
            ),
            permit(
                f"{name}-notice",
                when("hosting", "under", code),
                select={"kind": "industry", "how": "named", "by": "providers"},
                reads=["hosting", "providers"],
                purpose="takedown",
            ),
            prohibition(
                f"{name}-viewing",
                when("viewed_by", "in", "automated_only"),
                scope={"purposes": ["investigation"], "kinds": ["law_enforcement"], "nodes": [code]},
            ),
        ]
    return policy_document(*rules)


def measure_generated(name: str, parties: Directory, law: Policy, codes: list[str]) -> None:
    random = Random(2)
    directory = read_directory(canonical_json(parties.model_dump(mode="json")))
    policy = read_policy(canonical_json(law.model_dump(mode="json")))
    measure(name, directory, policy, [generated_facts(random, parties, codes) for _ in range(REFERRALS)])


def measure(name: str, directory: DirectoryIndex, policy: PolicyIndex, facts: list[Facts]) -> None:
    stated = [entry.model_dump(mode="json", exclude_none=True) for entry in facts]

    def setting() -> Setting:
        return Setting(directory, policy, exercise=True, decided_at=AT)

    def engine() -> int:
        return sum(len(judge(entry, setting(), salt=SALT).edges) for entry in stated)

    decisions = [decided(entry, directory, policy) for entry in facts]

    def contracts() -> int:
        return sum(len(decided(entry, directory, policy).edges) for entry in facts)

    def derived() -> int:
        pairs = [(spelt(edge), decision.ref) for decision in decisions for edge in decision.edges]
        return len([derive_edge(edge, ref, directory=directory, policy=policy, exercise=True) for edge, ref in pairs])

    fixed, per_edge = _fitted(stated, setting)
    print(f"{name:26} engine  {fixed:6.1f} µs a referral and {per_edge:5.1f} µs an edge, fitted")
    for what, run in (("engine", engine), ("decide", contracts), ("derive", derived)):
        edges, seconds = _timed(run)
        each = f"{seconds / REFERRALS * 1e6:7.1f} µs a referral" if what != "derive" else " " * 20
        print(f"{name:26} {what:7} {each} {seconds / max(1, edges) * 1e6:7.1f} µs an edge ({edges} edges)")


def _fitted(stated: list[dict[str, Any]], setting: Callable[[], Setting]) -> tuple[float, float]:
    """Least squares of time over number of edges: what a referral costs, and each edge on top of it."""
    points = []
    for entry in stated:
        times, edges = [], 0
        for _ in range(7):
            begun = perf_counter_ns()
            edges = len(judge(entry, setting(), salt=SALT).edges)
            times.append(perf_counter_ns() - begun)
        points.append((edges, min(times) / 1000))
    per_edge, fixed = linear_regression(*zip(*points, strict=True))
    return fixed, per_edge


def _timed(run: Callable[[], int]) -> tuple[int, float]:
    """The best of five runs, after one that fills the memos."""
    edges, best = run(), float("inf")
    for _ in range(5):
        begun = process_time()
        run()
        best = min(best, process_time() - begun)
    return edges, best


if __name__ == "__main__":
    main()
