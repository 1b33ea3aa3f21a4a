"""`causeway policy check | review | sample` and `causeway directory assemble | beat`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts.types import ExistingFile

from client.cli import output
from client.cli.settings import zoned
from deploy.site.options import Options, ending
from shared.kernel.clock import SystemClock
from shared.kernel.errors import Refused

if TYPE_CHECKING:
    from shared.routing.ageing import Review

_OPTIONS = Options()


def check(file: ExistingFile, /, *, at: datetime | None = None, options: Options = _OPTIONS) -> int:
    """List every reason against publishing a policy, and its law that needs review; exit code 1 if there is one.

    An end or a beginning within 90 days is listed too, with exit code 0.

    Parameters
    ----------
    file
        The policy, as .json.
    at
        As of another day; UTC if it names no zone.
    """
    with ending(options):
        from deploy.operator.desk import check_policy, objections
        from shared.contracts.documents import read_leniently
        from shared.contracts.policy import Policy
        from shared.routing.ageing import AHEAD, aged
        from shared.routing.shelf import read_policy

        body = file.read_bytes()
        try:
            check_policy(body)
        except Refused as refused:
            found = list(objections(read_leniently(Policy, body))) if refused.code != "document_invalid" else []
            reasons = [(each.code, each.field) for each in found] or [(refused.code, refused.field or "")]
            law = []
        else:
            reasons = []
            law = aged(read_policy(body).document, (zoned(at) or SystemClock().now()).date())
        if options.json:
            stated = [{"code": code, "field": field} for code, field in reasons]
            output.document({"objections": stated, "law": [{"instrument": i, "reason": why} for i, why in law]})
        else:
            output.table(("objection", "at"), reasons) if reasons else output.line("nothing stands against it")
            if law:
                output.table(("instrument", "needs review"), law)
        late = any(why not in AHEAD for _, why in law)
        return output.FAILED if reasons or late else output.DONE


def review(*, file: Path | None = None, at: datetime | None = None, options: Options = _OPTIONS) -> int:
    """List the instruments of the policy in force, the next to be reviewed first; exit code 1 if one is aged.

    A review is a new version of the policy with a later `reviewed_on`: two approve it like any other.

    Parameters
    ----------
    file
        Another policy, as .json.
    at
        As of another day; UTC if it names no zone.
    """
    with ending(options):
        from deploy.operator.documents import document_in_force
        from deploy.site.open import state_directory
        from shared.routing.ageing import review as reviewed
        from shared.routing.shelf import read_policy

        body = file.read_bytes() if file else document_in_force(state_directory(options), "policy")
        day = (zoned(at) or SystemClock().now()).date()
        found = reviewed(read_policy(body).document, day)
        if options.json:
            output.document({"on": day.isoformat(), "instruments": [_as_json(each) for each in found]})
        else:
            columns = (
                "instrument",
                "review by",
                "last by",
                "reading",
                "state",
                "confirmation",
                "before",
                "successor",
                "cited by",
                "",
            )
            output.table(columns, [_row(each) for each in found])
        return output.FAILED if any(each.reasons for each in found) else output.DONE


def sample(*, out: Path = Path("policy.json"), options: Options = _OPTIONS) -> int:
    """Write the sample policy to a file, to begin from. Real instruments, sample wording: no legal advice.

    Parameters
    ----------
    out
        File to write.
    """
    with ending(options):
        from deploy.policy import SAMPLE

        if out.exists():
            raise Refused("folder_in_use", "a file of this name is there", status=400)
        out.write_bytes(SAMPLE.read_bytes())
        output.document({"file": str(out)}) if options.json else output.line(str(out))
        return output.DONE


def assemble(
    parties: ExistingFile,
    /,
    *,
    out: Path = Path("directory.json"),
    at: datetime | None = None,
    options: Options = _OPTIONS,
) -> int:
    """Put the next directory together, of a list of parties and of the instances that were admitted.

    Parameters
    ----------
    parties
        The parties, as a list in .json, each as a directory has it.
    out
        File to write, for `document draft directory` and `topics apply --directory`.
    at
        The day on which it is issued; today if none is given.
    """
    with ending(options):
        from deploy.operator.assembling import next_directory
        from deploy.site.open import site

        day = (zoned(at) or SystemClock().now()).date()
        body = next_directory(site(options), parties.read_bytes(), issued_on=day)
        out.write_bytes(body)
        output.document({"file": str(out)}) if options.json else output.line(str(out))
        return output.DONE


def beat(*, once: bool = False, options: Options = _OPTIONS) -> int:
    """Say every 10 s which documents are newest, until interrupted, with `beat.key` of the state directory.

    Parameters
    ----------
    once
        Say it once, and end.
    """
    with ending(options):
        from deploy.operator.documents import send_beats
        from deploy.site.open import site

        send_beats(site(options), count=1 if once else None)
        return output.DONE


def _as_json(each: Review) -> dict[str, object]:
    return {
        "instrument": each.instrument,
        "title": each.title,
        "review_by": each.review_by.isoformat(),
        "reviewed_on": each.reviewed_on.isoformat(),
        "reviewer_role": each.reviewer_role,
        "reading": each.reading,
        "state": each.state,
        "confirmation": each.confirmation,
        "source": each.source,
        "valid_to": each.valid_to.isoformat() if each.valid_to else None,
        "succeeded_by": each.succeeded_by,
        "cited_by": list(each.cited_by),
        "live": list(each.live),
        "reasons": list(each.reasons),
    }


def _row(each: Review) -> tuple[str, ...]:
    return (
        each.instrument,
        each.review_by.isoformat(),
        each.reviewer_role,
        each.reading,
        each.state,
        each.confirmation,
        each.valid_to.isoformat() if each.valid_to else "",
        each.succeeded_by or "",
        " ".join(each.cited_by),
        " ".join(each.reasons),
    )
