"""`causeway questions`: what was asked and contested; and the verbs by which that is done and answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID

from cyclopts import App
from cyclopts.types import PositiveInt

from client.cli import output
from client.cli.settings import Options

if TYPE_CHECKING:
    from client.api import CausewayClient
    from client.views import NoticeState, ReferralState
    from shared.contracts.base import Contract

app = App(name="questions", help="What was asked and contested of you, and by you.")
_OPTIONS = Options()
Subject = Literal["offer", "case", "notice"]
_COLUMNS: Final = ("subject", "party", "number", "kind", "state", "said")


@app.default
async def questions(
    *, state: str | None = None, kind: str | None = None, limit: PositiveInt = 20, options: Options = _OPTIONS
) -> int:
    """List questions and disputes, newest first: yours, and those that you are to answer.

    Parameters
    ----------
    state
        Only those that are open, answered or lapsed.
    kind
        Only a question, or a dispute.
    limit
        How many at most.
    """
    async with output.service(options) as client:
        found = await output.first(client.questions(state=state, kind=kind, limit=min(limit, output.PAGE_MAX)), limit)
        if options.json:
            output.document([each.model_dump(mode="json") for each in found])
        else:
            rows = [(each.subject, each.party, str(each.number), each.kind, each.state, each.summary) for each in found]
            output.table(_COLUMNS, rows)
        return output.DONE


async def reply(referral_id: UUID, party: str, question: int, /, *words: str, options: Options = _OPTIONS) -> int:
    """Answer a question about your referral, once.

    Parameters
    ----------
    party
        Who has asked, and which question: `causeway questions` lists both.
    words
        as_stated, still_there, gone, amended (after `referral amend`), not_known or not_permitted. A word is said of
        every item that was asked about, unless it names one: 1=as_stated.
    """
    async with output.service(options) as client:
        from client.asking import replying

        output.moved(await client.answer_question(referral_id, replying(party, question, words)), options)
        return output.DONE


async def uphold(referral_id: UUID, party: str, dispute: int, /, *words: str, options: Options = _OPTIONS) -> int:
    """Answer a dispute about your referral: whether you stand by what you have sent.

    Parameters
    ----------
    party
        Who contests, and which dispute: `causeway questions` lists both.
    words
        upheld or conceded; of every item that is contested, unless a word names one: 1=upheld 2=conceded.
    """
    async with output.service(options) as client:
        from client.asking import deciding

        output.moved(await client.answer_question(referral_id, deciding(party, dispute, words or ("upheld",))), options)
        return output.DONE


def add_raising(group: App, subject: Subject) -> None:
    """Give a group of verbs those by which whoever was sent something asks about it, and contests it."""

    @group.command
    async def ask(subject_id: UUID, /, *needs: str, item: Sequence[int] = (), options: Options = _OPTIONS) -> int:
        """Ask whoever sent it what you need to know before you can act.

        Parameters
        ----------
        needs
            location, why_illegal, legal_basis, territorial_scope, observed_at, still_there, hosting, account, hashes,
            authenticity.
        item
            The number of one that it is about, as often as needed; without it, all.
        """
        async with output.service(options) as client:
            from client.asking import asking

            output.moved(await _act(client, subject, "ask", subject_id=subject_id, said=asking(needs, item)), options)
            return output.DONE

    @group.command
    async def dispute(subject_id: UUID, /, *words: str, basis: str | None = None, options: Options = _OPTIONS) -> int:
        """Contest what you were sent: whoever sent it says whether it stands.

        Parameters
        ----------
        words
            content_lawful, not_found, false_positive or duplicate; of every item, unless a word names one:
            1=content_lawful.
        basis
            Goes with content_lawful and not_found, always: one of the reasons in docs/answers.md.
        """
        async with output.service(options) as client:
            from client.asking import disputing

            output.moved(
                await _act(client, subject, "dispute", subject_id=subject_id, said=disputing(words, basis)), options
            )
            return output.DONE


async def _act(
    client: CausewayClient, subject: Subject, name: str, *, subject_id: UUID, said: Contract
) -> ReferralState | NoticeState:
    if subject == "notice":
        return await client.act_on_notice(name, subject_id, said)
    act = client.act_on_case if subject == "case" else client.act_on_offer
    return await act(name, subject_id, said)
