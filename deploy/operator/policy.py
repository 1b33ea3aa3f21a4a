"""Putting a policy in force: checked first, approved by two, published to every instance."""

from __future__ import annotations

from datetime import datetime

from deploy.devstack.endpoints import write_private
from deploy.directory.approval import document_body
from deploy.installation import publish_policy
from deploy.operator.site import Site
from shared.contracts.directory import DocumentActivated
from shared.contracts.policy import Policy
from shared.kernel.clock import SystemClock
from shared.routing.shelf import read_policy


def publish_file(site: Site, body: bytes, *, active_from: datetime | None = None) -> DocumentActivated:
    """Publish the policy in `body`, in force from now if no time is given. Blocks.

    Published does not mean read: `causeway doctor` and the instances' logs (`document_placed`) tell. Raises `Refused`,
    with the field, if an instance would refuse it.
    """
    read_policy(body)
    policy = Policy.model_validate_json(body)
    now = SystemClock().now()
    activated = publish_policy(site.state, site.endpoints, policy, active_from=active_from or now)
    if activated.active_from <= now:
        # The verbs of `route` ask by this file: it holds what is in force, not what will be.
        write_private(site.state / "policy.json", document_body(policy).decode())
    return activated
