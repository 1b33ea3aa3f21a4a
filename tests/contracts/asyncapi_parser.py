"""Runs the AsyncAPI initiative's own parser in Node on a document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.contracts.npm_packages import installed, node, run

HERE = Path(__file__).parent / "asyncapi"


def parsed(*documents: Path) -> list[dict[str, Any]]:
    """Return the parser's result for each document: `valid`, `errors`, and the names it found. It starts in seconds."""
    packages = installed("asyncapi")
    said = run([*node(), str(HERE / "check.cjs"), str(packages), *map(str, documents)])
    return [json.loads(line) for line in said.splitlines()]
