"""Commands without a row in `verbs.json`: `hold place`, `override`, `preservation ask`, `answer-many`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cyclopts.types import ExistingFile

from client.cli import output
from client.cli.settings import ClientOptions
from shared.core.clock import parse_rfc3339
from shared.core.errors import Refused
from shared.core.vocabulary.preservation import HoldBasis, HoldScope, OverrideBasis, PreservationKind

if TYPE_CHECKING:
    from client.api import CausewayClient
    from client.cli.answer_file import AnswerFile, FileResult
    from client.views import SubjectState
    from shared.core.contracts.holds import HoldRequest

_OPTIONS = ClientOptions()


async def place(
    referral_id: UUID,
    /,
    *,
    scope: HoldScope,
    basis: HoldBasis,
    until: str,
    alike: bool = False,
    options: ClientOptions = _OPTIONS,
) -> int:
    """Ask the origin of a case not to issue its notices yet.

    `causeway hold list` shows the origin's answer.

    Parameters
    ----------
    scope
        The effect that must not happen yet.
    basis
        The reason.
    until
        The latest end (RFC 3339, as 2026-05-11T12:00:00Z); it can be extended.
    alike
        Also hold your other open cases at the same location, from any origin, in one act. Opens the case's record.
    """
    async with output.service(options) as client:
        from shared.core.contracts.holds import HoldRequest

        try:
            said = HoldRequest(scope=scope, basis=basis, not_after=parse_rfc3339(until))
        except ValueError:
            raise Refused("instant_form", "use an RFC 3339 time with an offset", field="--until", status=400) from None
        if alike:
            return await _place_all(client, referral_id, said, options=options)
        _print(await client.act_on_case("place_hold", referral_id, said), options)
        return output.DONE


async def override(
    referral_id: UUID,
    hold: UUID,
    /,
    *,
    basis: OverrideBasis | None = None,
    confirm: bool = False,
    options: ClientOptions = _OPTIONS,
) -> int:
    """Propose the end of a hold on your referral, or confirm another person's proposal.

    Parameters
    ----------
    hold
        Its id, as `causeway referral show` prints it.
    basis
        The reason that overrides it.
    confirm
        Confirm, as a second person; without a basis.
    """
    async with output.service(options) as client:
        from shared.core.contracts.holds import HoldOverride, OverrideApproval

        if confirm == (basis is not None):
            raise Refused("override_unclear", "give either --basis or --confirm", status=400)
        said = HoldOverride(hold=hold, basis=basis) if basis is not None else OverrideApproval(hold=hold)
        _print(await client.override(referral_id, said), options)
        return output.DONE


async def _place_all(client: CausewayClient, referral_id: UUID, said: HoldRequest, *, options: ClientOptions) -> int:
    """Hold a case and the cases at its location without a hold; each origin is asked, and each may refuse."""
    from shared.core.acts.act import Subject

    others = [each.referral_id for each in (await client.inbox_item(referral_id)).alike if not each.held]
    body = {"act": "place_hold", **said.model_dump(mode="json")}
    lines = [{"referral_id": str(each), **body} for each in (referral_id, *others)]
    results = await client.answer_many(Subject.CASE, lines)
    if options.json:
        output.document([each.model_dump(mode="json", exclude_none=True) for each in results])
    else:
        states = [each.state if each.problem is None else each.problem.code for each in results]
        output.table(("referral", "state"), [*zip((referral_id, *others), states, strict=True)])
    return output.DONE if all(each.problem is None for each in results) else output.FAILED


def _print(state: SubjectState, options: ClientOptions) -> None:
    from client.cli.shown import show_state

    show_state(state.model_dump(mode="json"), options)


async def ask(
    provider: str,
    locations: Sequence[str],
    /,
    *,
    instrument: str,
    kind: PreservationKind = PreservationKind.PRESERVE,
    term: str | None = None,
    until: date | None = None,
    order_reference: str | None = None,
    options: ClientOptions = _OPTIONS,
) -> int:
    """Ask a provider to preserve data. Locations and your reference of the order reach it alone, sealed.

    Parameters
    ----------
    provider
        Its id in the directory.
    locations
        Each as KIND=VALUE, for example url=https://images.example/17; the default kind is url.
    instrument
        The instrument of the policy, for example eu_2023_1543.
    kind
        preserve, or produce: that is only tracked, and the order uses its own channel.
    term
        The term by class: eu_60d, us_1y, ca_21d, ca_1y; give this or --until.
    until
        The last day.
    order_reference
        Your own reference.
    """
    async with output.service(options) as client:
        from client.cli.shown import show_state
        from shared.core.contracts.preservation_api import PreservationRecord, PreservationTerms

        ordered = {"kind": kind, "instrument": instrument, "term": term, "until": until}
        terms = PreservationTerms.model_validate(ordered)
        record = PreservationRecord.model_validate(
            {"locations": [_location(each) for each in locations], "order_reference": order_reference}
        )
        parts = [each.model_dump(mode="json", exclude_none=True) for each in (terms, record)]
        body = {"provider": provider} | parts[0] | parts[1]
        show_state(await client.call("POST", "/v1/preservations", body=body), options)
        return output.DONE


def _location(text: str) -> dict[str, str]:
    kind, named, value = text.partition("=")
    return {"kind": kind, "value": value} if named else {"kind": "url", "value": text}


_SHOWN_MAX: Final = 20


def _verb_of(subject: str) -> object:
    """Return the command for one kind of subject."""

    async def answer_many(file: ExistingFile, /, *, options: ClientOptions = _OPTIONS) -> int:
        """Send a table of answers. A refused line stops no other; a repeated command does nothing twice.

        The reasons of refused lines are in FILE.errors.csv, the lines themselves in FILE.refused.csv: correct them
        there, and send that file.

        Parameters
        ----------
        file
            Answers as .csv: docs/bulk.md has the columns.
        """
        async with output.service(options) as client:
            from client.cli.answer_file import AnswerFile, answer_file
            from client.cli.import_file import progress
            from shared.core.acts.act import Subject

            answers = AnswerFile(file, Subject(subject))
            again = "a repeated command does nothing twice"
            with output.exit_on_interrupt(again), progress("answered", answers.lines) as on_progress:
                ended = await answer_file(answers, client, on_progress=on_progress)
            _print_answered(answers, ended, options)
            return output.DONE if ended.stopped is None and not ended.errors else output.FAILED

    return answer_many


notice, offer, case = map(_verb_of, ("notice", "offer", "case"))


def _print_answered(file: AnswerFile, ended: FileResult, options: ClientOptions) -> None:
    report, refused = file.keep_errors(ended.errors), file.keep_refused(ended.refused)
    taken = None if ended.stopped else ended.lines - len(ended.refused)
    if options.json:
        document: dict[str, object] = {"lines": ended.lines, "taken": taken, "refused": len(ended.refused)}
        document |= {"errors": [error._asdict() for error in ended.errors], "report": report, "refused_lines": refused}
        output.document(document | ({} if ended.stopped is None else {"stopped": ended.stopped.code}))
        return
    if ended.stopped is not None:
        output.print_error(ended.stopped, as_json=False)
        output.line("sent lines are done: repeat the command to continue; it does nothing twice")
        return
    output.line(f"{ended.lines} lines: {taken} accepted, {len(ended.refused)} refused")
    if ended.errors:
        shown = ended.errors[:_SHOWN_MAX]
        output.table(("line", "column", "code", "rule", "remedy"), shown)
        output.line(f"reasons: {report}; the lines themselves: {refused}")
