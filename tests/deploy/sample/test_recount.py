"""The counts of the engine equal those of a script that shares no code with it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.sample.generator import write_jsonl
from tests.deploy.sample import samples

SCRIPT = Path(__file__).parents[2] / "support" / "recount.py"
PolicyEdit = Callable[[dict[str, Any]], None]


def foreign_imports(source: str) -> set[str]:
    """Return top-level names of imported modules outside the standard library."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names


def recounted(folder: Path, policy: dict[str, Any]) -> dict[str, Any]:
    """Return the script's summary of the demo, run where neither the project nor any package can be imported."""
    referrals, directory, rules = folder / "sample.jsonl", folder / "directory.json", folder / "policy.json"
    write_jsonl(referrals, samples.demo())
    directory.write_text(json.dumps(samples.directory_document()))
    rules.write_text(json.dumps(policy))
    return run_script({"referrals": referrals, "directory": directory, "policy": rules}, samples.DECIDED_AT)


def run_script(files: dict[str, Path], at: datetime) -> dict[str, Any]:
    arguments = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    command = [sys.executable, "-I", "-S", str(SCRIPT), *arguments, "--tree", str(samples.TREE_DATA)]
    ran = subprocess.run([*command, "--on", at.date().isoformat()], capture_output=True, check=True, timeout=300)
    summary: dict[str, Any] = json.loads(ran.stdout)
    return summary


def counted(decisions: list[samples.Decided]) -> dict[str, Any]:
    """Return the engine's decisions in the form of the script's summary."""
    return {
        "referrals": len(decisions),
        "dispositions": dict(Counter(decision.disposition for decision in decisions)),
        "work_reasons": dict(Counter(decision.work_reason for decision in decisions if decision.work_reason)),
        "recipients": _by_recipient(edge for decision in decisions for edge in decision.edges),
        "not_sent": _by_recipient(edge for decision in decisions for edge in decision.not_sent),
    }


def _by_recipient(edges: Any) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = {}
    for (recipient, purpose), count in Counter(edges).items():
        table.setdefault(recipient, {})[purpose] = count
    return table


def rule(policy: dict[str, Any], rule_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in policy["rules"] if each["id"] == rule_id)
    return found


def drop_a_permit(policy: dict[str, Any]) -> None:
    policy["rules"].remove(rule(policy, "eu-dsa-18-establishment"))


def begin_a_law_earlier(policy: dict[str, Any]) -> None:
    rule(policy, "uk-si-2026-268-agency")["valid_from"] = "2026-03-15"


def widen_a_prohibition(policy: dict[str, Any]) -> None:
    prohibition = rule(policy, "eu-eprivacy-5-messages")
    prohibition["when"] = [each for each in prohibition["when"] if each["fact"] != "user"]


def test_the_script_imports_nothing_of_the_project() -> None:
    assert foreign_imports(SCRIPT.read_text()) == set()


@pytest.mark.parametrize(
    "line", ["from shared.core.routing import engine", "import deploy.policy", "from . import samples"]
)
def test_an_import_of_the_project_would_be_found(line: str) -> None:
    assert foreign_imports(f"import json\n{line}\n")


def test_the_counts_equal_a_recount(tmp_path: Path) -> None:
    policy = samples.policy_document()
    assert recounted(tmp_path, policy) == counted(samples.decide_demo(policy))


@pytest.mark.parametrize("edit", [drop_a_permit, begin_a_law_earlier, widen_a_prohibition])
def test_a_planted_edit_of_the_policy_moves_both_counts_equally(tmp_path: Path, edit: PolicyEdit) -> None:
    before = counted(samples.decide_demo(samples.policy_document()))
    policy = samples.policy_document()
    edit(policy)
    after = counted(samples.decide_demo(policy))
    assert after != before
    assert recounted(tmp_path, policy) == after


def test_an_edit_on_one_side_only_is_noticed(tmp_path: Path) -> None:
    """The control of the two tests above: the counts can differ."""
    policy = samples.policy_document()
    drop_a_permit(policy)
    assert recounted(tmp_path, policy) != counted(samples.decide_demo(samples.policy_document()))
