"""`causeway preservation …`: what agencies ask providers to keep, and what providers answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from cyclopts import App
from cyclopts.types import PositiveInt

from client.cli import output
from client.cli.settings import Options, zoned
from shared.vocabulary.preservation import (
    Impossibility,
    PreservationAnswer,
    PreservationEnd,
    PreservationKind,
    PreservationRefusal,
    PreservationWithdrawal,
)

if TYPE_CHECKING:
    from client.preservations import PreservationState

app = App(name="preservation", help="Ask providers to keep what they have, or answer what agencies ask of you.")
_OPTIONS = Options()


@app.command
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
    options: Options = _OPTIONS,
) -> int:
    """Ask a provider to keep what it has. Locations and your reference of the order reach it alone, sealed.

    Parameters
    ----------
    provider
        By its id in the directory.
    locations
        Each as KIND=VALUE, for example url=https://images.example/17; of a kind alone, url.
    instrument
        Under which instrument of the policy, for example eu_2023_1543.
    kind
        preserve, or produce: that is tracked alone, the order stays on its own channel.
    term
        For how long, by class: eu_60d, us_1y, ca_21d, ca_1y; or say --until, and not both.
    until
        Until which day.
    order_reference
        Your own.
    """
    async with output.service(options) as client:
        from client.preservations import ask as asked
        from shared.contracts.preserving import PreservationRecord, PreservationTerms

        ordered = {"kind": kind, "instrument": instrument, "term": term, "until": until}
        terms = PreservationTerms.model_validate(ordered)
        record = PreservationRecord.model_validate(
            {"locations": [_location(each) for each in locations], "order_reference": order_reference}
        )
        _moved(await asked(client, provider, terms, record=record), options)
        return output.DONE


@app.command
async def extend(preservation_id: UUID, /, *, until: date, options: Options = _OPTIONS) -> int:
    """Ask that it be kept longer, until a day: once."""
    return await _act("extend", preservation_id, options, said={"until": until})


@app.command
async def withdraw(preservation_id: UUID, /, *, reason: PreservationWithdrawal, options: Options = _OPTIONS) -> int:
    """Take a request back. It stays open until the provider confirms that."""
    return await _act("withdraw", preservation_id, options, said={"reason": reason})


@app.command
async def answer(
    preservation_id: UUID,
    said: PreservationAnswer,
    /,
    *,
    until: date | None = None,
    reason: PreservationRefusal | None = None,
    impossible: Impossibility | None = None,
    removed_at: datetime | None = None,
    options: Options = _OPTIONS,
) -> int:
    """Answer what an agency asks: preserved, refused, not_possible or too_late; then extended or extension_refused.

    Parameters
    ----------
    until
        Goes with preserved: until which day it is kept.
    reason
        Goes with refused and extension_refused.
    impossible
        Goes with not_possible.
    removed_at
        Goes with too_late: when it was removed. UTC if it names no zone.
    """
    if said in (PreservationAnswer.EXTENDED, PreservationAnswer.EXTENSION_REFUSED):
        return await _act("answer_extension", preservation_id, options, said={"answer": said, "reason": reason})
    words: dict[str, object] = {"answer": said, "until": until, "reason": reason, "impossible": impossible}
    return await _act("answer", preservation_id, options, said=words | {"removed_at": zoned(removed_at)})


@app.command
async def correct(
    preservation_id: UUID,
    said: PreservationAnswer,
    /,
    *,
    until: date | None = None,
    reason: PreservationRefusal | None = None,
    impossible: Impossibility | None = None,
    removed_at: datetime | None = None,
    options: Options = _OPTIONS,
) -> int:
    """Say that your answer was a mistake, and what is right: preserved, refused, not_possible or too_late.

    What you said before stays on the timeline of both. Where more time was asked for, or the request was taken back,
    nothing is corrected: say `end --reason answered_in_error`, or acknowledge.

    Parameters
    ----------
    until
        Goes with preserved: until which day it is kept.
    reason
        Goes with refused.
    impossible
        Goes with not_possible.
    removed_at
        Goes with too_late: when it was removed. UTC if it names no zone.
    """
    words: dict[str, object] = {"answer": said, "until": until, "reason": reason, "impossible": impossible}
    return await _act("correct", preservation_id, options, said=words | {"removed_at": zoned(removed_at)})


@app.command
async def end(preservation_id: UUID, /, *, reason: PreservationEnd, options: Options = _OPTIONS) -> int:
    """Say that nothing is kept any more, and why."""
    return await _act("end", preservation_id, options, said={"reason": reason})


@app.command
async def acknowledge_withdrawal(preservation_id: UUID, /, *, options: Options = _OPTIONS) -> int:
    """Confirm that you have stopped keeping what the agency no longer wants kept."""
    return await _act("acknowledge_withdrawal", preservation_id, options, said=None)


@app.command(name="list")
async def listing(*, state: str | None = None, limit: PositiveInt = 20, options: Options = _OPTIONS) -> int:
    """List preservations, the newest first.

    Parameters
    ----------
    state
        Only those in this state, for example requested.
    limit
        How many at most.
    """
    async with output.service(options) as client:
        from client.preservations import listed

        found = await output.first(listed(client, state=state, limit=min(limit, output.PAGE_MAX)), limit)
        if options.json:
            output.document({"items": [each.model_dump(mode="json") for each in found]})
        else:
            rows = [(each.preservation_id, each.state, each.kind, each.counterpart) for each in found]
            output.table(("preservation", "state", "kind", "with"), rows)
        return output.DONE


@app.command
async def show(preservation_id: UUID, /, *, options: Options = _OPTIONS) -> int:
    """Show one with its locations, each act, and which of your notices lie there. The reading is audited."""
    async with output.service(options) as client:
        from client.preservations import shown

        output.document((await shown(client, preservation_id)).model_dump(mode="json"))
        return output.DONE


@app.command
async def export(preservation_id: UUID, /, *, out: Path, options: Options = _OPTIONS) -> int:
    """Write the whole flow as ETSI TS 103 120 XML (a mapping: docs/preservation.md says what is lost).

    Parameters
    ----------
    out
        File to write, readable by you alone: it has the locations in the clear.
    """
    async with output.service(options) as client:
        from client.preservations import exported

        found = await exported(client, preservation_id)
        output.kept(out, found)
        return output.DONE


async def _act(name: str, preservation_id: UUID, options: Options, *, said: dict[str, object] | None) -> int:
    async with output.service(options) as client:
        from client.preservations import act
        from shared.exchange.act import Subject
        from shared.exchange.states import row

        takes = row(Subject.PRESERVATION, name).takes
        words = None if said is None or takes is None else takes.model_validate(said)
        _moved(await act(client, name, preservation_id, said=words), options)
        return output.DONE


def _location(text: str) -> dict[str, str]:
    kind, named, value = text.partition("=")
    return {"kind": kind, "value": value} if named else {"kind": "url", "value": text}


def _moved(state: PreservationState, options: Options) -> None:
    if options.json:
        output.document(state.model_dump(mode="json"))
    else:
        output.line(f"{state.preservation_id}: {state.state}")
        for warning in state.warnings:
            output.line(f"warning: {warning}")
