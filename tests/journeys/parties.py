"""What a party does from its own machine: the command `causeway` with the party's address and key, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.site.settings import inherited_environment
from tests.support.running import Exchange, clean_environment


@dataclass(frozen=True, slots=True)
class Party:
    """One party at its own prompt."""

    exchange: Exchange
    name: str

    def causeway(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a verb; its exit code is the caller's to judge."""
        key = self.exchange.parties[self.name]
        ours = {name: value for name, value in inherited_environment().items() if not name.startswith("CAUSEWAY_")}
        return subprocess.run(
            [sys.executable, "-m", "deploy.cli", *arguments],
            env=ours | {"CAUSEWAY_URL": key.url, "CAUSEWAY_API_KEY": key.key},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def told(self, *arguments: str) -> Any:
        """What a verb that succeeds says, as JSON."""
        ran = self.causeway(*arguments, "--json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)


def ran(exchange: Exchange, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A verb of the operator on this exchange, come to its end."""
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", *arguments, "--state", str(exchange.state), "--json"],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def operated(exchange: Exchange, *arguments: str) -> Any:
    """What a verb of the operator that succeeds on this exchange says, as JSON."""
    done = ran(exchange, *arguments)
    assert done.returncode == 0, done.stderr or done.stdout
    return json.loads(done.stdout)


def written(folder: Path, referral: dict[str, Any]) -> str:
    """The referral in a file, as a person would have it."""
    path = folder / "referral.json"
    path.write_text(json.dumps(referral), encoding="utf-8")
    return str(path)
