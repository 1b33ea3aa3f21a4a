"""The parts of calls at agencies and at origins: rows, routes, and the effects of messages that arrive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends
from shared.features.calls.acts import CALLS, CONFIRM, PROPOSE
from shared.features.calls.contract import CallConfirmedClear, CallRef, CallTerms
from shared.features.calls.rules import CallState
from shared.features.calls.service import (
    CallPage,
    ConfirmedCall,
    ShownCall,
    confirm_call,
    heard_call,
    propose_call,
)
from starlette.responses import Response

from shared.core.acts.act import Act
from shared.core.acts.states import Event
from shared.core.contracts.base import Contract
from shared.core.protocol.message import Received
from shared.features.events.api import RouteContext, viewed
from shared.features.filing.api.act_handlers import ActRoute, OriginApi, feature_of
from shared.features.filing.ports import AnswerFollower, AppliedAnswers, OpenEdge
from shared.features.filing.service.referrals import Actor
from shared.features.received.api import ItemRoutes, RecipientFeature, add_acts
from shared.features.received.store.items import PostgresItems
from shared.platform.database.transactions import Session
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import shows

SCHEMA: Final = Path(__file__).with_name("schema.sql")
_ADD: Final = """
INSERT INTO call (call_id, party, referral_id, counterpart, call_at, state) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
"""
_CONFIRM: Final = "UPDATE call SET state = $3 WHERE call_id = $1 AND party = $2"
_CALLS: Final = "SELECT call_id AS call, referral_id, counterpart, call_at, state FROM call WHERE party = $1"


class PostgresCalls:
    """The rows of calls within one transaction."""

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._driver = driver

    async def add(self, party: str, call: ShownCall) -> None:
        named = call.call, party, call.referral_id, call.counterpart, call.call_at, call.state
        await self._driver.execute(_ADD, *named)

    async def confirm(self, party: str, call_id: UUID, state: CallState) -> None:
        await self._driver.execute(_CONFIRM, call_id, party, state)

    async def find(self, party: str, call_id: UUID) -> ShownCall | None:
        rows = await self._driver.fetch(f"{_CALLS} AND call_id = $2", party, call_id)
        return ShownCall.model_validate(dict(rows[0])) if rows else None

    async def page(self, party: str) -> CallPage:
        rows = await self._driver.fetch(f"{_CALLS} ORDER BY call_at, call_id", party)
        return CallPage(items=tuple(ShownCall.model_validate(dict(each)) for each in rows))


class CallFollower(AnswerFollower):
    """The calls that the answers of one transaction propose to an origin."""

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._calls = PostgresCalls(driver)
        self._new: list[tuple[str, ShownCall]] = []

    def take(self, message: Received, edge: OpenEdge) -> None:
        if (call := heard_call(message)) is not None:
            self._new.append((edge.party, call))

    async def apply(self, answers: AppliedAnswers) -> Sequence[Event]:
        for party, call in self._new:
            await self._calls.add(party, call)
        return ()


async def hear(items: PostgresItems, messages: Sequence[Received]) -> None:
    """Store the confirmations of these messages at the agency."""
    for each in messages:
        if isinstance(each.clear, CallConfirmedClear):
            await PostgresCalls(items.driver).confirm(each.recipient, each.clear.call, CallState.CONFIRMED)


class CallRoutes:
    """The handlers of an agency's acts on calls."""

    def __init__(self, cases: ItemRoutes) -> None:
        self._cases = cases

    @property
    def serving(self) -> RouteContext:
        return self._cases.serving

    async def move(
        self, row: Act, subject_id: UUID, session: Session, /, *, said: Contract | None, identity: Identity
    ) -> Contract:
        acting = self._cases.acting(identity, session)
        return await propose_call(subject_id, cast("CallTerms", said), acting, PostgresCalls(session.driver))


def _add_list(router: APIRouter, serving: RouteContext) -> None:
    who = Depends(serving.identified)

    @router.get("/calls", name="list_calls", tags=["calls"], **shows(CallPage))
    async def page(identity: Identity = who) -> Response:
        """List the party's calls."""
        async with serving.looking(identity) as session:
            return viewed(await PostgresCalls(session.driver).page(identity.party))


def routes(cases: ItemRoutes) -> APIRouter:
    """Return an agency's routes of calls."""
    router = APIRouter(prefix="/v1")
    add_acts(router, CallRoutes(cases), [PROPOSE], path=lambda _: "/cases/{referral_id}", moved=ShownCall)
    _add_list(router, cases.serving)
    return router


async def _confirm(referral_id: UUID, said: CallRef, acting: Actor) -> ConfirmedCall:
    return await confirm_call(referral_id, said, acting, PostgresCalls(acting.referrals.driver))


_ACTS: Final = feature_of(ActRoute(CONFIRM, ConfirmedCall, "Confirm an agency's call.", CallRef, _confirm))


def _add_routes(router: APIRouter, origin: OriginApi, who: Identity) -> None:
    _ACTS.routes(router, origin, who)
    _add_list(router, origin.serving)


#: The line of a service of agencies, and that of an origin.
AT_AGENCIES: Final = RecipientFeature(CALLS, hear, routes, SCHEMA)
AT_ORIGINS: Final = _ACTS._replace(
    routes=_add_routes, feature=CALLS, schema=SCHEMA, follow=lambda driver, *_: CallFollower(driver)
)
