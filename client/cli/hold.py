"""`causeway hold …`: an agency has an origin wait with its notices; an origin overrides that by two persons."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from cyclopts import App
from cyclopts.types import PositiveInt

from client.cli import output
from client.cli.settings import Options
from shared.contracts.holds import Confirming, HoldExtension, HoldRequest, Overriding
from shared.kernel.clock import parse_rfc3339
from shared.kernel.errors import Refused
from shared.vocabulary.holds import HoldBasis, HoldScope, OverrideBasis

if TYPE_CHECKING:
    from client.api import CausewayClient

app = App(name="hold", help="Have an origin wait with the notices of a referral, and say when it need not.")
_OPTIONS = Options()
_COLUMNS = ("hold", "referral", "origin", "scope", "state", "until")


@app.command
async def place(
    referral_id: UUID,
    /,
    *,
    scope: HoldScope,
    basis: HoldBasis,
    until: str,
    alike: bool = False,
    options: Options = _OPTIONS,
) -> int:
    """Ask the origin of a case not to issue its notices yet. What it says of that is in `causeway hold list`.

    Parameters
    ----------
    scope
        What is not to happen yet.
    basis
        Why.
    until
        The latest end (RFC 3339, as 2026-05-11T12:00:00Z); it can be extended.
    alike
        Also of your other open cases at the same place, whoever has offered them, in one act. Opens the case's record.
    """
    async with output.service(options) as client:
        said = HoldRequest(scope=scope, basis=basis, not_after=_time(until))
        if alike:
            return await _place_all(client, referral_id, said, options=options)
        output.moved(await client.act_on_case("place_hold", referral_id, said), options)
        return output.DONE


@app.command
async def extend(referral_id: UUID, /, *, basis: HoldBasis, until: str, options: Options = _OPTIONS) -> int:
    """Ask for more time.

    Parameters
    ----------
    basis
        Why it still stands.
    until
        The latest end (RFC 3339).
    """
    async with output.service(options) as client:
        said = HoldExtension(basis=basis, not_after=_time(until))
        output.moved(await client.act_on_case("extend_hold", referral_id, said), options)
        return output.DONE


@app.command
async def release(referral_id: UUID, /, *, options: Options = _OPTIONS) -> int:
    """Say that the hold of a case is needed no longer."""
    async with output.service(options) as client:
        output.moved(await client.act_on_case("release_hold", referral_id), options)
        return output.DONE


@app.command
async def no_objection(referral_id: UUID, /, *, options: Options = _OPTIONS) -> int:
    """Say that you have looked, and will not hold the notices of a case."""
    async with output.service(options) as client:
        output.moved(await client.act_on_case("no_objection", referral_id), options)
        return output.DONE


@app.command(name="list")
async def list_holds(*, state: str | None = None, limit: PositiveInt = 20, options: Options = _OPTIONS) -> int:
    """List what you have asked origins to hold, newest first: what it is now, and until when.

    Parameters
    ----------
    state
        Only those that are asked, active, too_late, released, expired, overridden or lapsed.
    limit
        How many at most.
    """
    async with output.service(options) as client:
        found = await output.first(client.holds(state=state, limit=min(limit, output.PAGE_MAX)), limit)
        if options.json:
            output.document([each.model_dump(mode="json") for each in found])
        else:
            rows = [
                (
                    each.hold,
                    each.referral_id,
                    each.origin,
                    each.scope,
                    each.state,
                    f"{each.not_after or each.asked_until:%Y-%m-%d %H:%M}",
                )
                for each in found
            ]
            output.table(_COLUMNS, rows)
        return output.DONE


@app.command
async def override(
    referral_id: UUID,
    hold: UUID,
    /,
    *,
    basis: OverrideBasis | None = None,
    confirm: bool = False,
    options: Options = _OPTIONS,
) -> int:
    """Propose that a hold of your referral should end, or confirm what another person has proposed.

    Parameters
    ----------
    hold
        Its id, as `causeway referral show` has it.
    basis
        What wins over it.
    confirm
        Confirm, as a second person; without a basis.
    """
    async with output.service(options) as client:
        if confirm == (basis is not None):
            raise Refused("override_unclear", "give either --basis or --confirm", status=400)
        said = Overriding(hold=hold, basis=basis) if basis is not None else Confirming(hold=hold)
        output.moved(await client.override(referral_id, said), options)
        return output.DONE


async def _place_all(client: CausewayClient, referral_id: UUID, said: HoldRequest, *, options: Options) -> int:
    """Hold a case and those at its place that are not held yet; each origin is asked, and each may be refused."""
    from shared.exchange.act import Subject

    others = [each.referral_id for each in (await client.inbox_item(referral_id)).alike if not each.held]
    asked = {"act": "place_hold", **said.model_dump(mode="json")}
    lines = [{"referral_id": str(each), **asked} for each in (referral_id, *others)]
    results = await client.answer_many(Subject.CASE, lines)
    if options.json:
        output.document([each.model_dump(mode="json", exclude_none=True) for each in results])
    else:
        states = [each.state if each.problem is None else each.problem.code for each in results]
        output.table(("referral", "state"), [*zip((referral_id, *others), states, strict=True)])
    return output.DONE if all(each.problem is None for each in results) else output.FAILED


def _time(text: str) -> datetime:
    try:
        return parse_rfc3339(text)
    except ValueError:
        raise Refused("instant_form", "an RFC 3339 time with its offset", field="--until", status=400) from None
