"""The live stream of events for open pages, and common form handling: reasons, and single execution of acts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, TypeVar

from starlette.responses import Response

from shared.core.acts.act import Act
from shared.core.authority import Role
from shared.core.contracts.base import Contract
from shared.core.errors import Refused, not_found
from shared.core.vocabulary.reveal import RevealReason
from shared.features.events.api import Events, EventsQuery
from shared.platform.console.forms import ONCE, PageInput, read_inputs
from shared.platform.console.frame import HEADERS, Frame
from shared.platform.http.acts import Act as Doing
from shared.platform.http.acts import Acts, body_hash
from shared.platform.http.edge import read_key, read_model
from shared.platform.http.identity import Identity

#: The longest time that a stream request is held open. Then the browser reconnects, after the stated pause.
WAIT_S: Final = 25
RETRY_MS: Final = 2000
_EVENTS_MAX: Final = 50


class LiveStream:
    """The event stream, and the event number after which a page starts to listen."""

    def __init__(self, frame: Frame, events: Events) -> None:
        self._events = events
        frame.stream("/live", self._stream)

    async def last(self, identity: Identity) -> int | None:
        """Return the number of the party's last event, which a page built now includes; None without a permit."""
        try:
            return (await self._events.page(identity, EventsQuery(limit=1))).last
        except Refused:
            return None

    async def _stream(self, request: PageInput) -> Response:
        position = request.request.headers.get("last-event-id") or request.query("after") or "0"
        after = int(position) if position.isascii() and position.isdecimal() and len(position) < 19 else 0
        try:
            found = await self._events.page(request.identity, EventsQuery(after=after, limit=_EVENTS_MAX, wait=WAIT_S))
            news = "".join(f"id: {each.number}\nevent: news\ndata: {each.subject}\n\n" for each in found.items)
        except Refused as error:
            if error.code != "feed_began_anew":
                raise
            news = "id: 0\nevent: news\ndata: all\n\n"
        headers = dict(HEADERS) | {"Cache-Control": "no-store"}
        return Response(f"retry: {RETRY_MS}\n\n{news}", media_type="text/event-stream", headers=headers)


Said = TypeVar("Said", bound=Contract)


def read_reason(request: PageInput) -> RevealReason:
    """Return the chosen reason to open a record. Raises `Refused`: `proof_too_old`, `reason_missing`."""
    request.require_recent_sign_in()
    try:
        return RevealReason(request.said("reason"))
    except ValueError:
        raise Refused("reason_missing", "choose what you need the record for", field="/reason") from None


def chosen_state(request: PageInput, known: Collection[str]) -> str | None:
    """Return the state by which a list is filtered, if any. Raises `Refused("not_found")`."""
    state = request.query("state")
    if state is not None and state not in known:
        raise not_found()
    return state


def chosen_act(request: PageInput, acts: Mapping[str, Act]) -> Act:
    """Return the act that the form's path names.

    Raises `Refused`: `not_found`, also if the role may not do it; `proof_too_old` if it needs a recent sign-in.
    """
    act = acts.get(request.request.path_params["act"])
    if act is None or request.identity.role not in act.roles:
        raise not_found()
    if act.needs_recent_sign_in:
        request.require_recent_sign_in()
    return act


def read_said(takes: type[Said] | None, request: PageInput) -> Said | None:
    """Return the content of the form as the model that the act takes; None if it takes none."""
    return None if takes is None else read_model(takes, read_inputs(takes, request.form))


async def done_once(
    request: PageInput,
    acts: Acts,
    action: str,
    *,
    doing: Doing,
    roles: Collection[Role],
    body: bytes = b"",
    beside: str = "",
    status: int = 202,
) -> bytes:
    """Do an act once for each sent form and return the stored response.

    `beside` is a suffix of the idempotency key, if one form does several acts.
    """
    key, wanted = read_key(f"{request.said(ONCE)}{beside}"), body_hash(request.path, body)
    _, answer = await acts.done(request.identity, action, roles=roles, key=key, wanted=wanted, act=doing, status=status)
    return answer


def spelt(said: Contract | None) -> bytes:
    """Return the content of an act as canonical bytes, for comparison with a repeated request."""
    return b"" if said is None else said.spelt()
