"""`causeway hold place`, `override`: what one act does not say. The other verbs of holds are rows of `verbs.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from client.cli import output
from client.cli.settings import Options
from shared.kernel.clock import parse_rfc3339
from shared.kernel.errors import Refused
from shared.vocabulary.holds import HoldBasis, HoldScope, OverrideBasis

if TYPE_CHECKING:
    from client.api import CausewayClient
    from client.views import ReferralState
    from shared.contracts.holds import HoldRequest

_OPTIONS = Options()


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
        from shared.contracts.holds import HoldRequest

        try:
            said = HoldRequest(scope=scope, basis=basis, not_after=parse_rfc3339(until))
        except ValueError:
            raise Refused("instant_form", "an RFC 3339 time with its offset", field="--until", status=400) from None
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
        from shared.contracts.holds import Confirming, Overriding

        if confirm == (basis is not None):
            raise Refused("override_unclear", "give either --basis or --confirm", status=400)
        said = Overriding(hold=hold, basis=basis) if basis is not None else Confirming(hold=hold)
        _print(await client.override(referral_id, said), options)
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


def _print(state: ReferralState, options: Options) -> None:
    from client.cli.shown import show_state

    show_state(state.model_dump(mode="json"), options)
