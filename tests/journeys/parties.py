"""A party at its own machine: only the command `causeway`, with the party's address and key."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.running import Exchange, clean_environment


@dataclass(frozen=True, slots=True)
class Party:
    """One party at its own prompt."""

    exchange: Exchange
    name: str

    def causeway(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a verb. The caller checks its exit code."""
        key = self.exchange.parties[self.name]
        return _run(clean_environment() | {"CAUSEWAY_URL": key.url, "CAUSEWAY_API_KEY": key.key}, *arguments)

    def told(self, *arguments: str) -> Any:
        """Run a verb that must succeed; return its output as JSON."""
        ran = self.causeway(*arguments, "--json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)


def ran(exchange: Exchange, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a verb of the operator on this exchange to its end."""
    return _run(clean_environment(), *arguments, "--state", str(exchange.state), "--json")


def _run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.cli", *arguments]
    return subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, check=False
    )


def operated(exchange: Exchange, *arguments: str) -> Any:
    """Run a verb of the operator that must succeed on this exchange; return its output as JSON."""
    done = ran(exchange, *arguments)
    assert done.returncode == 0, done.stderr or done.stdout
    return json.loads(done.stdout)


def written(folder: Path, referral: dict[str, Any]) -> str:
    """Write the referral to a file, as a user would have it."""
    path = folder / "referral.json"
    path.write_text(json.dumps(referral), encoding="utf-8")
    return str(path)
