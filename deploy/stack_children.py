"""The processes of a running exchange beside its servers: four instances, and the sandbox's parties where wanted."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.devstack.supervisor import Child
from deploy.site.endpoints import Endpoints, write_private
from deploy.site.installation import INSTANCES, Installation, environment, install

#: Each instance in one process; the sandbox in one process per kind of party.
SANDBOX_KINDS = ("hotline", "law_enforcement", "industry")


def instance_children(state: Path, endpoints: Endpoints) -> Sequence[Child]:
    """Install what is missing and say which processes run the four instances."""
    installation = install(state, endpoints)
    return [
        Child(
            name=instance,
            argv=(sys.executable, "-m", "deploy.cli", "serve", instance),
            env=environment(installation, endpoints, instance),
            ready_url=f"{endpoints.http[instance]}/readyz",
        )
        for instance in INSTANCES
    ]


def sandbox_children(state: Path, endpoints: Endpoints) -> Sequence[Child]:
    """Processes that play the sample parties over HTTP. Each is ready when its instance is."""
    installation = Installation(state)
    parties = json.loads(installation.parties_file.read_text())
    children = []
    for kind in SANDBOX_KINDS:
        file = state / f"sandbox-{kind}.json"
        write_private(file, json.dumps([party for party in parties if party["kind"] == kind]))
        children.append(
            Child(
                name=f"sandbox-{kind}",
                argv=(sys.executable, "-m", "deploy.sandbox", "--parties", str(file)),
                env={},
                ready_url=f"{endpoints.http[kind]}/readyz",
            )
        )
    return children
