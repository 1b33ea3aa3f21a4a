"""`causeway referral amend`, `reroute`, `transfer`: what an origin does with a referral after it was filed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from cyclopts.types import ExistingFile, PositiveInt

from client.cli import output
from client.cli.settings import Options
from shared.vocabulary.transfers import TransferReason

if TYPE_CHECKING:
    from client.changes import AmendedView

_OPTIONS = Options()


async def amend(
    referral_id: UUID, file: ExistingFile, /, *, revision: PositiveInt | None = None, options: Options = _OPTIONS
) -> int:
    """Have the one referral in a file stand in the place of what you have filed. Only whom it concerns is told.

    Parameters
    ----------
    file
        A .json file with the whole referral as it is to be, under its own reference.
    revision
        The revision that it follows, as `causeway referral show` has it; the one that stands, if none is said.
    """
    async with output.service(options) as client:
        from client.cli.rows import RowFile
        from shared.kernel.errors import Refused

        rows = [*RowFile(file).rows()]
        if len(rows) != 1:
            raise Refused("one_referral_expected", "a referral is amended by one", status=400)
        error = rows[0].error
        if error is not None:
            raise Refused(error.code, error.rule or "", field=error.field)
        follows = revision or (await client.show(referral_id)).revision
        _print(await client.amend(referral_id, rows[0].referral or {}, revision=follows), options)
        return output.DONE


async def reroute(
    referral_id: UUID, notice_id: UUID, /, *, provider: str | None = None, options: Options = _OPTIONS
) -> int:
    """Send what a provider does not host to the one that does. Neither learns of the other.

    Parameters
    ----------
    notice_id
        The notice that was answered so, as `causeway attention` or `causeway referral show` has it.
    provider
        Who hosts it; whom the answer has suggested, if nobody is said.
    """
    async with output.service(options) as client:
        _print(await client.reroute(referral_id, notice_id, provider=provider), options)
        return output.DONE


async def transfer(
    referral_id: UUID, /, *, reason: TransferReason, to: str | None = None, options: Options = _OPTIONS
) -> int:
    """Let another hotline claim a referral that you cannot keep. It is yours until one has claimed it.

    Parameters
    ----------
    reason
        Why you do not keep it.
    to
        The one hotline that may claim it, of those that have it; if nobody is said, whoever has it by an orphan's
        mandate.
    """
    async with output.service(options) as client:
        from shared.contracts.transfers import Transferring

        said = await client.transfer(referral_id, Transferring(to=to, reason=reason))
        if options.json:
            output.document(said.model_dump(mode="json"))
        else:
            output.line(f"{said.referral_id}: {said.state}, to be claimed by {' or '.join(said.offered)}")
        return output.DONE


def _print(amended: AmendedView, options: Options) -> None:
    if options.json:
        output.document(amended.model_dump(mode="json"))
        return
    output.line(f"{amended.referral_id}: revision {amended.revision}, {amended.state}")
    told = (("told anew", amended.replaced), ("told", amended.added), ("taken back from", amended.taken_back))
    output.table(("", "who"), [(what, " ".join(parties)) for what, parties in told if parties])
