"""The pages of limits, sizes and versions agree with the code, the measurements and the lock files."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from typing import Any

import pytest

from deploy.devstack.jars import locked_jars
from deploy.devstack.servers import MAJOR_MIN
from shared.platform.database.migrate import POSTGRES_MAJOR_MIN
from tests.architecture.source import ROOT

DOCS = ROOT / "docs"
_ROW = re.compile(r"^\| (?P<what>[^|]+) \| (?P<figure>\d+) \| `(?P<module>[\w.]+):(?P<name>[\w.]+)` \|$", re.MULTILINE)
_BOLD = re.compile(r"\*\*([\d.,]+|\d+ MiB|six days)\*\*")
LIMITS = [found.groupdict() for found in _ROW.finditer((DOCS / "limits.md").read_text(encoding="utf-8"))]


def test_there_are_limits() -> None:
    lines = (DOCS / "limits.md").read_text(encoding="utf-8").splitlines()
    assert len(LIMITS) == sum(line.startswith("| ") for line in lines) - 2 >= 18


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit["what"])
def test_a_limit_is_the_one_of_the_code(limit: dict[str, str]) -> None:
    assert int(limit["figure"]) == _value(limit["module"], limit["name"])


def _value(module: str, name: str) -> Any:
    """Return a constant, or the maximum number of members of a contract's field."""
    owner, _, field = name.rpartition(".")
    if not owner:
        return getattr(import_module(module), name)
    contract = getattr(import_module(module), owner)
    return next(each.max_length for each in contract.model_fields[field].metadata if hasattr(each, "max_length"))


def test_every_size_was_measured() -> None:
    measured = (DOCS / "measurements.md").read_text(encoding="utf-8")
    figures = _BOLD.findall((DOCS / "sizing.md").read_text(encoding="utf-8"))
    assert len(figures) >= 20
    assert not [figure for figure in figures if not re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d])", measured)]


def test_the_page_of_versions_says_what_is_locked() -> None:
    page = (DOCS / "compatibility.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    kafka = next(jar.version for jar in locked_jars() if jar.artifact == "kafka-server")
    python = project["requires-python"].removeprefix(">=")
    for what, version in (
        ("Python", f"{python} or later"),
        ("PostgreSQL", f"{POSTGRES_MAJOR_MIN} or later"),
        ("Apache Kafka", kafka),
        ("Java, for Kafka", f"{MAJOR_MIN} or later"),
    ):
        assert f"| {what} | {version} |" in page
    assert any("uuidv7()" in file.read_text(encoding="utf-8") for file in ROOT.glob("shared/**/*.sql"))
