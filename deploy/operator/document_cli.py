"""`causeway document`: a directory or a policy, from the desk to each approver alone, and into force."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.types import ExistingFile

from client.cli import output
from client.cli.settings import zoned
from deploy.operator.install_cli import AsJson
from deploy.site.options import Options, ending
from shared.kernel.clock import SystemClock
from shared.kernel.errors import Unavailable

if TYPE_CHECKING:
    from deploy.operator.drafts import Draft

document_app = App(name="document")
_OPTIONS = Options()


@document_app.command
def draft(
    kind: Literal["directory", "policy"],
    file: ExistingFile,
    /,
    *,
    at: datetime | None = None,
    renew: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    as_json: AsJson = False,
) -> int:
    """Check a document and write what its approvers are to sign.

    Parameters
    ----------
    kind
        What it is.
    file
        The whole document, as .json.
    at
        When it takes effect: give the approvers time. Now if no time is given. UTC if it names no zone.
    renew
        Issue it today, valid as long as any.
    out
        File to write; KIND.draft.json if none is named.
    """
    with ending(Options(json=as_json)):
        from deploy.operator.drafts import draft as drafted

        now = SystemClock().now()
        made = drafted(kind, file.read_bytes(), active_from=zoned(at) or now, issued_on=now.date() if renew else None)
        path = out or Path(f"{kind}.draft.json")
        path.write_text(made.text(), encoding="utf-8")
        _said(made, path, as_json=as_json)
        return output.DONE


@document_app.command
def show(file: ExistingFile, /, *, against: ExistingFile | None = None, as_json: AsJson = False) -> int:
    """Say what would be signed, and each place in which it differs from another document.

    Parameters
    ----------
    file
        The draft.
    against
        The document in force, as .json: directory.json or policy.json of a state directory.
    """
    with ending(Options(json=as_json)):
        import json

        from deploy.operator.drafts import changes, read_draft

        read, _ = read_draft(file)
        found = list(changes(json.loads(against.read_bytes()), read.document)) if against else []
        if as_json:
            told = [{"at": place, "is": what} for place, what in found]
            output.document(read.model_dump(mode="json", exclude={"document"}) | {"changes": told})
        else:
            _said(read, file, as_json=False)
            output.table(("at", "is"), found) if found else None
        return output.DONE


@document_app.command
def sign(
    file: ExistingFile, /, *, key: ExistingFile, digest: str, out: Path | None = None, as_json: AsJson = False
) -> int:
    """Approve a draft, after reading it: at your own machine, with your own key.

    Parameters
    ----------
    file
        The draft.
    key
        Your key, as `causeway key make NAME approve` wrote it; its card lies beside it.
    digest
        What you sign, as `causeway document show` said it and you have compared it by voice.
    out
        File to write; beside the draft, called by it and by you, if none is named.
    """
    with ending(Options(json=as_json)):
        from deploy.operator.drafts import approve, read_draft

        read, _ = read_draft(file)
        signed = approve(read, key, digest=digest)
        path = out or file.with_name(f"{read.kind}.{signed.approver}.approval.json")
        path.write_text(signed.model_dump_json(indent=2) + "\n", encoding="utf-8")
        _said(read, path, as_json=as_json)
        return output.DONE


@document_app.command
def publish(file: ExistingFile, *approvals: ExistingFile, options: Options = _OPTIONS) -> int:
    """Publish an approved draft to every instance.

    Parameters
    ----------
    file
        The draft.
    approvals
        What the approvers have written: two, or more.
    """
    with ending(options):
        from deploy.operator.drafts import publish as published
        from deploy.site.open import site

        activated = published(site(options), file, approvals)
        if options.json:
            output.document(activated.model_dump(mode="json"))
        else:
            output.line(f"published {activated.digest}, in force from {activated.active_from.isoformat()}")
        return output.DONE


@document_app.command
def fetch(*, options: Options = _OPTIONS) -> int:
    """Read what is published, check its approvals, and keep it where the site's other verbs look."""
    with ending(options):
        from deploy.operator.drafts import fetch as fetched
        from deploy.site.open import site

        found = fetched(site(options))
        if not found:
            raise Unavailable("documents_missing", "nothing that is approved was published yet")
        if options.json:
            output.document({"documents": [each.model_dump(mode="json") for each in found]})
        else:
            rows = [(each.digest, each.kind, each.active_from) for each in found]
            output.table(("digest", "kind", "in force from"), rows)
        return output.DONE


def _said(read: Draft, path: Path, *, as_json: bool) -> None:
    signed = read.model_dump(mode="json", exclude={"document"})
    document = read.document
    if as_json:
        output.document({"file": str(path)} | signed)
        return
    until = f"version {document['version']}, valid until {document['valid_until']}"
    output.line(f"{path}: {read.kind}, {until}, in force from {signed['active_from']}")
    output.line(f"digest {read.digest}: compare it by voice")
