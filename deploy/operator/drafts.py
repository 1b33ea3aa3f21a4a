"""`causeway document`: approval of a directory or a policy by two approvers in different places.

    draft ──▶ each approver alone: reads it, signs ──▶ approval ─┐
      └──────────────────────────────────────────────────────────┴─▶ publish

A draft states its signed values: kind, digest and effective time. Each program that reads a draft computes the digest
again from the document in it, so a person signs exactly the document that they read. A person who carries a draft can
withhold it, and nothing else.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.types import ExistingFile
from pydantic import JsonValue, ValidationError

from client.cli.settings import zoned
from deploy.directory.approval import document_body, sign_approval, valid_until
from deploy.operator.documents import (
    checked,
    keep_published,
    published_documents,
    refuse_past,
    refuse_short_hour,
    refuse_version,
)
from deploy.operator.folder import read_approver_card, read_contract
from deploy.operator.law import show_published
from deploy.site.access import access_to
from deploy.site.endpoints import ADMIN
from deploy.site.installation import Installation
from deploy.site.open import Site, site
from deploy.site.options import OPTIONS, PLAIN, Listing, Options, Output, PlainOptions, verb
from shared.core.canonical import digest as digest_of
from shared.core.clock import SystemClock
from shared.core.contracts.base import Contract, Digest, Instant, JsonObject
from shared.core.contracts.directory import Approval, DocumentActivated
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Refused, Unavailable
from shared.core.routing.documents import approval_message, verify_document
from shared.instance.settings import read_key_file
from shared.platform.kafka.documents import publish_documents, read_approver_keys

document_app = App(name="document")


class DocumentDraft(Contract):
    """A document to be signed, and its signed values."""

    kind: Literal["directory", "policy"]
    digest: Digest
    active_from: Instant
    document: JsonObject

    def printed(self, path: Path) -> Output:
        """Return the text that a person compares by voice."""
        signed = self.model_dump(mode="json", exclude={"document"})
        until = f"version {self.document['version']}, valid until {self.document['valid_until']}"
        text = [
            f"{path}: {self.kind}, {until}, in force from {signed['active_from']}",
            f"digest {self.digest}: compare it by voice",
        ]
        return Output({"file": str(path)} | signed, text)


@verb(document_app)
def draft(
    kind: Literal["directory", "policy"],
    file: ExistingFile,
    /,
    *,
    at: datetime | None = None,
    renew: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    options: PlainOptions = PLAIN,
) -> Output:
    """Check a document and write a draft for its approvers.

    Parameters
    ----------
    kind
        The kind of document.
    file
        The whole document, as .json.
    at
        Effective time; default now. Give the approvers time. UTC if it names no zone.
    renew
        Issue it today, with the usual validity.
    out
        File to write; default KIND.draft.json.
    """
    now, body = SystemClock().now(), file.read_bytes()
    canonical = document_body(checked(kind, _issued(body, now.date()) if renew else body))
    document = json.loads(canonical)
    made = DocumentDraft(kind=kind, digest=digest_of(canonical), active_from=zoned(at) or now, document=document)
    path = out or Path(f"{kind}.draft.json")
    path.write_text(made.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return made.printed(path)


@verb(document_app)
def show(file: ExistingFile, /, *, against: ExistingFile | None = None, options: PlainOptions = PLAIN) -> Output:
    """Show the values to be signed, and each difference from another document.

    Parameters
    ----------
    file
        The draft.
    against
        The document in force, as .json: directory.json or policy.json of a state directory.
    """
    read, _ = read_draft(file)
    found = list(changes(json.loads(against.read_bytes()), read.document)) if against else []
    listed = {"changes": [{"at": place, "is": what} for place, what in found]}
    tables = [Listing(("at", "is"), found)] if found else []
    return Output(read.model_dump(mode="json", exclude={"document"}) | listed, [*read.printed(file).text, *tables])


@verb(document_app)
def sign(
    file: ExistingFile, /, *, key: ExistingFile, digest: str, out: Path | None = None, options: PlainOptions = PLAIN
) -> Output:
    """Approve a draft after reading it, on your own machine, with your own key.

    Parameters
    ----------
    file
        The draft.
    key
        Your key, as `causeway key make NAME approve` wrote it; its card is next to it.
    digest
        The digest that you sign, as `causeway document show` printed it and you compared it by voice.
    out
        File to write; by default next to the draft, with its name and yours.
    """
    read, _ = read_draft(file)
    if read.digest != digest:
        raise Refused("draft_of_another_digest", status=400)
    signing, card = SigningKey.load(read_key_file(key)), read_approver_card(key.with_suffix(".json"))
    if card.key_id != signing.key_id:
        raise Refused("card_of_another_key", status=400)
    signed = sign_approval(card.approver, signing, approval_message(read.kind, read.digest, read.active_from))
    path = out or file.with_name(f"{read.kind}.{signed.approver}.approval.json")
    path.write_text(signed.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return read.printed(path)


@verb(document_app, "publish")
def publish_draft(file: ExistingFile, *approvals: ExistingFile, options: Options = OPTIONS) -> Output:
    """Publish an approved draft to every instance.

    Parameters
    ----------
    file
        The draft.
    approvals
        The approvers' files: two or more.
    """
    return show_published(publish(site(options), file, approvals))


@verb(document_app)
def fetch(*, options: Options = OPTIONS) -> Output:
    """Read the published documents, check their approvals, and store them for the site's other commands."""
    current_site = site(options)
    principals = current_site.endpoints.kafka.principals
    # With the password of `admin`, or of the site's first instance.
    principal = ADMIN if ADMIN in principals or not principals else principals[0]
    keys_file = Installation(current_site.state).approver_keys_file
    found = published_documents(current_site.endpoints, principal, approver_keys_file=keys_file)
    if not found:
        raise Unavailable("documents_missing", "no approved document was published yet")
    found.sort(key=lambda each: int(json.loads(each[1])["version"]))
    for activated, body in found:
        keep_published(current_site.state, activated.kind, body, active_from=activated.active_from)
    rows = [(each.digest, each.kind, each.active_from) for each, _ in found]
    document = {"documents": [each.model_dump(mode="json") for each, _ in found]}
    return Output(document, [Listing(("digest", "kind", "in force from"), rows)])


