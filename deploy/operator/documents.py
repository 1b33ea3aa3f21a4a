"""Putting a directory or a policy in force: checked first, approved by two, published to every instance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from deploy.directory.approval import document_body
from deploy.site.endpoints import write_private
from deploy.site.installation import Installation, publish_document
from deploy.site.open import Site
from deploy.site.published import newest_version
from shared.contracts.directory import Directory, DocumentActivated
from shared.contracts.policy import Policy
from shared.kernel.clock import SystemClock
from shared.kernel.errors import Refused, Unavailable
from shared.routing.shelf import read_directory, read_policy

#: Kind of document → its contract, and the check by which an instance would refuse it.
_KINDS: Final[Mapping[str, tuple[type[Directory] | type[Policy], Callable[[bytes], Any]]]] = {
    "directory": (Directory, read_directory),
    "policy": (Policy, read_policy),
}


def publish_file(site: Site, kind: str, body: bytes, *, active_from: datetime | None = None) -> DocumentActivated:
    """Publish the directory or the policy in `body`, in force from now if no time is given. Blocks.

    Published does not mean read: `causeway doctor` and the instances' logs (`document_placed`) tell. Raises `Refused`,
    with the field, if an instance would refuse it, and `document_version_not_newer` unless its version is above that of
    every document of its kind that was published: none comes back by itself.
    """
    contract, check = _KINDS[kind]
    check(body)
    document = contract.model_validate_json(body)
    newest = newest_version(site.endpoints, kind, approver_keys_file=Installation(site.state).approver_keys_file)
    if document.version <= newest:
        raise Refused("document_version_not_newer", f"{newest} was published: raise it", field="/version")
    now = SystemClock().now()
    activated = publish_document(site.state, site.endpoints, document, active_from=active_from or now)
    if activated.active_from <= now:
        # The verbs of `route` and `key` ask by this file: it holds what is in force, not what will be.
        write_private(site.state / f"{kind}.json", document_body(document).decode())
    return activated


def document_in_force(state: Path, kind: str) -> bytes:
    """The document that was published last from this state directory, if it is in force. Raises `Unavailable`."""
    try:
        return (state / f"{kind}.json").read_bytes()
    except OSError:
        raise Unavailable("documents_missing", f"no {kind} in this state directory: start the stack once") from None
