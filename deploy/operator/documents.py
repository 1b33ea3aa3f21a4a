"""Put a directory or a policy in force, and send document heartbeats.

A document is checked, approved by two and published to every instance.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from deploy.directory.approval import document_body, sign_beat, valid_until
from deploy.operator.document_checks import check_directory, check_policy
from deploy.operator.folder import BEAT_CARD, admitted
from deploy.site.access import access_to, in_own_thread, kafka_access
from deploy.site.endpoints import ADMIN, Endpoints, write_private
from deploy.site.installation import Installation, publish_document
from deploy.site.open import Site
from shared.core.canonical import Json, canonical_json, digest
from shared.core.clock import SystemClock
from shared.core.contracts.base import error_locations
from shared.core.contracts.directory import FORMER_MAX, Beat, Directory, DocumentActivated, Party, PublicKey, SignedBeat
from shared.core.contracts.policy import Policy
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Refused, Unavailable
from shared.core.protocol.message import Record
from shared.core.routing.documents import TOLERANCE, read_directory, read_policy, verify_document
from shared.core.vocabulary.routing import PartyStatus
from shared.platform.kafka.documents import DIRECTORY_TOPIC, publish_beats, read_approver_keys, read_document
from shared.platform.kafka.reader import LogReader

BEAT_EVERY_S: Final = 10.0
LAW_HOUR_S: Final = 3_600
#: The folder of published documents that take effect later, by kind and time.
COMING: Final = "coming"


def checked(kind: str, body: bytes) -> Directory | Policy:
    """Return the document in `body`. Raises `Refused`, with the field, if the checks object."""
    return check_directory(body) if kind == "directory" else check_policy(body)


def publish_file(site: Site, kind: str, body: bytes, *, active_from: datetime | None = None) -> DocumentActivated:
    """Publish the directory or the policy in `body`, in force from now unless a time is given. Blocks.

    A published document is not yet read: see `causeway doctor` and the instances' logs (`document_placed`). Raises
    `Refused`, with the field, if the checks or an instance would refuse it. `document_version_not_above`: its version
    must be above that of every published document of its kind. `active_from_past`: decisions since a past time were
    made by the documents in force then, and would not match the new one.
    """
    document, now = checked(kind, body), SystemClock().now()
    refuse_past(active_from or now)
    refuse_version(site, kind, document.version)
    refuse_short_hour(site.state, kind, body)
    activated = publish_document(site.state, site.endpoints, document, active_from=active_from or SystemClock().now())
    keep_published(site.state, kind, document_body(document), active_from=activated.active_from)
    return activated


def refuse_past(active_from: datetime) -> None:
    """Raise `Refused("active_from_past")` for a past time."""
    if active_from < SystemClock().now() - TOLERANCE:
        raise Refused("active_from_past")


def refuse_version(site: Site, kind: str, version: int) -> int:
    """Return the newest published version of a kind, 0 for none.

    Raises `Refused("document_version_not_above")`.
    """
    newest = newest_version(site.endpoints, kind, approver_keys_file=Installation(site.state).approver_keys_file)
    if version <= newest:
        raise Refused("document_version_not_above", f"{newest} is published: use a higher one", field="/version")
    return newest


def refuse_short_hour(state: Path, kind: str, body: bytes) -> None:
    """Raise `Refused("hour_short")` if live parties would get hours that are shorter than those of the law."""
    documents = {kind: json.loads(body)}
    for other in {"policy", "directory"} - {kind}:
        with suppress(Unavailable):  # none is published yet
            documents[other] = json.loads(document_in_force(state, other))
    parties = documents.get("directory", {}).get("parties", ())
    hour_s = documents.get("policy", {}).get("hour_s") or LAW_HOUR_S
    if hour_s < LAW_HOUR_S and any(each["status"] == PartyStatus.LIVE for each in parties):
        raise Refused("hour_short", field="/hour_s" if kind == "policy" else "/parties")


def newest_version(endpoints: Endpoints, kind: str, *, approver_keys_file: Path) -> int:
    """Return the highest version of an approved document of this kind, even one for a later time; 0 for none.

    Blocks. Documents in the topic without two approvals are ignored. Raises `Unavailable`.
    """
    found = published_documents(endpoints, ADMIN, approver_keys_file=approver_keys_file)
    return max((int(json.loads(body)["version"]) for activated, body in found if activated.kind == kind), default=0)


def published_documents(
    endpoints: Endpoints, principal: str, *, approver_keys_file: Path
) -> list[tuple[DocumentActivated, bytes]]:
    """Return every published document with its approvals, in the order of the topic, read as `principal`.

    Blocks. Raises `Unavailable`.
    """
    keys = read_approver_keys(approver_keys_file)
    found = []
    for record in in_own_thread(_published(endpoints, principal)):
        try:
            activated, body = read_document(record.value or b"")
            verify_document(activated, body, keys)
        except Refused:
            continue
        found.append((activated, body))
    return found


async def _published(endpoints: Endpoints, principal: str) -> list[Record]:
    reader = LogReader(kafka_access(endpoints, principal), [DIRECTORY_TOPIC], client_id="causeway-published")
    found: list[Record] = []
    for where, bounds in (await reader.bounds()).items():
        if bounds.first < bounds.end:
            async with aclosing(reader.read_range(where, bounds.first, bounds.end)) as batches:
                async for batch in batches:
                    found += batch
    return found


def keep_published(state: Path, kind: str, body: bytes, *, active_from: datetime) -> None:
    """Store a published document for `document_in_force`: in a separate file until it takes effect."""
    if active_from <= SystemClock().now():
        write_private(state / f"{kind}.json", body.decode())
        return
    (state / COMING).mkdir(mode=0o700, exist_ok=True)
    write_private(state / COMING / f"{kind}.{_stamp(active_from)}.json", body.decode())


def document_in_force(state: Path, kind: str, at: datetime | None = None) -> bytes:
    """Return the newest document published from this state directory that is in force at `at`, or now.

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
    """Format a time for a file name: these texts sort by time."""
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def assembled(site: Site, parties: bytes, *, issued_on: date) -> bytes:
    """Return the next directory of an exchange, from the admitted instances and a list of parties.

    Its version is one above the last one published from here, or the first; its validity is the usual one. Raises
    `Refused`: `parties_malformed` with the field, and the objections of the checks.
    """
    last = site.state / "directory.json"
    version = int(json.loads(last.read_bytes())["version"]) + 1 if last.exists() else 1
    beat = site.state / BEAT_CARD
    directory = Directory(
        version=version,
        issued_on=issued_on,
        valid_until=valid_until(issued_on),
        beat_keys=(PublicKey.model_validate_json(beat.read_bytes()),) if beat.exists() else (),
        instances=tuple(admitted(site.state)),
        parties=tuple(sorted(_parties(parties), key=lambda party: party.id)),
    )
    body = document_body(directory)
    check_directory(body)
    return body


