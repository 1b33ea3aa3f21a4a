"""Who asks: API keys, and what the directory says of the party that a key belongs to.

Only a key's SHA-256 is stored: it is 256 random bits, so a plain hash cannot be searched.
Trust: whoever can write the table `api_key` can act as any party of this instance, towards this instance.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import asyncpg
from fastapi import APIRouter, Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from starlette.responses import Response

from shared.contracts.base import Contract, Flag, Jurisdiction, PartyId
from shared.envelope.datakeys import KeyEncryptionKey
from shared.kernel.authority import Role, Scope
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.admission.budgets import Budgets, Principal, columns_of, note_principal, read_address
from shared.runtime.admission.key_table import KEYS_MAX, NOTIFY, KeyTable
from shared.runtime.http.openapi import shows
from shared.runtime.http.problems import invalid_parameters
from shared.vocabulary.routing import PartyKind, PartyStatus

#: What a parameter's name looks like. Anything else came from elsewhere than a misspelling, and is not said again.
_NAME: Final = re.compile(r"[a-z][a-z_]{0,31}")


def refuse_unknown(request: Request) -> None:
    """Raises `InvalidFields` (`parameter_invalid`) for the first parameter that the request's route does not have.

    A filter that is misspelt would else be no filter, and its caller would take everything for what it asked for.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    known = sorted(names(route))
    for name in request.query_params:
        if name not in known:
            field = f"/query/{name}" if _NAME.fullmatch(name) else "/query"
            expected = f"one of {', '.join(known)}" if known else "no parameter"
            raise invalid_parameters([{"field": field, "rule": "unknown_parameter", "expected": expected}])


def names(route: APIRoute) -> frozenset[str]:
    """The query parameters of a route; those of a model are its fields."""
    return frozenset(_of(route.dependant))


def _of(dependant: Dependant) -> Iterator[str]:
    for each in dependant.query_params:
        model = each.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from model.model_fields
        else:
            yield each.alias
    for below in dependant.dependencies:
        yield from _of(below)


#: Roles that a key can be issued for; `service` is the instance itself and has none.
KEY_ROLES: Final = frozenset(Role) - {Role.SERVICE}

