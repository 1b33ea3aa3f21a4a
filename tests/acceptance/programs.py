"""Programs run as a user runs them: the command `causeway`, and scripts that share no code with the project."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.site.settings import inherited_environment

SUPPORT = Path(__file__).parents[1] / "support"


def causeway(state: Path, *arguments: str, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
    """Run a verb of `causeway` on the stack in `state`, not on a terminal. The caller judges its exit code."""
    environment = {name: value for name, value in inherited_environment().items() if not name.startswith("CAUSEWAY_")}
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", *arguments],
        env=environment | {"CAUSEWAY_DEV_STATE_DIR": str(state)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def foreign(script: str, document: Any = None, arguments: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a script of tests/support that can import neither the project nor its folder."""
    return subprocess.run(
        [sys.executable, "-I", str(SUPPORT / script), *arguments],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
