"""Putting a directory or a policy in force: checked first, approved by two, published to every instance; the beat."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deploy.directory.approval import document_body, sign_beat
from deploy.directory.move import moved
from deploy.operator.desk import check_directory, check_policy
from deploy.site.access import admin_access
from deploy.site.endpoints import write_private
from deploy.site.installation import Installation, publish_document
from deploy.site.open import Site
from deploy.site.published import newest_version
from shared.contracts.directory import DocumentActivated
from shared.contracts.documents import Beat, SignedBeat
from shared.envelope.keys import SigningKey
from shared.kernel.canonical import digest
from shared.kernel.clock import Clock, SystemClock
from shared.kernel.errors import Refused, Unavailable
from shared.routing.derive import TOLERANCE
from shared.routing.shelf import read_directory, read_policy
from shared.runtime.kafka.documents import publish_beats

BEAT_EVERY_S: Final = 10.0
#: The folder of what was published and takes effect later, by kind and time.
COMING: Final = "coming"


def publish_file(site: Site, kind: str, body: bytes, *, active_from: datetime | None = None) -> DocumentActivated:
    """Publish the directory or the policy in `body`, in force from now if no time is given. Blocks.

    Published does not mean read: `causeway doctor` and the instances' logs (`document_placed`) tell. Raises `Refused`,
    with the field, if the desk or an instance would refuse it, and `document_version_not_above` unless its version is
    above that of every document of its kind that was published: none comes back by itself. `active_from_past` for a
    time that is over: what was decided since by the documents of that time would have been decided by none.
    """
    document = check_directory(body) if kind == "directory" else check_policy(body)
    now = SystemClock().now()
    if active_from is not None and active_from < now - TOLERANCE:
        raise Refused("active_from_past")
    newest = newest_version(site.endpoints, kind, approver_keys_file=Installation(site.state).approver_keys_file)
    if document.version <= newest:
        raise Refused("document_version_not_above", f"{newest} was published: raise it", field="/version")
    activated = publish_document(site.state, site.endpoints, document, active_from=active_from or SystemClock().now())
    keep_published(site.state, kind, document_body(document), active_from=activated.active_from)
    return activated


def keep_published(state: Path, kind: str, body: bytes, *, active_from: datetime) -> None:
    """Keep what was published where `document_in_force` finds it: in a file of its own until it takes effect."""
    due = active_from <= SystemClock().now()
    if due:
        write_private(state / f"{kind}.json", body.decode())
        return
    (state / COMING).mkdir(mode=0o700, exist_ok=True)
    write_private(state / COMING / f"{kind}.{_stamp(active_from)}.json", body.decode())


def next_directory(site: Site, party: str, instance: str) -> bytes:
    """The directory that would follow the one in force, with `party` at `instance` (`deploy.directory.move`).

    Raises `Refused` where the directory does not have it so, or where the site cannot reach the instance.
    """
    present = document_in_force(site.state, "directory")
    following = moved(present, party, instance, issued_on=SystemClock().now().date())
    site.endpoints.address(instance)
    read_directory(following)
    return following


def document_in_force(state: Path, kind: str, at: datetime | None = None) -> bytes:
    """The newest document published from this state directory that is in force at `at`, or now.

    Raises `Unavailable`.
    """
    now = _stamp(at or SystemClock().now())
    due = [path for path in (state / COMING).glob(f"{kind}.*.json") if path.name.split(".")[1] <= now]
    try:
        bodies = [path.read_bytes() for path in (state / f"{kind}.json", *due)]
        return max(bodies, key=lambda body: int(json.loads(body)["version"])) if due else bodies[0]
    except OSError:
        raise Unavailable("documents_missing", f"no {kind} in this state directory: start the stack once") from None


def _stamp(at: datetime) -> str:
    """A time in the name of a file: as texts they are in the order of time."""
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def send_beats(site: Site, *, count: int | None = None, clock: Clock | None = None) -> None:
    """Say every 10 s which documents are newest: `count` times, or until interrupted. Blocks.

    Several may do so at a time. Raises `Unavailable`, and `Refused` where this state directory has no beat key.
    """
    path = Installation(site.state).beat_key_file
    if not path.exists():
        raise Refused("beat_key_missing", "`beat.key` of the state directory, named in the directory's `beat_keys`")
    key = SigningKey.load(path.read_text())
    asyncio.run(
        publish_beats(admin_access(site.endpoints), _beats(site.state, key, count=count, clock=clock or SystemClock()))
    )


def signed_beat(state: Path, key: SigningKey, at: datetime) -> SignedBeat:
    """What is newest at `at`, as this state directory has it."""
    directory, policy = document_in_force(state, "directory", at), document_in_force(state, "policy", at)
    named = {
        "directory": (read_directory(directory).edition.version, digest(directory)),
        "policy": (read_policy(policy).edition.version, digest(policy)),
    }
    return sign_beat(Beat.model_validate({"at": at} | named), key)


async def _beats(state: Path, key: SigningKey, *, count: int | None, clock: Clock) -> AsyncIterator[SignedBeat]:
    sent = 0
    while True:
        yield signed_beat(state, key, clock.now())
        sent += 1
        if sent == count:
            return
        await asyncio.sleep(BEAT_EVERY_S)
