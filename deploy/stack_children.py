"""The processes of a running exchange besides its servers: instances, and sandbox parties if wanted."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.devstack.state import DevStackSettings
from deploy.devstack.supervisor import Child
from deploy.site.endpoints import Endpoints, write_private
from deploy.site.installation import Installation, environment, install
from deploy.site.settings import AUDIT
from shared.instance.settings import prefix_of


def instance_children(
    state: Path, endpoints: Endpoints, settings: Mapping[str, str] | None = None, *, migrated: bool = False
) -> Sequence[Child]:
    """Install missing parts and return the processes of the instances, one for each.

    `settings` override those of every instance, by field: {"ISSUE_SLOT_S": "1"}. `migrated`: see `install`.
    """
    laid = {"WEBHOOKS_TO_LOOPBACK": "true"} | dict(settings or {})
    installation = install(
        state, endpoints, policy_hour_s=DevStackSettings().causeway_dev_policy_hour_s, migrated=migrated
    )
    return [
        Child(
            name=instance,
            argv=serving(endpoints, instance),
            env=environment(installation, endpoints, instance)
            | {prefix_of(instance) + name: value for name, value in laid.items()},
            ready_url=f"{endpoints.http[instance]}/readyz",
        )
        for instance in endpoints.instances
    ]


def serving(endpoints: Endpoints, instance: str, program: Sequence[str] = ("-m", "deploy.cli", "serve")) -> list[str]:
    """Return the command that runs an instance; `program` replaces `causeway serve`."""
    return [sys.executable, *program, endpoints.kind(instance), "--instance", instance]


def sandbox_children(state: Path, endpoints: Endpoints) -> Sequence[Child]:
    """Return processes that play the sample parties over HTTP, one per instance.

    They start after all instances.
    """
    installation = Installation(state)
    parties = json.loads(installation.parties_file.read_text())
    children = []
    for instance in endpoints.instances:
        address = endpoints.address(instance)
        played = [party for party in parties if party["url"] == address]
        if endpoints.kind(instance) == AUDIT or not played:
            continue  # auditors act on their own, and a kind may have no sample party
        file = state / f"sandbox-{instance}.json"
        write_private(file, json.dumps(played))
        children.append(
            Child(
                name=f"sandbox-{instance}",
                argv=(sys.executable, "-m", "deploy.sandbox", "--parties", str(file)),
                env={},
                ready_url=f"{address}/readyz",
                needs_others=True,
            )
        )
    return children