def _parties(text: bytes) -> Sequence[Party]:
    try:
        return TypeAdapter(list[Party]).validate_json(text)
    except ValidationError as error:
        where = error_locations(error.errors(include_url=False, include_context=False, include_input=False))[0]
    raise Refused("parties_malformed", where["rule"], field=where["field"], status=400)


def moved_directory(site: Site, party: str, instance: str) -> bytes:
    """Return the next directory after the one in force, with `party` at `instance`.

    Raises `Refused` if the directory does not permit this, or if the site cannot reach the instance.
    """
    present = document_in_force(site.state, "directory")
    following = moved(present, party, instance, issued_on=SystemClock().now().date())
    site.endpoints.address(instance)
    read_directory(following)
    return following


def moved(directory: bytes, party: str, instance: str, *, issued_on: date) -> bytes:
    """Return the next directory: one version higher, issued on that day, with the usual validity, `party` at
    `instance`.

    The party's former instance stays listed, so subjects sent to it there can still be answered from there. All other
    members stay, even those that this release does not know. `directory` is a whole document. Raises `Refused`:
    `party_unknown`, `instance_unknown`, `instance_of_another_kind` or `party_there_already`.
    """
    document: Json = json.loads(directory)
    found = next((each for each in document["parties"] if each["id"] == party), None)
    if found is None:
        raise Refused("party_unknown", "the directory has no such party", status=400)
    kinds, kind, left = {each["id"]: each["kind"] for each in document["instances"]}, found["kind"], found["instance"]
    fit = ", ".join(name for name in kinds if kinds[name] == kind)
    if instance not in kinds:
        raise Refused("instance_unknown", f"the directory's instances for {kind}: {fit}", status=400)
    if kinds[instance] != kind:
        what = f"`{instance}` is for {kinds[instance]}; for {kind}: {fit}"
        raise Refused("instance_of_another_kind", what, status=400)
    if left == instance:
        raise Refused("party_there_already", f"`{instance}` serves it now", status=400)
    before = [each for each in found.get("instances_before") or () if each["instance"] not in (instance, left)]
    before.append({"instance": left, "until": issued_on.isoformat()})
    found |= {"instance": instance, "instances_before": before[-FORMER_MAX:]}
    edition = {"issued_on": issued_on.isoformat(), "valid_until": valid_until(issued_on).isoformat()}
    return canonical_json(document | edition | {"version": document["version"] + 1})


async def send_beats(site: Site, *, once: bool) -> None:
    """Send a document heartbeat every 10 s: once, or until interrupted.

    Several processes may do so. Raises `Unavailable`, and `Refused` if this state directory has no heartbeat key.
    """
    path = Installation(site.state).beat_key_file
    if not path.exists():
        raise Refused("beat_key_missing", "`beat.key` of the state directory, named in the directory's `beat_keys`")
    beats = _beats(site.state, SigningKey.load(path.read_text()), once=once)
    await publish_beats(access_to(site.endpoints.kafka), beats)


def signed_beat(state: Path, key: SigningKey, at: datetime) -> SignedBeat:
    """Return the heartbeat with the newest documents of this state directory at `at`."""
    directory, policy = document_in_force(state, "directory", at), document_in_force(state, "policy", at)
    named = {
        "directory": (read_directory(directory).edition.version, digest(directory)),
        "policy": (read_policy(policy).edition.version, digest(policy)),
    }
    return sign_beat(Beat.model_validate({"at": at} | named), key)


async def _beats(state: Path, key: SigningKey, *, once: bool) -> AsyncIterator[SignedBeat]:
    yield signed_beat(state, key, SystemClock().now())
    while not once:
        await asyncio.sleep(BEAT_EVERY_S)
        yield signed_beat(state, key, SystemClock().now())
