"""Who asks, as the service knows them: party, roles, and an auditor's scope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import ConfigDict, Field
from pydantic.config import JsonDict
from starlette.responses import Response

from shared.contracts.base import Contract, Flag, Jurisdiction, PartyId
from shared.kernel.authority import Role
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import shows
from shared.vocabulary.routing import PartyKind

_EXAMPLE: JsonDict = {"party": "police-nl.example", "kind": "law_enforcement", "roles": ["analyst"], "exercise": True}


class ShownScope(Contract):
    """Of whom an auditor sees anything: parties below these jurisdictions, and these parties."""

    jurisdictions: Annotated[tuple[Jurisdiction, ...], Field(max_length=1000)]
    parties: Annotated[tuple[PartyId, ...], Field(max_length=1000)]


class WhoAsks(Contract):
    """The party that a key acts for, and as what. `scope` is left out where all is in it, and for who is no auditor."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    party: PartyId
    kind: PartyKind
    roles: Annotated[tuple[Role, ...], Field(min_length=1, max_length=1)]
    exercise: Flag
    scope: ShownScope | None = None


def whoami_router(identified: Callable[[Request], Awaitable[Identity]]) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/v1")
    who = Depends(identified)

    @router.get("/whoami", tags=["identity"], **shows(WhoAsks))
    async def whoami(identity: Identity = who) -> Response:
        """Whose this key is: its party and roles, and of an auditor the scope. Whoever has a key may ask."""
        scope = None if identity.scope is None else ShownScope(**identity.scope._asdict())
        asked = WhoAsks(
            party=identity.party,
            kind=PartyKind(identity.kind),
            roles=(identity.role,),
            exercise=identity.exercise,
            scope=scope,
        )
        return Response(asked.model_dump_json(exclude_none=True), media_type="application/json")

    return router
