"""Common form handling of subject pages: list filters, reasons for opening a record, and single execution of acts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar
from urllib.parse import urlencode

from shared.core.acts.act import Act
from shared.core.authority import Role
from shared.core.contracts.base import Contract
from shared.core.errors import Refused, not_found
from shared.core.vocabulary.reveal import RevealReason
from shared.party.list_query import FILTERS
from shared.platform.console.forms import ONCE, PageInput, read_inputs
from shared.platform.http.acts import Act as Doing
from shared.platform.http.acts import Acts, body_hash
from shared.platform.http.edge import read_key, read_model

Said = TypeVar("Said", bound=Contract)


def filters_of(asked: PageInput) -> dict[str, object]:
    """Return the filter values for the form (`said`) and the start of the next page's query string (`keep`)."""
    said = {name: asked.query(name) or "" for name in ("state", "claimed", *FILTERS)}
    keep = urlencode({name: value for name, value in said.items() if value})
    return {"said": said, "keep": keep and f"{keep}&"}


def read_reason(asked: PageInput) -> RevealReason:
    """Return the chosen reason. Raises `Refused("reason_missing")`."""
    try:
        return RevealReason(asked.said("reason"))
    except ValueError:
        raise Refused("reason_missing", "choose what you need the record for", field="/reason") from None


def chosen_state(asked: PageInput, known: Collection[str]) -> str | None:
    """Return the state by which a list is filtered, if any. Raises `Refused("not_found")`."""
    state = asked.query("state")
    if state is not None and state not in known:
        raise not_found()
    return state


def chosen_act(asked: PageInput, acts: Mapping[str, Act]) -> Act:
    """Return the act that the form's path names. Raises `Refused("not_found")`, also if the role may not do it."""
    act = acts.get(asked.request.path_params["act"])
    if act is None or asked.identity.role not in act.roles:
        raise not_found()
    return act


def read_said(takes: type[Said] | None, asked: PageInput) -> Said | None:
    """Return the content of the form as the model that the act takes; None if it takes none."""
    return None if takes is None else read_model(takes, read_inputs(takes, asked.form))


async def done_once(
    asked: PageInput,
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
    key, wanted = read_key(f"{asked.said(ONCE)}{beside}"), body_hash(asked.path, body)
    _, answer = await acts.done(asked.identity, action, roles=roles, key=key, wanted=wanted, act=doing, status=status)
    return answer


def spelt(said: Contract | None) -> bytes:
    """Return the content of an act as canonical bytes, for comparison with a repeated request."""
    return b"" if said is None else said.spelt()
