"""What a party asks and says of preservations, over its access to its service: agencies ask, providers answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from pydantic import JsonValue

from client.api import CausewayClient
from client.calls import PAGE_MAX
from client.views import Page, View
from shared.contracts.base import Contract, Instant
from shared.contracts.preserving import PreservationRecord, PreservationTerms
from shared.exchange.act import Subject
from shared.exchange.states import row

_PATH: Final = "/v1/preservations"


class PreservationView(View):
    """One preservation; `record`, `timeline` and `matches` are there only when it was asked for by id."""

    preservation_id: UUID
    counterpart: str
    state: str
    kind: str
    instrument: str
    asked_at: Instant
    code: str | None = None
    record: dict[str, JsonValue] | None = None
    timeline: tuple[dict[str, JsonValue], ...] = ()
    matches: tuple[dict[str, JsonValue], ...] = ()


class PreservationState(View):
    """Where an act has led; `warnings` are for whoever asked to weigh."""

    preservation_id: UUID
    state: str
    warnings: tuple[str, ...] = ()


def listed(
    client: CausewayClient, *, state: str | None = None, limit: int = PAGE_MAX
) -> AsyncIterator[Page[PreservationView]]:
    """The party's preservations, newest first, page by page."""
    return client.pages(_PATH, Page[PreservationView], None, limit=limit, state=state)


async def shown(client: CausewayClient, preservation_id: UUID) -> PreservationView:
    """One with what is sealed. The reading is authorised and audited."""
    return await client.read(f"{_PATH}/{preservation_id}", PreservationView)


async def exported(client: CausewayClient, preservation_id: UUID) -> bytes:
    """The whole flow as ETSI TS 103 120 XML."""
    return await client.raw(f"{_PATH}/{preservation_id}/ts103120", "application/xml")


async def ask(
    client: CausewayClient, provider: str, terms: PreservationTerms, *, record: PreservationRecord
) -> PreservationState:
    """Ask a provider to keep what it has at these locations."""
    body: dict[str, JsonValue] = {"provider": provider} | _json(terms) | _json(record)
    return await client.post(_PATH, body, None, view=PreservationState)


async def act(
    client: CausewayClient, name: str, preservation_id: UUID, *, said: Contract | None = None
) -> PreservationState:
    """Do any act by the name of its row (`shared.exchange.rows.preservations`); `said` is what the row takes."""
    route = row(Subject.PRESERVATION, name).name.replace("_", "-")
    body = {} if said is None else _json(said)
    return await client.post(f"{_PATH}/{preservation_id}:{route}", body, None, view=PreservationState)


def _json(said: Contract) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = said.model_dump(mode="json", exclude_none=True)
    return found