def read_draft(file: Path) -> tuple[DocumentDraft, bytes]:
    """Return a draft and the exact bytes of its document, checked again.

    Raises `Refused`: `draft_malformed`, `draft_altered` if its digest is not that of its document, and the objections
    of the checks.
    """
    read = read_contract(
        DocumentDraft, file, lambda rule, field: Refused("draft_malformed", rule, field=field, status=400)
    )
    body = document_body(checked(read.kind, json.dumps(read.document).encode()))
    if digest_of(body) != read.digest:
        raise Refused("draft_altered", status=400)
    return read, body


def publish(site: Site, file: Path, approvals: Sequence[Path]) -> DocumentActivated:
    """Publish an approved draft. Blocks.

    The first document of its kind may have a past effective time, because no decision was made before. Raises
    `Refused`: `approval_malformed`, `approvers_too_few`, `approver_unknown` for a key that was not handed over here
    (instances would ignore it), `approval_invalid`, `document_version_not_above`, `active_from_past`.
    """
    read, body = read_draft(file)
    activated = _activated(read, [_approval(each) for each in approvals])
    keys = read_approver_keys(Installation(site.state).approver_keys_file)
    for position, each in enumerate(activated.approvals):
        if each.key_id not in keys:
            raise Refused("approver_unknown", field=f"/approvals/{position}")
    verify_document(activated, body, keys)
    if refuse_version(site, read.kind, int(json.loads(body)["version"])):
        refuse_past(read.active_from)
    refuse_short_hour(site.state, read.kind, body)
    asyncio.run(publish_documents(access_to(site.endpoints.kafka), [(activated, body)]))
    keep_published(site.state, read.kind, body, active_from=activated.active_from)
    return activated


def changes(before: JsonValue, after: JsonValue, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield each difference, as a JSON pointer and its kind; list members are matched by their ids."""
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
    if isinstance(value, list):
        return {_name(each, number): each for number, each in enumerate(value)}
    return value if isinstance(value, dict) else None


def _name(member: JsonValue, number: int) -> str:
    named = member.get("id", member.get("key_id")) if isinstance(member, dict) else None
    return named if isinstance(named, str) else str(number)


def _issued(body: bytes, on: date) -> bytes:
    """Return a document issued on that day before it is checked, so later reviews in it are no objection."""
    try:
        stated = json.loads(body)
    except ValueError:
        stated = None
    if not isinstance(stated, dict):
        return body  # the checks report the fault
    days = {"issued_on": on.isoformat(), "valid_until": valid_until(on).isoformat()}
    return json.dumps(stated | days).encode()


def _approval(file: Path) -> Approval:
    try:
        return Approval.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        raise Refused("approval_malformed", "use a file of `causeway document sign`", status=400) from None


def _activated(read: DocumentDraft, approvals: Sequence[Approval]) -> DocumentActivated:
    ordered = tuple(sorted(approvals, key=lambda each: each.approver))
    try:
        return DocumentActivated(kind=read.kind, digest=read.digest, active_from=read.active_from, approvals=ordered)
    except ValidationError:
        raise Refused("approvers_too_few", "one approval of each of two approvers", status=400) from None
