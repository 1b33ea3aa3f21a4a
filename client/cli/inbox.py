"""`causeway inbox …`: what a party was sent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from cyclopts import App
from cyclopts.types import PositiveInt

from client.cli import output
from client.cli.filters import Filters
from client.cli.keeping import Kept
from client.cli.settings import Options

if TYPE_CHECKING:
    from client.views import Deadlines, InboxItem, NoticeView

app = App(name="inbox", help="Referrals offered to you and notices issued to you.")
_OPTIONS = Options()
_ERASED = Kept()
_ALL = Filters()
#: What names a party, in what is opened.
_PARTIES = frozenset({"agency", "by", "notifier", "origin", "party", "recipient", "suggested"})
#: The scheme of a web address, the colon of any other scheme, and the dots of names.
_BREAKABLE = re.compile(r"(?P<web>\bhttp)(?=s?://)|(?<=[a-z0-9]):(?=//|\?xt=)|(?<=[a-z0-9])\.(?=[a-z])", re.IGNORECASE)


@app.default
async def referrals(
    *,
    state: str | None = None,
    filters: Filters = _ALL,
    limit: PositiveInt = 50,
    options: Options = _OPTIONS,
) -> int:
    """List the referrals offered to you, without what they are about: open ones with a child at risk, then the newest.

    Parameters
    ----------
    state
        Only those in this state: offered, accepted, declined, in_part, ongoing, closed, referred, claimable, claimed,
        transferred, gone, withdrawn, withdrawal_acknowledged (see fate: erased or kept) or record_erased.
    limit
        At most so many.
    """
    async with output.service(options) as client:
        page = client.inbox(**filters.sought(state), limit=min(limit, output.PAGE_MAX))
        found = await output.first(page, limit)
        if options.json:
            output.document({"items": [item.model_dump(mode="json") for item in found]})
        else:
            columns = ("referral_id", "pri", "origin", "purpose", "state", "received_at")
            output.table(columns, [_row(item) for item in found])
        return output.DONE


@app.command
async def notices(
    *,
    state: str | None = None,
    filters: Filters = _ALL,
    limit: PositiveInt = 50,
    options: Options = _OPTIONS,
) -> int:
    """List the notices issued to you, without what they are about: open ones with a child at risk, then the newest.

    Parameters
    ----------
    state
        Only those in this state: issued, acknowledged, in_part, actioned, rejected, not_ours, reappeared,
        withdrawn, withdrawal_acknowledged (see fate: erased or kept) or record_erased.
    limit
        At most so many.
    """
    async with output.service(options) as client:
        page = client.notices(**filters.sought(state), limit=min(limit, output.PAGE_MAX))
        found = await output.first(page, limit)
        if options.json:
            output.document({"items": [item.model_dump(mode="json") for item in found]})
        else:
            columns = ("notice_id", "pri", "notifier", "purpose", "state", "exercise", "received_at", "deadlines")
            output.table(columns, [_notice_row(item) for item in found])
        return output.DONE


@app.command
async def show(referral_id: UUID, /, *, options: Options = _OPTIONS) -> int:
    """Open one referral offered to you. The reading is audited. As text, addresses are broken so that none opens."""
    async with output.service(options) as client:
        _print_opened(await client.inbox_item(referral_id), options)
        return output.DONE


@app.command
async def notice(notice_id: UUID, /, *, options: Options = _OPTIONS) -> int:
    """Open one notice issued to you. The reading is audited. As text, addresses are broken so that none opens."""
    async with output.service(options) as client:
        _print_opened(await client.notice(notice_id), options)
        return output.DONE


@app.command
async def evidence(referral_id: UUID, /, *, out: Path, options: Options = _OPTIONS) -> int:
    """Write what proves that the referral was offered to you: `causeway verify evidence` checks it offline.

    Parameters
    ----------
    out
        File to write, readable by you alone. It holds no record in the clear.
    """
    async with output.service(options) as client:
        output.written(out, await client.inbox_evidence(referral_id))
        return output.DONE


@app.command
async def acknowledge_withdrawal(referral_id: UUID, /, *, kept: Kept = _ERASED, options: Options = _OPTIONS) -> int:
    """Say that you have stopped acting on a referral that was withdrawn. Its record is erased unless it is kept."""
    async with output.service(options) as client:
        output.moved(await client.acknowledge_withdrawal(referral_id, kept.keeping()), options)
        return output.DONE


def _row(item: InboxItem) -> tuple[object, ...]:
    who = item.referral_id, output.priority(item.priority), item.origin
    return (*who, item.purpose, item.state, output.minute(item.received_at))


def _notice_row(item: NoticeView) -> tuple[object, ...]:
    named = (item.notice_id, output.priority(item.priority), item.notifier, item.purpose, item.state, item.exercise)
    return (*named, output.minute(item.received_at), _deadlines(item.deadlines))


def _deadlines(deadlines: Deadlines) -> str:
    """The deadlines that a notice names; their hours count from its issue."""
    hours = {"acknowledge": deadlines.acknowledge_h, "act": deadlines.act_h}
    return ", ".join(f"{verb} within {value} h" for verb, value in hours.items() if value is not None)


def _print_opened(item: InboxItem | NoticeView, options: Options) -> None:
    shown = item.model_dump(mode="json")
    if options.json:
        output.document(shown)
        return
    output.line(json.dumps(_broken(shown), indent=2))


def _broken(value: object, name: str = "") -> object:
    """Every text in it broken, as `defanged` does it, but ids of parties: these are copied into calls."""
    match value:
        case dict():
            return {key: _broken(inner, key) for key, inner in value.items()}
        case list():
            return [_broken(inner, name) for inner in value]
        case str():
            return value if name in _PARTIES else defanged(value)
        case _:
            return value


def defanged(text: str) -> str:
    """`text` with every address broken: no terminal makes a link of it, and nothing copied by mistake opens."""
    return _BREAKABLE.sub(lambda found: "hxxp" if found["web"] else f"[{found[0]}]", text)
