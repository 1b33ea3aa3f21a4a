"""A real OpenID Connect provider, on another site than the consoles: `localhost` instead of 127.0.0.1."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.contracts.npm_packages import WHEEL, installed

SCRIPT = Path(__file__).parents[1] / "contracts" / "oidc" / "provider.mjs"
SECRET = "a-secret-of-a-test"


class RunningProvider(NamedTuple):
    """The address of the provider, and the file that configures instances for it."""

    issuer: str
    file: Path


@contextmanager
def provider(folder: Path, port: int, consoles: Sequence[str], parties: Sequence[str]) -> Iterator[RunningProvider]:
    """Run a provider with a client for each party, whose console may be at each of the addresses `consoles`."""
    packages = installed("oidc")
    script = shutil.copy(SCRIPT, packages / SCRIPT.name)
    back = [f"{console}/console/signed-in" for console in consoles]
    clients = [{"client_id": party, "client_secret": SECRET, "redirect_uris": back} for party in parties]
    told = json.dumps({"port": port, "clients": clients})
    process = subprocess.Popen([WHEEL / "bin/node", script, told], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        issuer = f"http://localhost:{port}"
        file = folder / f"sign-in-{port}.json"
        file.touch(mode=0o600)
        file.write_text(
            json.dumps(
                [{"party": party, "issuer": issuer, "client_id": party, "client_secret": SECRET} for party in parties]
            )
        )
        yield RunningProvider(issuer, file)
    finally:
        process.kill()
        process.communicate()
