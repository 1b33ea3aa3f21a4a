"""`causeway verify …`, `webhook verify`: offline checks of stored or received data."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.types import ExistingFile

from client.cli import output
from client.cli.settings import ClientOptions, webhook_secret, zoned
from shared.core.clock import SystemClock, rfc3339
from shared.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from client.cli.rows import AuditHashes, ProofCheck
    from shared.core.contracts.evidence import Evidence

_OPTIONS = ClientOptions()
#: The exit code for proof that an instance withheld a promised statement from audit.
NOT_AT_AUDIT = 3


async def acceptance(
    file: ExistingFile,
    /,
    *,
    directory: ExistingFile,
    body: ExistingFile | None = None,
    entries: tuple[ExistingFile, ...] = (),
    purpose: str | None = None,
    at: datetime | None = None,
    options: ClientOptions = _OPTIONS,
) -> int:
    """Check signed acceptances: one, or one per line.

    Exit code 1 if one does not hold, 3 if audit does not have it.

    Parameters
    ----------
    file
        The acceptances from `causeway referral submit` or `import`: FILE.acceptances.jsonl.
    directory
        The directory document with the keys.
    body
        The posted file of referrals, or one body byte for byte: each acceptance must match one of them.
    entries
        An auditor's entries of these referrals, from `causeway flow ID --json`: do they have the decided fact?
    purpose
        Ask audit itself, as an auditor, with this purpose.
    at
        Judge dates and the merge delay at this time; default now. UTC if it names no zone.
    """
    with output.exit_on_error(options):
        from client.cli.rows import bodies_of, read_entries, verdicts
        from shared.core.routing.documents import read_directory

        known = read_directory(directory.read_bytes())
        lines = [line for line in file.read_bytes().splitlines() if line.strip()]
        if not lines:
            raise Refused("acceptance_malformed", "the file contains no acceptance")
        bodies = None if body is None else bodies_of(body)
        audited: AuditHashes | None = read_entries([each.read_bytes() for each in entries]) if entries else None
        now = zoned(at) or SystemClock().now()
        found = verdicts(lines, known, bodies=bodies, at=now)
        if purpose is not None:
            audited = await _asked(found, purpose, options)
        if audited is not None:
            found = [each.against(audited, at=now) for each in found]
        return _print_result(found, directory_digest=known.digest, options=options)


def evidence(file: ExistingFile, /, *, directory: ExistingFile, options: ClientOptions = _OPTIONS) -> int:
    """Check the output of `causeway notice evidence` or `causeway inbox evidence`.

    Exit code 1 if it does not hold.

    Parameters
    ----------
    directory
        The directory document with the keys.
    """
    with output.exit_on_error(options):
        from shared.core.evidence import check_evidence, read_evidence
        from shared.core.routing.documents import read_directory

        known = read_directory(directory.read_bytes())
        kept = read_evidence(file.read_bytes())
        for each in kept.evidence:
            check_evidence(each, known)
        if options.json:
            statements = [each.statement.model_dump(mode="json") for each in kept.evidence]
            output.document({"directory": known.digest, "holds": True, "statements": statements})
        else:
            for each in kept.evidence:
                _print_evidence(each)
        return output.DONE


async def _asked(found: Sequence[ProofCheck], purpose: str, options: ClientOptions) -> AuditHashes:
    """Return audit's answers about each referral whose acceptance holds."""
    from client.cli.rows import ask, check_world

    check_world((each.exercise for each in found), options)
    held = [each.acceptance.referral_id for each in found if each.acceptance is not None and each.code is None]
    async with output.service(options) as client:
        return await ask(client, held, purpose=purpose)


def _print_result(found: Sequence[ProofCheck], *, directory_digest: str, options: ClientOptions) -> int:
    if options.json:
        output.document({"directory": directory_digest, "acceptances": [each.as_json() for each in found]})
    else:
        columns = ("referral", "party", "instance", "accepted", "signature", "audit")
        output.table(columns, [each.row() for each in found])
    if any(each.code is not None for each in found):
        return output.FAILED
    return NOT_AT_AUDIT if any(each.broken for each in found) else output.DONE


def _print_evidence(evidence: Evidence) -> None:
    headers, statement = dict(evidence.headers), evidence.statement
    for name in ("ce_type", "ce_subject", "ce_sender", "ce_recipient", "ce_tier", "ce_time"):
        output.line(f"{name.removeprefix('ce_')}: {headers[name]}")
    output.line(f"keyid: {evidence.proof.key_id}")
    output.line(f"arrived: {rfc3339(statement.broker_time)} in {statement.topic}, as {statement.instance} states")
    output.line(f"proven: {' '.join(statement.proven)}")
    output.line(f"not proven: {' '.join(statement.not_proven)}")


async def verify(
    body: ExistingFile,
    /,
    *,
    message_id: Annotated[str, Parameter(name="--id")],
    timestamp: str,
    signature: str,
    secret: Annotated[str | None, Parameter(show_default=False)] = None,
    at: datetime | None = None,
    options: ClientOptions = _OPTIONS,
) -> int:
    """Check a received message, offline. Exit code 1 if it does not hold.

    Parameters
    ----------
    body
        The body, byte for byte.
    message_id
        The header webhook-id.
    timestamp
        The header webhook-timestamp.
    signature
        The header webhook-signature.
    secret
        The secret of the address. Without it, CAUSEWAY_WEBHOOK_SECRET, which other users of the machine cannot see.
    at
        Judge its time at this one; default now. UTC if it names no zone.
    """
    with output.exit_on_error(options):
        from shared.core.envelope.webhooks import verify_webhook

        headers = {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
        judged_at = zoned(at) or SystemClock().now()
        found = verify_webhook(webhook_secret(secret), headers, body.read_bytes(), at=judged_at)
        if options.json:
            output.document({"message_id": found, "verified": True})
        else:
            output.line(f"{found}: signed under this secret")
        return output.DONE
