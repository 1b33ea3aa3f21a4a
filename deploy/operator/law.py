"""`causeway policy` and `causeway directory`: check, assemble and publish documents; send heartbeats."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter
from cyclopts.types import ExistingFile

from client.cli.settings import zoned
from deploy.operator import documents
from deploy.operator.document_checks import check_policy, objections
from deploy.policy import SAMPLE
from deploy.site.open import site, state_directory
from deploy.site.options import OPTIONS, Listing, Options, Output, verb
from shared.core.clock import SystemClock
from shared.core.contracts.directory import DocumentActivated, read_leniently
from shared.core.contracts.policy import Policy
from shared.core.errors import Refused
from shared.core.routing.ageing import AHEAD, aged
from shared.core.routing.ageing import review as reviewed
from shared.core.routing.documents import read_policy

policy_app = App(name="policy")
directory_app = App(name="directory")
_REVIEWED: Final = (
    *("instrument", "review_by", "reviewer_role", "reading", "state", "confirmation", "valid_to", "succeeded_by"),
    *("cited_by", "reasons"),
)


@verb(policy_app)
def check(file: ExistingFile, /, *, at: datetime | None = None, options: Options = OPTIONS) -> Output:
    """List every reason against publishing a policy, and its law that needs review.

    Exit code 1 if there is one. An end or a beginning within 90 days is listed too, with exit code 0.

    Parameters
    ----------
    file
        The policy, as .json.
    at
        Another day for the check; UTC if it names no zone.
    """
    body, reasons, law = file.read_bytes(), list[tuple[str, str]](), list[tuple[str, str]]()
    try:
        check_policy(body)
        law = aged(read_policy(body).document, _day(at))
    except Refused as refused:
        found = objections(read_leniently(Policy, body)) if refused.code != "document_invalid" else ()
        reasons = [(each.code, each.field) for each in found] or [(refused.code, refused.field or "")]
    document = {
        "objections": [{"code": code, "field": field} for code, field in reasons],
        "law": [{"instrument": instrument, "reason": why} for instrument, why in law],
    }
    against = Listing(("objection", "at"), reasons) if reasons else "no objections"
    text = [against, Listing(("instrument", "needs review"), law)] if law else [against]
    return Output(document, text, well=not reasons and all(why in AHEAD for _, why in law))


@verb(policy_app)
def review(*, file: Path | None = None, at: datetime | None = None, options: Options = OPTIONS) -> Output:
    """List the instruments of the policy in force, by next review; exit code 1 if one is aged.

    A review is a new version of the policy with a later `reviewed_on`, approved by two like any other.

    Parameters
    ----------
    file
        Another policy, as .json.
    at
        Another day for the check; UTC if it names no zone.
    """
    body = file.read_bytes() if file else documents.document_in_force(state_directory(options), "policy")
    day = _day(at)
    found = reviewed(read_policy(body).document, day)
    columns = attrgetter(*_REVIEWED)
    rows = [[" ".join(value) if isinstance(value, tuple) else value for value in columns(each)] for each in found]
    document = {"on": day, "instruments": [asdict(each) for each in found]}
    table = Listing([name.replace("_", " ") for name in _REVIEWED], rows)
    return Output(document, [table], well=not any(each.reasons for each in found))


@verb(policy_app)
def sample(*, out: Path = Path("policy.json"), options: Options = OPTIONS) -> Output:
    """Write the sample policy to a file, as a start. Real instruments, sample wording: no legal advice.

    Parameters
    ----------
    out
        File to write.
    """
    if out.exists():
        raise Refused("folder_in_use", "a file of this name exists", status=400)
    out.write_bytes(SAMPLE.read_bytes())
    return Output({"file": str(out)}, [str(out)])


@verb(policy_app, "publish")
def publish_policy(file: ExistingFile, /, *, at: datetime | None = None, options: Options = OPTIONS) -> Output:
    """Check a policy, approve it with the state directory's approver keys, and publish it.

    Parameters
    ----------
    file
        The policy, as .json.
    at
        Effective time; default now. UTC if it names no zone.
    """
    return _publish("policy", file, at, options=options)


@verb(directory_app, "publish")
def publish_directory(file: ExistingFile, /, *, at: datetime | None = None, options: Options = OPTIONS) -> Output:
    """Check a directory, approve it with the state directory's approver keys, and publish it.

    Parameters
    ----------
    file
        The directory, as .json; the one in force is directory.json of the state directory.
    at
        Effective time; default now. UTC if it names no zone.
    """
    return _publish("directory", file, at, options=options)


@verb(directory_app)
def assemble(
    parties: ExistingFile,
    /,
    *,
    out: Path = Path("directory.json"),
    at: datetime | None = None,
    options: Options = OPTIONS,
) -> Output:
    """Assemble the next directory from a list of parties and the admitted instances.

    Parameters
    ----------
    parties
        The parties, as a list in .json, each in the directory's form.
    out
        File to write, for `document draft directory` and `topics apply --directory`.
    at
        Its day of issue; default today.
    """
    out.write_bytes(documents.assembled(site(options), parties.read_bytes(), issued_on=_day(at)))
    return Output({"file": str(out)}, [str(out)])


@verb(directory_app)
async def beat(*, once: bool = False, options: Options = OPTIONS) -> Output:
    """Send a document heartbeat every 10 s until interrupted, signed with `beat.key` of the state directory.

    Parameters
    ----------
    once
        Send one heartbeat, and end.
    """
    await documents.send_beats(site(options), once=once)
    return Output(None)


@verb(directory_app)
def move(
    party: str,
    instance: str,
    /,
    *,
    out: Path = Path("next-directory.json"),
    publish: Annotated[bool, Parameter(negative="")] = False,
    at: datetime | None = None,
    options: Options = OPTIONS,
) -> Output:
    """Write the next directory, in which another instance serves a party, for `directory publish`.

    The party moves when that directory takes effect. Its API keys do not move: run `causeway key issue` afterwards.

    Parameters
    ----------
    party
        The party, of the instance's kind.
    instance
        The new instance.
    out
        File to write.
    publish
        Approve it with the approvers' keys of the state directory, and publish it, as `directory publish` does.
    at
        With --publish: effective time; default now. UTC if it names no zone.
    """
    if at is not None and not publish:
        raise Refused("time_without_publishing", "--at needs --publish", status=400)
    out.write_bytes(documents.moved_directory(site(options), party, instance))
    if publish:
        return _publish("directory", out, at, options=options)
    document = {"file": str(out), "party": party, "instance": instance}
    return Output(document, [f"{out}: `causeway directory publish {out}` moves {party} to {instance}"])


def show_published(activated: DocumentActivated) -> Output:
    """Return the published document's digest and effective time for printing."""
    text = f"published {activated.digest}, in force from {activated.active_from.isoformat()}"
    return Output(activated.model_dump(mode="json"), [text])


def _publish(kind: str, file: Path, at: datetime | None, *, options: Options) -> Output:
    return show_published(documents.publish_file(site(options), kind, file.read_bytes(), active_from=zoned(at)))


def _day(at: datetime | None) -> date:
    return (zoned(at) or SystemClock().now()).date()