_BEARER = re.compile(r"Bearer (cw_(?:test|live)_[A-Za-z0-9_-]{43})", re.IGNORECASE)
_KEEP = """
INSERT INTO api_key (key_hash, party, role, scope_jurisdictions, scope_parties, person)
VALUES ($1, $2, $3, $4, $5, $6)
"""
_COUNT = "SELECT count(*) FROM api_key WHERE revoked_at IS NULL"
# The journal of erasures names it by the first half of its hash.
_REVOKE = """
WITH ended AS (UPDATE api_key SET revoked_at = $2 WHERE key_hash = $1 AND revoked_at IS NULL RETURNING key_hash, party)
INSERT INTO ending (kind, subject, party)
SELECT 'api_key', encode(substring(key_hash FROM 1 FOR 16), 'hex')::uuid, party FROM ended ON CONFLICT DO NOTHING
"""
#: What the journal of erasures calls a key that was revoked, and how it ends once more in a restored database.
REVOKED: Final = "api_key"
REVOKE_AGAIN: Final = """
UPDATE api_key AS k SET revoked_at = now() FROM unnest($1::uuid[], $2::text[]) AS e (subject, party)
WHERE substring(k.key_hash FROM 1 FOR 16) = uuid_send(e.subject) AND k.party = e.party AND k.revoked_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """The party that asks, the role it asks in, its kind, and whether all it does is exercise.

    `actor` is opaque: it tells one person, or one API key, from another. `scope` is an auditor's; None: everything.
    """

    party: str
    role: Role
    kind: str
    exercise: bool
    actor: str
    scope: Scope | None = None


def issue_key(*, live: bool) -> tuple[str, bytes]:
    """A new API key and the hash to keep of it. The key itself is shown once and kept nowhere."""
    text = f"cw_{'live' if live else 'test'}_{secrets.token_urlsafe(32)}"
    return text, key_hash(text)


async def keep_key(
    driver: asyncpg.Connection,
    hashed: bytes,
    party: str,
    *,
    role: Role,
    scope: Scope | None = None,
    person: str | None = None,
) -> None:
    """Let the key with this hash act for `party` as `role`.

    A key of a `person`, by the opaque name that the console has for them, acts as what they are, in their name.

    Raises `Refused`: `role_has_no_key` for the role of the instance itself, `api_keys_full` beyond `KEYS_MAX`.
    """
    if role not in KEY_ROLES:
        raise Refused("role_has_no_key", "the role is the instance's own")
    if await driver.fetchval(_COUNT) >= KEYS_MAX:
        raise Refused("api_keys_full", f"at most {KEYS_MAX} valid keys: revoke one first", status=409)
    await driver.execute(_KEEP, hashed, party, role.value, *columns_of(scope, role), person)
    await driver.execute(NOTIFY)


async def revoke_key(driver: asyncpg.Connection, hashed: bytes, at: datetime) -> None:
    """End the key with this hash, at the latest with the next poll of the key table. A revoked key stays revoked.

    Also in a restored database, once the running instance has it in the journal of erasures.
    """
    await driver.execute(_REVOKE, hashed, at)
    await driver.execute(NOTIFY)


def key_hash(text: str) -> bytes:
    """What is stored of an API key, 32 bytes."""
    return hashlib.sha256(text.encode()).digest()


class ApiKeys:
    """Resolves `Authorization: Bearer` headers from the key table, without a database query."""

    def __init__(
        self, table: KeyTable, *, instance: str, directory: Callable[[], DirectoryIndex], kek: KeyEncryptionKey
    ) -> None:
        """`instance` is who asks: it answers for the parties that the directory has it serve, and for no others."""
        self._instance = instance
        self._table = table
        self._directory = directory
        self._kek = kek
        #: Whether people of a party are told one from another by its provider: then they hold keys by name.
        self.by_name: Callable[[str], bool] = lambda _: False

    async def identify(self, authorization: str | None) -> Identity:
        """Who sent this header.

        Raises `Refused`: `unauthenticated` (401) alike for no key, a malformed, unknown or revoked one, and one of a
        party that is gone, is served elsewhere now, or is of the wrong world (`cw_test_` acts for sandbox parties only,
        `cw_live_` for live ones).
        Raises `Unavailable("keys_outdated")` if the key table could not be read for a minute.
        """
        match = _BEARER.fullmatch(authorization or "")
        known = self._table.find(key_hash(match[1])) if match is not None else None
        if match is None or known is None:
            raise unauthenticated()
        party = self._directory().party(known.party)
        status = PartyStatus.SANDBOX if match[1].startswith("cw_test_") else PartyStatus.LIVE
        if party is None or party.instance != self._instance or party.status != status:
            raise unauthenticated()
        exercise, role = status is PartyStatus.SANDBOX, known.role
        if known.person is None and role is Role.ANALYST and self.by_name(party.id):
            # Where people are known by name to their provider, a key that is nobody's is no second person.
            role = Role.MACHINE
        whose = key_hash(match[1]) if known.person is None else bytes.fromhex(known.person)
        actor = self._kek.actor_id(party.id, whose)
        return Identity(party.id, role, party.kind, exercise=exercise, actor=actor, scope=known.scope)


def unauthenticated() -> Refused:
    """The one answer to every key that does not open."""
    return Refused("unauthenticated", "send a valid API key as a bearer token", status=401)


def identified(keys: ApiKeys, budgets: Budgets) -> Callable[[Request], Awaitable[Identity]]:
    """A FastAPI dependency: who asks, with the request charged to its budget before its body is read.

    A request without a valid key is charged to its source address, and one with a valid key never is.

    It takes no parameter that the route does not have: whoever may not ask learns nothing of those.
    """

    addresses = budgets.for_addresses()

    async def identity_of(request: Request) -> Identity:
        try:
            identity = await keys.identify(request.headers.get("authorization"))
        except Refused:
            addresses.charge(read_address(request.scope).holder, 0)
            raise
        note_principal(request.scope, Principal(identity.party, identity.actor))
        budgets.charge(identity.party, announced_bytes(request))
        refuse_unknown(request)
        return identity

    return identity_of


def announced_bytes(request: Request) -> int:
    """The length the body will have, or the most it may have if the client does not say (`http.BodyBound`)."""
    announced = request.headers.get("content-length")
    if announced is None and "transfer-encoding" not in request.headers:
        return 0
    bound: int = request.scope["body_bytes_max"]
    return min(int(announced), bound) if announced is not None and announced.isdecimal() else bound


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
