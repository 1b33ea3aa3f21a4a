"""A directory or a policy on its way to two approvers, who need not sit at one desk or trust whoever carries it.

    draft ──▶ each approver alone: reads it, signs ──▶ approval ─┐
      └──────────────────────────────────────────────────────────┴─▶ publish

A draft says of itself what is signed: kind, digest and the time from which it counts. Everybody who takes one works
the digest out again from the document in it, so that what a person reads is what they sign. Whoever carries a draft
can withhold it, and nothing else.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path

from pydantic import JsonValue, ValidationError

from deploy.directory.approval import document_body, sign_approval, valid_until
from deploy.operator.cards import read_approver_card
from deploy.operator.desk import check_directory, check_policy
from deploy.operator.documents import keep_published
from deploy.site.access import admin_access
from deploy.site.endpoints import ADMIN
from deploy.site.installation import Installation
from deploy.site.open import Site
from deploy.site.published import newest_version, published_documents
from shared.contracts.base import Contract, Digest, Instant, JsonObject, error_locations
from shared.contracts.directory import Approval, Directory, DocumentActivated
from shared.contracts.policy import Policy
from shared.envelope.keys import SigningKey
from shared.kernel.canonical import digest
from shared.kernel.clock import SystemClock
from shared.kernel.errors import Refused
from shared.routing.derive import TOLERANCE
from shared.routing.documents import approval_message, verify_document
from shared.runtime.instance.keys import read_key_file
from shared.runtime.kafka.documents import publish_documents, read_approver_keys


class Draft(Contract):
    """A document that is to be signed, and what is signed of it."""

    kind: str
    digest: Digest
    active_from: Instant
    document: JsonObject

    def text(self) -> str:
        """As its file has it."""
        return self.model_dump_json(indent=2) + "\n"


def draft(kind: str, body: bytes, *, active_from: datetime, issued_on: date | None = None) -> Draft:
    """What is to be signed of a document; with `issued_on`, of the same one issued again on that day.

    Raises `Refused`, with the field, where the desk objects.
    """
    document = _checked(kind, body if issued_on is None else _issued(body, issued_on))
    canonical = document_body(document)
    return Draft(kind=kind, digest=digest(canonical), active_from=active_from, document=json.loads(canonical))


def read_draft(file: Path) -> tuple[Draft, bytes]:
    """A draft and the exact bytes of its document, judged anew.

    Raises `Refused`: `draft_malformed`, `draft_altered` where its digest is not that of its document, and what the desk
    objects to.
    """
    try:
        read = Draft.model_validate_json(file.read_bytes())
    except ValidationError as error:
        where = error_locations(error.errors(include_url=False, include_context=False, include_input=False))[0]
    except OSError:
        raise Refused("file_unusable", "the file of a draft", status=400) from None
    else:
        body = document_body(_checked(read.kind, json.dumps(read.document).encode()))
        if digest(body) != read.digest:
            raise Refused("draft_altered", status=400)
        return read, body
    raise Refused("draft_malformed", where["rule"], field=where["field"], status=400)


def approve(read: Draft, key_file: Path, *, digest: str) -> Approval:
    """Sign a draft as it was read with an approver's key, whose card lies beside it. `digest`: as its approver has it.

    Raises `Refused`: `draft_of_another_digest`, `card_of_another_key`, and as `read_key_file` does.
    """
    if read.digest != digest:
        raise Refused("draft_of_another_digest", status=400)
    key = SigningKey.load(read_key_file(key_file))
    card = read_approver_card(key_file.with_suffix(".json"))
    if card.key_id != key.key_id:
        raise Refused("card_of_another_key", status=400)
    return sign_approval(card.approver, key, approval_message(read.kind, read.digest, read.active_from))


def publish(site: Site, file: Path, approvals: Sequence[Path]) -> DocumentActivated:
    """Publish a draft that was approved. Blocks.

    The first of its kind may count from a time that is over: nothing was decided before it. Raises `Refused`:
    `approval_malformed`, `approvers_too_few`, `approver_unknown` of a key that nobody has handed over here (instances
    would pass it over), `approval_invalid`, `document_version_not_above`, `active_from_past`.
    """
    read, body = read_draft(file)
    keys_file = Installation(site.state).approver_keys_file
    activated = _activated(read, [_approval(each) for each in approvals])
    keys = read_approver_keys(keys_file)
    for position, each in enumerate(activated.approvals):
        if each.key_id not in keys:
            raise Refused("approver_unknown", field=f"/approvals/{position}")
    verify_document(activated, body, keys)
    newest = newest_version(site.endpoints, read.kind, approver_keys_file=keys_file)
    if int(json.loads(body)["version"]) <= newest:
        raise Refused("document_version_not_above", f"{newest} was published: raise it", field="/version")
    if newest and read.active_from < SystemClock().now() - TOLERANCE:
        raise Refused("active_from_past")
    asyncio.run(publish_documents(admin_access(site.endpoints), [(activated, body)]))
    keep_published(site.state, read.kind, body, active_from=activated.active_from)
    return activated


def fetch(site: Site) -> list[DocumentActivated]:
    """Keep, in the state directory, what was published and approved; what was found, the oldest first. Blocks.

    Read with the password of `admin`, or of the first instance whose the site knows. Raises `Unavailable`.
    """
    principals = site.endpoints.kafka.principals
    principal = ADMIN if ADMIN in principals or not principals else principals[0]
    keys_file = Installation(site.state).approver_keys_file
    found = published_documents(site.endpoints, principal, approver_keys_file=keys_file)
    found.sort(key=lambda each: int(json.loads(each[1])["version"]))
    for activated, body in found:
        keep_published(site.state, activated.kind, body, active_from=activated.active_from)
    return [activated for activated, _ in found]


def changes(before: JsonValue, after: JsonValue, at: str = "") -> Iterator[tuple[str, str]]:
    """Each place that differs, as a JSON pointer, with what became of it; members of lists are known by their ids."""
    one, other = _members(before), _members(after)
    if one is None or other is None:
        if before != after:
            yield at or "/", "changed"
        return
    for name in sorted(one.keys() | other.keys()):
        place = f"{at}/{name}"
        if name not in one or name not in other:
            yield place, "added" if name in other else "gone"
        else:
            yield from changes(one[name], other[name], place)


def _members(value: JsonValue) -> dict[str, JsonValue] | None:
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return {_name(each, number): each for number, each in enumerate(value)}
    return None


def _name(member: JsonValue, number: int) -> str:
    named = member.get("id", member.get("key_id")) if isinstance(member, dict) else None
    return named if isinstance(named, str) else str(number)


def _checked(kind: str, body: bytes) -> Directory | Policy:
    if kind not in ("directory", "policy"):
        raise Refused("draft_malformed", "directory or policy", field="/kind", status=400)
    return check_directory(body) if kind == "directory" else check_policy(body)


def _issued(body: bytes, on: date) -> bytes:
    """A document issued on that day, before anybody judges it: what was reviewed since its own day is no objection."""
    try:
        stated = json.loads(body)
    except ValueError:
        return body  # the desk says what it is
    if not isinstance(stated, dict):
        return body
    days = {"issued_on": on.isoformat(), "valid_until": valid_until(on).isoformat()}
    return json.dumps(stated | days).encode()


def _approval(file: Path) -> Approval:
    try:
        return Approval.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        raise Refused("approval_malformed", "as `causeway document sign` writes it", status=400) from None


def _activated(read: Draft, approvals: Sequence[Approval]) -> DocumentActivated:
    ordered = tuple(sorted(approvals, key=lambda each: each.approver))
    try:
        return DocumentActivated(kind=read.kind, digest=read.digest, active_from=read.active_from, approvals=ordered)
    except ValidationError:
        raise Refused("approvers_too_few", "one approval of each of two approvers", status=400) from None
