"""Equal facts, documents and time give the same bytes: as committed, in a fresh process, on every Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from shared.core.canonical import canonical_json
from shared.core.clock import parse_rfc3339, rfc3339
from shared.core.contracts.decision import Facts
from shared.core.routing.documents import read_directory, read_policy
from tests.shared.core.routing import golden, replay_exported
from tests.shared.core.routing.builders import decided
from tests.shared.core.routing.generated import generated_directory, generated_facts, generated_policy, generated_time

CASES = 100


def pythons() -> list[str]:
    """Yield every Python from 3.11 on that this machine has: on the path, and among pyenv's versions."""
    pyenv = Path("~/.pyenv/versions").expanduser()
    folders = [Path(folder) for folder in os.get_exec_path()] + sorted(pyenv.glob("*/bin"))
    names = ["python3", *(f"python3.{minor}" for minor in range(11, 30))]
    candidates = [sys.executable, *(str(folder / name) for folder in folders for name in names)]
    question = "import os, sys; print(sys.version_info >= (3, 11), os.path.realpath(sys.executable))"
    usable: dict[str, str] = {}
    for candidate in candidates:
        if not os.access(candidate, os.X_OK):
            continue
        asked = subprocess.run([candidate, "-I", "-c", question], capture_output=True, text=True, check=False)
        new_enough, _, real = asked.stdout.strip().partition(" ")
        if asked.returncode == 0 and new_enough == "True":  # a pyenv shim may belong to no installed version
            usable.setdefault(real, candidate)
    return [*usable.values()]


@pytest.fixture(scope="module")
def export() -> dict[str, Any]:
    """Return documents and cases as JSON, in an operator's or auditor's export."""
    random = Random(7)
    directory, policy = generated_directory(random), generated_policy(random, 25, 6)
    cases = []
    for number in range(CASES):
        facts = generated_facts(random, directory).model_dump(mode="json", exclude_none=True)
        at, exercise = rfc3339(generated_time(random)), random.random() < 0.7
        cases.append(
            {"facts": facts, "decided_at": at, "exercise": exercise, "salt": f"{number:064x}", "unknown": None}
        )
    documents = {"directory": directory.model_dump(mode="json"), "policy": policy.model_dump(mode="json")}
    return documents | {"cases": cases}


def decisions_here(export: dict[str, Any]) -> list[bytes]:
    directory, policy = (
        read_directory(canonical_json(export["directory"])),
        read_policy(canonical_json(export["policy"])),
    )
    decisions = [
        decided(
            Facts.model_validate(case["facts"]),
            directory,
            policy,
            exercise=case["exercise"],
            at=parse_rfc3339(case["decided_at"]),
            salt=case["salt"],
        )
        for case in export["cases"]
    ]
    return [canonical_json(decision.model_dump(mode="json", exclude_none=True)) for decision in decisions]


def run_replay(python: str, program: list[str], path: Path, hash_seed: int) -> tuple[dict[str, Any], list[bytes]]:
    """Return a fresh process's description of its interpreter, and its decisions."""
    environment = {"PYTHONHASHSEED": str(hash_seed), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(golden.ROOT)}
    run = subprocess.run([python, "-s", *program, str(path)], capture_output=True, check=True, env=environment)
    about, *decisions = run.stdout.splitlines()
    return json.loads(about), decisions


def test_exported_decisions_are_replayed_byte_for_byte_by_every_python(export: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(export))
    expected, hashes, versions = decisions_here(export), set(), set()
    for seed, python in enumerate(pythons(), start=1):
        for hash_seed in (seed, seed + 1000):
            about, decisions = run_replay(python, [replay_exported.__file__], path, hash_seed)
            hashes.add(about["hash_of_text"])
            versions.add(tuple(about["version"]))
            assert about["foreign"] == [], "the engine needs more than the standard library"
            assert decisions == expected
    assert len(hashes) > 1, "the hash seeds were all equal: the test shows nothing"
    assert sys.version_info[:3] in versions


#: Edges in the order of a set, as from an engine without sorting.
UNSORTED = (
    "import shared.core.routing.engine as engine; from tests.shared.core.routing import replay_exported;"
    "unsorted = lambda them: [(key, dict(them)[key]) for key in set(dict(them))];"
    "engine.sorted = lambda them: list(them) if isinstance(them, set) else unsorted(them);"
    "replay_exported.main()"
)


def test_an_engine_that_depends_on_the_hash_seed_would_be_noticed(export: dict[str, Any], tmp_path: Path) -> None:
    """Negative control of the test above."""
    path = tmp_path / "export.json"
    path.write_text(json.dumps(export))
    (_, one), (_, other) = (run_replay(sys.executable, ["-c", UNSORTED], path, seed) for seed in (1, 2))
    assert one != other


def test_the_golden_decisions_are_made_again_to_the_byte() -> None:
    cases = golden.cases()
    assert len(cases) == 300
    committed = golden.DECISIONS.read_bytes().splitlines()
    assert [canonical_json(golden.decided_case(each | {"decision": None})) for each in cases] == committed


def test_the_golden_decisions_read_nothing_of_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    whole = Path.read_bytes

    def noted(path: Path) -> bytes:
        read.append(path)
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    golden._indexes.cache_clear()
    golden.decided_case(golden.cases()[0])
    assert {path.name for path in read} == {"decisions.jsonl", "parties.json", "policy.json"}
    assert {path.parent for path in read} == {golden.GOLDEN}


def test_the_golden_decisions_show_every_rule_and_every_disposition() -> None:
    shown: Counter[str] = Counter()
    for decision in (each["decision"] for each in golden.cases()):
        shown[f"{decision['disposition']} {decision['work_reason']}"] += 1
        for rules in (*decision["sent"].values(), *decision["not_sent"].values()):
            shown.update(rules)
    _, policy = golden.pinned_documents()
    assert {rule["id"] for rule in policy["rules"]} - shown.keys() == set()
    outcomes = {"routed None", "orphaned no_hotline", "unknown_code unknown_jurisdiction"}
    outcomes |= {f"unroutable {reason}" for reason in ("no_route", "no_basis", "prohibited")}
    assert outcomes - shown.keys() == set()
