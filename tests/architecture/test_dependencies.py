"""The project uses each of its declared dependencies, and the lock file agrees."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import files

import pytest

from tests.architecture.source import ROOT, modules

LOCK = ROOT / "requirements" / "dev.lock"
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names(requirements: Iterable[str]) -> set[str]:
    found = (re.match(r"[A-Za-z0-9._-]+", each) for each in requirements)
    return {each[0].lower().replace("_", "-") for each in found if each is not None}


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Return every module that the product imports, as the path of its file without suffix."""
    found: set[str] = set()
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
    return {each.replace(".", "/") for each in found}


def unused(distributions: Iterable[str], imported: set[str]) -> list[str]:
    """Return dependencies without an imported module, by their file lists. Several may share a first name."""
    return sorted(each for each in distributions if not imported & provided(each))


def provided(distribution: str) -> set[str]:
    paths = [path.as_posix() for path in files(distribution) or () if path.suffix == ".py"]
    return {path.removesuffix(".py").removesuffix("/__init__") for path in paths}


def locked_directly(lock: str) -> set[str]:
    """Return the distributions in the lock file that the project requests directly."""
    blocks = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)
    return names(block for block in blocks if "causeway (pyproject.toml)" in block)


def test_every_runtime_dependency_is_imported_by_the_product(imported: set[str]) -> None:
    assert unused(names(_PROJECT["dependencies"]), imported) == []


def test_one_that_only_tests_import_is_found(imported: set[str]) -> None:
    assert unused(["cloudevents", "structlog", "hypothesis"], imported) == ["cloudevents", "hypothesis"]


def test_one_of_several_with_the_same_first_name_is_found(imported: set[str]) -> None:
    others = {each for each in imported if not each.startswith("opentelemetry/sdk")}
    assert unused(["opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"], others) == ["opentelemetry-sdk"]


def test_the_lock_holds_what_the_project_asks_for_and_no_more() -> None:
    groups = _PROJECT["optional-dependencies"]
    wanted = names([*_PROJECT["dependencies"], *groups["stack"], *groups["dev"]])
    lock = LOCK.read_text(encoding="utf-8")
    assert locked_directly(lock) == wanted
    assert locked_directly(f"{lock}left-over==1.0 \\\n    # via causeway (pyproject.toml)\n") - wanted == {"left-over"}
